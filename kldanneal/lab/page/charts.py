"""The map of schedules and the curves of training, as Vega-Lite charts. This is their one description.

A chart draws what its parameters say, so a page or a widget that moves it sets parameters and nothing else:

    keys, roles     the runs that are drawn, and the role of each, which decides colour and dash
    schedule        the schedule that is chosen, framed on the map
    dropout, distance     of the map: word dropout, and updates since the last low weight
    covered, marks  whether the map hides its numbers, and the schedules that the reader has marked
    end             the last update on the axis of the curves
    every           updates between two points of a stored curve

The data sets ``cells``, ``runs``, ``measured`` and ``weights`` are named here and filled by whoever shows the chart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from kldanneal.lab import plots
from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.results.jobs import EVERY

PARAMETERS = {
    "keys": [], "roles": [], "schedule": "", "dropout": 0, "distance": 0, "covered": False, "marks": [], "end": 1,
    "every": EVERY,
}  # fmt: skip
#: What is drawn: the chosen schedule, two that are pinned, up to four references; and the dash of each.
ROLES = {
    "chosen": [], "A": [7, 3], "B": [2, 2], "1": [9, 3, 2, 3], "2": [4, 4], "3": [12, 4], "4": [1, 3],
}  # fmt: skip
#: From which KL on a cell of the map has the next colour, in nats. The first is where collapse ends.
THRESHOLDS = (COLLAPSED, 0.25, 0.5, 1, 2)

LIGHT = {
    "paper": "#ffffff", "ink": "#1d2126", "soft": "#5a626b", "grid": "#e3e6e9", "cover": "#e2e5e9", "empty": "#f4f5f6",
    **{f"kl{i}": c for i, c in enumerate(("#efe9dc", "#d3e5f2", "#a9cfe9", "#6fafdc", "#2a76b2", "#0b4a80"))},
    **{f"on{i}": c for i, c in enumerate(("#4a4436", "#10324d", "#0c2c47", "#06233b", "#ffffff", "#ffffff"))},
    "chosen": plots.BLUE, "A": plots.VERMILION, "B": "#00805c", "1": plots.BLACK, "2": "#a8527f", "3": "#8a6d00",
    "4": "#6b7178",
}  # fmt: skip
DARK = {
    "paper": "#15181c", "ink": "#eef0f2", "soft": "#a9b1ba", "grid": "#30363d", "cover": "#2f353c", "empty": "#1d2126",
    **{f"kl{i}": c for i, c in enumerate(("#35332d", "#1f3d57", "#255c88", "#2a76b2", "#6fb3e2", "#c4e3f8"))},
    **{f"on{i}": c for i, c in enumerate(("#d8d0bd", "#e3f0fa", "#ffffff", "#ffffff", "#06233b", "#06233b"))},
    "chosen": plots.SKY, "A": "#f5893d", "B": "#2ec498", "1": "#f2f2f2", "2": "#e29ac2", "3": "#e3c34d",
    "4": "#a9b1ba",
}  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
RAMPS, CONSTANT = "ramps", "constant"

Colours = Mapping[str, str]


def schedule_map(part: str, grid: Mapping[str, Sequence[Any]], colours: Colours = LIGHT) -> alt.LayerChart:
    """Squares with the mean KL of a schedule. ``part`` is ``'ramps'`` or ``'constant'`` (constant weights)."""
    if part == RAMPS:
        columns, rows = list(grid["steps"]), rows_of(grid)
        test, title = "datum.place[1] != 'constant'", "total_steps (updates)"
    else:
        columns, rows, test = list(grid["weights"]), ["constant"], "datum.place[1] == 'constant'"
        title = "constant weight, then 1"
    base = (
        alt.Chart(alt.NamedData("cells"))
        .transform_filter(f"{test} && datum.dropout == dropout && datum.distance == distance")
        .transform_calculate(
            column="datum.place[0]", row="datum.place[1]", marked="indexof(marks, datum.schedule) >= 0",
            shown="!covered && isValid(datum.kl)", is_chosen="datum.schedule == schedule",
            pin="indexof(keys, datum.key) >= 0 ? roles[indexof(keys, datum.key)] : ''",
            text="covered ? (datum.marked ? '✓' : '?') : isValid(datum.kl) ? format(datum.kl, '.2f') : '–'",
            hint="datum.words + (covered ? '' : ': KL ' + (isValid(datum.kl) ? format(datum.kl, '.3f') + ' nats' : "
                 "'not measured here'))",
        )
        .encode(x=_column(columns, title), y=_row(rows))
    )  # fmt: skip
    squares = base.transform_filter("datum.shown").mark_rect(cornerRadius=4, cursor="pointer").encode(
        color=_by_kl("kl", colours), tooltip="hint:N"
    )  # fmt: skip
    cover = base.transform_filter("!datum.shown").mark_rect(cornerRadius=4, cursor="pointer").encode(
        color=alt.condition("covered", alt.value(colours["cover"]), alt.value(colours["empty"])), tooltip="hint:N"
    )  # fmt: skip
    text = base.mark_text(fontSize=14, dy=3, cursor="pointer").encode(
        text="text:N", tooltip="hint:N",
        color=alt.condition("datum.shown", _by_kl("on", colours), alt.value(colours["ink"])),
    )  # fmt: skip
    small = {"fontSize": 10, "fontWeight": "bold", "baseline": "top", "dy": 3, "cursor": "pointer"}
    top, on = _row(rows, at=0), _by_kl("on", colours)
    guess = base.transform_filter("!covered && datum.marked").mark_text(align="right", dx=-6, **small).encode(
        x=_column(columns, title, at=1), y=top, text=alt.value("✓"), color=on
    )  # fmt: skip
    is_pinned = "datum.pin == 'A' || datum.pin == 'B'"
    pinned = base.transform_filter(is_pinned).mark_text(align="left", dx=6, **small).encode(
        x=_column(columns, title, at=0), y=top, text="pin:N", color=on
    )  # fmt: skip
    frame = base.transform_filter("datum.is_chosen").mark_rect(
        filled=False, stroke=colours["ink"], strokeWidth=3, cornerRadius=5, cursor="pointer"
    )  # fmt: skip
    return _finished(alt.layer(squares, cover, text, guess, pinned, frame), alt.Step(42), colours)


def _column(values: Sequence[Any], title: str, at: float = 0.5) -> alt.X:
    axis = alt.Axis(labelAngle=0, format=",~g", ticks=False, domain=False)
    return alt.X("column:O", title=title, axis=axis, bandPosition=at, scale=alt.Scale(domain=values, padding=0.06))


def _row(values: Sequence[str], at: float = 0.5) -> alt.Y:
    axis = alt.Axis(minExtent=94, maxExtent=94, ticks=False, domain=False)
    return alt.Y("row:O", title=None, axis=axis, bandPosition=at, scale=alt.Scale(domain=values, padding=0.06))


def rows_of(grid: Mapping[str, Sequence[Any]]) -> list[str]:
    """The rows of the map of ramps, with an empty one between those that rise once and those in cycles."""
    blocks = [[f"{shape}, {mode}" for shape in grid["shapes"]] for mode in ("once", "cycles") if mode in grid["modes"]]
    return [row for i, block in enumerate(blocks) for row in ([" "] * (i > 0) + block)]


def weight_chart(colours: Colours = LIGHT) -> alt.LayerChart:
    """The KL weight of each schedule that is shown."""
    line = _shown("weights").transform_flatten(["x", "y"]).mark_line(strokeWidth=2).encode(
        x=_updates("x"), y=alt.Y("y:Q", title=None, scale=alt.Scale(domain=[0, 1.05]), axis=_left(tickCount=3)),
        detail="key:N", color=_by_role(colours), strokeDash=_dashes(),
    )  # fmt: skip
    return _finished(alt.layer(*_marks(colours, named=True), line), 110, colours, "KL weight (β)")


def kl_chart(colours: Colours = LIGHT, lowest: float = 0.001) -> alt.LayerChart:
    """The KL of each run that is shown: in training as lines, on held-out sentences as points. The axis is a log scale.

    Values below ``lowest`` are drawn there.
    """
    y = alt.Y("y:Q", title=None, axis=_left(values=[0.001, 0.01, 0.1, 1, 10], format="~g"),
              scale=alt.Scale(type="log", domain=[lowest, 40], clamp=True, nice=False))  # fmt: skip
    limit = alt.Chart(alt.Data(values=[{"y": COLLAPSED}]))
    rule = limit.mark_rule(color=colours["soft"], strokeDash=[3, 3]).encode(y=y)
    words = limit.mark_text(align="right", baseline="top", dx=-4, dy=3, color=colours["soft"], fontSize=11).encode(
        x=alt.value("width"), y=y, text=alt.value(f"below {COLLAPSED:g}: collapsed")
    )  # fmt: skip
    layers = [*_marks(colours), rule, words, *_curves("kl", y, colours)]
    return _finished(alt.layer(*layers), 230, colours, "KL (nats per sentence, log scale)")


def reconstruction_chart(limits: tuple[float, float], colours: Colours = LIGHT) -> alt.LayerChart:
    """The reconstruction term of each run that is shown. ``limits``: of its axis, which leaves out the steep start."""
    y = alt.Y("y:Q", title=None, scale=alt.Scale(domain=list(limits), nice=False, clamp=True), axis=_left(tickCount=5))
    layers = [*_marks(colours), *_curves("reconstruction", y, colours)]
    return _finished(alt.layer(*layers), 150, colours, "Reconstruction (nats per sentence)")


def _shown(data: str) -> alt.Chart:
    """The rows of a data set whose key is shown, each with its role."""
    chart = alt.Chart(alt.NamedData(data)).transform_filter("indexof(keys, datum.key) >= 0")
    return chart.transform_calculate(role="roles[indexof(keys, datum.key)]", run="datum.key + ' ' + datum.seed")


def _curves(measure: str, y: alt.Y, colours: Colours) -> list[alt.Chart]:
    lines = (
        _shown("runs")
        .transform_calculate(
            y=f"datum.{measure}", x=f"sequence(every, every * (length(datum.{measure}) + 1), every)"
        )
        .transform_flatten(["x", "y"])
        .mark_line(strokeWidth=1.6, opacity=0.85, interpolate="linear")
        .encode(x=_updates("x"), y=y, detail="run:N", color=_by_role(colours), strokeDash=_dashes())
    )  # fmt: skip
    points = (
        _shown("measured")
        .transform_filter("datum.distance == distance")
        .transform_calculate(y=f"datum.{measure}", hint="'seed ' + datum.seed + ', held-out: ' + datum.y + ' nats'")
        .mark_point(filled=True, size=55, opacity=1, stroke=colours["paper"], strokeWidth=1)
        .encode(x=_updates("update"), y=y, color=_by_role(colours), tooltip="hint:N")
    )  # fmt: skip
    return [lines, points]


def _marks(colours: Colours, named: bool = False) -> list[alt.Chart]:
    """Where the weight of the chosen schedule was last low, and where it is measured."""
    base = _shown("weights").transform_filter("datum.role == 'chosen'").transform_calculate(at="datum.low + distance")
    low = base.mark_rule(color=colours["soft"], strokeWidth=1).encode(x=_updates("low"))
    at = base.mark_rule(color=colours["chosen"], strokeWidth=6, opacity=0.18).encode(x=_updates("at"))
    if not named:
        return [low, at]
    base = base.transform_calculate(
        of_low="datum.low > 0 ? 'last low weight' : ''",
        of_at="distance > 0.2 * end || datum.low == 0 ? 'measured' : ''",  # else the words would lie on each other
    )
    style = {"baseline": "bottom", "fontSize": 11, "color": colours["soft"]}
    texts = [
        base.mark_text(**style).encode(x=_updates(place), y=alt.value(-1), text=f"of_{place}:N")
        for place in ("low", "at")
    ]
    return [low, at, *texts]


def _updates(field: str) -> alt.X:
    return alt.X(f"{field}:Q", title="update", scale=alt.Scale(domain=[0, alt.ExprRef("end")], nice=False),
                 axis=alt.Axis(tickCount=5, format=",d"))  # fmt: skip


def _left(**options: Any) -> alt.Axis:
    """An axis of one width in all charts, so that they stand exactly below each other."""
    return alt.Axis(minExtent=40, maxExtent=40, **options)


def _by_role(colours: Colours) -> alt.Color:
    return alt.Color(
        "role:N", legend=None, scale=alt.Scale(domain=list(ROLES), range=[colours[role] for role in ROLES])
    )


def _dashes() -> alt.StrokeDash:
    return alt.StrokeDash("role:N", legend=None, scale=alt.Scale(domain=list(ROLES), range=list(ROLES.values())))


def _by_kl(prefix: str, colours: Colours) -> alt.Color:
    shades = [colours[f"{prefix}{i}"] for i in range(len(THRESHOLDS) + 1)]
    return alt.Color("kl:Q", legend=None, scale=alt.Scale(type="threshold", domain=list(THRESHOLDS), range=shades))


def _finished(chart: alt.LayerChart, height: Any, colours: Colours, title: str = "") -> alt.LayerChart:
    params = [alt.param(name=name, value=value) for name, value in PARAMETERS.items()]
    axis = {"labelColor": colours["soft"], "titleColor": colours["soft"], "gridColor": colours["grid"],
            "domainColor": colours["grid"], "tickColor": colours["grid"], "labelFontSize": 12, "titleFontSize": 12,
            "titleFontWeight": "normal"}  # fmt: skip
    if title:
        chart = chart.properties(title=alt.Title(title, anchor="start", fontSize=14, color=colours["ink"], offset=12))
    return (
        chart.properties(width="container", height=height)
        .add_params(*params)
        .resolve_scale(color="independent")
        .configure(font=FONT, background="transparent", padding=4, aria=False)
        .configure_mark(invalid="show")
        .configure_view(stroke=None)
        .configure_axis(**axis)
    )
