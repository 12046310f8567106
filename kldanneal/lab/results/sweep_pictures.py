"""Pictures of the sweep: a schedule with the closest stored runs, and the map of all of them."""

from functools import cache

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.corpora import toy
from kldanneal.lab.plots import BLUE, ORANGE, VERMILION, TrainingPanels
from kldanneal.lab.results.sweep import CONSTANT, TOTAL_STEPS, Cell, Sweep, load_sweep

CHOSEN, STORED, NOW = BLUE, ORANGE, VERMILION
DPI = 100


class OutcomePlot:
    """A schedule's KL weight, and below it KL and reconstruction of the closest runs of the sweep, a line a seed."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.steps = sweep, sweep.steps[-1]
        self.figure = Figure(figsize=(5, 5), dpi=DPI, layout="constrained")
        axes = self.figure.subplots(3, sharex=True, height_ratios=(1, 1.5, 1.2))
        limits = (toy.ENTROPY - 4, toy.ENTROPY + 6)
        self.panels = TrainingPanels(axes, self.steps, limits, toy.ENTROPY)
        weight, kl, reconstruction = axes
        (self.closest,) = weight.plot([], [], color=STORED, linestyle="--")
        (self.chosen,) = weight.plot([], [], color=CHOSEN, label="chosen schedule")
        seeds = len(sweep.runs[CONSTANT])
        self.curves = {
            (column, seed): axis.plot([], [], color=STORED, linewidth=1)[0]
            for axis, column in ((kl, "kl"), (reconstruction, "reconstruction"))
            for seed in range(seeds)
        }
        constant = np.mean([run.kl_curve for run in sweep.runs[CONSTANT]], axis=0)
        kl.plot(sweep.steps, constant, color="black", linewidth=1, linestyle=":", label="constant weight 1")
        kl.plot([], [], color=STORED, label=f"closest run, {seeds} seeds")
        self.panels.entropy.set_label("entropy")
        self.figure.align_ylabels()
        self.figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")

    def show(self, annealer: Annealer) -> Cell:
        """Sets the lines for a schedule; returns the cell of the sweep that it is compared with."""
        cell = self.sweep.closest(annealer)
        self.chosen.set_data(range(self.steps), annealer.schedule(self.steps))
        self.closest.set_data(range(self.steps), _schedule(cell, self.steps))
        for (column, seed), line in self.curves.items():
            line.set_data(self.sweep.steps, getattr(self.sweep.runs[cell][seed], f"{column}_curve"))
        return cell


class MapPlot:
    """The phase diagram: final KL of every schedule of the sweep, mean over seeds."""

    def __init__(self, sweep: Sweep) -> None:
        self.rows = [(shape, cyclical) for cyclical in (False, True) for shape in SHAPES]
        kl = np.array([[sweep.mean(Cell(*row, n), "kl") for n in TOTAL_STEPS] for row in self.rows])
        self.figure = Figure(figsize=(5, 3.6), dpi=DPI, layout="constrained")
        axes = self.figure.subplots()
        image = axes.imshow(kl, cmap="cividis", vmin=0, aspect="auto")
        for (i, j), value in np.ndenumerate(kl):
            colour = "white" if value < image.norm.vmax / 2 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize="small")
        axes.set_xticks(range(len(TOTAL_STEPS)), TOTAL_STEPS)
        axes.set_yticks(range(len(self.rows)), [f"{shape}, {_mode(cyclical)}" for shape, cyclical in self.rows])
        axes.axhline(len(SHAPES) - 0.5, color="white", linewidth=2)
        constant = sweep.mean(CONSTANT, "kl")
        axes.set(xlabel="total_steps", title=f"final KL in nats (constant weight 1: {constant:.3f})")
        self.figure.colorbar(image, ax=axes, label="KL (nats per sentence)")
        self.mark = axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=NOW, linewidth=3, visible=False))

    def show(self, cell: Cell) -> None:
        """Puts the mark around a cell."""
        self.mark.set_visible(cell != CONSTANT)
        if cell != CONSTANT:
            row = self.rows.index((cell.shape, cell.cyclical))
            self.mark.set_xy((TOTAL_STEPS.index(cell.total_steps) - 0.5, row - 0.5))


def plot_outcome(annealer: Annealer, sweep: Sweep | None = None) -> Figure:
    """A schedule, with KL and reconstruction of the closest runs of the sweep."""
    plot = OutcomePlot(sweep or load_sweep())
    plot.show(annealer)
    return plot.figure


def plot_map(annealer: Annealer | None = None, sweep: Sweep | None = None) -> Figure:
    """The final KL of all runs of the sweep, with a mark at the one closest to a schedule."""
    sweep = sweep or load_sweep()
    plot = MapPlot(sweep)
    if annealer:
        plot.show(sweep.closest(annealer))
    return plot.figure


@cache
def _schedule(cell: Cell, steps: int) -> list[float]:
    return cell.annealer().schedule(steps)


def _mode(cyclical: bool) -> str:
    return "cycles" if cyclical else "once"
