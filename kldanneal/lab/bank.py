"""What became of real runs, one for each of many schedules: the phase diagram of KL vanishing.

``bank.json`` beside this file holds the outcome of training the LSTM VAE on the toy language under every shape, at six
values of ``total_steps``, once and in cycles, and under a constant weight of 1, over three seeds. All of them share one
budget, :data:`~kldanneal.lab.settings.QUICK`. ``make bank`` makes it again, and goes on where it was interrupted.

    bank = load_bank()
    runs = bank.runs[bank.nearest(Annealer(600, "cosine", cyclical=True))]
    [run.kl for run in runs]             # final KL of each seed, nats per sentence on held-out sentences
"""

import datetime
import json
import math
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch

import kldanneal
from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.comparison import Comparison
from kldanneal.lab.corpora import load_corpus
from kldanneal.lab.files import write_atomically
from kldanneal.lab.plots import smooth
from kldanneal.lab.settings import QUICK

PATH = Path(__file__).with_name("bank.json")
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
class Bank:
    about: dict[str, Any]  # configuration, versions, machine, date
    runs: dict[Cell, list[Outcome]]
    steps: list[int]  # of the curves

    def nearest(self, annealer: Annealer) -> Cell:
        """The cell of the same shape and mode whose ramp (or, in cycles, whose cycle) is nearest in length.

        Lengths are compared by their ratio. A single ramp is its own length whatever its ``ratio``; the ``baseline``,
        and the ``ratio`` of cycles, are not looked at: the bank has only one of each.
        """
        if annealer.disable:
            return CONSTANT
        length = annealer.total_steps * (RATIO if annealer.cyclical else annealer.ratio)
        shape = annealer.shape if annealer.shape in SHAPES else "linear"
        cells = [cell for cell in self.runs if cell[:2] == (shape, annealer.cyclical) and cell.total_steps]
        return min(cells, key=lambda cell: abs(math.log(cell.total_steps * RATIO / length)))

    def mean(self, cell: Cell, measure: str) -> float:
        return mean(getattr(run, measure) for run in self.runs[cell])


def make_bank(checkpoints: str | Path, cells: Sequence[Cell] = CELLS, seeds: Sequence[int] = SEEDS) -> Bank:
    """Trains the cells; what is in the folder of checkpoints already is not trained again."""
    Path(checkpoints).mkdir(parents=True, exist_ok=True)
    corpus = load_corpus("toy")
    schedules = {_name(cell): cell.annealer() for cell in cells}
    comparison = Comparison(corpus, schedules, QUICK, seeds=seeds, device="cpu", checkpoints=checkpoints).fit()
    runs = {
        cell: [_outcome(comparison.runs[_name(cell), seed].history(), comparison.metrics[_name(cell), seed], seed)
               for seed in seeds]
        for cell in cells
    }  # fmt: skip
    about = {
        "corpus": f"{corpus.name} {corpus.digest}",
        "settings": asdict(QUICK),
        "ratio": RATIO,
        "versions": {"kldanneal": kldanneal.__version__, "python": sys.version.split()[0], "torch": torch.__version__},
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }
    return Bank(about, runs, list(range(EVERY, QUICK.steps + 1, EVERY)))


def save_bank(bank: Bank, path: str | Path = PATH) -> None:
    runs = [{"cell": cell, **asdict(outcome)} for cell, outcomes in bank.runs.items() for outcome in outcomes]
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in runs)
    about = json.dumps(bank.about, indent=1)
    text = f'{{"about": {about},\n"steps": {json.dumps(bank.steps)},\n"runs": [\n{lines}\n]}}\n'
    write_atomically(Path(path), text.encode())


@cache
def load_bank(path: str | Path = PATH) -> Bank:
    """The bank that comes with the package, or another one that :func:`save_bank` wrote."""
    names = {field.name for field in fields(Outcome)}
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        runs: dict[Cell, list[Outcome]] = {}
        for run in data["runs"]:
            outcome = Outcome(**{name: run[name] for name in names})
            runs.setdefault(Cell(*run["cell"]), []).append(outcome)
        return Bank(data["about"], runs, data["steps"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"The bank of runs {path} cannot be read: {error!r}") from None


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


if __name__ == "__main__":
    (folder,) = sys.argv[1:]
    save_bank(make_bank(folder))
    print(f"written to {PATH}")
