"""The evidence: every run behind the claims of README and notebook 03, and what is drawn and written from them.

    python tests/benchmarks/evidence.py FOLDER [--ptb FOLDER]     trains, then writes what the next command writes
    python tests/benchmarks/evidence.py --write                   pictures and README's tables, from the stored runs

Each experiment is a Comparison over the same five seeds; all of its runs are kept in FOLDER, and a second call goes on
with them, or with the experiment after. ``--ptb`` names a folder with ptb.valid.txt and ptb.test.txt (Mikolov's
preprocessing): 7,131 sentences, from which that corpus is made. Without it, the stored runs on Penn Treebank stay.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from tqdm.auto import tqdm

import kldanneal
from kldanneal import Annealer
from kldanneal.lab import evidence
from kldanneal.lab.comparison import Comparison
from kldanneal.lab.corpora import Corpus, load_corpus
from kldanneal.lab.evidence import MEASURES, PATH, Evidence, load_evidence, save_evidence
from kldanneal.lab.files import write_atomically
from kldanneal.lab.schedules import NAMED, parse_schedules
from kldanneal.lab.settings import LR_SCHEDULES, Settings

ROOT = Path(__file__).parents[2]
SEEDS = range(5)


@dataclass(frozen=True)
class Experiment:
    """Runs that share corpus and settings. ``knob`` and ``value`` say what is not as in the runs of the schedules."""

    corpus: str
    knob: str = ""
    value: str = ""
    settings: Settings = field(default_factory=Settings)
    schedules: dict[str, Annealer] | None = None  # None: the four by name

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.corpus, self.knob, self.value)))

    def compare(self, corpus: Corpus, folder: Path) -> Comparison:
        schedules = self.schedules or parse_schedules(NAMED, steps=self.settings.steps)
        folder.mkdir(parents=True, exist_ok=True)
        return Comparison(corpus, schedules, self.settings, seeds=SEEDS, device="cpu", checkpoints=folder)


def published(steps: int) -> dict[str, Annealer]:
    """The two schedules of Fu et al.'s published code, as notebook 04 takes them apart."""
    cycle = steps // 4
    return {
        "monotonic": Annealer(round(0.9 * cycle), baseline=0.1),
        "cyclical": Annealer(cycle, baseline=0.1, cyclical=True, ratio=0.45),
    }


def experiments() -> Iterator[Experiment]:
    for corpus in ("docstrings", "toy"):
        yield Experiment(corpus)
    for corpus, options in {"docstrings": {}, "ptb": {"steps": 2000, "dropout": 0.3}}.items():
        for lr_schedule in LR_SCHEDULES:
            settings = Settings(lr_schedule=lr_schedule, **options)
            yield Experiment(corpus, "lr_schedule", lr_schedule, settings, published(settings.steps))
    for knob, value in (
        ("steps", 1000), ("steps", 2000), ("pooling", "last"), ("word_dropout", 0.3), ("ratio", 0.25), ("ratio", 0.9)
    ):  # fmt: skip
        if knob == "ratio":
            schedules = parse_schedules(NAMED[1:], steps=Settings.steps, ratio=value)
            yield Experiment("toy", knob, str(value), schedules=schedules)
        else:
            yield Experiment("toy", knob, str(value), Settings(**{knob: value}))


def load(name: str, folder: Path, ptb: Path | None) -> Corpus:
    if name != "ptb":
        return load_corpus(name)
    text = "".join((ptb / f"ptb.{part}.txt").read_text(encoding="utf-8") for part in ("valid", "test"))
    path = folder / "ptb.valid+test.txt"
    write_atomically(path, text.encode())
    return load_corpus(str(path), max_length=20)


def row(experiment: Experiment, schedule: str, seed: int, comparison: Comparison) -> dict[str, Any]:
    run, metrics = comparison.runs[schedule, seed], comparison.metrics[schedule, seed]
    kl, quarter, last = run.history()["kl"], run.settings.steps // 4, run.settings.steps // 80
    ends = [sum(kl[end - last : end]) / last for end in range(quarter, 4 * quarter + 1, quarter)]
    return {
        "corpus": experiment.corpus, "knob": experiment.knob, "value": experiment.value,
        "schedule": schedule, "seed": seed,
        **{measure: round(getattr(metrics, measure), 4) for measure in MEASURES},
        "kl_at_quarters": [round(value, 4) for value in ends], "seconds": round(run.seconds, 1),
    }  # fmt: skip


