"""JupyterLab in Chromium: open a notebook, run its cells, move its widgets, and collect everything that goes wrong."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
VIEWPORT = {"width": 1200, "height": 1800}  # tall, for JupyterLab does not render what is far off the screen
PHONE = {"width": 420, "height": 1800}

#: What JupyterLab itself reports, and does no harm. Anything else is an error.
HARMLESS: list[str] = []

#: Starts to listen to the kernel: its errors reach the page as messages, those of a widget's callback too.
LISTEN = """() => {
    window.kernelErrors = [];
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.iopubMessage.connect((_, message) => {
        if (message.header.msg_type === 'error')
            window.kernelErrors.push(`${message.content.ename}: ${message.content.evalue}`);
    });
}"""
KERNEL_IS = """status => {
    const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.status === status && kernel?.connectionStatus === 'connected' }"""
RUN_ALL = """() => {
    window.ran = null;
    window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.ran = true }) }"""
#: Resolves when the kernel has dealt with all; a slider sends its next value when the last one is answered.
ANSWERED = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const three = (async () => { for (let i = 0; i < 3; i++) await kernel.requestKernelInfo(); return [] })();
    const late = new Promise(resolve => setTimeout(() => resolve(['it does not answer']), 20000));
    return Promise.race([three, late]).then(said => [...window.kernelErrors, ...said]) }"""
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
#: A number for the pixels of each picture: a new address of the same pixels is no change.
PIXELS = """area => [...area.querySelectorAll('img.widget-image')].map(picture => {
    if (!picture.complete || !picture.naturalWidth) return 0;
    const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight), context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    let sum = 17;
    for (const pixel of pixels) sum = (Math.imul(sum, 31) + pixel) | 0;
    return sum })"""
CHOSEN = "one => one.classList.contains('mod-active') || !!one.querySelector('input:checked')"
TOO_WIDE = """area => [area, ...area.querySelectorAll('.widget-box, .widget-image, .widget-html')]
    .filter(part => part.scrollWidth > part.clientWidth + 2
        || part.getBoundingClientRect().right > document.documentElement.clientWidth + 2)
    .map(part => `${part.className}: ${part.scrollWidth} px in ${part.clientWidth}`)"""


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


def excerpt(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook with nothing but its first code cell and those tagged `widget-setup` or `widget`."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    tagged = [cell for cell in code[1:] if {"widget", "widget-setup"} & set(cell["metadata"].get("tags", []))]
    return {**notebook, "cells": [*code[:1], *tagged]}


@contextmanager
def start_lab(scratch: Path, browser: Any) -> Iterator["Lab"]:
    """JupyterLab on a free port, with settings of its own, as long as the context lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder, log = scratch / "notebooks", scratch / "lab.log"
    folder.mkdir()
    news = scratch / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')  # else it asks, over the notebook
    own = {name: str(scratch / name.lower()) for name in (
        "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
        "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
    )}  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token="]
    command += [
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with log.open("w") as output:
        server = subprocess.Popen(command, env={**os.environ, **own}, stdout=output, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/api/status", timeout=5).close()
                break
            except OSError as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}") from error
                time.sleep(0.2)
        yield Lab(url, folder, log, browser)
    finally:
        server.terminate()
        server.wait(30)


class Lab:
    def __init__(self, url: str, folder: Path, log: Path, browser: Any) -> None:
        self.url, self.folder, self.log, self.browser = url, folder, log, browser

    @contextmanager
    def open(self, notebook: dict[str, Any], name: str) -> Iterator["OpenNotebook"]:
        """A copy of a notebook, without its outputs, open in the browser."""
        notebook = deepcopy(notebook)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        (self.folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        page = self.browser.new_page(viewport=VIEWPORT)
        try:
            yield OpenNotebook(self, page, name)
        finally:
            page.close()


class OpenNotebook:
    """A notebook in JupyterLab. :meth:`complaints` has the errors of the page, the kernel and the server so far."""

    def __init__(self, lab: Lab, page: Any, name: str) -> None:
        self.lab, self.page, self.name = lab, page, name
        self._log_starts, self._said = lab.log.stat().st_size, []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self._said.append(f"page: {error}"))
        page.goto(f"{lab.url}/lab/tree/{name}.ipynb?reset", wait_until="domcontentloaded")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_function(KERNEL_IS, arg="idle", timeout=60_000)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        page.evaluate(LISTEN)

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self._said.append(f"console: {message.text} {message.location.get('url', '')}")

    def run_all(self, seconds: float = 120) -> None:
        """Runs all cells, and returns when they have run."""
        self.page.evaluate(RUN_ALL)
        self.page.wait_for_function("() => window.ran", timeout=1000 * seconds)
        self.page.wait_for_function(KERNEL_IS, arg="idle", timeout=20_000)

    def widgets(self) -> list[Any]:
        """The outputs that hold a live picture, one a widget."""
        outputs = self.page.locator(".jp-OutputArea-output:has(img.widget-image)")
        return [outputs.nth(i) for i in range(outputs.count())]

    def complaints(self) -> list[str]:
        self.page.wait_for_timeout(200)
        errors = self.page.evaluate(ANSWERED)
        with self.lab.log.open("rb") as log:
            log.seek(self._log_starts)
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        said = [*self._said, *(f"kernel: {error}" for error in errors)]
        said += [f"server: {line}" for line in lines if re.match(r"\[[EC] |\S*(Error|Exception)\b", line)]
        shown = self.page.locator(".widget-html pre", has_text=re.compile("Error|Exception|Interrupt"))
        said += [f"widget: {text}" for text in shown.all_inner_texts()]  # where the package's widgets show their errors
        return [text for text in said if not any(re.search(harmless, text) for harmless in HARMLESS)]

    def screenshot(self, name: str) -> None:
        """A picture of the page, in the folder that the environment variable BROWSER_SCREENSHOTS names, if it does."""
        if folder := os.environ.get("BROWSER_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{self.name}-{name}.png")

    def shut_down(self) -> None:
        """Ends the kernel, and what still trains in it."""
        self.page.evaluate(SHUT_DOWN)


# --------------------------------------------------------------------------------- one widget: an output with pictures


def pixels(area: Any) -> list[int]:
    return area.evaluate(PIXELS)


def settled(area: Any, seconds: float = 20) -> list[int]:
    """The pictures, once they have been the same for half a second."""
    deadline, before, same = time.monotonic() + seconds, pixels(area), 0
    while same < 5 or 0 in before:
        assert time.monotonic() < deadline, "the pictures never come to rest"
        area.page.wait_for_timeout(100)
        now = pixels(area)
        same, before = same + 1 if now == before else 0, now
    return before


@contextmanager
def picture_changes(area: Any, what: str, seconds: float = 15) -> Iterator[None]:
    """Fails unless what is done inside changes a picture of the widget. The pictures must be at rest before."""
    before = settled(area)
    yield
    deadline = time.monotonic() + seconds
    while (now := pixels(area)) == before or 0 in now:
        assert time.monotonic() < deadline, f"{what}: no picture changed"
        area.page.wait_for_timeout(50)


def name_of(control: Any) -> str:
    """The label of a control, or the text on it."""
    texts = [*control.locator(".widget-label").all_inner_texts(), control.inner_text()]
    return next((text for text in (text.strip("\u200b \n") for text in texts) if text), "?")  # a box has an empty label


def is_enabled(slider: Any) -> bool:
    return slider.is_visible() and slider.locator("[disabled]").count() == 0


def press(slider: Any, presses: int = 4) -> None:
    """Moves a slider by the keyboard: to the right or, where it is at its end, to the left."""
    handle, readout = slider.locator(".noUi-handle").first, slider.locator(".widget-readout")
    before = readout.inner_text()
    handle.focus()
    for key in ("ArrowRight", "ArrowLeft"):
        for _ in range(presses):
            handle.press(key)
        if readout.inner_text() != before:
            return
    raise AssertionError(f"{name_of(slider)}: the keys do not move it")


def drag(slider: Any, share: float = 0.3) -> None:
    """Drags a slider's handle with the mouse, by a share of its length: to the left where it is in the right half."""
    mouse, handle = slider.page.mouse, slider.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    box, line = handle.bounding_box(), slider.locator(".noUi-base").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    way = share * line["width"] * (1 if x < line["x"] + line["width"] / 2 else -1)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + way, y, steps=6)
    mouse.up()


