"""How long the grading of the coursework takes: a right submission alone, and a class of 100 on two cores.

    python tests/benchmarks/coursework.py

A class of 100 is not graded: it is extrapolated from a small one, less what a run takes that has nothing to do.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import QUICK, table

sys.path.insert(0, str(Path(__file__).parents[1]))

from submissions import COURSEWORK, DISTRIBUTIONS, LOOPS, SOURCE, named, submission

CLASS = 2 if QUICK else 12
ALONE = 1 if QUICK else 7


def alone(folder: Path) -> list[float]:
    """Seconds of each right submission, run one after the other."""
    sys.path.insert(0, str(COURSEWORK))
    from grading import run
    from grading.sandbox import Sandbox

    seconds = []
    with Sandbox(COURSEWORK, folder) as sandbox:
        for _ in range(ALONE):
            started = time.perf_counter()
            asyncio.run(run.executed({**SOURCE, "cells": list(named(SOURCE).values())}, sandbox))
            seconds.append(time.perf_counter() - started)
    return seconds


def graded(course: Path, inbox: Path, workers: int = 2) -> float:
    """Seconds that the command takes."""
    started = time.perf_counter()
    command = [sys.executable, str(COURSEWORK / "grade.py"), str(inbox), "--course", str(course)]
    subprocess.run([*command, "--workers", str(workers)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        course, inbox = Path(scratch, "course"), Path(scratch, "inbox")
        inbox.mkdir()
        (course / "source" / "annealing").mkdir(parents=True)
        (course / "source" / "annealing" / "annealing.ipynb").write_text(json.dumps(SOURCE), encoding="utf-8")
        (course / "nbgrader_config.py").write_bytes((COURSEWORK / "nbgrader_config.py").read_bytes())
        for i in range(CLASS):
            answers = ({}, LOOPS, DISTRIBUTIONS)[i % 3]
            (inbox / f"student{i}.ipynb").write_text(json.dumps(submission(answers)), encoding="utf-8")
        seconds = alone(inbox)
        first, again = graded(course, inbox), graded(course, inbox)
        each = (first - again) / CLASS
        table(
            ("coursework", "time"),
            ("a right submission, alone: median", f"{statistics.median(seconds):.1f} s of {len(seconds)}"),
            (f"a class of {CLASS}, two at a time", f"{first:.0f} s"),
            ("the same class again, nothing changed", f"{again:.1f} s"),
            (f"a class of 100, two at a time, extrapolated from {CLASS}", f"{(again + 100 * each) / 60:.1f} minutes"),
        )


if __name__ == "__main__":
    main()
