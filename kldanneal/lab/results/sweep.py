"""A sweep: stored runs of a small model on the toy language under many schedules.

``sweep.json`` beside this file holds the outcome of every shape, at six values of ``total_steps``, once and in cycles,
and of a constant weight of 1, over three seeds. All runs share one budget,
:data:`~kldanneal.lab.training.settings.QUICK`.

    sweep = load_sweep()
    runs = sweep.runs[sweep.closest(Annealer(600, "cosine", cyclical=True))]
    [run.kl for run in runs]             # final KL of each seed, nats per sentence on held-out sentences
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.plots import smooth
from kldanneal.lab.results import stored
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.settings import QUICK

PATH = Path(__file__).with_name("sweep.json")
TOTAL_STEPS = (50, 100, 250, 500, 1000, 2000)
RATIO = 0.9
SEEDS = (0, 1, 2)
EVERY = 20  # updates between two points of a stored curve, each a mean over that many


class Cell(NamedTuple):
    """A place on the map of schedules. The constant weight is the cell of total_steps 0."""

    shape: str
    cyclical: bool
    total_steps: int

    def annealer(self) -> Annealer:
        if self.total_steps == 0:
            return Annealer(1, disable=True)
        return Annealer(self.total_steps, self.shape, cyclical=self.cyclical, ratio=RATIO)


CONSTANT = Cell("linear", False, 0)
CELLS = [CONSTANT, *(Cell(shape, cyclical, n) for shape in SHAPES for cyclical in (False, True) for n in TOTAL_STEPS)]


@dataclass(frozen=True)
class Outcome:
    """One run: its measures at KL weight 1 on held-out sentences, and its curves while it trained, at ``steps``."""

    seed: int
    kl: float
    reconstruction: float
    neg_elbo: float
    active_units: int
    mutual_information: float
    kl_curve: list[float]
    reconstruction_curve: list[float]


@dataclass(frozen=True)
class Sweep:
    about: dict[str, Any]  # corpus, settings, versions, machine, date
    runs: dict[Cell, list[Outcome]]

    @property
    def steps(self) -> range:
        """The updates at which the curves have a point."""
        points = len(next(iter(self.runs.values()))[0].kl_curve)
        return range(EVERY, EVERY * points + 1, EVERY)

    def closest(self, annealer: Annealer) -> Cell:
        """The cell of the same shape and mode whose ramp (or, in cycles, whose cycle) is closest in length.

        Lengths are compared by their ratio. A single ramp is its own length whatever its ``ratio``. The ``baseline``,
        and the ``ratio`` of cycles, are ignored: the sweep has only one of each.
        """
        if annealer.disable:
            return CONSTANT
        length = annealer.total_steps * (RATIO if annealer.cyclical else annealer.ratio)
        shape = annealer.shape if annealer.shape in SHAPES else "linear"
        cells = [cell for cell in self.runs if cell[:2] == (shape, annealer.cyclical) and cell.total_steps]
        return min(cells, key=lambda cell: abs(math.log(cell.total_steps * RATIO / length)))

    def mean(self, cell: Cell, measure: str) -> float:
        return mean(getattr(run, measure) for run in self.runs[cell])


def make_sweep(checkpoints: str | Path, cells: Sequence[Cell] = CELLS, seeds: Sequence[int] = SEEDS) -> Sweep:
    """Trains the cells. Runs that are finished in the folder of checkpoints are not trained again."""
    Path(checkpoints).mkdir(parents=True, exist_ok=True)
    corpus = load_corpus("toy")
    schedules = {_name(cell): cell.annealer() for cell in cells}
    comparison = Comparison(corpus, schedules, QUICK, seeds=seeds, device="cpu", checkpoints=checkpoints).fit()
    runs = {
        cell: [_outcome(comparison.runs[_name(cell), seed].history(), comparison.metrics[_name(cell), seed], seed)
               for seed in seeds]
        for cell in cells
    }  # fmt: skip
    about = {"corpus": f"{corpus.name} {corpus.digest}", "settings": asdict(QUICK), "ratio": RATIO}
    return Sweep(about | stored.provenance(), runs)


def save_sweep(sweep: Sweep, path: str | Path = PATH) -> None:
    runs = [{"cell": cell, **asdict(outcome)} for cell, outcomes in sweep.runs.items() for outcome in outcomes]
    stored.save(path, sweep.about, runs)


@cache
def load_sweep(path: str | Path = PATH) -> Sweep:
    """The sweep that comes with the package, or another that :func:`save_sweep` wrote."""
    about, rows = stored.load(path)
    runs: dict[Cell, list[Outcome]] = {}
    try:
        for row in rows:
            outcome = Outcome(**{field.name: row[field.name] for field in fields(Outcome)})
            runs.setdefault(Cell(*row["cell"]), []).append(outcome)
    except (KeyError, TypeError) as error:
        raise ValueError(f"The stored runs {path} cannot be read: {error!r}") from None
    return Sweep(about, runs)


def _name(cell: Cell) -> str:
    if cell == CONSTANT:
        return "constant"
    return f"{cell.shape}:total_steps={cell.total_steps}:ratio={RATIO}" + ":cyclical" * cell.cyclical


def _outcome(history: dict[str, list[float]], metrics: Any, seed: int) -> Outcome:
    curves = {
        f"{column}_curve": [round(float(value), 4) for value in smooth(history[column], EVERY)[EVERY - 1 :: EVERY]]
        for column in ("kl", "reconstruction")
    }
    measures = ("kl", "reconstruction", "neg_elbo", "active_units", "mutual_information")
    return Outcome(seed, **{name: round(getattr(metrics, name), 4) for name in measures}, **curves)
