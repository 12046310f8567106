"""The base of all widgets: native controls, charts and text in one custom widget, drawn by the page.

Why not ipywidgets' own controls: their sliders have no accessible name, they send values back that nobody chose, and a
picture of matplotlib takes longer to make and cannot follow the page's theme and width. Why not Altair: it loads
Vega from the network, and it has charts but no controls. anywidget works in JupyterLab, Notebook 7 and VS Code, and in
Colab with its widget manager, by its documentation; it needs ipywidgets 7.6 or newer. Tried here: JupyterLab 4.

The kernel holds every value. The page sends what a person does and nothing else, so it never sends back other values.
All callbacks of a panel, from the page, from a cell or from a thread that trains, hold one lock.
"""

import html
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from kldanneal.lab.widgets.background import Background, Pace, Stop
from kldanneal.lab.widgets.charts import Chart, picture
from kldanneal.lab.widgets.controls import Control
from kldanneal.lab.widgets.interrupts import watch_for_interrupts

HERE = Path(__file__).parent
HINT = "Run this cell to use it."  # in the stored picture


class Notice(ValueError):
    """What a person has to do first. It is shown without the name of an error."""


class Panel(anywidget.AnyWidget):
    """Controls beside charts.

    A subclass names its controls, places them in rows of columns, and writes two methods: :meth:`acted`, what a press
    or a moved control does, and :meth:`draw`, which shows everything as it is now.

    Args:
        title (str): the heading.
        rows: for each row its columns, each a list of names: ``control:NAME``, ``chart:NAME``, ``map:NAME``,
            ``table:NAME``, ``text:NAME``, or ``group|TITLE|name|name``, which can be folded.
        controls (mapping): the controls by name.
    """

    _esm = (HERE / "charts.js").read_text(encoding="utf-8") + (HERE / "panel.js").read_text(encoding="utf-8")
    _css = (HERE / "panel.css").read_text(encoding="utf-8")
    _ipython_display_ = None  # ipywidgets 7 would leave the picture out
    title = traitlets.Unicode().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    controls = traitlets.Dict().tag(sync=True)
    contents = traitlets.Dict().tag(sync=True)

    def __init__(self, title: str, rows: Sequence[Sequence[Sequence[str]]], controls: Mapping[str, Control]) -> None:
        self.lock = threading.RLock()
        self.inputs, self.error = dict(controls), ""
        self._shown: dict[str, Any] = {}
        super().__init__(title=title, rows=[[list(column) for column in row] for row in rows])
        self.on_msg(self._heard)

    def acted(self, name: str, value: Any) -> None:
        """What a press or a moved control does. It holds the lock, so it must not wait for a job."""

    def draw(self) -> None:
        """Shows everything as it is now."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------------- for the reader

    def __getitem__(self, name: str) -> Any:
        """The value of a control."""
        return self.inputs[name].value

    def __setitem__(self, name: str, value: Any) -> None:
        """Moves a control, as a person does."""
        self.act(name, value)

    def press(self, name: str, value: Any = None) -> None:
        """Presses a button, a row of a table or a cell of a map, as a person does."""
        self.act(name, value)

    def act(self, name: str, value: Any = None) -> None:
        """What a person does with one control; everything is drawn again.

        Raises:
            ValueError, TypeError: a value that the control cannot take. Nothing has changed then.
        """
        with self.lock:
            control = self.inputs.get(name)
            if control and control.kind == "button":
                if control.disabled:
                    return
            elif control:
                value = control.read(value)
                if value == control.value:
                    self.refresh()
                    return
                control.value = value
            self.error = ""
            self.acted(name, value)
            self.refresh()

    # ------------------------------------------------------------------------------------------------ for subclasses

    def show(self, name: str, content: Any) -> None:
        """Sets what a chart, a map, a table or a text shows; it is sent at the end of a refresh."""
        self._shown[name] = content

    def result(self, text: str, rests_on: str = "") -> None:
        """The line that says what was found, and in small print what it rests on."""
        small = f"<p class='kl-small'>{html.escape(rests_on)}</p>" if rests_on else ""
        text = html.escape(text).replace("-ELBO", "\u2011ELBO")  # no break after the minus
        self.show("text:result", f"<div class='kl-result'>{text}</div>{small}")

    def fail(self, error: BaseException) -> None:
        """Shows an error where the user looks; in a browser a callback's traceback would end in a log."""
        self.error = str(error) if isinstance(error, Notice) else f"{type(error).__name__}: {error}"

    def refresh(self) -> None:
        """Draws everything, and sends what has changed."""
        with self.lock:
            self.draw()
            self.show("text:error", f"<div class='kl-error'>{html.escape(self.error)}</div>" if self.error else "")
            with self.hold_sync():
                self.controls = {name: control.sent() for name, control in self.inputs.items()}
                self.contents = dict(self._shown)

    # ---------------------------------------------------------------------------------------------- without a kernel

    def words(self) -> str:
        """What the panel shows, in words."""
        shown = self._shown.get("text:result", "")
        said = html.unescape(re.sub(r"<[^>]+>", " ", shown)).strip().replace("\u2011", "-")
        return " ".join(f"{self.title}{'' if self.title.endswith('?') else '.'} {said}".split())

    def __repr__(self) -> str:
        return self.words()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        with self.lock:
            charts: list[Chart] = [shown for name, shown in self._shown.items() if name.startswith("chart:") and shown]
            caption = f"{self.words()} {HINT}"
            alt = " ".join([caption, *(chart["alt"] for chart in charts)])
            stored = {**data, "text/plain": alt}
            if charts:
                stored["image/png"] = picture(charts, caption)
                metadata = {**metadata, "image/png": {"alt": alt}}
            else:
                texts = (shown for name, shown in self._shown.items() if name.startswith("text:"))
                stored["text/html"] = f"<p><b>{html.escape(self.title)}</b> {HINT}</p>{''.join(texts)}"
        return stored, metadata

    def _send(self, msg: dict[str, Any], buffers: Any = None) -> None:
        super()._send(msg, buffers=buffers)
        # ipykernel 7.4 would bring what the page sends to the subshell of the last message from here. That subshell may
        # be gone after a reload of the page, and a press would get lost.
        getattr(self.comm, "__dict__", {}).pop("_reply_subshell_id", None)

    def _heard(self, _widget: Any, content: Mapping[str, Any], _buffers: Any) -> None:
        try:
            self.act(content["name"], content.get("value"))
        except Exception as error:
            self.fail(error)
            self.refresh()
        finally:
            self.send({"token": content.get("token"), "number": content.get("number")})


