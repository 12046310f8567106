"""The figures whose lines move: a drive and its latent dimensions, and runs side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.plots import (
    BLACK,
    BLUE,
    EMPTY,
    GREY,
    VERMILION,
    History,
    TrainingPanels,
    reconstruction_limits,
    styles,
)

HAND, OTHER, REPLAY = VERMILION, BLUE, BLACK
NAMES = {"schedule": "schedule", "hand": "by hand", "replay": "replayed"}  # in the legend
WINDOW = 10  # updates that a point of a curve is a mean of: a third of a second at the default pace
ACTIVE = 0.01  # variance of mu from which a latent dimension counts as active (Burda et al. 2016)


class DrivePlot:
    """KL weight, KL and reconstruction over the updates: by hand, replayed, and under a schedule. Limits are fixed."""

    def __init__(
        self, steps: int, corpus: Corpus, *, names: Mapping[str, str] = NAMES, figsize: tuple[float, float] = (4.4, 5)
    ) -> None:
        self.figure = Figure(figsize=figsize, dpi=100, layout="constrained")
        axes = self.figure.subplots(3, sharex=True, height_ratios=(1, 1.3, 1.2))
        highest = 2 * corpus.entropy if corpus.entropy is not None else reconstruction_limits(corpus)[1]
        self.panels = TrainingPanels(axes, steps, (0, highest), corpus.entropy)
        self.axes = weight, _, reconstruction = self.panels.axes
        looks = {
            "schedule": {"color": OTHER, "linewidth": 1},
            "hand": {"color": HAND, "linewidth": 1.8},
            "replay": {"color": REPLAY, "linewidth": 1, "linestyle": ":"},
        }
        self.lines = {who: self.panels.lines(names.get(who, "_"), **style) for who, style in looks.items()}
        dashed = {"linewidth": 1, "linestyle": "--"}
        (self.planned,) = weight.plot([], [], color=OTHER, **dashed)
        (self.bound,) = reconstruction.plot([], [], color=HAND, label=f"{names['hand']}, -ELBO", **dashed)
        (self.hand,) = weight.plot([], [], "o", color=HAND, markersize=9, clip_on=False)
        self.hand.set_in_layout(False)
        self.moving = [line for lines in self.lines.values() for line in lines.values()]
        self.moving += [self.planned, self.bound, self.hand]
        if self.panels.entropy:
            self.panels.entropy.set_label("entropy")
        self.figure.align_ylabels()
        handles, labels = reconstruction.get_legend_handles_labels()
        self.figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize="small")

    def show(self, who: str, history: History) -> None:
        """Sets the lines of a run, ``'hand'``, ``'replay'`` or ``'schedule'``, as far as it has come."""
        lines = self.lines[who]
        self.panels.show(lines, history, WINDOW)
        if who == "hand":
            bound = np.add(lines["kl"].get_ydata(), lines["reconstruction"].get_ydata())
            self.bound.set_data(history["step"], bound)

    def plan(self, weights: Sequence[float]) -> None:
        """Sets the KL weights that a schedule will use."""
        self.planned.set_data(range(len(weights)), weights)

    def point(self, step: int, weight: float) -> None:
        """Puts the mark where the hand is."""
        self.hand.set_data([step], [weight])


class UnitsPlot:
    """The variance of mu over held-out sentences in each latent dimension, against the threshold of an active unit."""

    def __init__(self, latent: int, figsize: tuple[float, float] = (4.4, 2.6)) -> None:
        self.figure = Figure(figsize=figsize, dpi=100, layout="constrained")
        axes = self.figure.subplots()
        self.bars = list(axes.bar(range(1, latent + 1), [0] * latent))
        self.title = axes.set_title(" ", fontsize="medium")
        axes.axhline(ACTIVE, color="grey", linestyle=":", label=f"active above {ACTIVE}")
        axes.set(yscale="log", ylim=(1e-5, 10), xlabel="latent dimension", ylabel="variance of mu")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper right", frameon=False, fontsize="small")
        self.moving = [*self.bars, self.title]
        self.show([0.0] * latent)

    def show(self, variances: Sequence[float]) -> None:
        """Sets the bars; those of active units have the colour of the drive."""
        active = sum(variance > ACTIVE for variance in variances)
        self.title.set_text(f"active units: {active} of {len(variances)}")
        for bar, variance in zip(self.bars, variances, strict=True):
            bar.set(height=variance, color=HAND if variance > ACTIVE else GREY)


def plot_driven(
    history: History, corpus: Corpus, *, name: str = "by hand", reference: tuple[str, History] | None = None
) -> Figure:
    """A run whose weight was driven, over its updates, and with it another one.

    Args:
        history: a :meth:`~kldanneal.lab.training.run.Run.history`.
        corpus (Corpus): what it was trained on; it sets the limits of the reconstruction.
        name (str): what the legend calls it. Default: ``'by hand'``.
        reference: the name and the history of another run, for instance under an Annealer. Default: none.
    """
    other_name, other = reference or ("", EMPTY)
    names = {"hand": name, **({"schedule": other_name} if reference else {})}
    plot = DrivePlot(max(len(history["step"]), len(other["step"])), corpus, names=names, figsize=(7, 6))
    plot.show("hand", history)
    plot.show("schedule", other)
    return plot.figure


def plot_units(variances: Sequence[float]) -> Figure:
    """The variance of mu in each latent dimension, against the threshold of an active unit."""
    plot = UnitsPlot(len(variances), figsize=(7, 2.6))
    plot.show(variances)
    return plot.figure


class Panel:
    """One run in three axes, one below the other: KL weight, KL, reconstruction. Limits are fixed, lines move."""

    def __init__(self, axes: Sequence[Axes], steps: int) -> None:
        self.panels, self.window = TrainingPanels(axes, steps, (toy.ENTROPY - 4, toy.ENTROPY + 6)), max(1, steps // 100)
        weight = axes[0]
        self.title = weight.set_title(" ")
        (self.planned,) = weight.plot([], [], linewidth=1, alpha=0.6)
        self.lines = self.panels.lines()
        self.moving = [self.title, self.planned, *self.lines.values()]

    def fit_to(self, corpus: Corpus) -> None:
        """Sets the limits of the reconstruction, and the line at the entropy, if it is known."""
        self.panels.fit_to(reconstruction_limits(corpus), corpus.entropy)

    def show(self, name: str, history: History, planned: Sequence[float] = ()) -> None:
        """Sets the lines: a run as far as it has come, and thin the KL weight that is planned for all of it."""
        style = styles([name])[name]
        self.title.set_text(name)
        self.planned.set(data=(range(len(planned)), planned), color=style["color"])
        self.panels.show(self.lines, history, self.window)
        for line in self.lines.values():
            line.set(**style)


def plot_side_by_side(histories: Mapping[str, History], corpus: Corpus) -> Figure:
    """Runs beside each other on the same axes: KL weight, KL and reconstruction over the updates.

    Args:
        histories: a :meth:`~kldanneal.lab.training.run.Run.history` for each schedule, from left to right.
        corpus (Corpus): what they were trained on; it sets the limits of the reconstruction.
    """
    figure = Figure(figsize=(9.5, 6), layout="constrained")
    columns = figure.subplots(3, len(histories), sharex=True, squeeze=False, height_ratios=(1, 1.5, 1.2)).T
    for axes, (name, history) in zip(columns, histories.items(), strict=True):
        panel = Panel(axes, len(history["step"]))
        panel.fit_to(corpus)
        panel.show(name, history)
    return figure
