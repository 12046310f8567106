"""JupyterLab in Chromium: open a notebook, run its cells, move its widgets, and collect everything that goes wrong."""

import ast
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
VIEWPORT = {"width": 1200, "height": 1800}
SCREEN = {"width": 1200, "height": 800}
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
#: What a panel shows: its charts, tables and texts, without the ids of clip paths and captions.
SHOWN = """area => [...area.querySelectorAll('.kl-chart, .kl-map, .kl-table, .kl-text')]
    .map(part => part.outerHTML.replace(/kl_\\w+/g, ''))"""
TOO_WIDE = """area => [area, ...area.querySelectorAll('*')]
    .filter(part => !part.closest('.kl-scrolled, svg'))
    .filter(part => part.scrollWidth > part.clientWidth + 2 && getComputedStyle(part).display !== 'inline'
        || part.getBoundingClientRect().right > document.documentElement.clientWidth + 2)
    .map(part => `${part.tagName} ${part.className}: ${part.scrollWidth} px in ${part.clientWidth}`)"""
#: What the page knows of each control, and what its element shows.
CONTROLS = """area => Object.fromEntries([...area.querySelectorAll('.kl-control')].map(box => {
    const { state } = box, input = box.querySelector('input, select, button');
    const shown = { range: () => state.options ? state.options[+input.value][0] : +input.value,
        choice: () => state.options[[...box.querySelectorAll('input')].findIndex(one => one.checked)]?.[0] ?? '',
        select: () => state.options[input.selectedIndex]?.[0], check: () => input.checked,
        field: () => state.number ? +input.value : input.value, button: () => input.textContent }[state.kind]();
    return [box.dataset.name, [state.kind === 'button' ? state.label : state.value, shown]] }))"""
#: The controls that a person can change now.
CAN = """(area, kinds) => [...area.querySelectorAll('.kl-control')].filter(box => box.checkVisibility())
    .filter(({ state }) => !kinds.length || kinds.includes(state.kind))
    .filter(box => !box.querySelector(':disabled, [aria-disabled=true]'))
    .filter(({ state }) => state.options ? state.options.length > 1 : state.kind !== 'range' || state.max > state.min)
    .map(box => box.dataset.name)"""
#: Evaluates an expression in the kernel; what it gives has to be JSON.
ASK = """async code => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const options = { code: '', silent: true, store_history: false, user_expressions: { it: code } };
    const { content } = await kernel.requestExecute(options).done;
    return content.user_expressions.it.data['text/plain'] }"""


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@contextmanager
def start_lab(scratch: Path, browser: Any) -> Iterator["Lab"]:
    """JupyterLab on a free port, with settings of its own, as long as the context lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder, log = scratch / "notebooks", scratch / "lab.log"
    folder.mkdir()
    settings = scratch / "jupyterlab_settings_dir" / "@jupyterlab"
    news = settings / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')  # else it asks, over the notebook
    tracker = settings / "notebook-extension"
    tracker.mkdir()
    (tracker / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')  # what is off the screen is drawn
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
        self._opened()

    def _opened(self) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        self.page.wait_for_function(KERNEL_IS, arg="idle", timeout=60_000)
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        self.page.evaluate(LISTEN)

    def reload(self) -> None:
        """Saves the notebook, and loads the page again; the kernel lives on."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload(wait_until="domcontentloaded")
        self._opened()

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self._said.append(f"console: {message.text} {message.location.get('url', '')}")

    def run_all(self, seconds: float = 120) -> None:
        """Runs all cells, and returns when they have run."""
        self.page.evaluate(RUN_ALL)
        self.page.wait_for_function("() => window.ran", timeout=1000 * seconds)
        self.page.wait_for_function(KERNEL_IS, arg="idle", timeout=20_000)

    def widgets(self) -> list[Any]:
        """The panels, in the order of the page."""
        self.page.locator(".kl-panel").first.wait_for(timeout=60_000)
        panels = self.page.locator(".kl-panel")
        return [panels.nth(i) for i in range(panels.count())]

    def ask(self, expression: str) -> Any:
        """The value of an expression in the kernel, by way of JSON."""
        answer = self.page.evaluate(ASK, f"__import__('json').dumps({expression})")
        return json.loads(ast.literal_eval(answer))

    def complaints(self) -> list[str]:
        self.page.wait_for_timeout(200)
        errors = self.page.evaluate(ANSWERED)
        with self.lab.log.open("rb") as log:
            log.seek(self._log_starts)
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        said = [*self._said, *(f"kernel: {error}" for error in errors)]
        said += [f"server: {line}" for line in lines if re.match(r"\[[EC] |\S*(Error|Exception)\b", line)]
        shown = self.page.locator(".kl-error")
        said += [f"widget: {text}" for text in shown.all_inner_texts()]  # where the package's widgets show their errors
        return [text for text in said if not any(re.search(harmless, text) for harmless in HARMLESS)]

    def screenshot(self, name: str) -> None:
        """A picture of the page, in the folder that the environment variable BROWSER_SCREENSHOTS names, if it does."""
        if folder := os.environ.get("BROWSER_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{self.name}-{name}.png")

    def theme(self, dark: bool) -> None:
        """Changes JupyterLab's theme, and waits until the panels have followed it."""
        name = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })", name)
        follow = "dark => document.querySelector('.kl-panel').classList.contains('kl-dark') === dark"
        self.page.wait_for_function(follow, arg=dark)

    def photograph(self, area: Any, name: str) -> None:
        """Pictures of a panel at both widths, light and dark, in the folder of :meth:`screenshot`, if there is one."""
        if not (folder := os.environ.get("BROWSER_SCREENSHOTS")):
            return
        for dark in (True, False):
            self.theme(dark)
            for size in (PHONE, VIEWPORT):
                self.page.set_viewport_size(size)
                self.page.wait_for_timeout(500)
                look = f"{size['width']}-{'dark' if dark else 'light'}"
                area.screenshot(path=Path(folder) / f"{name}-{look}.png")

    def shut_down(self) -> None:
        """Ends the kernel, and what still trains in it."""
        self.page.evaluate(SHUT_DOWN)


