"""The parts of the results, each a list of jobs: what is trained in order to answer one question.

durability  does the KL last when training goes on at weight 1?
remedies    what else keeps it, and does that fade?
map         small runs over a grid of schedules, all with the same tail: what the explorer shows
budgets     what to do with N updates
two_by_two  the two schedules that Fu et al.'s code changes together: of the KL weight and of the learning rate
ptb         the whole Penn Treebank at Fu et al.'s sizes, one seed
"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

from kldanneal.annealing import SHAPES
from kldanneal.lab.results.jobs import DISTANCES, Job
from kldanneal.lab.training.settings import QUICK

CONSTANT = {"total_steps": 0}
#: Of a schedule that takes 4,000 updates: the four by name.
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": CONSTANT,
    "monotonic": {"total_steps": 500},
    "monotonic-long": {"total_steps": 2000},
    "cyclical": {"total_steps": 1000, "cyclical": True, "ratio": 0.5, "cycles": 4},
}
#: The settings of the durability part: corpus, word dropout, and its schedules.
DURABILITY: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("toy", 0.0, ("constant", "monotonic", "monotonic-long", "cyclical")),
    ("toy", 0.2, ("constant", "monotonic", "monotonic-long", "cyclical")),
    ("docstrings", 0.0, ("constant", "monotonic-long", "cyclical")),
    ("docstrings", 0.2, ("constant", "monotonic-long", "cyclical")),
)
TOTALS = (4000, 5000, 6000, 8000, 12_000)
MAP_STEPS = (62, 125, 250, 500, 1000, 2000)  # two in cycles have the discount of one ramp of the next length
MAP_WEIGHTS = (0.5, 0.75, 0.9, 1.0)
MAP_DISTANCES = tuple(distance for distance in DISTANCES if distance <= 4000)
BUDGETS = (1000, 2000, 4000, 8000)
PTB_EPOCH = 1315  # updates: batches of 32


def durability() -> Iterator[Job]:
    yield from _schedule_then_tail("toy", {})
    for seed in range(3):
        settings = {"steps": 8000, "lr_schedule": "decay"}
        yield Job("toy", "cyclical, learning rate decays", SCHEDULES["cyclical"], 8000, seed, settings, totals=TOTALS)
    yield from _schedule_then_tail("docstrings", {"dropout": 0.3})


def remedies() -> Iterator[Job]:
    for seed in range(3):
        for weight in (0.5, 0.75, 0.9):
            yield _then_one(f"constant {weight}", _constant(weight), seed)
        yield _then_one("ramp to 0.75", {"total_steps": 2000, "max_weight": 0.75}, seed)
        for floor in (0.05, 0.1, 0.25):
            yield _then_one(f"free bits {floor}", CONSTANT, seed, free_bits=floor)
        yield Job("toy", "word dropout 0.5", CONSTANT, 12_000, seed, {"word_dropout": 0.5}, totals=TOTALS)


def fair_map() -> Iterator[Job]:
    for seed, word_dropout in product(range(3), (0.0, 0.2)):
        settings = _quick(word_dropout)
        for shape, steps in product(SHAPES, MAP_STEPS):
            once = {"total_steps": steps, "shape": shape}
            cycles = once | {"cyclical": True, "ratio": 0.5, "cycles": 4}
            yield Job("toy", "once", once, steps + 4000, seed, settings, distances=MAP_DISTANCES)
            yield Job("toy", "in cycles", cycles, 4 * steps + 4000, seed, settings, distances=MAP_DISTANCES)
        for weight in MAP_WEIGHTS:
            low = 0 if weight == 1 else QUICK.steps
            yield Job("toy", f"constant {weight:g}", _constant(weight), low + 4000, seed, settings, low or None,
                      distances=MAP_DISTANCES)  # fmt: skip


def budgets() -> Iterator[Job]:
    """The schedule has the first half of the updates, the tail the other half."""
    for seed, word_dropout, updates in product(range(5), (0.0, 0.2), BUDGETS):
        schedules = {
            "constant": CONSTANT,
            "constant 0.75": _constant(0.75),
            "monotonic-long": {"total_steps": updates // 2},
            "cyclical": {"total_steps": updates // 8, "cyclical": True, "ratio": 0.5, "cycles": 4},
        }
        for label, annealer in schedules.items():
            settings = {"word_dropout": word_dropout}
            yield Job("toy", label, annealer, updates, seed, settings, distances=())


def two_by_two() -> Iterator[Job]:
    """Both schedules of the weight as published, each with a constant learning rate and with one that restarts."""
    weights = {
        "monotonic": {"total_steps": 900, "baseline": 0.1},
        "cyclical": {"total_steps": 1000, "baseline": 0.1, "cyclical": True, "ratio": 0.45, "cycles": 4},
    }
    for seed, lr_schedule, label in product(range(5), ("constant", "cosine-restarts"), weights):
        settings = {"lr_schedule": lr_schedule, "dropout": 0.3}
        yield Job("docstrings", label, weights[label], 4000, seed, settings, distances=())


def ptb(epoch: int = PTB_EPOCH) -> Iterator[Job]:
    """Four cycles of two epochs, then a tail of four. ``epoch``: its updates."""
    sizes = {"embedding": 256, "hidden": 256, "latent": 32, "dropout": 0.5, "lr": 1e-3, "batch_size": 32}
    cyclical = {"total_steps": 2 * epoch, "cyclical": True, "ratio": 0.5, "cycles": 4}
    totals = tuple(epoch * n for n in range(1, 13))
    for word_dropout, label, annealer in (
        (0.0, "cyclical", cyclical),
        (0.0, "constant", CONSTANT),
        (0.3, "cyclical", cyclical),
        (0.3, "constant", CONSTANT),
        (0.0, "monotonic-long", {"total_steps": 4 * epoch}),
    ):
        settings = sizes | {"word_dropout": word_dropout}
        yield Job("ptb", label, annealer, 12 * epoch, 0, settings, distances=(), totals=totals)


PARTS = {
    "durability": durability,
    "remedies": remedies,
    "map": fair_map,
    "budgets": budgets,
    "two_by_two": two_by_two,
    "ptb": ptb,
}


def _schedule_then_tail(corpus: str, settings: dict[str, Any]) -> Iterator[Job]:
    for seed, (name, word_dropout, labels) in product(range(5), DURABILITY):
        if name == corpus:
            for label in labels:
                options = {"word_dropout": word_dropout} | settings
                yield Job(corpus, label, SCHEDULES[label], 12_000, seed, options, totals=TOTALS)


def _constant(weight: float) -> dict[str, Any]:
    return CONSTANT if weight == 1 else {"total_steps": 0, "max_weight": weight}


def _then_one(label: str, annealer: dict[str, Any], seed: int, free_bits: float = 0.0) -> Job:
    return Job("toy", label, annealer, 12_000, seed, {}, 4000, free_bits, totals=TOTALS)


def _quick(word_dropout: float) -> dict[str, Any]:
    """QUICK, but for its number of updates, which each job has of its own."""
    return {name: value for name, value in asdict(QUICK).items() if name != "steps"} | {"word_dropout": word_dropout}