class TrainingPanel(Panel):
    """A panel that trains beside it, one job at a time. A new one of the same kind stops the job of the one before."""

    _latest: ClassVar[dict[str, "TrainingPanel"]] = {}

    def __init__(self, title: str, rows: Sequence[Sequence[Sequence[str]]], controls: Mapping[str, Control]) -> None:
        super().__init__(title, rows, controls)
        self.background, self.pace = Background(self._tick, self._end), Pace()
        kind = type(self).__name__
        previous = self._latest.get(kind)
        if previous is not None:
            previous.background.stop()
        self._latest[kind] = self
        watch_for_interrupts()

    def ended(self) -> None:
        """Called when a job has ended: done, stopped or failed."""

    def start(self, job: Callable[[Stop], object]) -> None:
        """Starts a job, unless one is running."""
        if self.background.start(job):
            self.pace = Pace()

    def _tick(self) -> None:
        try:
            self.refresh()
        except Exception as error:
            self.fail(error)

    def _end(self, error: BaseException | None) -> None:
        with self.lock:
            if error is not None:
                self.fail(error)
            try:
                self.ended()
                self.refresh()
            except Exception as failure:
                self.fail(failure)

    def close(self) -> None:
        if hasattr(self, "background"):  # not where the arguments were refused
            self.background.ask_to_stop()
        super().close()