# ------------------------------------------------------------------------------------------------ one widget: a panel


def shown(area: Any) -> list[str]:
    return area.evaluate(SHOWN)


def answered(area: Any) -> None:
    """Waits until the kernel has answered all that was done with a panel."""
    area.page.wait_for_function("area => area.getAttribute('aria-busy') !== 'true'", arg=area.element_handle())


def settled(area: Any, seconds: float = 30) -> list[str]:
    """What is shown, once it has been the same for half a second."""
    deadline, before, same = time.monotonic() + seconds, shown(area), 0
    while same < 5:
        assert time.monotonic() < deadline, "the panel never comes to rest"
        area.page.wait_for_timeout(100)
        now = shown(area)
        same, before = same + 1 if now == before else 0, now
    return before


@contextmanager
def picture_changes(area: Any, what: str, seconds: float = 30) -> Iterator[None]:
    """Fails unless what is done inside changes what the panel shows. It must be at rest before."""
    before = settled(area)
    yield
    deadline = time.monotonic() + seconds
    while shown(area) == before:
        assert time.monotonic() < deadline, f"{what}: nothing changed"
        area.page.wait_for_timeout(50)


def control(area: Any, name: str) -> Any:
    """The box of a control, by its name in the kernel."""
    return area.locator(f".kl-control[data-name='{name}']")


def names(area: Any, *kinds: str) -> list[str]:
    """The controls that can be acted on now; if kinds are named, only those of these kinds."""
    return area.evaluate(CAN, kinds)


def kind_of(box: Any) -> str:
    return box.evaluate("box => box.state.kind")


def press(box: Any, presses: int = 4) -> None:
    """Moves a slider by the keyboard: to the right or, where it is at its end, to the left."""
    handle, readout = box.locator("input"), box.locator("output")
    before = readout.inner_text()
    handle.focus()
    for key in ("ArrowRight", "ArrowLeft"):
        for _ in range(presses):
            handle.press(key)
        if readout.inner_text() != before:
            return
    raise AssertionError(f"{box.get_attribute('data-name')}: the keys do not move it")


def drag(box: Any, to: float = 0.7) -> None:
    """Drags a slider's handle with the mouse, to a share of its length."""
    mouse, handle = box.page.mouse, box.locator("input")
    handle.scroll_into_view_if_needed()
    line = handle.bounding_box()
    state = box.evaluate("box => { const i = box.querySelector('input'); return (i.value - i.min) / (i.max - i.min) }")
    x, y = line["x"] + 8 + state * (line["width"] - 16), line["y"] + line["height"] / 2
    mouse.move(x, y)
    mouse.down()
    mouse.move(line["x"] + to * line["width"], y, steps=6)
    mouse.up()


def act(box: Any, draw: Any = None) -> None:
    """Does something with a control that changes its value; ``draw`` picks one of several ways, by default the next."""
    kind = kind_of(box)
    if kind == "range":
        press(box, 1 if draw is None else draw.randint(1, 4))
    elif kind == "button":
        box.locator("button").click(force=draw is not None)  # at random, it may have been disabled a moment ago
    elif kind == "check":
        box.locator("input").click()
    elif kind == "choice":
        others = box.locator("input:not(:checked)")
        others.nth(0 if draw is None else draw.randrange(others.count())).click()
    elif kind == "select":
        chosen, count = box.locator("select").evaluate("one => [one.selectedIndex, one.options.length]")
        box.locator("select").select_option(index=(chosen + (1 if draw is None else draw.randrange(1, count))) % count)
    else:
        field = box.locator("input")
        new = "2" if field.input_value() != "2" else "3"
        field.fill(new if draw is None else str(draw.randint(1, 9)))
        field.press("Enter")


def operate(area: Any, leave: tuple[str, ...] = (), seconds: float = 30) -> list[str]:
    """Acts on every control that can be acted on, and fails unless the panel changes each time. Returns their names.

    Args:
        leave: names of controls that another test looks at.
        seconds: how long a change may take.
    """
    area.evaluate("area => area.querySelectorAll('details').forEach(one => { one.open = true })")
    done: list[str] = []
    while todo := [name for name in names(area) if name not in (*leave, *done)]:
        name = todo[0]  # an action may bring others into view
        with picture_changes(area, name, seconds):
            act(control(area, name))
        done.append(name)
    return done


def fits_a_phone(area: Any) -> list[str]:
    """The parts of a widget that are too wide for a page of 420 pixels; the page stays that narrow."""
    area.page.set_viewport_size(PHONE)
    area.page.wait_for_timeout(1000)
    area.scroll_into_view_if_needed()
    return area.evaluate(TOO_WIDE)
