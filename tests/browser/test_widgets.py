"""Every widget, in JupyterLab: each control changes something, and nothing goes wrong on the way.

All are in one notebook of the tests' own; the tests share its page and its kernel.
"""

import re

import pytest
from cells import WIDGETS, with_panels
from harness import PHONE, SCREEN, VIEWPORT, act, control, drag, fits_a_phone, operate, picture_changes, press, settled

#: Controls that have a test of their own below: they train, act on what trains, or can be used once.
LEAVE = ("train", "tail", "toggle", "new", "replay", "save", "pace", "check", "device")
#: Panels with a test of their own: what they show changes only after "Check", or with a far move of z.
OWN_TEST = ("choice", "number", "order", "z")
#: Controls that another choice brings into view, or a pair that was trained.
HIDDEN = {
    "explorer": {"constant"},
    "side": {"left_ramp", "left_weight", "right_ramp", "right_shape", "right_cycles", "corpus", "sentence"},
}
BREAKS = """area => [...area.querySelectorAll('.kl-table td')].filter(cell => {
        const text = new Range();
        text.selectNodeContents(cell);
        return text.getClientRects().length > 1 }).map(cell => cell.textContent)"""
WHOLE = """(area, part) => { const { top, bottom } = area.querySelector(part).getBoundingClientRect();
    return top >= 0 && bottom > top && bottom <= innerHeight }"""
SMALLEST = """area => Math.min(...[...area.querySelectorAll('text, label, output, button, th, td, p, span')]
    .filter(one => one.textContent.trim() && one.getClientRects().length)
    .map(one => parseFloat(getComputedStyle(one).fontSize)))"""


@pytest.fixture(scope="module")
def page(lab):
    with lab.open(with_panels(WIDGETS), "widgets") as page:
        page.run_all()
        assert len(page.widgets()) == len(WIDGETS)
        yield page
        page.shut_down()


@pytest.fixture
def panel(page):
    """A function that finds a panel by its name, on a page as it was at first."""
    page.page.set_viewport_size(VIEWPORT)

    def find(name):
        return page.widgets()[list(WIDGETS).index(name)]

    yield find
    assert page.complaints() == []