def button(area: Any, text: str) -> Any:
    """The button with this text."""
    return area.locator("button.widget-button", has_text=re.compile(f"^\\s*{re.escape(text)}\\s*$"))


def operate(area: Any, leave: tuple[str, ...] = (), seconds: float = 15) -> list[str]:
    """Moves every control of a widget, and fails unless a picture changes each time. Returns what was moved.

    Args:
        leave: names of controls (the label, or the text of a button) that another test looks at.
        seconds: how long a picture may take.
    """
    moved, disabled = [], []

    def each(selector: str) -> list[tuple[str, Any]]:
        controls = area.locator(selector).all()
        return [
            (name, control) for name, control in zip(map(name_of, controls), controls, strict=True) if name not in leave
        ]

    def move(sliders: list[tuple[str, Any]]) -> None:
        for name, slider in sliders:
            if not is_enabled(slider):
                disabled.append((name, slider))
            else:
                with picture_changes(area, f"{name}, by the keyboard", seconds):
                    press(slider)
                if not any(text.endswith("by the mouse") for text in moved):
                    with picture_changes(area, f"{name}, by the mouse", seconds):
                        drag(slider)
                    moved.append(f"{name}, by the mouse")
                moved.append(name)

    move(each(".widget-slider"))
    for name, dropdown in each(".widget-dropdown"):
        select = dropdown.locator("select")
        chosen, count = select.evaluate("one => [one.selectedIndex, one.options.length]")
        with picture_changes(area, name, seconds):
            select.select_option(index=(chosen + 1) % count)
        moved.append(name)
    for name, box in each(".widget-checkbox"):
        with picture_changes(area, name, seconds):
            box.locator("input").click()
        moved.append(name)
    for name, choice in each(".widget-toggle-buttons button, .widget-radio-box label"):
        if not choice.evaluate(CHOSEN):
            with picture_changes(area, name, seconds):
                choice.click()
            moved.append(name)
    for name, one in each("button.widget-toggle-button:not(.widget-toggle-buttons *), button.widget-button"):
        with picture_changes(area, name, seconds):
            one.click()
        moved.append(name)
    later, disabled[:] = list(disabled), []
    move(later)  # a box or a choice has enabled them
    assert not disabled, f"sliders that are never enabled, or never shown: {[name for name, _ in disabled]}"
    return moved


def fits_a_phone(area: Any) -> list[str]:
    """The parts of a widget that are too wide for a page of 420 pixels; the page stays that narrow."""
    area.page.set_viewport_size(PHONE)
    area.page.wait_for_timeout(1000)
    area.scroll_into_view_if_needed()
    return area.evaluate(TOO_WIDE)
