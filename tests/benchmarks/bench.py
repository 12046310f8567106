"""What `make bench` runs: every benchmark in turn, as Markdown tables for README. 10 minutes on two quiet cores.

    python tests/benchmarks/bench.py             QUICK=1 before it: all of it in small, to see that it runs

Only ratios within one run mean much: two machines, or one machine on two days, differ by more than what is compared.
Let nothing else run. Each script can be run on its own, too, and says in its first lines what it asks and how.
"""

import datetime
import platform
import time
from pathlib import Path

import coursework
import growth
import latency
import throughput
import torch
from measuring import QUICK
from torchtext import __version__ as torchtext_version

import kldanneal
from kldanneal.lab.threads import cores


def processor() -> str:
    """Its name where the system tells it, else its kind."""
    try:
        found = Path("/proc/cpuinfo").read_text().split("model name")[1].split("\n")[0].strip("\t: ")
    except (OSError, IndexError):
        found = platform.processor()
    return found or platform.machine()


def main() -> None:
    started = time.perf_counter()
    print(
        f"{datetime.datetime.now(datetime.timezone.utc).date()}, {processor()} ({platform.machine()}, "
        f"{torch.backends.cpu.get_cpu_capability()}), {cores()} cores, {platform.system()}; "
        f"kldanneal {kldanneal.__version__}, Python {platform.python_version()}, torch {torch.__version__} "
        f"({torch.get_num_threads()} threads by default), torchtext {torchtext_version}."
        + (" QUICK: these figures are of no use." if QUICK else "")
    )
    for benchmark in (throughput, growth, latency, coursework):
        print(flush=True)
        benchmark.main()
    print(f"\n{(time.perf_counter() - started) / 60:.1f} minutes in all.")


if __name__ == "__main__":
    main()
