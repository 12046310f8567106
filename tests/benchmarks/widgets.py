"""How long from a slider's event to the new charts, in the kernel? The limit that was set is 50 ms.

    python tests/benchmarks/widgets.py

Controls are moved through many values; a move ends when the charts are sent. The browser comes on top of it. "90 %
below" tells whether single moves are slow.
"""

import statistics
import time
from collections.abc import Iterable

from measuring import QUICK, table

from kldanneal.lab.widgets.driver import DriveTheWeight
from kldanneal.lab.widgets.explorer import ScheduleExplorer
from kldanneal.lab.widgets.panel import Panel
from kldanneal.lab.widgets.side_by_side import SideBySide

LIMIT = 50  # ms
MOVES = 4 if QUICK else 50


def latency(widget: Panel, control: str, values: Iterable[object]) -> list[str]:
    """Milliseconds of the moves of a control of a widget, charts included: median, 90 % below, within the limit."""
    times = []
    for value in values:
        started = time.perf_counter()
        widget[control] = value
        times.append(1000 * (time.perf_counter() - started))
    median, p90 = statistics.median(times), statistics.quantiles(times, n=10)[-1]
    return [f"{median:.1f}", f"{p90:.1f}", "yes" if median <= LIMIT else "NO"]


def main() -> None:
    rows = [["widget: control", "median, ms", "90 % below, ms", f"within {LIMIT} ms"]]
    explorer, side, driver = ScheduleExplorer(), SideBySide(device="cpu"), DriveTheWeight(device="cpu")
    explorer.press("uncover")
    shares, ramps = [i / 20 for i in range(1, 20)], range(10, 2000, 10)
    weights = [i / 100 for i in range(100)]
    for widget, control, values in (
        (explorer, "ratio", shares),
        (side, "left_ramp", ramps),
        (side, "right_cycles", range(1, 20)),
        (driver, "weight", weights),
    ):
        moves = [values[i % len(values)] for i in range(MOVES)]
        rows.append([f"{widget.title}: {control}", *latency(widget, control, moves)])
    table(*rows)


if __name__ == "__main__":
    main()
