"""The figures of the runs with a tail: how the KL fades or lasts, and the map."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kldanneal.annealing import SHAPES
from kldanneal.lab.plots import OTHER_COLOURS, styles, tidy
from kldanneal.lab.results.jobs import EVERY
from kldanneal.lab.results.parts import DURABILITY, MAP_STEPS, PTB_EPOCH
from kldanneal.lab.results.penn_treebank import stored_jobs
from kldanneal.lab.results.tail import Run, at, durable, load_runs, mean_at, select, tail


def plot_over_updates() -> Figure:
    """The KL in training over all updates, a thin line for each seed and a thick one for their mean."""
    figure, panels = _panels("update", "KL (nats per sentence)")
    for axes, (corpus, word_dropout, labels) in zip(panels, DURABILITY, strict=True):
        shown = [label for label in labels if label != "monotonic"]  # it lies on the constant weight's line
        for label, style in styles(shown).items():
            runs = durable(corpus, label, word_dropout)
            if runs:
                over_updates(axes, runs, style, label=_named(label, runs))
        axes.axvline(4000, color="#777777", linewidth=0.8, linestyle=":")
        axes.set(ylim=(0, 3))
        axes.legend(frameon=False, fontsize=8, loc="upper right")
    panels[0].annotate("schedule ends:\nweight 1 from here on", (4000, 1.9), xytext=(5, 0), textcoords="offset points",
                       fontsize=8, va="center")  # fmt: skip
    return figure


def plot_over_distance() -> Figure:
    """The held-out KL at growing distance from the last low update, for each seed and as a mean."""
    figure, panels = _panels("updates since the last one with a weight below 1", "held-out KL (nats per sentence)")
    for axes, (corpus, word_dropout, labels) in zip(panels, DURABILITY, strict=True):
        shown = [label for label in labels if label in ("monotonic-long", "cyclical")]
        for label, style in styles(shown).items():
            runs = durable(corpus, label, word_dropout)
            if runs:
                over_distance(axes, runs, style, label)
        axes.legend(frameon=False, fontsize=8, loc="best")
    for axes in panels:  # once all is drawn: the panels of a row share their limits
        axes.set_ylim(bottom=0)
    return figure


def plot_map(distance: int, word_dropout: float = 0.0) -> Figure:
    """The map at a distance: the held-out KL against total_steps, and against the discount, the sum of 1 - weight."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    by_steps, by_discount = figure.subplots(1, 2, sharey=True)
    runs = load_runs("map")
    for shape, colour in zip(SHAPES, OTHER_COLOURS):  # noqa: B905  there are more colours
        for label, mark in (("once", "o-"), ("in cycles", "s--")):
            cells = [
                [run for run in select(runs, "toy", label, word_dropout=word_dropout)
                 if run["job"]["annealer"]["total_steps"] == steps and run["job"]["annealer"]["shape"] == shape]
                for steps in MAP_STEPS
            ]  # fmt: skip
            if all(cells):
                kl = [mean_at(cell, "kl", distance) for cell in cells]
                by_steps.plot(MAP_STEPS, kl, mark, color=colour, label=f"{shape}, {label}")
                by_discount.plot([mean(run["discount"] for run in cell) for cell in cells], kl, mark, color=colour)
    by_steps.set(xscale="log", xlabel="total_steps (updates)", ylabel="held-out KL (nats per sentence)")
    by_discount.set(xscale="log", xlabel="discount: the sum of 1 - weight")
    by_steps.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{distance:,} updates after the last low weight, word dropout {word_dropout:g}", fontsize=10)
    for axes in (by_steps, by_discount):
        tidy(axes)
    return figure


def plot_penn_treebank() -> Figure:
    """The held-out KL of each stored run after each epoch, a panel for each share of word dropout."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = dict(zip((0.0, 0.3), figure.subplots(1, 2, sharey=True), strict=True))
    style = styles([job.label for job, _ in stored_jobs()])
    for job, run in stored_jobs():
        axes, low = panels[job.settings["word_dropout"]], job.last_low() // PTB_EPOCH
        epochs = [mark["update"] / PTB_EPOCH for mark in run["measured"]]
        label = f"{job.label} (below 1 up to epoch {low})" if low else job.label
        axes.plot(epochs, [mark["kl"] for mark in run["measured"]], marker=".", label=label, **style[job.label])
    for word_dropout, axes in panels.items():
        axes.set_title(f"Penn Treebank, word dropout {word_dropout:g}, 1 seed", fontsize=10)
        axes.set(xlabel="epoch", ylim=(0, None), xticks=range(0, 13, 2))
        if axes.lines:
            axes.legend(frameon=False, fontsize=8, loc="upper right")
        tidy(axes)
    panels[0.0].set(ylabel="held-out KL (nats per sentence)")
    return figure


def _panels(xlabel: str, ylabel: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = list(figure.subplots(2, 2, sharex=True, sharey="row").flat)
    for axes, (corpus, word_dropout, _) in zip(panels, DURABILITY, strict=True):
        axes.set_title(f"{corpus}, word dropout {word_dropout:g}", fontsize=10)
        tidy(axes)
    for axes in panels[2:]:
        axes.set(xlabel=xlabel)
    figure.supylabel(ylabel, fontsize=10)
    return figure, panels


def seeds_and_mean(axes: Axes, x: Sequence[float], values: ArrayLike, style: dict[str, str], **mean_line: Any) -> None:
    """A thin line for each seed, a thick one for their mean. ``values``: a row for each seed, a column for each x."""
    axes.plot(x, np.transpose(values), color=style["color"], linewidth=0.5, alpha=0.5)
    axes.plot(x, np.mean(values, axis=0), linewidth=2, **mean_line, **style)


def over_updates(axes: Axes, runs: Sequence[Run], style: dict[str, str], **mean_line: Any) -> np.ndarray:
    """The KL of runs in training. Returns the updates of the points of a curve."""
    curves = [run["kl_curve"] for run in runs]
    x = np.arange(1, len(curves[0]) + 1) * EVERY
    seeds_and_mean(axes, x, curves, style, **mean_line)
    return x


def over_distance(axes: Axes, runs: Sequence[Run], style: dict[str, str], label: str) -> None:
    """The KL of runs at each distance: a thin line for each, a thick one for their mean."""
    common = [mark["distance"] for mark in tail(runs[0])]
    kl = [[at(run, "kl", distance) for distance in common] for run in runs]
    seeds_and_mean(axes, common, kl, style, marker=".", label=_named(label, runs))


def _named(label: str, runs: Sequence[Run]) -> str:
    return f"{label} ({len(runs)} seeds)" if len(runs) > 1 else f"{label} (1 seed)"
