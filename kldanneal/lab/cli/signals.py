"""Ctrl-C at any moment: a KeyboardInterrupt, a running training that stops, or held back while files are written.

SIGTERM (as of a batch system) and SIGHUP (a terminal that is closed) count as Ctrl-C. The first signal counts; those
after it change nothing, so that an impatient second Ctrl-C cannot interrupt the saving.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """Handles the signals within ``with``. Outside of the main thread, where Python has no handlers, does nothing."""

    def __init__(self) -> None:
        self.stop = threading.Event()  # set by a signal while a training runs
        self.number: int | None = None  # of the first signal
        self._training = self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
                before = signal.getsignal(number)
                if before in (signal.SIG_DFL, signal.default_int_handler):  # others: ignored as by nohup, or taken
                    self._before[number] = before
                    signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @property
    def status(self) -> int:
        """The exit status that says which signal it was."""
        return 128 + (self.number or signal.SIGINT)

    @contextmanager
    def training(self) -> Iterator[threading.Event]:
        """Within it, a signal sets the event that is returned."""
        self._training = True
        try:
            yield self.stop
        finally:
            self._training = False

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Within it nothing is interrupted; a signal that came meanwhile, or before, interrupts at the end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.number is not None:
            raise KeyboardInterrupt

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            return
        self.number = number
        if self._training:
            self.stop.set()
        elif not self._held:
            raise KeyboardInterrupt
