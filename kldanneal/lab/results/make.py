"""Makes the stored runs, and what is drawn and written from them.

    python -m kldanneal.lab.results.make run PART FOLDER                 trains the runs of a part
    python -m kldanneal.lab.results.make repeat PART                     trains stored runs again, and compares
    python -m kldanneal.lab.results.make bounds FOLDER                   checks -log p(x) with ten times as many samples
    python -m kldanneal.lab.results.make evidence FOLDER [--ptb FOLDER]  trains the snapshots at the end of schedules
    python -m kldanneal.lab.results.make write                           RESULTS.md, README's table and the figures

The parts are in kldanneal.lab.results.parts. All runs are saved in FOLDER while they train, and a second call continues
them. Each run of a part is stored as soon as it ends. For ``run ptb``, ``--ptb`` names the folder with ptb.train.txt,
ptb.valid.txt and ptb.test.txt (Mikolov's preprocessing). For ``evidence``, two of them are enough: a small corpus is
made of their 7,131 sentences. Without ``--ptb``, the stored runs on it stay.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.files import write_atomically
from kldanneal.lab.results import bounds, findings, pool, stored
from kldanneal.lab.results import repeat as again
from kldanneal.lab.results.evidence import PATH, PTB, STORED, Evidence, load_evidence, save_evidence
from kldanneal.lab.results.factorial import published
from kldanneal.lab.results.parts import PARTS
from kldanneal.lab.results.tail import load_runs
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.schedules import NAMED, parse_schedules
from kldanneal.lab.training.settings import LR_SCHEDULES, Settings

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


def experiments() -> Iterator[Experiment]:
    for corpus in ("docstrings", "toy"):
        yield Experiment(corpus)
    for corpus, options in {"docstrings": {}, "ptb": PTB}.items():
        for lr_schedule in LR_SCHEDULES[:2]:  # as in the published code
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


def run(given: argparse.Namespace) -> None:
    part = list(PARTS[given.part]())
    pool.fit(part, given.store or pool.stored_at(given.part), given.folder, ptb=given.ptb and str(given.ptb),
             scheduler=given.scheduler, workers=given.workers)  # fmt: skip


def repeat(given: argparse.Namespace) -> int:
    runs = load_runs(given.part, given.store)
    runs = again.chosen(runs, corpus=given.corpus, label=given.label, seed=given.seed, word_dropout=given.word_dropout)
    if given.some:
        runs = again.some(runs, given.some, given.draw)
    outcomes = []
    for each in runs:
        outcomes.append(again.repeat(each, given.ptb and str(given.ptb)))
        print(f"{again.name(each)}: {outcomes[-1]}", flush=True)
    return int(any(outcome != "equal" for outcome in outcomes))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    train_part = commands.add_parser("run", help="train the runs of a part")
    train_part.add_argument("part", choices=PARTS)
    train_part.add_argument("folder", type=Path, help="where the runs are saved while they train")
    train_part.add_argument("--scheduler", help="the address of a Dask scheduler; default: this machine's cores")
    train_part.add_argument(
        "--workers", type=int, help="runs at once on this machine; default: as many as it has cores"
    )
    repeated = commands.add_parser("repeat", help="train stored runs again and compare")
    repeated.add_argument("part", choices=PARTS)
    for name, kind in (("corpus", str), ("label", str), ("seed", int), ("word-dropout", float)):
        repeated.add_argument(f"--{name}", type=kind, help=f"only runs of this {name.replace('-', ' ')}")
    repeated.add_argument("--some", type=int, help="so many runs, drawn by chance")
    repeated.add_argument("--draw", type=int, default=0, help="the seed of that draw; default: 0")
    for command in (train_part, repeated):
        command.add_argument("--store", type=Path, help="the file of stored runs; default: the package's")
        command.add_argument("--ptb", type=Path, help="a folder with the Penn Treebank's three files")
    commands.add_parser("write", help="write RESULTS.md, README's table and the figures")
    bounded = commands.add_parser("bounds", help="check the number of importance samples on two runs of durability")
    bounded.add_argument("folder", type=Path, help="where the runs of durability were saved")
    older = commands.add_parser("evidence", help="train the evidence")
    older.add_argument("folder", type=Path, help="where the runs are saved")
    older.add_argument("--ptb", type=Path, help="a folder with ptb.valid.txt and ptb.test.txt")
    given = parser.parse_args()
    if given.what == "run":
        run(given)
    elif given.what == "repeat":
        try:
            return repeat(given)
        except ValueError as error:  # no such runs: the message names the choices
            parser.error(str(error))
    elif given.what == "bounds":
        bounds.measure(given.folder)
    else:
        if given.what == "evidence":
            train(given.folder, given.ptb)
        findings.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
