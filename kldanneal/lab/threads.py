"""One intra-op thread for each run: its sums are then made in one order, and runs side by side have a core each."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_users = 0  # of one_thread, in all threads of Python
_before = 1  # what the first of them found
_here = threading.local()  # .depth: how often this thread of Python is inside


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, torch computes with one intra-op thread.

    torch keeps the number for each thread of Python apart, and gives a new thread the number that was set last. So
    several threads may be inside at once, and each restores what the first one found when it leaves.
    """
    global _users, _before
    with _lock:
        found = torch.get_num_threads()  # this also has torch set the thread up, before 1 is set
        if _users == 0:
            _before = found
        _users += 1
        _here.depth = getattr(_here, "depth", 0) + 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            _here.depth -= 1
            if _here.depth == 0:
                torch.set_num_threads(_before)


def cores() -> int:
    """The processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1
