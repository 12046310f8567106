"""Pictures of schedules and runs. Every function returns a matplotlib Figure; a schedule has one colour everywhere."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal import Annealer

#: Colours that colour-blind readers can tell apart (Okabe and Ito), with a line style of their own for print.
STYLES = {
    "constant": ("#000000", "-"),
    "monotonic": ("#E69F00", "-"),
    "monotonic-long": ("#009E73", "--"),
    "cyclical": ("#0072B2", "-"),
}
OTHER_COLOURS = ("#CC79A7", "#56B4E9", "#D55E00", "#999999")
LINES = ("-", "--", "-.", ":")

History = Mapping[str, Sequence[float]]
#: Of a run that has not begun.
EMPTY: History = {"step": [], "kl_weight": [], "reconstruction": [], "kl": []}


def styles(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The colour and line style of each schedule, as keyword arguments of ``Axes.plot``."""
    others = [name for name in names if name not in STYLES]
    found = {name: (OTHER_COLOURS[i % 4], LINES[(i + i // 4) % 4]) for i, name in enumerate(others)} | STYLES
    return {name: {"color": found[name][0], "linestyle": found[name][1]} for name in names}


def plot_schedules(schedules: Mapping[str, Annealer], steps: int) -> Figure:
    """The weight of the KL term over the next ``steps`` steps of each Annealer."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    for name, style in styles(list(schedules)).items():
        axes.plot(schedules[name].schedule(steps), label=name, **style)
    axes.set(xlabel="step", ylabel="KL weight", ylim=(-0.03, 1.05))
    tidy(axes)
    figure.legend(loc="outside upper center", ncols=len(schedules), frameon=False)
    return figure


def plot_comparison(
    histories: Mapping[str, Sequence[History]], final_kl: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """KL weight, KL and reconstruction over the steps of training, one below the other.

    Args:
        histories: for each schedule, the :meth:`~kldanneal.lab.training.Run.history` of each of its seeds. A line is
            the mean over seeds, its band runs from the lowest seed to the highest. KL and reconstruction are running
            means over a hundredth of the run.
        final_kl: KL on held-out text at KL weight 1, shown in the legend.
    """
    figure = Figure(figsize=(7, 8), layout="constrained")
    weight, kl, reconstruction = figure.subplots(3, sharex=True, height_ratios=(1, 2, 1.5))
    for name, style in styles(list(histories)).items():
        runs = [history for history in histories[name] if len(history["step"])]
        if not runs:
            continue
        label = name if final_kl is None else f"{name}: KL {final_kl[name]:.2f}"
        weight.plot(runs[0]["step"], runs[0]["kl_weight"], label=label, **style)
        for axes, column in ((kl, "kl"), (reconstruction, "reconstruction")):
            _band(axes, runs, column, style)
    weight.set(ylabel="KL weight", ylim=(-0.05, 1.08), title=title)
    kl.set(ylabel="KL (nats per sentence)", yscale="log")
    low, high = kl.get_ylim()
    kl.set_ylim(max(low, 1e-4), max(high, 1e-3))
    reconstruction.set(ylabel="reconstruction\n(nats per sentence)", xlabel="step")
    _zoom_on_the_end(reconstruction)
    for axes in (weight, kl, reconstruction):
        tidy(axes)
    figure.align_ylabels()
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def smooth(values: Sequence[float], window: int) -> np.ndarray:
    """The running mean over the last ``window`` values; over fewer at the start."""
    sums = np.cumsum(np.asarray(values, dtype=float))
    shifted = np.concatenate([np.zeros(min(window, len(sums))), sums[:-window]])[: len(sums)]
    return (sums - shifted) / np.minimum(np.arange(1, len(sums) + 1), window)


def _band(axes: Axes, runs: Sequence[History], column: str, style: dict[str, str]) -> None:
    length = min(len(run["step"]) for run in runs)
    curves = np.stack([smooth(run[column][:length], max(1, length // 100)) for run in runs])
    steps = runs[0]["step"][:length]
    axes.plot(steps, curves.mean(axis=0), **style)
    if len(runs) > 1:
        axes.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)


def _zoom_on_the_end(axes: Axes) -> None:
    """Leaves out the steep first tenth, which would flatten all that follows."""
    if not axes.lines:
        return
    ends = np.concatenate([line.get_ydata()[len(line.get_ydata()) // 10 :] for line in axes.lines])
    margin = 0.05 * (np.ptp(ends) or 1)
    axes.set_ylim(ends.min() - margin, ends.max() + margin)


def tidy(axes: Axes) -> None:
    """Without a frame, and with a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
