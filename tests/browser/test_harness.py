"""The harness sees what it should: proved on small notebooks that work, and on others that fail in one way each."""

import nbformat.v4 as nb
import pytest
from harness import drag, excerpt, fits_a_phone, operate, pixels, press, settled

SETUP = """
import io
import ipywidgets as W
from PIL import Image
from IPython.display import Javascript, display

def png(*colour, width=300):
    buffer = io.BytesIO()
    Image.new("RGB", (width, 100), tuple(int(part) % 256 for part in colour)).save(buffer, format="png")
    return buffer.getvalue()
"""
WORKS = """
colour = W.IntSlider(value=255, min=0, max=255, description="colour")
other = W.IntSlider(description="other", disabled=True)
on, which = W.Checkbox(description="on"), W.Dropdown(options=["red", "green"], description="which")
kind, small = W.SelectionSlider(options=["a", "b", "c"], description="kind"), W.ToggleButton(description="small")
button, clicks = W.Button(description="Next"), []
one_of = W.ToggleButtons(options=["A", "B", "C"], value="B")
picture = W.Image(value=png(0, 0, 0), layout=W.Layout(max_width="100%"))

def draw(_=None):
    other.disabled = not on.value
    red = (colour.value + 9 * on.value, other.value, 50 * len(clicks) + 7 * kind.index + small.value + 3 * one_of.index)
    picture.value = png(*(red if which.value == "red" else red[::-1]))

for control in (colour, other, on, which, kind, small, one_of):
    control.observe(draw, "value")
button.on_click(lambda _: (clicks.append(1), draw()))
W.VBox([colour, other, on, which, kind, small, one_of, button, picture])
"""
ONE_SLIDER = """
slider = W.IntSlider(description="colour")
picture = W.Image(value=png(9, 9, 9))
slider.observe(lambda change, picture=picture: {act}, "value")
W.VBox([slider, picture])
"""


def notebook(*sources, tags=()):
    cells = [nb.new_code_cell(source.strip()) for source in (SETUP, *sources)]
    for cell in cells[1:]:
        cell.metadata["tags"] = list(tags)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nb.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def test_every_control_is_moved_and_nothing_is_wrong(opened):
    page = opened(notebook(WORKS), "works")
    (area,) = page.widgets()
    page.screenshot("before")
    names = ["colour, by the mouse", "colour", "kind", "which", "on", "A", "B", "C", "small", "Next", "other"]
    assert operate(area) == names
    assert page.complaints() == []
    assert fits_a_phone(area) == []
    page.screenshot("phone")


def test_what_goes_wrong_is_seen(opened):
    new_bytes = "setattr(picture, 'value', bytes(picture.value) + b' ')"  # after the end of a PNG: no other pixels
    sources = [ONE_SLIDER.format(act=act) for act in ("None", new_bytes, "1 / 0")]
    sources += ["W.HBox([W.Image(value=png(1, 2, 3), layout=W.Layout(width='800px', flex='0 0 auto'))])"]
    page = opened(notebook(*sources), "wrong")
    still, same, broken, wide = page.widgets()
    for area in (still, same):
        source = area.locator("img").get_attribute("src")
        with pytest.raises(AssertionError, match="colour, by the keyboard: no picture changed"):
            operate(area, seconds=2)
        assert (area.locator("img").get_attribute("src") == source) == (area is still)
    assert operate(still, leave=("colour",)) == []
    assert page.complaints() == []

    before = settled(broken)
    for move in (press, drag):
        seen = len(page.complaints())
        move(broken.locator(".widget-slider"))
        assert {"kernel: ZeroDivisionError: division by zero"} == set(page.complaints()[seen:])
    assert pixels(broken) == before
    assert fits_a_phone(wide) != []
    assert fits_a_phone(still) == []


def test_errors_of_a_cell_of_the_page_of_the_log_and_on_show_are_seen(opened):
    sources = ["Javascript('console.error(1 + 1)')", "Javascript('setTimeout(() => nothing.here)')"]
    sources += [
        "display(W.HTML('<pre>ValueError: on show</pre>'))",
        "import os; os.write(2, b'OSError: in the log\\n')",
    ]
    page = opened(notebook(*sources, "1 / 0"), "errors")
    said = "\n".join(page.complaints())
    for part in ("console: 2", "page: nothing", "widget: ValueError", "server: OSError", "kernel: ZeroDivisionError"):
        assert part in said


def test_an_excerpt_has_the_first_cell_and_those_of_the_widgets():
    whole = notebook("1", "2", tags=["widget"])
    whole["cells"] += notebook("3", tags=["widget-setup", "x"])["cells"][1:] + notebook("4", tags=["x"])["cells"][1:]
    whole["cells"].insert(0, nb.new_markdown_cell("Why?"))
    assert [cell["source"] for cell in excerpt(whole)["cells"]] == [SETUP.strip(), "1", "2", "3"]
    assert len(whole["cells"]) == 6
