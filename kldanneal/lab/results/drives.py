"""Drives that were written down, and schedules with the same budget: trained, scored and stored.

A drive has 2,000 updates on the toy language, then a tail of 500 at weight 1. Train them all again with

    python -m kldanneal.lab.results.drives
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.results import stored
from kldanneal.lab.results.jobs import curve
from kldanneal.lab.training import run as training
from kldanneal.lab.training.hand import HandWeight
from kldanneal.lab.training.schedules import parse_schedule
from kldanneal.lab.training.score import TAIL, score_drive
from kldanneal.lab.training.settings import QUICK, Settings

Run = dict[str, Any]
PATH = Path(__file__).with_name("drives.json")
SEEDS = range(5)
#: Schedules that are planned before training, as the widget offers them.
SCHEDULES = {
    "constant": "constant",
    "monotonic-long": "monotonic-long",
    "cyclical": "cyclical",
    "slow ramp": "linear:ratio=0.9",
}
EVERY = 20  # updates between two points of a stored curve, each a mean over that many
STORED = ("kl", "reconstruction", "neg_elbo", "iw_nll", "active_units", "mutual_information")


def rise(updates: int) -> list[float]:
    """Weights that grow in a line from 0; 1 comes next."""
    return [update / updates for update in range(updates)]


def written_down() -> dict[str, list[float]]:
    """The drives that can be written down before training, a weight for each of the 2,000 updates."""
    starts = {
        "impatient": [0.0] * 200 + rise(300),
        "there and back": [1.0] * 600 + [0.0] * 200 + rise(1000),
    }
    drives = {name: weights + [1.0] * (QUICK.steps - len(weights)) for name, weights in starts.items()}
    schedules = {
        name: parse_schedule(text, steps=QUICK.steps).schedule(QUICK.steps) for name, text in SCHEDULES.items()
    }
    return drives | schedules


def drive_patiently(corpus: Corpus, settings: Settings = QUICK, *, seed: int = 0, device: str = "cpu") -> list[float]:
    """The weights of a rule that sees the KL: a little more with every update, and wait while the KL is below 1 nat."""
    hand = HandWeight(0.0)
    run = training.Run(corpus, hand, settings, seed=seed, name="patient", device=device)

    def raise_or_wait() -> None:
        if mean(run.history()["kl"][-10:]) > 1:
            hand.position = min(1.0, hand.position + 4 / (3 * settings.steps))

    run.fit(on_update=raise_or_wait)
    return hand.weights


def score(name: str, weights: Sequence[float], corpus: Corpus, seed: int) -> Run:
    """One run as it is stored."""
    found = score_drive(weights, corpus, seed=seed, device="cpu")
    curves = {column: curve(found.history[column], EVERY, digits=4) for column in ("kl_weight", "kl", "reconstruction")}
    measured = {
        when: {measure: round(getattr(metrics, measure), 4) for measure in STORED}
        for when, metrics in (("at_end", found.at_end), ("after_tail", found.after_tail))
    }
    return {"name": name, "seed": seed, "updates": QUICK.steps, "tail": TAIL, "sentences": len(corpus.train),
            "digest": corpus.digest, **measured, "curves": curves}  # fmt: skip


@cache
def load_drives(path: Path = PATH) -> dict[tuple[str, int], Run]:
    """The stored runs by name and seed."""
    return {(run["name"], run["seed"]): run for run in stored.load(path)[1]}


def names() -> list[str]:
    """Of all drives and schedules that are stored."""
    return list(dict.fromkeys(name for name, _ in load_drives()))


def main() -> None:
    """Trains and stores all of them."""
    corpus, runs = load_corpus("toy"), []
    for seed in SEEDS:
        for name, weights in (written_down() | {"patient": drive_patiently(corpus, seed=seed)}).items():
            runs.append(score(name, weights, corpus, seed))
            print(f"seed {seed}, {name}: KL {runs[-1]['after_tail']['kl']:.2f}", flush=True)
    stored.save(PATH, {"made": [stored.provenance()]}, runs)


if __name__ == "__main__":
    main()
