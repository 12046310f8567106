"""Charts as plain data: the page draws them as SVG; for a stored notebook, :func:`picture` draws them with matplotlib.

A chart is a dictionary: ``alt``, what it shows in words; ``x``, the limits of the shared axis, and its ``label``;
``panels``, one below the other; ``legend``; and ``shade``, a stretch of x with another background. A panel has a
``label``, limits ``y``, ``log``, a ``height`` in pixels, and ``lines``, ``bars``, ``rules`` and ``marks``.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from kldanneal.lab.drawing import small_png
from kldanneal.lab.plots import BLUE, COLUMNS, GREEN, GREY, ORANGE, PURPLE, VERMILION, History, smooth, tidy

Chart = dict[str, Any]
COLORS = {
    "blue": BLUE, "orange": ORANGE, "green": GREEN, "vermilion": VERMILION, "purple": PURPLE, "grey": GREY,
    "ink": "#1A1A1A",
}  # fmt: skip
DASHES = {None: "-", "6 4": "--", "2 3": ":"}
DASHED, DOTTED = "6 4", "2 3"
POINTS = 300  # of a line on the page, more than a phone has pixels for
KL_LIMITS = (1e-3, 60.0)
WINDOW = 10  # updates that a point of a curve is a mean of


def line(y: Sequence[float], color: str, x: Sequence[float] | None = None, **look: Any) -> dict[str, Any]:
    """A line through points; ``look`` has ``width``, ``dash`` and ``opacity``. Long lines lose points, but no jump."""
    values = np.asarray(y, dtype=float)
    places = np.arange(len(values)) if x is None else np.asarray(x)
    if len(values) > POINTS:
        jumps = np.flatnonzero(np.abs(np.diff(values)) > 0.1 * max(np.ptp(values), 1e-9))
        every = np.linspace(0, len(values) - 1, POINTS).astype(int)
        kept = np.unique(np.concatenate([every, jumps, jumps + 1]))
        values, places = values[kept], places[kept]
    rounded = [float(f"{value:.4g}") for value in values]
    return {"x": places.tolist(), "y": rounded, "color": color, **look}


def chart(
    alt: str,
    x: tuple[float, float],
    label: str,
    panels: Sequence[dict[str, Any]],
    legend: Sequence[dict[str, Any]] = (),
    shade: tuple[float, float] | None = None,
) -> Chart:
    """A chart; see the top of this module."""
    return {"alt": alt, "x": list(x), "label": label, "panels": list(panels), "legend": list(legend),
            "shade": list(shade) if shade else None}  # fmt: skip


def bars(
    values: Sequence[float], colors: Sequence[str], offset: float = 0.0, width: float = 0.7
) -> list[dict[str, Any]]:
    """A bar for each value, at 1, 2, ..."""
    return [{"x": i + offset, "y": float(f"{value:.4g}"), "color": color, "width": width}
            for i, (value, color) in enumerate(zip(values, colors, strict=True), start=1)]  # fmt: skip


def panel(label: str, y: tuple[float, float], height: int, **parts: Any) -> dict[str, Any]:
    """One pair of axes; ``parts`` has ``log``, ``lines``, ``bars``, ``rules`` and ``marks``."""
    return {"label": label, "y": list(map(float, y)), "height": height, **parts}


def weight_panel(lines: Sequence[dict[str, Any]], height: int = 80, **parts: Any) -> dict[str, Any]:
    return panel("KL weight β", (-0.04, 1.06), height, lines=list(lines), **parts)


def kl_panel(lines: Sequence[dict[str, Any]], height: int = 170, **parts: Any) -> dict[str, Any]:
    return panel("KL, nats", KL_LIMITS, height, log=True, lines=list(lines), **parts)


def curve(history: History, column: str, color: str, window: int = WINDOW, **look: Any) -> dict[str, Any]:
    """A column of a run's history as a line, KL and reconstruction as running means."""
    values = history[column] if column == COLUMNS[0] or not len(history[column]) else smooth(history[column], window)
    return line(values, color, **look)


def picture(charts: Sequence[Chart], caption: str) -> bytes:
    """Charts one below the other as a PNG, with a caption; for a reader without a kernel; no empty panels."""
    charts = [{**chart, "panels": [*filter(_shows, chart["panels"])]} for chart in charts]
    charts = [chart for chart in charts if chart["panels"]]
    panels = [(chart, one, i) for chart in charts for i, one in enumerate(chart["panels"])]
    text = textwrap.fill(caption, 88)
    inches = [one["height"] / 75 for _, one, _ in panels]
    figure = Figure(figsize=(7, sum(inches) + 0.9 * len(charts) + 0.2 * text.count("\n") + 0.6), layout="constrained")
    figure.suptitle(text, x=0.01, ha="left", size=10)
    axes: Sequence[Any] = figure.subplots(len(panels), height_ratios=inches, squeeze=False)[:, 0] if panels else []
    for axis, (chart, one, i) in zip(axes, panels, strict=True):
        _draw(axis, chart, one)
        if i == len(chart["panels"]) - 1:
            axis.set_xlabel(chart["label"])
        entries = chart.get("legend", ()) if i == 0 else ()
        if entries:
            handles = [Patch(color=BLUE, alpha=0.12) if entry.get("shade") else
                       Line2D([], [], color=COLORS[entry["color"]], linestyle=DASHES[entry.get("dash")])
                       for entry in entries]  # fmt: skip
            names = [entry["text"] for entry in entries]
            axis.legend(handles, names, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    figure.align_ylabels()
    return small_png(figure, colors=32, dpi=80)


def _shows(one: Mapping[str, Any]) -> bool:
    bars = any(bar["y"] > one["y"][0] for bar in one.get("bars", ()))
    return bars or any(len(drawn["x"]) for drawn in one.get("lines", ()))


def _draw(axis: Any, chart: Chart, one: Mapping[str, Any]) -> None:
    axis.set(xlim=chart["x"], ylim=one["y"], ylabel=one["label"], yscale="log" if one.get("log") else "linear")
    for drawn in one.get("lines", ()):
        axis.plot(drawn["x"], drawn["y"], color=COLORS[drawn["color"]], linewidth=drawn.get("width", 1.6),
                  linestyle=DASHES[drawn.get("dash")], alpha=drawn.get("opacity", 1))  # fmt: skip
    for bar in one.get("bars", ()):
        axis.bar(bar["x"], bar["y"], color=COLORS[bar["color"]], width=bar["width"])
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    for rule in one.get("rules", ()):
        across = "y" in rule
        (axis.axhline if across else axis.axvline)(rule["y" if across else "x"], color="grey", linestyle=":")
        if across:
            axis.text(1, rule["y"], rule["text"], transform=axis.get_yaxis_transform(), ha="right", va="bottom", size=8)
        else:
            late = rule["x"] > sum(chart["x"]) / 2
            place = {"transform": axis.get_xaxis_transform(), "ha": "right" if late else "left", "va": "top"}
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axis.text(rule["x"], 0.8, f" {rule['text']} ", size=8, bbox=behind, **place)
    for mark in one.get("marks", ()):
        axis.plot([mark["x"]], [mark["y"]], "o", color=COLORS[mark["color"]], clip_on=False)
    if chart.get("shade"):
        axis.axvspan(*chart["shade"], color=BLUE, alpha=0.12, linewidth=0)
    tidy(axis)
