"""The figures of the evidence: every run, and the mean over seeds with its 95 % interval. KL above, -ELBO below."""

from collections.abc import Sequence
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.lab.corpora.toy import ENTROPY
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.plots import styles, tidy
from kldanneal.lab.results.evidence import ABLATIONS, TITLES, Evidence, cell
from kldanneal.lab.results.statistics import interval
from kldanneal.lab.training.schedules import NAMED

SHOWN = ("kl", "neg_elbo")


def plot_measured(evidence: Evidence) -> Figure:
    """The runs under the four schedules; grey lines join the runs of one seed."""
    figure, panels = _panels(["toy", "docstrings"], (7, 5.6))
    for column, corpus in enumerate(("toy", "docstrings")):
        for axes, measure in zip(panels[:, column], SHOWN, strict=True):
            values = [evidence.values(measure, corpus, name) for name in NAMED]
            axes.plot(range(4), values, color="#999999", linewidth=0.7, zorder=1)
            for x, (style, of_seeds) in enumerate(zip(styles(NAMED).values(), values, strict=True)):
                _point(axes, x, of_seeds, style["color"])
            axes.set(xticks=range(4), xticklabels=["constant", "mono-\ntonic", "monotonic\n-long", "cyclical"])
    panels[1, 0].axhline(ENTROPY, color="black", linestyle=":", linewidth=1)
    panels[1, 0].annotate("entropy: no model can be lower", (3, ENTROPY), ha="right", va="bottom", fontsize=8)
    return figure


def plot_two_by_two(evidence: Evidence) -> Figure:
    """The runs under both schedules of the KL weight and both of the learning rate, as in Fu et al.'s code."""
    corpora = ("docstrings", "ptb")
    figure, panels = _panels([TITLES[corpus] for corpus in corpora], (7, 5.6))
    for column, corpus in enumerate(corpora):
        for axes, measure in zip(panels[:, column], SHOWN, strict=True):
            for weight, (name, style) in enumerate(styles(["monotonic", "cyclical"]).items()):
                cells = [cell(evidence, measure, corpus, weight, lr) for lr in (0, 1)]
                x = [lr + (weight - 0.5) / 10 for lr in (0, 1)]
                axes.plot(x, list(map(mean, cells)), label=f"weight {name}", **style)
                for at, of_seeds in zip(x, cells, strict=True):
                    _point(axes, at, of_seeds, style["color"])
            axes.set(xticks=[0, 1], xticklabels=["constant", "restarts"], xlim=(-0.4, 1.4))
        panels[1, column].set(xlabel="learning rate")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def plot_ablations(evidence: Evidence) -> Figure:
    """The means on the toy language, with one hyperparameter varied at a time."""
    figure, panels = _panels([""] * len(ABLATIONS), (9, 5), sharey=True)
    for column, (hyperparameter, (title, default)) in enumerate(ABLATIONS.items()):
        positions = evidence.positions(hyperparameter)
        for axes, measure in zip(panels[:, column], SHOWN, strict=True):
            for i, (name, style) in enumerate(styles(NAMED).items()):
                cells = [evidence.ablation(measure, name, hyperparameter, value) for value in positions]
                x = [at + (i - 1.5) / 12 for at in range(len(positions))]
                axes.plot(x, list(map(mean, cells)), label=name, **style)
                for at, of_seeds in zip(x, cells, strict=True):
                    axes.plot([at, at], interval(of_seeds), color=style["color"], linewidth=1)
            labels = [f"{value}\n(default)" if value == default else str(value) for value in positions]
            axes.set(xticks=range(len(positions)), xticklabels=labels, xlim=(-0.4, len(positions) - 0.6))
        panels[1, column].axhline(ENTROPY, color="black", linestyle=":", linewidth=1)
        panels[1, column].set(xlabel=title)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return figure


def _panels(titles: Sequence[str], figsize: tuple[float, float], sharey: bool = False) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=figsize, layout="constrained")
    panels = figure.subplots(len(SHOWN), len(titles), sharex="col", sharey="row" if sharey else False)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set(title=title)
    for axes, measure in zip(panels[:, 0], SHOWN, strict=True):
        axes.set(ylabel=f"{MEASURES[measure].heading} (nats per sentence)")
    for axes in panels.flat:
        tidy(axes)
    return figure, panels


def _point(axes: Axes, x: float, values: Sequence[float], colour: str) -> None:
    """A circle for each seed, a bar for the mean, a line for its interval."""
    axes.plot([x] * len(values), values, "o", color=colour, fillstyle="none", markersize=5)
    axes.plot(x + 0.12, mean(values), "_", color=colour, markersize=10)
    axes.plot([x + 0.12] * 2, interval(values), color=colour, linewidth=2)
