"""The widgets of the notebooks, in JupyterLab: every control moves a picture, and nothing goes wrong on the way."""

import json
import re
import time
from pathlib import Path

import pytest
from harness import button, drag, excerpt, fits_a_phone, operate, pixels, press

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def has_widgets(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return any("widget" in cell["metadata"].get("tags", []) for cell in cells)


WITH_WIDGETS = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if has_widgets(path)]

#: Controls that have a test of their own below (they train, or act on what trains), and those that change no picture.
LEAVE = (
    "Train this one now",
    *("Train both", "Reset", "sentence", "corpus", "device"),
    *("Start", "Replay", "Train this schedule", "updates / s"),
)


@pytest.fixture
def widgets_of(opened):
    """A function that opens a notebook, by its name, and runs its set-up cell and the cells of its widgets."""

    def run(name):
        (path,) = NOTEBOOKS.glob(f"{name}.ipynb")
        return opened(excerpt(json.loads(path.read_text(encoding="utf-8"))), name)

    return run


def test_there_are_notebooks_with_widgets():
    assert WITH_WIDGETS


@pytest.mark.parametrize("path", WITH_WIDGETS, ids=lambda path: path.stem)
def test_every_control_changes_a_picture(widgets_of, path):
    page = widgets_of(path.stem)
    areas = page.widgets()
    assert areas
    for i, area in enumerate(areas):
        assert operate(area, leave=LEAVE)
        page.screenshot(f"{i}-moved")
        assert page.complaints() == []
    for i, area in enumerate(areas):
        assert fits_a_phone(area) == []
        page.screenshot(f"{i}-phone")


# ------------------------------------------------------------------------------------------------ buttons that train

UPDATES = re.compile(r"[1-9][0-9]*/[24]000|update [1-9][0-9,]* of")  # as the bars count them


def expect(locator):
    from playwright.sync_api import expect  # not at the top: without playwright these tests are to be skipped

    return expect(locator)


def wait_for(area, text, seconds=30):
    """Waits for a button of this name that can be clicked, and returns it."""
    expect(button(area, text)).to_be_enabled(timeout=1000 * seconds)
    return button(area, text)


def moves_by_itself(area, what):
    """Fails unless a picture changes while nobody touches it."""
    expect(area).to_contain_text(UPDATES, timeout=60_000)  # some have been made
    before, deadline = pixels(area), time.monotonic() + 15
    while pixels(area) == before:
        assert time.monotonic() < deadline, f"{what}: no picture changed"
        area.page.wait_for_timeout(50)


def test_the_explorer_trains_stops_and_goes_on(widgets_of):
    page = widgets_of("02_annealing_schedules")
    (area,) = page.widgets()
    button(area, "Train this one now").click()
    wait_for(area, "Stop")
    moves_by_itself(area, "training")
    press(area.locator(".widget-slider").nth(4))  # ratio: a slider answers while it trains
    button(area, "Stop").click()
    wait_for(area, "Train this one now", seconds=5)
    assert page.complaints() == []
    page.shut_down()


def test_side_by_side_trains_stops_goes_on_and_ends(widgets_of):
    page = widgets_of("03_monotonic_vs_cyclical")
    (area,) = page.widgets()
    button(area, "Train both").click()
    wait_for(area, "Stop")
    moves_by_itself(area, "training")
    button(area, "Stop").click()
    wait_for(area, "Go on", seconds=5).click()
    wait_for(area, "Stop")
    moves_by_itself(area, "training, once more")
    wait_for(area, "Train both", seconds=120)
    expect(area.locator("table").first).to_contain_text("cyclical")
    page.screenshot("trained")
    press(area.locator(".widget-slider", has_text="sentence"))
    assert page.complaints() == []
    assert fits_a_phone(area) == []
    page.screenshot("trained-phone")
    page.shut_down()


def test_the_weight_is_driven_by_hand(widgets_of):
    page = widgets_of("05_drive_the_weight")
    (area,) = page.widgets()
    button(area, "Start").click()
    wait_for(area, "Pause")
    moves_by_itself(area, "driving")
    weight = area.locator(".widget-slider").first
    drag(weight)
    press(weight)
    page.page.wait_for_timeout(1500)
    page.screenshot("driven")
    button(area, "Pause").click()
    wait_for(area, "Go on", seconds=5)
    wait_for(area, "Replay").click()
    expect(area).to_contain_text("bit for bit", timeout=60_000)
    wait_for(area, "Reset").click()
    wait_for(area, "Start")
    assert page.complaints() == []
    page.shut_down()
