"""What does a person wait for, and what does the Annealer cost?

    python tests/benchmarks/latency.py

- Annealer: annealer(kl) and annealer.step(), against weight * kl with a number; and as a share of forward and backward
  of the smallest update there is here (toy, QUICK). Thousands of calls at a time, in turn, round by round.
- Import: processes of their own import torch, then kldanneal, then kldanneal.lab.training.run and what notebooks need.
- Set-up cell: a process of its own runs the first code cell of notebook 01 in IPython, torch's import included.
- Slider to picture: see widgets.py.

How to read it: medians; in brackets, the least and the greatest. Files are in the system's cache, as at a second start.
"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
import widgets
from measuring import QUICK, fresh, in_turn, ratios, spread, table

from kldanneal import Annealer
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training import settings
from kldanneal.lab.training.run import Run

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_kl_vanishing.ipynb"
CALLS, UPDATES, ROUNDS, STARTS = (100, 3, 2, 1) if QUICK else (20_000, 100, 7, 7)


def main() -> None:
    annealing()
    starting()
    print(f"Slider to picture, in the kernel ({widgets.MOVES} moves each):\n")
    widgets.main()


# ---------------------------------------------------------------------------------------------------------- annealer


def annealing() -> None:
    run = Run(load_corpus("toy"), Annealer(1000), settings.QUICK, device="cpu")
    x = run._next_batch()
    kl = torch.tensor(3.0, requires_grad=True)
    schedules = {
        "linear, monotonic": Annealer(10**6),
        "cosine, monotonic": Annealer(10**6, shape="cosine"),
        "logistic, cyclical": Annealer(1000, shape="logistic", cyclical=True),
        "after its ramp": Annealer(1),
    }

    def repeated(job: Callable[[], object], times: int) -> Callable[[], None]:
        def all_of_them() -> None:
            for _ in range(times):
                job()

        return all_of_them

    def anneal(annealer: Annealer) -> None:
        annealer(kl)
        annealer.step()

    def forward_backward() -> None:
        logits, targets, mu, logvar = run.model(x, run.noise)
        bce, kld = run.criterion(logits, targets, mu, logvar)
        run.optimizer.zero_grad()
        (bce + 0.5 * kld).backward()

    jobs = {name: repeated(lambda a=a: anneal(a), CALLS) for name, a in schedules.items()}
    jobs["weight * kl"] = repeated(lambda: 0.5 * kl, CALLS)
    jobs["forward and backward"] = repeated(forward_backward, UPDATES)
    with one_thread():
        seconds = in_turn(jobs, ROUNDS)
    bare = [s / CALLS for s in seconds["weight * kl"]]
    update = [s / UPDATES for s in seconds["forward and backward"]]
    rows = [["annealer(kl); annealer.step()", "microseconds", "times weight * kl", "share of forward and backward"]]
    for name in schedules:
        own = [s / CALLS for s in seconds[name]]
        rows.append(
            [
                name,
                spread([1e6 * s for s in own], "{:.1f}"),
                spread(ratios(own, bare), "{:.1f}"),
                spread(ratios(own, update), "{:.2%}"),
            ]
        )
    print(
        f"The Annealer (weight * kl: {spread([1e6 * s for s in bare], '{:.1f}')} microseconds; forward and backward of "
        f"the smallest update: {spread([1e3 * s for s in update], '{:.1f}')} ms):\n"
    )
    table(*rows)


# ------------------------------------------------------------------------------------------------------ import, cell


def starting() -> None:
    cell = first_cell()
    fresh("-c", CELL, cell)  # the files are in the system's cache from here on
    imports, cells = zip(*((fresh("-c", IMPORTS), fresh("-c", CELL, cell)) for _ in range(STARTS)), strict=True)
    of_torch = [found["torch"] for found in imports]
    rows = [["", "seconds", "times torch's import"]]
    for name in imports[0]:
        seconds = [found[name] for found in imports]
        label = f"import {name}" if name == "torch" else f"import {name}, beyond the above"
        rows.append([label, spread(seconds, "{:.3f}"), f"{statistics.median(ratios(seconds, of_torch)):.3f}"])
    seconds = [found["seconds"] for found in cells]
    times = statistics.median(ratios(seconds, [found["torch"] for found in cells]))
    rows.append(["the set-up cell of a notebook, torch's import included", spread(seconds, "{:.3f}"), f"{times:.3f}"])
    print(f"Starting ({STARTS} processes each):\n")
    table(*rows)


IMPORTS = """
import json, time
seconds = {}
for name in ("torch", "kldanneal", "kldanneal.lab.training.run", "kldanneal.lab.notebook"):
    started = time.perf_counter()
    __import__(name)
    seconds[name] = time.perf_counter() - started
print(json.dumps(seconds))
"""
CELL = """
import contextlib, io, json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
started = time.perf_counter()
import torch
imported = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    shell.run_cell(sys.argv[1]).raise_error()
print(json.dumps({"torch": imported - started, "seconds": time.perf_counter() - started}))
"""


def first_cell() -> str:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


if __name__ == "__main__":
    main()
