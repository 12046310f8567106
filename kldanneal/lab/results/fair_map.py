"""The map of schedules: stored runs over a grid, each measured at the same distances from its last low update.

    stored = load_map()
    stored.kl(Cell("once", "linear", 500), word_dropout=0.0, distance=1000)       # the mean over the seeds
    stored.closest(weights(job))                                                  # the cell whose weights are closest

An update is *low* if its KL weight is below 1. The *distance* is the number of updates since the last low one.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np

from kldanneal.annealing import SHAPES
from kldanneal.lab.results.jobs import Job, from_dict
from kldanneal.lab.results.tail import Run, load_runs

ONCE, CYCLES, CONSTANT = "once", "in cycles", "constant"
SAME, CLOSE = 0.02, 0.1  # mean difference of the weights: the schedule itself, or one that is close to it


class Cell(NamedTuple):
    """A place on the map. ``size`` is the length of a ramp in updates or, of a constant weight, that weight."""

    course: str
    shape: str
    size: float


class Match(NamedTuple):
    """The cell that is closest to a schedule, and the mean difference of their weights."""

    cell: Cell
    apart: float

    def __str__(self) -> str:
        return "same" if self.apart < SAME else "close" if self.apart < CLOSE else "none"


def cell_of(job: Job) -> Cell:
    annealer = job.annealer
    if not annealer["total_steps"]:
        return Cell(CONSTANT, "", annealer.get("max_weight", 1.0))
    return Cell(CYCLES if annealer.get("cyclical") else ONCE, annealer.get("shape", "linear"), annealer["total_steps"])


def weights(job: Job) -> np.ndarray:
    """The KL weights of the updates up to the last low one; after it the weight is 1."""
    return np.array(job.weights()[: job.last_low()])


def difference(own: np.ndarray, other: np.ndarray) -> float:
    """The mean difference of two schedules' weights, over the updates in which either is still low.

    Over the long tail at weight 1, in which all schedules agree, every difference would look small.
    """
    length = max(len(own), len(other))
    padded = [np.concatenate([each, np.ones(length - len(each))]) for each in (own, other)]
    return float(np.abs(padded[0] - padded[1]).mean()) if length else 0.0


class FairMap:
    """The stored runs by cell, word dropout and seed. It works with whatever cells and seeds are stored.

    Args:
        runs: as :func:`~kldanneal.lab.results.tail.load_runs` returns them.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs: dict[tuple[Cell, float], list[Run]] = {}
        self._weights: dict[Cell, np.ndarray] = {}
        for run in sorted(runs, key=lambda run: run["job"]["seed"]):
            job = from_dict(run["job"])
            cell = cell_of(job)
            self.runs.setdefault((cell, job.settings.get("word_dropout", 0.0)), []).append(run)
            self._weights.setdefault(cell, weights(job))
        cells = {cell for cell, _ in self.runs}
        self.shapes = [shape for shape in SHAPES if any(cell.shape == shape for cell in cells)]
        self.courses = [course for course in (ONCE, CYCLES, CONSTANT) if any(cell.course == course for cell in cells)]
        self.sizes = sorted({cell.size for cell in cells if cell.course != CONSTANT})
        self.weights = sorted({cell.size for cell in cells if cell.course == CONSTANT})
        self.word_dropouts = sorted({word_dropout for _, word_dropout in self.runs})
        # the distances that were asked for; the end of a run is measured as well, wherever it is
        self.distances = sorted({distance for run in runs for distance in run["job"]["distances"]})

    def measured(self, cell: Cell, word_dropout: float, distance: int) -> list[dict[str, Any]]:
        """The measures of every seed at a distance; none if they are not stored."""
        return [
            {"seed": run["job"]["seed"], **mark}
            for run in self.runs.get((cell, word_dropout), [])
            for mark in run["measured"]
            if mark["distance"] == distance
        ]

    def kl(self, cell: Cell, word_dropout: float, distance: int) -> float | None:
        """The mean KL over the seeds; None if it is not stored."""
        found = self.measured(cell, word_dropout, distance)
        return mean(mark["kl"] for mark in found) if found else None

    def closest(self, own: np.ndarray) -> Match | None:
        """The stored schedule whose weights differ least from the given low ones; None on an empty map."""
        matches = [Match(cell, difference(own, other)) for cell, other in self._weights.items()]
        return min(matches, key=lambda match: match.apart, default=None)


@cache
def load_map(path: str | Path | None = None) -> FairMap:
    """The map that comes with the package, or another file of stored runs."""
    return FairMap(load_runs("map", path))
