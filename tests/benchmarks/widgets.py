"""From a slider's event to the new picture, in the kernel: the median of 50 moves, against the limit of 50 ms.

.venv/bin/python tests/benchmarks/widgets.py
"""

import platform
import statistics
import time

import torch

from kldanneal.lab.widgets.explorer import ScheduleExplorer
from kldanneal.lab.widgets.side_by_side import SideBySide

LIMIT = 50  # ms
MOVES = 50


def latency(widget, control, values):
    """Milliseconds of each move of a control of a widget, picture included."""
    times = []
    for value in values:
        started = time.perf_counter()
        getattr(widget, control).value = value
        times.append(1000 * (time.perf_counter() - started))
    return times


def report(name, times):
    median, p90 = statistics.median(times), statistics.quantiles(times, n=10)[-1]
    says = "within" if median <= LIMIT else "ABOVE"
    print(f"{name:<36} median {median:5.1f} ms   90 % below {p90:5.1f} ms   {says} the limit of {LIMIT} ms")


if __name__ == "__main__":
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {MOVES} moves each")
    explorer = ScheduleExplorer()
    report("explorer: total_steps", latency(explorer, "total_steps", range(40, 40 + 30 * MOVES, 30)))
    explorer.cyclical.value = True
    report("explorer: total_steps, cyclical", latency(explorer, "total_steps", range(40, 40 + 30 * MOVES, 30)))
    report("explorer: shape", latency(explorer, "shape", ["cosine", "logistic"] * (MOVES // 2)))
    side = SideBySide(device="cpu")
    report("side by side: total_steps", latency(side, "total_steps", range(40, 40 + 30 * MOVES, 30)))
    side.fair.value = True
    report("side by side: total_steps, fair", latency(side, "total_steps", range(40, 40 + 30 * MOVES, 30)))
    report("side by side: shape", latency(side, "shape", ["cosine", "logistic"] * (MOVES // 2)))
