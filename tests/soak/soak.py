"""The tests of faults for longer: more kills, more random examples, a class. Prints what was done, for README.

python tests/soak/soak.py                     # make soak
"""

import argparse
import os
import platform
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).parents[1]
PROPERTIES = ["test_properties.py", "test_annealing.py::test_any_sequence_of_calls_agrees_with_the_model"]
CLASS = "notebooks/test_coursework.py::test_a_class_of_60"


class Figures:
    """Counts outcomes and keeps what the tests record with ``record_property``."""

    def __init__(self) -> None:
        self.recorded: dict[str, object] = {}
        self.outcomes: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            self.outcomes[report.outcome] += 1
            self.recorded.update(report.user_properties)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of one comparison, at random moments (default: 20)")
    parser.add_argument("--examples", type=int, default=5000, help="of every property (default: 5000)")
    parser.add_argument("--pupils", type=int, default=60, help="of the class whose coursework is graded (default: 60)")
    given = parser.parse_args()
    os.environ["KLDANNEAL_SOAK"] = str(given.kills)
    os.environ["KLDANNEAL_EXAMPLES"] = str(given.examples)
    os.environ["KLDANNEAL_PUPILS"] = str(given.pupils)
    figures, started = Figures(), time.monotonic()
    options = ["-q", "-p", "no:cacheprovider"]
    tests = [str(TESTS / name) for name in ("test_faults.py", *PROPERTIES, CLASS)]
    status = pytest.main([*options, *tests], plugins=[figures])
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    print(f"\nmachine: {platform.machine()}, {os.cpu_count()} cores; {versions}")
    print(f"tests: {', '.join(f'{n} {outcome}' for outcome, n in figures.outcomes.items())}")
    for name, value in figures.recorded.items():
        print(f"{name}: {value}")
    print(f"random examples: {given.examples:,} of each property")
    print(f"seconds in all: {time.monotonic() - started:.0f}")
    return status


if __name__ == "__main__":
    sys.exit(main())
