"""An interrupt of the kernel stops what trains beside the panels.

A kernel that runs no cell ignores interrupts, and one that runs a cell ends only that cell. Here both also ask every
job to stop. Outside a kernel nothing is changed.
"""

import signal
from functools import cache
from typing import Any

from IPython import get_ipython

from kldanneal.lab.widgets.background import ask_all_to_stop


@cache
def watch_for_interrupts() -> None:
    """Installs it, once in a kernel."""
    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return
    shell.events.register("post_run_cell", _after_a_cell)
    kernel.io_loop.add_callback(_install)  # in the main thread, after this cell: during it the kernel has its own


def _install() -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: Any) -> None:
        ask_all_to_stop()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, interrupted)


def _after_a_cell(result: Any) -> None:
    if isinstance(result.error_in_exec, KeyboardInterrupt):
        ask_all_to_stop()