def train(folder: Path, ptb: Path | None) -> None:
    """Trains what is not in the folder yet, and stores all of it as the evidence."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [experiment for experiment in experiments() if ptb or experiment.corpus != "ptb"]
    corpora = {name: load(name, folder, ptb) for name in dict.fromkeys(experiment.corpus for experiment in todo)}
    sizes = [len(e.schedules or NAMED) * len(SEEDS) * e.settings.steps for e in todo]
    rows = []
    with tqdm(total=sum(sizes), unit="step") as bar:
        for experiment, size in zip(todo, sizes, strict=True):
            bar.set_description(experiment.name)
            corpus, done = corpora[experiment.corpus], folder / f"{experiment.name}.json"
            if done.exists():
                found = json.loads(done.read_text())
                if found["digest"] != corpus.digest or found["settings"] != asdict(experiment.settings):
                    raise ValueError(f"{done} is of another corpus or other settings: name another folder")
                bar.update(size)
            else:
                comparison = experiment.compare(corpus, folder / experiment.name)
                bar.update(sum(run.step for run in comparison.runs.values()))
                comparison.fit(progress=bar.update)
                found = {"digest": corpus.digest, "settings": asdict(experiment.settings),
                         "runs": [row(experiment, *key, comparison) for key in comparison.runs]}  # fmt: skip
                write_atomically(done, json.dumps(found).encode())
            rows += found["runs"]
    about = {
        "corpora": {name: f"{len(corpus.train):,} sentences to train on, digest {corpus.digest}"
                    for name, corpus in corpora.items()},
        "versions": {"kldanneal": kldanneal.__version__, "python": platform.python_version(),
                     "torch": torch.__version__},
        "commit": subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }  # fmt: skip
    if not ptb and PATH.exists():
        stored = load_evidence()
        rows += [run for run in stored.runs if run["corpus"] == "ptb"]
        about["corpora"]["ptb"] = stored.about["corpora"]["ptb"]
    save_evidence(Evidence(about, rows))


def pictures(runs: Evidence) -> dict[str, Figure]:
    return {
        "evidence-schedules": evidence.plot_measured(runs),
        "evidence-knobs": evidence.plot_knobs(runs),
        "evidence-two-by-two": evidence.plot_two_by_two(runs),
    }


def filled(page: str, runs: Evidence) -> str:
    """A page whose parts between <!-- evidence: NAME --> and <!-- end --> are made from the runs."""
    parts = {
        "about": evidence.about(runs),
        "table toy": f"{evidence.table(runs, 'toy')}\n\n{evidence.above_entropy(runs)}",
        "table docstrings": evidence.table(runs, "docstrings"),
        "vanished": evidence.vanished(runs),
        "claims": evidence.claims(runs),
        "knobs": evidence.knobs(runs),
        "two by two": evidence.two_by_two(runs),
    }
    return re.sub(
        r"(<!-- evidence: ([\w ]+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{parts[match[2]]}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


def write() -> None:
    """README's parts, and the pictures, each with the digest of the runs that it shows."""
    runs, readme = load_evidence(), ROOT / "README.md"
    source = hashlib.sha256(PATH.read_bytes()).hexdigest()
    for name, figure in pictures(runs).items():
        figure.savefig(ROOT / "notebooks" / "figures" / f"{name}.png", dpi=110, metadata={"Source": source})
    write_atomically(readme, filled(readme.read_text(encoding="utf-8"), runs).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the runs are kept")
    parser.add_argument("--ptb", type=Path, help="a folder with ptb.valid.txt and ptb.test.txt")
    parser.add_argument("--write", action="store_true", help="train nothing")
    given = parser.parse_args()
    if given.write == (given.folder is not None):
        parser.error("expected a folder, or --write")
    if given.folder:
        train(given.folder, given.ptb)
    write()


if __name__ == "__main__":
    main()
