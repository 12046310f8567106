"""Training beside a panel: in a thread of its own, one job at a time, stopped by a flag."""

import concurrent.futures.thread  # noqa: F401  its exit function is to be registered before ours, and runs after it
import threading
import time
import weakref
from collections.abc import Callable
from typing import ClassVar

Stop = threading.Event  # what a job looks at
TICK = 0.3  # seconds between two pictures of a training run
SURE = 3.0  # seconds of training before the time left is estimated


class Background:
    """At most one job at a time.

    The owner calls :meth:`start` with a job: a function of a flag, which it checks often. While the job runs,
    ``tick()`` is called every 0.3 seconds. At its end ``end(error)`` is called, with the error that ended it or with
    None. Both are called in a thread of their own.
    """

    _all: ClassVar["weakref.WeakSet[Background]"] = weakref.WeakSet()

    def __init__(self, tick: Callable[[], object], end: Callable[[BaseException | None], object]) -> None:
        self._tick, self._end = tick, end
        self._stop, self._thread, self.running = Stop(), None, False
        self._all.add(self)

    def start(self, job: Callable[[Stop], object]) -> bool:
        """Starts a job, unless one is running. Returns whether it did."""
        if self.running:
            return False
        self._stop, self.running = Stop(), True
        self._thread = threading.Thread(target=self._watch, args=(job, self._stop), daemon=True, name="kldanneal-watch")
        self._thread.start()
        return True

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to stop, and has not stopped yet."""
        return self.running and self._stop.is_set()

    def ask_to_stop(self) -> None:
        """Asks the job to stop, and returns at once."""
        self._stop.set()

    def stop(self) -> None:
        """Asks the job to stop, and returns when it has. Not for callbacks, which hold the lock that the end needs."""
        self.ask_to_stop()
        self.wait()

    def wait(self, timeout: float | None = None) -> None:
        """Returns when the job has ended."""
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _watch(self, job: Callable[[Stop], object], stop: Stop) -> None:
        done, errors = threading.Event(), []

        def work() -> None:
            try:
                job(stop)
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        worker = threading.Thread(target=work, daemon=True, name="kldanneal-train")
        worker.start()
        while not done.wait(TICK):
            if not stop.is_set():
                self._tick()
        worker.join()
        self.running = False
        self._end(errors[0] if errors else None)


class Pace:
    """Estimates how long a job still takes, from its pace so far. At first it says nothing.

    Example::

        >>> Pace().left(0, 2000)
        ''
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None  # the time and the update of the first look after one update

    def left(self, update: int, until: int) -> str:
        """The time left in words, with a comma in front; empty as long as there is no good estimate.

        Args:
            update: how far the job is now.
            until: the update at which it ends.
        """
        now = time.monotonic()
        if self._first is None:
            self._first = (now, update) if update else None
            return ""
        since, first = self._first
        if now - since < SURE or update <= first:
            return ""
        seconds = (until - update) * (now - since) / (update - first)
        return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {max(1, seconds):.0f} s left"


def ask_all_to_stop() -> None:
    """Asks every job to stop, and returns at once: what an interrupt of the kernel does."""
    for background in list(Background._all):
        background.ask_to_stop()


def _stop_all() -> None:
    """For a kernel that closes: Python waits at its end for the threads that train, which nobody else would stop."""
    for background in list(Background._all):
        background.stop()


# atexit would be too late: its functions are called when the threads have ended. Private, and there from 3.9 to 3.14.
threading._register_atexit(_stop_all)
