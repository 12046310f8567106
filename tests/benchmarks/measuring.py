"""What the benchmarks share: jobs timed in turn, medians with their spread, Markdown tables, fresh processes."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

QUICK = bool(os.environ.get("QUICK"))  # everything in small, to see that it runs


def in_turn(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each job in each round. A round runs all of them, so that a slow minute slows all of them.

    Before the first round each job runs once, untimed.
    """
    for job in jobs.values():
        job()
    seconds = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """One ratio for each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """The median, and between which values all are."""
    middle, low, high = (form.format(x) for x in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def table(*rows: Sequence[object]) -> None:
    """Prints a Markdown table; the first row is its head."""
    head, *body = ([str(cell) for cell in row] for row in rows)
    for row in (head, ["---"] * len(head), *body):
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def fresh(*arguments: object) -> dict:
    """What a new Python prints, as JSON: fresh(script, ...) or fresh("-c", code, ...)."""
    command = [sys.executable, *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def memory(field: str) -> float:
    """This process's memory in MB, on Linux: VmRSS now, VmHWM at its peak; elsewhere not known.

    Not getrusage: its peak counts what the parent held when it started this process.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024 / 1e6
