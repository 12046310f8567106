"""The harness sees what it should: proved on small notebooks that work, and on others that fail in one way each."""

import pytest
from cells import notebook
from harness import act, control, drag, fits_a_phone, operate, press, settled, shown

SETUP = """
from IPython.display import HTML, Javascript, display
from kldanneal.lab.widgets import charts, controls
from kldanneal.lab.widgets.panel import Panel

class Toy(Panel):
    def __init__(self, act=lambda name: None, **inputs):
        self.act_on, self.clicks = act, 0
        names = [f"control:{name}" for name in inputs]
        super().__init__("Toy", [[names, ["text:result", "text:error", "chart:one"]]], inputs)
        self.refresh()

    def acted(self, name, value):
        self.clicks += name == "next"
        if self.act_on:
            self.act_on(name)

    def draw(self):
        if self.act_on is not None:
            said = [control.value for control in self.inputs.values()]
            self.result(f"{said} {self.clicks}")
            lines = [charts.line([0, self.clicks + 1], "blue")]
            self.show("chart:one", charts.chart("a line", (0, 1), "x", [charts.panel("y", (0, 9), 80, lines=lines)]))
"""
WORKS = """
Toy(colour=controls.slider("colour", 0, 0, 255, 1), kind=controls.choice("kind", [("a", "A"), ("b", "B")], "a"),
    which=controls.select("which", [(1, "one"), (2, "two")], 1), on=controls.check("on", False),
    size=controls.number_field("size", 1, 0, 9), word=controls.text_field("word", "x"), next=controls.button("Next"))
"""
ONE_SLIDER = "toy = Toy({act}, colour=controls.slider('colour', 0, 0, 255, 1)); {after}; toy"


def test_every_control_is_acted_on_once_a_click_and_nothing_is_wrong(opened):
    page = opened(notebook(SETUP, WORKS), "works")
    (area,) = page.widgets()
    page.screenshot("before")
    assert operate(area) == ["colour", "kind", "which", "on", "size", "word", "next"]
    before = settled(area)
    drag(control(area, "colour"))
    assert settled(area) != before
    assert page.complaints() == []
    assert fits_a_phone(area) == []
    page.screenshot("phone")
    # a double click is one click, and keys reach the panel only
    page.page.wait_for_timeout(600)
    control(area, "next").locator("button").dblclick()
    settled(area)
    assert area.locator(".kl-result").inner_text().endswith("] 2")
    cells = page.page.locator(".jp-Cell").count()
    control(area, "colour").locator("input").focus()
    for key in ("a", "b", "d", "d", "x", "ArrowDown", "PageUp"):  # which JupyterLab would take as commands
        page.page.keyboard.press(key)
    assert page.page.locator(".jp-Cell").count() == cells and page.complaints() == []


def test_what_goes_wrong_is_seen(opened):
    frozen = "setattr(toy, 'act_on', None)"
    sources = [ONE_SLIDER.format(act="lambda name: None", after=frozen)]
    sources += [ONE_SLIDER.format(act="lambda name: 1 / 0", after="0")]
    page = opened(notebook(SETUP, *sources), "wrong")
    still, broken = page.widgets()
    with pytest.raises(AssertionError, match="colour: nothing changed"):
        operate(still, seconds=2)
    assert operate(still, leave=("colour",)) == [] and page.complaints() == []
    press(control(broken, "colour"), 1)
    settled(broken)
    assert "widget: ZeroDivisionError: division by zero" in page.complaints()
    before = shown(broken)
    act(control(broken, "colour"))
    assert settled(broken) != before
    still.evaluate("area => { area.firstChild.style.width = '900px' }")
    assert fits_a_phone(still) != []


def test_errors_of_a_cell_of_the_page_and_of_the_log_are_seen(opened):
    sources = ["Javascript('console.error(1 + 1)')", "Javascript('setTimeout(() => nothing.here)')"]
    sources += ["display(HTML('<div class=kl-error>ValueError: on show</div>'))"]
    sources += ["import os; os.write(2, b'OSError: in the log\\n')"]
    page = opened(notebook(SETUP, *sources, "1 / 0"), "errors")
    said = "\n".join(page.complaints())
    for part in ("console: 2", "page: nothing", "widget: ValueError", "server: OSError", "kernel: ZeroDivisionError"):
        assert part in said
