"""What the explaining pictures share: their colours on a light and on a dark page, boxes and arrows, their words."""

import io
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator
from PIL import Image

from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.plots import BLUE, GREEN, ORANGE, SKY, VERMILION, tidy

WIDTH = 5.6  # inches; with text of 9 points or more it is readable at 420 pixels


class Theme(NamedTuple):
    """The colours of a diagram. ``words``, ``z`` and ``reconstruction`` can be told apart by colour-blind readers."""

    page: str
    ink: str
    faint: str
    words: str
    z: str
    reconstruction: str


LIGHT = Theme("#FFFFFF", "#1A1A1A", "#595959", VERMILION, BLUE, GREEN)
DARK = Theme("#111111", "#F2F2F2", "#B3B3B3", ORANGE, SKY, GREEN)


class Diagram(NamedTuple):
    """A picture, and what it shows in words, for readers who do not see it.

    At the end of a notebook's cell it is shown as a picture with this alternative text. ``figure, alt = diagram`` takes
    it apart. The page is opaque, so ink and page fit each other wherever the picture is shown.
    """

    figure: Figure
    alt: str

    def png(self, width: int = 840) -> bytes:
        """The picture as a PNG of this width in pixels."""
        return small_png(self.figure, dpi=width / self.figure.get_figwidth())

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        return {"image/png": self.png()}, {"image/png": {"alt": self.alt}}


class Chart(Diagram):
    """A diagram of lines and points, in 64 colours: a smaller PNG, whose thin lines can still be told apart."""

    __slots__ = ()

    def png(self, width: int = 840) -> bytes:
        return small_png(self.figure, 64, dpi=width / self.figure.get_figwidth())


def small_png(figure: Figure, colors: int = 256, **options: object) -> bytes:
    """A figure as a PNG of 256 colours: a third of the size of all colours, and alike to the eye.

    ``options`` are those of ``Figure.savefig``. A chart of few lines is alike with 32 colours too.
    """
    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", **options)
    Image.open(full).convert("RGB").quantize(colors).save(small, format="png", optimize=True)
    return small.getvalue()


def in_nats(value: float, measure: str = "kl") -> str:
    """A number with the digits that tables give this measure."""
    return f"{value:.{MEASURES[measure].digits}f}"


class Canvas:
    """Boxes, arrows and text in units of a hundredth of the width."""

    def __init__(self, axes: Axes, theme: Theme) -> None:
        self.axes, self.theme = axes, theme

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = "",
        bold: bool = False,
        size: float = 10,
        align: str = "left",
    ) -> None:
        """Text beside (x, y), or in the middle of it with ``align='center'``; in the colour of ink by default."""
        style = {"color": color or self.theme.ink, "weight": "bold" if bold else "normal", "size": size}
        self.axes.text(x, y, text, ha=align, va="center", linespacing=1.15, **style)

    def box(
        self, x: float, y: float, width: float, height: float, text: str, color: str, shape: str = "", size: float = 10
    ) -> None:
        """A box around (x, y), with the shape of its tensor in small."""
        corner = (x - width / 2, y - height / 2)
        style = "round,pad=0,rounding_size=1.5"
        self.axes.add_patch(
            FancyBboxPatch(corner, width, height, style, facecolor=self.theme.page, edgecolor=color, linewidth=1.8)
        )
        self.text(x, y + (height / 5 if shape else 0), text, size=size, align="center")
        if shape:
            self.text(x, y - height / 4, shape, size=8.5, color=self.theme.faint, align="center")

    def arrow(self, start: tuple[float, float], end: tuple[float, float], color: str, width: float = 1.8) -> None:
        """A straight arrow between two points."""
        style = {"arrowstyle": "-|>", "mutation_scale": 12, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", end, start, arrowprops={**style, "color": color, "linewidth": width})

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float = 1.8, style: str = "-") -> None:
        """A line through points, behind boxes and arrows."""
        self.axes.plot(*zip(*points, strict=True), color=color, linewidth=width, linestyle=style, zorder=0.5)


def canvas(height: float, theme: Theme) -> tuple[Figure, Canvas]:
    """A figure of one axes that fills it, 100 units wide."""
    figure = Figure(figsize=(WIDTH, WIDTH * height / 100), dpi=150, facecolor=theme.page)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, height))
    axes.axis("off")
    return figure, Canvas(axes, theme)


def on_page(axes: Axes, theme: Theme) -> None:
    """Gives axes with a scale the colours of the page."""
    tidy(axes)
    axes.set_axisbelow(True)
    axes.set_facecolor(theme.page)
    axes.tick_params(colors=theme.ink, labelsize=10)
    for spine in axes.spines.values():
        spine.set_color(theme.faint)
    axes.xaxis.label.set(color=theme.ink, size=10)
    axes.yaxis.label.set(color=theme.ink, size=10)


def of_bars(axes: Axes) -> None:
    """Leaves room for the text between bars: no lines through it, and few ticks."""
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
