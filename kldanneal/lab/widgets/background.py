"""Training beside the widgets: in a thread of its own, stopped by a flag, with its errors on show."""

import concurrent.futures.thread  # noqa: F401  its exit function is to be registered before ours, and runs after it
import html
import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import ipywidgets as W
from tqdm.notebook import tqdm

Stop = threading.Event  # what a job looks at
TICK = 0.3  # seconds between two pictures of a training run


class Background:
    """At most one job at a time, for one widget.

    The widget calls :meth:`start` with a job: a function of a flag, which it checks often. While the job
    runs, ``tick()`` is called every 0.3 seconds; at its end ``end()`` is called, whether it is done, stopped, or has
    failed. Both are called in a thread of their own. An error is shown in :attr:`message`.

    A new Background for the same kind of widget stops the job of the one before: a cell that is run again leaves
    nothing behind.
    """

    _latest: ClassVar[dict[str, "weakref.ref[Background]"]] = {}

    def __init__(self, kind: str, tick: Callable[[], object], end: Callable[[], object]) -> None:
        self.message = W.HTML()
        self._tick, self._end = tick, end
        self._stop, self._thread, self.running = Stop(), None, False
        previous = self._latest.get(kind, lambda: None)()
        if previous:
            previous.stop()
        self._latest[kind] = weakref.ref(self)

    def start(self, job: Callable[[Stop], object]) -> None:
        """Starts a job; one that is under way is stopped first."""
        self.stop()
        self.message.value = ""
        self._stop, self.running = Stop(), True
        self._thread = threading.Thread(target=self._watch, args=(job, self._stop), daemon=True, name="kldanneal-watch")
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Asks the job to stop, and returns at once."""
        self._stop.set()

    def stop(self) -> None:
        """Asks the job to stop, and returns when it has."""
        self.ask_to_stop()
        self.wait()

    def wait(self, timeout: float | None = None) -> None:
        """Returns when the job has ended."""
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def show(self, error: BaseException) -> None:
        """Shows an error where the user looks; in a browser a callback's traceback would end in a log."""
        text = html.escape(f"{type(error).__name__}: {error}")
        self.message.value = (
            f'<pre style="white-space: pre-wrap; border-left: 4px solid #D55E00; padding: 4px">{text}</pre>'
        )

    def guard(self, callback: Callable[..., Any]) -> Callable[..., None]:
        """The callback of a widget, with its errors on show."""

        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.show(error)

        return guarded

    def _watch(self, job: Callable[[Stop], object], stop: Stop) -> None:
        done = threading.Event()

        def work() -> None:
            try:
                job(stop)
            except BaseException as error:
                self.show(error)
            finally:
                done.set()

        worker = threading.Thread(target=work, daemon=True, name="kldanneal-train")
        worker.start()
        while not done.wait(TICK) and not stop.is_set():
            self.guard(self._tick)()
        worker.join()
        self.running = False
        self.guard(self._end)()


def on_any_page(bar: tqdm) -> W.Widget:
    """The widget of a bar of tqdm's, which breaks into lines where the page is narrow."""
    bar.container.layout = W.Layout(flex_flow="row wrap", width="auto", min_width="0")
    for part in bar.container.children:
        part.layout.min_width, part.layout.max_width = "0", "100%"
    return bar.container


def _stop_all() -> None:
    """For a kernel that closes: Python waits at its end for the threads that train, which nobody else would stop."""
    for background in Background._latest.values():
        if background():
            background().stop()


# atexit would be too late: its functions are called when the threads have ended. Private, and there from 3.9 to 3.14.
threading._register_atexit(_stop_all)
