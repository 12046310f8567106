"""The widgets of the notebooks, in JupyterLab: every control changes something, and nothing goes wrong on the way."""

import json
import re
from pathlib import Path

import pytest
from harness import act, control, drag, excerpt, fits_a_phone, operate, picture_changes, press, settled

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def has_widgets(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return any("widget" in cell["metadata"].get("tags", []) for cell in cells)


WITH_WIDGETS = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if has_widgets(path)]

#: Controls that have a test of their own below (they train, or act on what trains), and those that change no picture.
LEAVE = ("train", "tail", "corpus", "device", "toggle", "new", "replay", "save", "pace")


@pytest.fixture
def widgets_of(opened):
    """A function that opens a notebook, by its name, and runs its set-up cell and the cells of its widgets."""

    def run(name):
        (path,) = NOTEBOOKS.glob(f"{name}.ipynb")
        return opened(excerpt(json.loads(path.read_text(encoding="utf-8"))), name)

    return run


def axe(page):
    """What axe-core finds in the panels that is serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page.page, context=".kl-panel").response["violations"]
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found
            if one["impact"] in ("serious", "critical") for node in one["nodes"]]  # fmt: skip


def theme(page, name):
    page.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })", name)
    dark = "() => document.querySelector('.kl-panel').classList.contains('kl-dark')"
    page.page.wait_for_function(f"() => ({dark})() === {str('Dark' in name).lower()}")


def test_there_are_notebooks_with_widgets():
    assert WITH_WIDGETS


@pytest.mark.parametrize("path", WITH_WIDGETS, ids=lambda path: path.stem)
def test_every_control_changes_a_picture_and_is_accessible(widgets_of, path):
    page = widgets_of(path.stem)
    areas = page.widgets()
    assert areas
    page.screenshot("start")
    for i, area in enumerate(areas):
        assert operate(area, leave=LEAVE)
        page.screenshot(f"{i}-moved")
        assert page.complaints() == []
    assert axe(page) == []
    try:
        theme(page, "JupyterLab Dark")
        assert axe(page) == []
        for i, area in enumerate(areas):
            assert fits_a_phone(area) == []
            page.screenshot(f"{i}-phone-dark")
    finally:
        theme(page, "JupyterLab Light")
    page.screenshot("phone")


# ------------------------------------------------------------------------------------------------ buttons that train


def expect(locator):
    from playwright.sync_api import expect  # not at the top: without playwright these tests are to be skipped

    return expect(locator)


def wait_for(area, name, text, seconds=60):
    """Waits until a button says this and can be pressed, and returns it."""
    button = control(area, name).locator("button")
    expect(button).to_have_text(text, timeout=1000 * seconds)
    expect(button).to_have_attribute("aria-disabled", "false", timeout=1000 * seconds)
    return button


def result(area):
    return area.locator(".kl-result")


def moves_by_itself(area):
    """Fails unless the charts change while nobody touches them."""
    expect(result(area)).to_contain_text(re.compile("update [1-9]", re.IGNORECASE), timeout=60_000)
    chart = "area => area.querySelector('svg[role=img]').outerHTML"
    before = area.evaluate(chart)
    changed = f"([area, before]) => ({chart})(area) !== before"
    area.page.wait_for_function(changed, arg=[area.element_handle(), before], timeout=30_000)


def test_the_explorer_takes_a_guess_and_trains(widgets_of):
    page = widgets_of("02_annealing_schedules")
    (area,) = page.widgets()
    wait_for(area, "train", "Train this one").click()
    wait_for(area, "train", "Stop")
    moves_by_itself(area)
    act(control(area, "shape"))  # a control answers while it trains
    wait_for(area, "train", "Stop").click()
    wait_for(area, "train", "Train this one")
    row = area.locator(".kl-table tbody button")
    with picture_changes(area, "a row of the history"):
        row.first.click()
    wait_for(area, "train", "Go on")
    assert page.complaints() == []
    page.shut_down()


def test_side_by_side_trains_stops_goes_on_and_ends(widgets_of):
    page = widgets_of("03_monotonic_vs_cyclical")
    (area,) = page.widgets()
    wait_for(area, "train", "Train both").click()
    wait_for(area, "train", "Stop")
    moves_by_itself(area)
    wait_for(area, "train", "Stop").click()
    wait_for(area, "train", "Go on").click()
    wait_for(area, "train", "Stop")
    expect(result(area)).to_contain_text("Done, 2,000 updates", timeout=300_000)
    page.screenshot("trained")
    area.evaluate("area => area.querySelectorAll('details').forEach(one => { one.open = true })")
    with picture_changes(area, "sentence"):
        press(control(area, "sentence"))
    assert page.complaints() == []
    assert fits_a_phone(area) == []
    page.screenshot("trained-phone")
    page.shut_down()


def test_the_weight_is_driven_by_hand_and_survives_a_reload(widgets_of):
    page = widgets_of("08_drive_the_weight")
    (area,) = page.widgets()
    wait_for(area, "toggle", "Start").click()
    wait_for(area, "toggle", "Pause")
    moves_by_itself(area)
    drag(control(area, "weight"))
    press(control(area, "weight"))
    value = control(area, "weight").locator("output").inner_text().strip()
    page.reload()
    (area,) = page.widgets()
    wait_for(area, "toggle", "Pause")
    assert control(area, "weight").locator("output").inner_text().strip() == value
    moves_by_itself(area)
    wait_for(area, "toggle", "Pause").click()
    wait_for(area, "toggle", "Go on")
    wait_for(area, "replay", "Replay").click()
    expect(area).to_contain_text("bit for bit", timeout=120_000)
    wait_for(area, "new", "New drive").click()
    wait_for(area, "toggle", "Start")
    expect(area.locator(".kl-table tbody tr")).to_have_count(2)  # the drive and its replay are still there
    settled(area)
    page.shut_down()


def test_an_interrupt_of_the_kernel_stops_what_trains(widgets_of):
    page = widgets_of("08_drive_the_weight")
    (area,) = page.widgets()
    wait_for(area, "toggle", "Start").click()
    wait_for(area, "toggle", "Pause")
    moves_by_itself(area)
    page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    wait_for(area, "toggle", "Go on")
    assert page.complaints() == []
    page.shut_down()