def axe(page):
    """What axe-core finds in the panels that is serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page.page, context=".kl-panel").response["violations"]
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found
            if one["impact"] in ("serious", "critical") for node in one["nodes"]]  # fmt: skip


def expect(locator):
    from playwright.sync_api import expect  # not at the top: without playwright these tests are to be skipped

    return expect(locator)


def wait_for(area, name, text, seconds=120):
    """Waits until a button says this and can be pressed, and returns it."""
    button = control(area, name).locator("button")
    expect(button).to_have_text(text, timeout=1000 * seconds)
    expect(button).to_have_attribute("aria-disabled", "false", timeout=1000 * seconds)
    area.page.wait_for_timeout(600)  # two clicks within half a second are one
    return button


def result(area):
    return area.locator(".kl-result")


def moves_by_itself(area):
    """Fails unless the charts change while nobody touches them."""
    expect(result(area)).to_contain_text(re.compile("update [1-9]", re.IGNORECASE), timeout=60_000)
    chart = "area => area.querySelector('svg[role=img]').outerHTML"
    before = area.evaluate(chart)
    changed = f"([area, before]) => ({chart})(area) !== before"
    area.page.wait_for_function(changed, arg=[area.element_handle(), before], timeout=60_000)


def in_view(area, *parts):
    """Which of the parts a screen of 1,200 x 800 pixels does not show whole, with the panel at the top of it."""
    page = area.page
    page.set_viewport_size(SCREEN)
    area.evaluate("area => area.scrollIntoView({ block: 'start' })")
    page.wait_for_timeout(500)
    return [part for part in parts if not area.evaluate(WHOLE, part)]


# ------------------------------------------------------------------------------------------------------- every control


@pytest.mark.parametrize("name", [name for name in WIDGETS if name not in OWN_TEST])
def test_every_control_changes_what_is_shown(page, panel, name):
    area = panel(name)
    page.photograph(area, f"{name}-before")
    moved = operate(area, leave=LEAVE)
    assert set(moved) == set(page.ask(f"list(panels[{name!r}].inputs)")) - set(LEAVE) - HIDDEN.get(name, set())
    page.photograph(area, f"{name}-moved")


def test_z_writes_another_sentence_and_back(page, panel):
    area = panel("z")
    page.photograph(area, "z-before")
    before = settled(area)
    with picture_changes(area, "z"):
        drag(control(area, "z1"), 0.98)
        drag(control(area, "z2"), 0.02)
    page.photograph(area, "z-moved")
    with picture_changes(area, "all at 0"):
        act(control(area, "zero"))
    assert settled(area) == before


@pytest.mark.parametrize("name", ["choice", "number", "order"])
def test_a_prediction_is_answered_once(page, panel, name):
    area = panel(name)
    page.photograph(area, f"{name}-before")
    for each in ("place 1", "place 2") if name == "order" else ("answer",):
        act(control(area, each))
    wait_for(area, "check", "Check").click()
    expect(result(area)).to_contain_text("The answer: ")
    assert control(area, "check").is_hidden()
    page.photograph(area, f"{name}-answered")


def test_no_two_panels_share_a_name_in_the_page(page):
    """Else a label would name the slider of another panel, and a choice would take away that of another panel."""
    ids, groups = page.page.evaluate("""() => [[...document.querySelectorAll('.kl-panel [id]')].map(one => one.id),
        [...document.querySelectorAll('.kl-panel fieldset')].map(one => one.querySelector('input').name)]""")
    assert len(ids) == len(set(ids)) > 30 and len(groups) == len(set(groups)) > 3


# ------------------------------------------------------------------------------------------------ buttons that train


def test_the_explorer_takes_a_guess_and_trains(page, panel):
    area = panel("explorer")
    wait_for(area, "train", "Train this one").click()
    wait_for(area, "train", "Stop")
    moves_by_itself(area)
    act(control(area, "shape"))  # a control answers while it trains
    assert in_view(area, ".kl-result", "[data-name=train]", ".kl-map") == []
    wait_for(area, "train", "Stop").click()
    wait_for(area, "train", "Train this one")
    with picture_changes(area, "a row of the history"):
        area.locator(".kl-table tbody button").first.click()
    wait_for(area, "train", "Go on").click()
    wait_for(area, "train", "Stop").click()
    wait_for(area, "train", "Go on")
    page.photograph(area, "explorer-trained")


def test_side_by_side_trains_stops_goes_on_and_ends(page, panel):
    area = panel("side")
    wait_for(area, "train", "Train both")
    says = control(area, "train").locator("button").evaluate("one => { one.click(); return one.textContent }")
    assert says == "Preparing \u2026"  # before the kernel has heard of it
    wait_for(area, "train", "Stop")
    moves_by_itself(area)
    wait_for(area, "train", "Stop").click()
    wait_for(area, "train", "Go on").click()
    expect(result(area)).to_contain_text("Done, 1,000 updates", timeout=300_000)
    assert in_view(area, ".kl-result", "[data-name=train]", "[data-name=tail]") == []
    area.evaluate("area => area.querySelectorAll('details').forEach(one => { one.open = true })")
    with picture_changes(area, "sentence"):
        press(control(area, "sentence"))
    wait_for(area, "tail", "Go on at weight 1 for 1,000 updates").click()
    expect(result(area)).to_contain_text("Done, 2,000 updates", timeout=300_000)
    expect(result(area)).to_contain_text("KL over the tail")
    page.photograph(area, "side-trained")


def test_the_weight_is_driven_by_hand_and_survives_a_reload(page, panel):
    area = panel("driver")
    wait_for(area, "toggle", "Start").click()
    wait_for(area, "toggle", "Pause")
    moves_by_itself(area)
    drag(control(area, "weight"))
    press(control(area, "weight"))
    value = control(area, "weight").locator("output").inner_text().strip()
    page.reload()
    area = panel("driver")
    wait_for(area, "toggle", "Pause")
    assert control(area, "weight").locator("output").inner_text().strip() == value
    moves_by_itself(area)
    tops = set()
    for _ in range(10):  # numbers that grow do not push the pictures down
        tops.add(round(area.evaluate("area => area.querySelector('.kl-chart').offsetTop")))
        page.page.wait_for_timeout(100)
    assert len(tops) == 1
    assert in_view(area, ".kl-result", "[data-name=toggle]", "ul", "svg[role=img]") == []
    wait_for(area, "toggle", "Pause").click()
    wait_for(area, "toggle", "Go on")
    page.photograph(area, "driver-paused")
    wait_for(area, "replay", "Replay").click()
    expect(area).to_contain_text("bit for bit", timeout=300_000)
    wait_for(area, "train", "Train this schedule").click()
    expect(area.locator(".kl-table tbody tr")).to_have_count(3)
    wait_for(area, "replay", "Replay", 300)
    wait_for(area, "save", "Save as a schedule").click()
    expect(area).to_contain_text("Saved as the schedule")
    page.photograph(area, "driver-trained")
    wait_for(area, "new", "New drive").click()
    wait_for(area, "toggle", "Start")
    expect(area.locator(".kl-table tbody tr")).to_have_count(3)  # the drive and the others are still there


def test_an_interrupt_of_the_kernel_stops_what_trains(page, panel):
    area = panel("driver")
    wait_for(area, "toggle", "Start").click()
    wait_for(area, "toggle", "Pause")
    moves_by_itself(area)
    page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    wait_for(area, "toggle", "Go on")
    settled(area)


# ---------------------------------------------------------------------------------------------- after all of the above


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_axe_core_finds_nothing_serious(page, panel, dark):
    page.theme(dark)
    assert axe(page) == []


@pytest.mark.parametrize("name", WIDGETS)
def test_it_fits_a_phone_and_can_be_read(page, panel, name):
    area = panel(name)
    try:
        assert fits_a_phone(area) == []
        assert page.page.viewport_size == PHONE
        assert area.evaluate(BREAKS) == [] and area.evaluate(SMALLEST) >= 11
    finally:
        page.page.set_viewport_size(VIEWPORT)
