"""The palette, and the one way to draw training: KL weight, KL and reconstruction over the updates, in three panels.

Every ``plot_`` function returns a matplotlib Figure. A schedule has one colour everywhere.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import BOS, Corpus

#: Colours that colour-blind readers can tell apart (Okabe and Ito 2008).
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#999999",
)  # fmt: skip
#: A colour and a line style for each named schedule, so that a picture can be read in black and white.
STYLES = {
    "constant": (BLACK, "-"),
    "monotonic": (ORANGE, "-"),
    "monotonic-long": (GREEN, "--"),
    "cyclical": (BLUE, "-"),
}
#: A dark page, and the colours that cannot be seen on it.
DARK = {
    "figure.facecolor": "#17191c", "axes.facecolor": "#17191c", "savefig.facecolor": "#17191c", "text.color": "#e8e8e8",
    "axes.labelcolor": "#e8e8e8", "axes.edgecolor": "#b0b0b0", "xtick.color": "#e8e8e8", "ytick.color": "#e8e8e8",
    "axes.titlecolor": "#e8e8e8",
}  # fmt: skip
DARK_COLOURS = {BLACK: "#ffffff", BLUE: "#4c9be8"}
OTHER_COLOURS = (PURPLE, SKY, VERMILION, GREY)
LINES = ("-", "--", "-.", ":")

History = Mapping[str, Sequence[float]]
#: The history of a run that has not begun.
EMPTY: History = {"step": [], "kl_weight": [], "reconstruction": [], "kl": []}
COLUMNS = ("kl_weight", "kl", "reconstruction")


def styles(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The colour and line style of each schedule, as keyword arguments of ``Axes.plot``."""
    others = [name for name in names if name not in STYLES]
    found = {name: (OTHER_COLOURS[i % 4], LINES[(i + i // 4) % 4]) for i, name in enumerate(others)} | STYLES
    return {name: {"color": found[name][0], "linestyle": found[name][1]} for name in names}


class TrainingPanels:
    """Three axes, one below the other: KL weight, KL and reconstruction over the updates.

    Args:
        axes: three of one figure; their place is the caller's choice.
        steps (int): the updates of a whole run, the width of all panels.
        limits (tuple): of the reconstruction, in nats.
        entropy (float, optional): of the language, drawn as a line in the panel of the reconstruction.

    Example::

        >>> panels = TrainingPanels(Figure().subplots(3), steps=2, limits=(0, 20))
        >>> lines = panels.lines(color=BLUE)
        >>> panels.show(lines, {"step": [0, 1], "kl_weight": [0, 0.5], "kl": [2, 1], "reconstruction": [9, 8]})
        >>> [float(y) for y in lines["kl"].get_ydata()]
        [2.0, 1.0]
    """

    def __init__(
        self, axes: Sequence[Axes], steps: int, limits: tuple[float, float], entropy: float | None = None
    ) -> None:
        self.axes = self.weight, self.kl, self.reconstruction = list(axes)
        self.weight.set(xlim=(0, steps), ylim=(-0.05, 1.05), ylabel="KL weight (β)")
        self.kl.set(xlim=(0, steps), ylim=(1e-3, 60), yscale="log", ylabel="KL (nats)")
        self.reconstruction.set(xlim=(0, steps), xlabel="update", ylabel="reconstruction\n(nats)")
        self.entropy: Line2D | None = None
        self.fit_to(limits, entropy)
        for axis in self.axes:
            tidy(axis)

    def fit_to(self, limits: tuple[float, float], entropy: float | None) -> None:
        """Sets the limits of the reconstruction, and the line at the entropy, if it is known."""
        self.reconstruction.set_ylim(limits)
        if self.entropy:
            self.entropy.remove()
        self.entropy = None if entropy is None else self.reconstruction.axhline(entropy, color="grey", linestyle=":")

    def lines(self, label: str = "_", **style: object) -> dict[str, Line2D]:
        """A line in each panel, without data."""
        return {
            column: axis.plot([], [], label=label, **style)[0] for column, axis in zip(COLUMNS, self.axes, strict=True)
        }

    @staticmethod
    def show(lines: Mapping[str, Line2D], history: History, window: int = 1) -> None:
        """Sets the data of lines; KL and reconstruction are running means over ``window`` updates."""
        for column, line in lines.items():
            values = history[column]
            if column != "kl_weight" and len(values):
                values = smooth(values, window)
            line.set_data(history["step"], values)


def plot_schedules(schedules: Mapping[str, Annealer], steps: int) -> Figure:
    """The KL weight over the next ``steps`` steps of each Annealer."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    for name, style in styles(list(schedules)).items():
        axes.plot(schedules[name].schedule(steps), label=name, **style)
    highest = max(1.0, *(float(np.max(line.get_ydata())) for line in axes.lines))
    axes.set(xlabel="update", ylabel="KL weight (β)", ylim=(-0.03 * highest, 1.05 * highest))
    tidy(axes)
    figure.legend(loc="outside upper center", ncols=min(4, len(schedules)), frameon=False)
    return figure


def plot_comparison(
    histories: Mapping[str, Sequence[History]],
    final_kl: Mapping[str, float] | None = None,
    title: str = "",
    *,
    kl_after_tail: Mapping[str, float] | None = None,
    end: int | None = None,
    dark: bool = False,
) -> Figure:
    """KL weight, KL and reconstruction over the updates, one below the other.

    Args:
        histories: for each schedule, the :meth:`~kldanneal.lab.training.run.Run.history` of each of its seeds. A line
            is the mean over seeds. Its band runs from the lowest seed to the highest. KL and reconstruction are
            running means over a hundredth of the run.
        final_kl: KL on held-out text at KL weight 1, shown in the legend.
        title (str): plain text; a ``$`` in it is a ``$``.
        kl_after_tail: the same after the tail.
        end (int, optional): the update at which the schedule ends and the tail begins, marked by a line.
        dark (bool): for a dark page. Default: ``False``.
    """
    with rc_context(DARK if dark else {}):
        return _comparison(histories, final_kl or {}, title, kl_after_tail or {}, end, DARK_COLOURS if dark else {})


def _comparison(
    histories: Mapping[str, Sequence[History]],
    final_kl: Mapping[str, float],
    title: str,
    kl_after_tail: Mapping[str, float],
    end: int | None,
    colours: Mapping[str, str],
) -> Figure:
    figure = Figure(figsize=(7, 8), layout="constrained")
    axes = figure.subplots(3, sharex=True, height_ratios=(1, 2, 1.5))
    runs = {name: [h for h in of_seeds if len(h["step"])] for name, of_seeds in histories.items()}
    steps = max((len(h["step"]) for of_seeds in runs.values() for h in of_seeds), default=1)
    panels = TrainingPanels(axes, steps, limits=(0, 1))
    for name, style in styles([name for name in runs if runs[name]]).items():
        style["color"] = colours.get(style["color"], style["color"])
        label = f"{name}: KL {final_kl[name]:.2f}" if name in final_kl else name
        label += f", {kl_after_tail[name]:.2f} after the tail" if name in kl_after_tail else ""
        length = min(len(history["step"]) for history in runs[name])
        seeds = np.array([[history[column][:length] for column in COLUMNS] for history in runs[name]])
        mean = dict(zip(("step", *COLUMNS), (range(length), *seeds.mean(axis=0)), strict=True))
        window = max(1, length // 100)
        panels.show(panels.lines(label, **style), mean, window)
        if len(seeds) > 1:
            for axis, of_column in zip((panels.kl, panels.reconstruction), seeds.swapaxes(0, 1)[1:], strict=True):
                curves = np.stack([smooth(curve, window) for curve in of_column])
                low, high = curves.min(axis=0), curves.max(axis=0)
                axis.fill_between(range(length), low, high, color=style["color"], alpha=0.2, linewidth=0)
    panels.weight.set_title(title, parse_math=False)
    highest = max(1.0, *(float(np.max(line.get_ydata())) for line in panels.weight.lines), 1.0)
    panels.weight.set_ylim(-0.05 * highest, 1.05 * highest)
    kl = np.concatenate([[1e-2], *(line.get_ydata() for line in panels.kl.lines)])
    panels.kl.set(ylabel="KL (nats per sentence)", ylim=(max(1e-4, kl.min() / 2), 2 * kl.max()))
    panels.reconstruction.set(ylabel="reconstruction\n(nats per sentence)")
    _zoom_on_the_end(panels.reconstruction)
    for axis in panels.axes if end is not None else ():
        axis.axvline(end, color=GREY, linestyle=":", linewidth=1)
    figure.align_ylabels()
    figure.legend(*panels.weight.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def reconstruction_limits(corpus: Corpus) -> tuple[float, float]:
    """Limits of the panel: around the entropy, or up to the loss of a model that knows word frequencies only."""
    if corpus.entropy is not None:
        return corpus.entropy - 4, corpus.entropy + 6
    counts = torch.bincount(corpus.train.tokens).double()
    counts[BOS] = 0  # given, never predicted
    p = counts[counts > 0] / counts.sum()
    unigram = -(p * p.log()).sum().item() * counts.sum().item() / len(corpus.train)  # nats per sentence
    return 0.3 * unigram, unigram


def smooth(values: Sequence[float], window: int) -> np.ndarray:
    """The running mean over the last ``window`` values; over fewer at the start."""
    sums = np.cumsum(np.asarray(values, dtype=float))
    shifted = np.concatenate([np.zeros(min(window, len(sums))), sums[:-window]])[: len(sums)]
    return (sums - shifted) / np.minimum(np.arange(1, len(sums) + 1), window)


def _zoom_on_the_end(axes: Axes) -> None:
    """Leaves out the steep first tenth, which would flatten all that follows."""
    curves = [line.get_ydata() for line in axes.lines]
    if curves:
        ends = np.concatenate([curve[len(curve) // 10 :] for curve in curves])
        margin = 0.05 * (np.ptp(ends) or 1)
        axes.set_ylim(ends.min() - margin, ends.max() + margin)


def tidy(axes: Axes) -> None:
    """Without a frame, and with a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
