"""The two by two of Fu et al.'s code: the schedule of the KL weight, and the schedule of the learning rate.

for two in stored_experiments():
    two.values("kl", "cyclical", "constant")             # by seed
    print(two.title, table_of_effects(two))              # differences and ratios
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import mean
from typing import Any

from kldanneal.annealing import Annealer
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.results import evidence, tail
from kldanneal.lab.results.jobs import last_low
from kldanneal.lab.results.statistics import interval, with_interval
from kldanneal.lab.tables import table

WEIGHTS = ("monotonic", "cyclical")
RATES = ("constant", "cosine-restarts")
Cells = Mapping[tuple[str, str], Sequence[float]]  # by the schedules of weight and learning rate, then by seed
#: Effects: a cell, and the cell that it is compared with.
EFFECTS = {
    "cyclical weight, constant learning rate": (("cyclical", "constant"), ("monotonic", "constant")),
    "cyclical weight, restarts": (("cyclical", "cosine-restarts"), ("monotonic", "cosine-restarts")),
    "restarts, monotonic weight": (("monotonic", "cosine-restarts"), ("monotonic", "constant")),
    "restarts, cyclical weight": (("cyclical", "cosine-restarts"), ("cyclical", "constant")),
}


@dataclass(frozen=True)
class TwoByTwo:
    """Four schedules of one experiment, over the seeds that all four have.

    Args:
        title (str): text, sentences, updates, seeds.
        runs (mapping): the measures of each run, by schedule of the weight and of the learning rate, then by seed.
        updates (int): of each run, before it is measured.
    """

    title: str
    runs: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
    updates: int

    def values(self, measure: str, weight: str, lr: str) -> list[float]:
        return [run[measure] for run in self.runs[weight, lr]]

    def cells(self, measure: str) -> dict[tuple[str, str], list[float]]:
        return {(weight, lr): self.values(measure, weight, lr) for weight, lr in product(WEIGHTS, RATES)}


def published(updates: int) -> dict[str, Annealer]:
    """The two schedules of the weight in Fu et al.'s published code, as lesson 7 takes them apart."""
    cycle = updates // 4
    return {
        "monotonic": Annealer(round(0.9 * cycle), baseline=0.1),
        "cyclical": Annealer(cycle, baseline=0.1, cyclical=True, ratio=0.45),
    }


def discount_and_distance(weights: Sequence[float]) -> tuple[float, int]:
    """The sum of 1 - weight, and the number of updates after the last weight below 1.

    Example::

        >>> discount_and_distance([0.5, 0.75, 1.0, 1.0])
        (0.75, 2)
    """
    return sum(1 - weight for weight in weights), len(weights) - last_low(weights)


def stored_experiments() -> list[TwoByTwo]:
    """Penn Treebank, 2,742 sentences; and docstrings, as soon as two seeds of all four are stored."""
    return [two for two in (_penn_treebank(), docstrings()) if len(next(iter(two.runs.values()))) > 1]


def difference_effects(cells: Cells) -> dict[str, list[float]]:
    """Each effect as a difference within seeds, and how much the two schedules together exceed their sum."""
    found = {name: [x - y for x, y in zip(cells[a], cells[b], strict=True)] for name, (a, b) in EFFECTS.items()}
    with_restarts, without = found["cyclical weight, restarts"], found["cyclical weight, constant learning rate"]
    return found | {"interaction": [x - y for x, y in zip(with_restarts, without, strict=True)]}


def ratio_effects(cells: Cells) -> dict[str, list[float]]:
    """The same as logarithms of ratios: how much the two schedules together exceed their product."""
    return difference_effects({place: [math.log(value) for value in values] for place, values in cells.items()})


def table_of_effects(cells: Cells, measure: str = "kl", *, ratios: bool = True) -> str:
    """In Markdown: each effect on a measure as a difference and as a ratio, with 95 % intervals over the seeds."""
    rows = [[f"effect on the {MEASURES[measure].heading}", "difference (nats)", *(["ratio"] if ratios else [])]]
    logs = ratio_effects(cells) if ratios else {}
    for name, d in difference_effects(cells).items():
        rows.append([name, with_interval(d), *([as_ratio(logs[name])] if ratios else [])])
    return table(rows, "markdown")


def table_of_cells(two: TwoByTwo, measures: Sequence[str] = ("kl", "neg_elbo", "iw_nll")) -> str:
    """In Markdown: discount, distance and the mean of each measure in the four cells."""
    rows = [["KL weight", "learning rate", "discount", "distance", *(MEASURES[m].heading for m in measures)]]
    schedules = published(two.updates)
    for weight, lr in product(WEIGHTS, RATES):
        discount, distance = discount_and_distance(schedules[weight].schedule(two.updates))
        means = (f"{mean(two.values(m, weight, lr)):.{MEASURES[m].digits}f}" for m in measures)
        rows.append([weight, lr.removeprefix("cosine-"), f"{discount:,.0f}", f"{distance:,}", *means])
    return table(rows, "markdown")


def as_ratio(logs: Sequence[float]) -> str:
    """The geometric mean of ratios with its 95 % interval, as ``x2.3 [1.9, 2.8]``, from their logarithms."""
    low, high = interval(logs)
    return f"x{math.exp(mean(logs)):.2f} [{math.exp(low):.2f}, {math.exp(high):.2f}]"


def _penn_treebank() -> TwoByTwo:
    stored = evidence.load_evidence()
    sentences = stored.about["corpora"]["ptb"].partition(" sentences")[0]
    runs = {
        (weight, lr): _by_seed([run for run in stored.runs if run["corpus"] == "ptb" and run["schedule"] == weight
                                and run["value"] == lr])
        for weight, lr in product(WEIGHTS, RATES)
    }  # fmt: skip
    return _paired(f"{sentences} Penn Treebank sentences", runs, int(evidence.PTB["steps"]))


def docstrings() -> TwoByTwo:
    stored = tail.load_runs("two_by_two")
    runs = {
        (weight, lr): {run["job"]["seed"]: run["measured"][-1]
                       for run in tail.select(stored, "docstrings", weight, lr_schedule=lr)}
        for weight, lr in product(WEIGHTS, RATES)
    }  # fmt: skip
    what, updates = (f"{stored[0]['sentences']:,} docstrings", stored[0]["job"]["updates"]) if stored else ("", 0)
    return _paired(what, runs, updates)


def _by_seed(runs: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    return {run["seed"]: run for run in runs}


def _paired(what: str, runs: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]], updates: int) -> TwoByTwo:
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in runs.values())))
    paired = {place: [by_seed[seed] for seed in seeds] for place, by_seed in runs.items()}
    return TwoByTwo(f"{what}, {updates:,} updates, {len(seeds)} seeds", paired, updates)
