"""Makes the stored runs, and what is drawn and written from them.

    python -m kldanneal.lab.results.make sweep FOLDER                    trains the sweep
    python -m kldanneal.lab.results.make evidence FOLDER [--ptb FOLDER]  trains the evidence, then writes
    python -m kldanneal.lab.results.make write                           RESULTS.md, README's table and the figures

All runs are saved in FOLDER while they train, and a second call continues them. ``--ptb`` names a folder with
ptb.valid.txt and ptb.test.txt (Mikolov's preprocessing): 7,131 sentences, from which that corpus is made. Without it,
the stored runs on Penn Treebank stay.
"""

import argparse
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tqdm.auto import tqdm

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.files import write_atomically
from kldanneal.lab.results import evidence, pictures, stored
from kldanneal.lab.results.evidence import PATH, STORED, Evidence, load_evidence, save_evidence
from kldanneal.lab.results.sweep import make_sweep, save_sweep
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.schedules import NAMED, parse_schedules
from kldanneal.lab.training.settings import LR_SCHEDULES, Settings

ROOT = Path(__file__).parents[3]
SEEDS = range(5)


@dataclass(frozen=True)
class Experiment:
    """Runs that share corpus and settings; ``hyperparameter`` and ``value`` name what differs from the defaults."""

    corpus: str
    hyperparameter: str = ""
    value: str = ""
    settings: Settings = field(default_factory=Settings)
    schedules: dict[str, Annealer] | None = None  # None: the four by name

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.corpus, self.hyperparameter, self.value)))

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
    for hyperparameter, value in (
        ("steps", 1000), ("steps", 2000), ("pooling", "last"), ("word_dropout", 0.3), ("ratio", 0.25), ("ratio", 0.9)
    ):  # fmt: skip
        if hyperparameter == "ratio":
            schedules = parse_schedules(NAMED[1:], steps=Settings.steps, ratio=value)
            yield Experiment("toy", hyperparameter, str(value), schedules=schedules)
        else:
            yield Experiment("toy", hyperparameter, str(value), Settings(**{hyperparameter: value}))


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
        "corpus": experiment.corpus, "hyperparameter": experiment.hyperparameter, "value": experiment.value,
        "schedule": schedule, "seed": seed,
        **{measure: round(getattr(metrics, measure), 4) for measure in STORED},
        "kl_at_quarters": [round(value, 4) for value in ends], "seconds": round(run.seconds, 1),
    }  # fmt: skip


def train(folder: Path, ptb: Path | None) -> None:
    """Trains what is not in the folder yet, and stores all of it as the evidence."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [experiment for experiment in experiments() if ptb or experiment.corpus != "ptb"]
    corpora = {name: load(name, folder, ptb) for name in dict.fromkeys(experiment.corpus for experiment in todo)}
    sizes = [len(e.schedules or NAMED) * len(SEEDS) * e.settings.steps for e in todo]
    rows = []
    with tqdm(total=sum(sizes), unit="update") as bar:
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
                comparison.fit(progress=False, on_update=bar.update)
                found = {"digest": corpus.digest, "settings": asdict(experiment.settings),
                         "runs": [row(experiment, *key, comparison) for key in comparison.runs]}  # fmt: skip
                write_atomically(done, json.dumps(found).encode())
            rows += found["runs"]
    sizes = {name: f"{len(corpus.train):,} sentences to train on, digest {corpus.digest}"
             for name, corpus in corpora.items()}  # fmt: skip
    about = {"corpora": sizes, **stored.provenance()}
    if not ptb and PATH.exists():
        before = load_evidence()
        rows += [run for run in before.runs if run["corpus"] == "ptb"]
        about["corpora"]["ptb"] = before.about["corpora"]["ptb"]
    save_evidence(Evidence(about, rows))


FIGURES = {
    "evidence-schedules": pictures.plot_measured,
    "evidence-ablations": pictures.plot_ablations,
    "evidence-two-by-two": pictures.plot_two_by_two,
}


def page(runs: Evidence) -> str:
    """RESULTS.md: every table and figure."""
    return f"""\
# Results

Written by `make results` from the stored runs. Edit `kldanneal/lab/results/make.py`, not this page.

{evidence.about(runs)}

`yes` means in every seed, `no` in none. All numbers are snapshots at the end of the schedule: they do not say whether
the KL lasts when training goes on at weight 1.

## Which claims hold

Fu et al. (2019) say that cycles keep the KL up, lower the reconstruction term, and improve z from cycle to cycle.

{evidence.claims(runs)}

{evidence.collapsed(runs)}

## Four schedules on docstrings

![KL and -ELBO of every run under four schedules, on toy and docstrings](figures/evidence-schedules.png)

*A circle is a run, a grey line joins the runs of one seed, a bar is the mean with its interval.*

{evidence.measures(runs, "docstrings")}

## Four schedules on the toy language

{evidence.measures(runs, "toy")}

{evidence.above_entropy(runs)}

## Ablations: one hyperparameter at a time, on the toy language

{evidence.ablations(runs)}

![KL and -ELBO on the toy language, with one hyperparameter varied at a time](figures/evidence-ablations.png)

## The schedule of the weight, or that of the learning rate?

The published cyclical script of Fu et al. also restarts the learning rate in every cycle. The table takes both apart:
each cell is the difference to the monotonic weight with a constant learning rate.

{evidence.two_by_two(runs)}

![KL and -ELBO for both schedules of the weight and both of the learning rate](figures/evidence-two-by-two.png)
"""


def with_table(readme: str, runs: Evidence) -> str:
    """README with its one table, between two marks, made from the runs."""
    marked = re.compile(r"(<!-- results -->\n).*?(\n<!-- end -->)", re.DOTALL)
    if len(marked.findall(readme)) != 1:
        raise ValueError("Expected one <!-- results --> followed by <!-- end --> in README.md")
    return marked.sub(lambda match: f"{match[1]}{evidence.summary(runs)}{match[2]}", readme)


def write(root: Path = ROOT) -> None:
    """RESULTS.md, README's table, and the figures, each with the digest of the runs that it shows."""
    runs, readme = load_evidence(), root / "README.md"
    digest = hashlib.sha256(PATH.read_bytes()).hexdigest()
    for name, plot in FIGURES.items():
        figure: Figure = plot(runs)
        figure.savefig(root / "notebooks" / "figures" / f"{name}.png", dpi=110, metadata={"Source": digest})
    write_atomically(root / "notebooks" / "RESULTS.md", page(runs).encode())
    write_atomically(readme, with_table(readme.read_text(encoding="utf-8"), runs).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sweep", "evidence", "write"))
    parser.add_argument("folder", nargs="?", type=Path, help="where the runs are saved")
    parser.add_argument("--ptb", type=Path, help="a folder with ptb.valid.txt and ptb.test.txt")
    given = parser.parse_args()
    if (given.what == "write") == (given.folder is not None):
        parser.error("expected a folder for sweep and evidence, and none for write")
    if given.what == "sweep":
        save_sweep(make_sweep(given.folder))
        return
    if given.what == "evidence":
        train(given.folder, given.ptb)
    write()


if __name__ == "__main__":
    main()
