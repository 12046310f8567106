"""How long from a slider's event to the new picture, in the kernel? The limit that was set is 50 ms.

    python tests/benchmarks/widgets.py

Each control of the two pages of sliders is moved through many values; a move ends when the picture is made. The browser
comes on top of it. "90 % below" tells whether single moves are slow.
"""

import statistics
import time
from collections.abc import Iterable

from ipywidgets import Widget
from measuring import QUICK, table

from kldanneal.lab.widgets.explorer import ScheduleExplorer
from kldanneal.lab.widgets.side_by_side import SideBySide

LIMIT = 50  # ms
MOVES = 4 if QUICK else 50


def latency(widget: Widget, control: str, values: Iterable[object]) -> list[str]:
    """Milliseconds of the moves of a control of a widget, picture included: median, 90 % below, within the limit."""
    times = []
    for value in values:
        started = time.perf_counter()
        getattr(widget, control).value = value
        times.append(1000 * (time.perf_counter() - started))
    median, p90 = statistics.median(times), statistics.quantiles(times, n=10)[-1]
    return [f"{median:.1f}", f"{p90:.1f}", "yes" if median <= LIMIT else "NO"]


def main() -> None:
    rows = [["widget: control", "median, ms", "90 % below, ms", f"within {LIMIT} ms"]]
    steps, shapes = range(40, 40 + 30 * MOVES, 30), ["cosine", "logistic"] * (MOVES // 2)
    explorer, side = ScheduleExplorer(), SideBySide(device="cpu")
    rows.append(["explorer: total_steps", *latency(explorer, "total_steps", steps)])
    explorer.cyclical.value = True
    rows.append(["explorer: total_steps, cyclical", *latency(explorer, "total_steps", steps)])
    rows.append(["explorer: shape", *latency(explorer, "shape", shapes)])
    rows.append(["side by side: total_steps", *latency(side, "total_steps", steps)])
    side.fair.value = True
    rows.append(["side by side: total_steps, fair", *latency(side, "total_steps", steps)])
    rows.append(["side by side: shape", *latency(side, "shape", shapes)])
    table(*rows)


if __name__ == "__main__":
    main()
