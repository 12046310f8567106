"""What a reader without a kernel sees of every widget, and what every widget owes to its user."""

import ast
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import made_up_map
from PIL import Image

from kldanneal import Annealer, lab
from kldanneal.lab.plots import smooth
from kldanneal.lab.results.fair_map import FairMap
from kldanneal.lab.training.hand import Replay
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import records
from kldanneal.lab.widgets.driver import DriveTheWeight
from kldanneal.lab.widgets.explorer import ScheduleExplorer
from kldanneal.lab.widgets.figures import plot_driven, plot_units
from kldanneal.lab.widgets.panel import Panel
from kldanneal.lab.widgets.predictions import Prediction
from kldanneal.lab.widgets.side_by_side import SideBySide
from kldanneal.lab.widgets.small import GaussianKL, LinearSwitches
from kldanneal.lab.widgets.writers import OwnSentence, ZSliders

TINY = Settings(steps=40, batch_size=32, embedding=8, hidden=12, latent=4)
NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
PANELS = [
    name for name in lab.__all__ if isinstance(getattr(lab, name), type) and issubclass(getattr(lab, name), Panel)
]


@pytest.fixture(scope="module")
def shown(tiny_corpus):
    """Every widget by the name of its class."""
    records.forget()
    runs = {"one": Run(tiny_corpus, Annealer(10), TINY, name="one", device="cpu")}
    made = [
        ScheduleExplorer(FairMap(made_up_map())),
        SideBySide(tiny_corpus, TINY, device="cpu"),
        DriveTheWeight(tiny_corpus, TINY, device="cpu"),
        GaussianKL(),
        LinearSwitches(),
        OwnSentence(runs),
        ZSliders(runs),
        Prediction("Will the KL survive?", "no", ["yes", "no"]),
    ]
    for name in ("train", "toggle"):
        for panel in made[1:3]:
            if name in panel.inputs:
                panel.press(name)
    for panel in made[1:3]:
        panel.background.wait()
    return {type(panel).__name__: panel for panel in made}


def test_every_widget_is_looked_at(shown):
    assert sorted(shown) == PANELS


@pytest.mark.parametrize("name", [name for name in PANELS if name not in ("Prediction", "ZSliders")])
def test_there_is_a_picture_with_a_caption(shown, name):
    data, metadata = shown[name]._repr_mimebundle_()
    picture = Image.open(io.BytesIO(data["image/png"]))
    assert picture.size[0] >= 500 and len(np.unique(np.asarray(picture.convert("L")))) > 5
    alt = metadata["image/png"]["alt"]
    assert alt == data["text/plain"] and alt.startswith(shown[name].title.rstrip("?.")) and len(alt) > 80
    assert re.search(r"\d", alt)


@pytest.mark.parametrize("name", ["Prediction", "ZSliders"])
def test_where_there_is_no_picture_there_are_words(shown, name):
    data, _ = shown[name]._repr_mimebundle_()
    assert "image/png" not in data and len(re.sub("<[^>]+>", "", data["text/html"])) > 30


@pytest.mark.parametrize("name", PANELS)
def test_nothing_is_written_for_machines(shown, name):
    """No list of children, no minus nought, no name of a Python object."""
    panel = shown[name]
    said = json.dumps([panel.contents, repr(panel), panel._repr_mimebundle_()[0].get("text/html", "")])
    assert not re.search(r"children=|-0\.0+\b|False|None\b|object at|kldanneal\.", said)


@pytest.mark.parametrize("name", PANELS)
def test_numbers_that_can_be_moved_have_a_unit_or_an_explanation(shown, name):
    panel = shown[name]
    plain = {"seed"}  # needs none
    for key, one in panel.inputs.items():
        assert one.label and "_" not in one.label
        if one.kind in ("range", "field") and one.number and key not in plain:
            assert one.unit or one.tip, key


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_cell_of_a_lesson_moves_the_students_widget(path):
    """A cell that shows a widget may set it up. Another cell may read it, and neither move nor press anything."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    widgets: dict[str, int] = {}
    for i, source in enumerate(sources):
        assert (found := moves(source, {name for name, cell in widgets.items() if cell != i})) == [], found
        widgets |= dict.fromkeys(makes(source), i)


def tree(source):
    return ast.walk(ast.parse("\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in
                                        source.replace("    %pip", "    pass #").splitlines())))  # fmt: skip


def makes(source):
    """The names that a cell gives to widgets."""
    return [target.id for node in tree(source) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", "") in PANELS for target in node.targets]  # fmt: skip


def moves(source, widgets):
    """What a cell does to widgets beyond reading them."""
    found = []
    for node in tree(source):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found += [ast.unparse(node)] if getattr(node.value, "id", "") in widgets else []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            acts = node.func.attr in ("press", "act", "acted", "close", "start", "set", "set_state")
            found += (
                [ast.unparse(node)] if acts and ast.unparse(node.func).split(".")[0].split("[")[0] in widgets else []
            )
    return found


def test_a_cell_that_moves_a_widget_would_be_found():
    assert makes("explorer = ScheduleExplorer()\nx = 3\n%pip install x") == ["explorer"]
    for source in ("explorer['size'] = 500", "explorer.press('train')", "explorer.inputs['size'].set(500)"):
        assert moves(source, {"explorer"}) == [source.removesuffix(" = 500")] and moves(source, {"other"}) == []
    assert moves("print(explorer['size'], explorer.words())", {"explorer"}) == []


def test_the_cell_run_again_keeps_every_run(tiny_corpus):
    records.forget()
    made = [DriveTheWeight(tiny_corpus, TINY, device="cpu"), SideBySide(tiny_corpus, TINY, device="cpu")]
    for panel, button in zip(made, ("toggle", "train"), strict=True):
        panel.press(button)
        panel.background.wait()
        again = type(panel)(tiny_corpus, TINY, device="cpu")
        assert len(again.shelf.records) == 1 and again.record is panel.shelf.records[0]
        assert again.words() == panel.words()


# ------------------------------------------------------------------------------------------------ pictures for the page


def test_the_static_pictures_show_the_same(tiny_corpus):
    runs = [Run(tiny_corpus, Replay(weights), TINY).fit().history() for weights in ([0.5], [0.0, 1.0])]
    figure = plot_driven(runs[0], tiny_corpus, name="one", reference=("another", runs[1]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["another", "one", "one, -ELBO"]
    for history in runs:
        for axes, column in zip(figure.axes, ("kl_weight", "kl", "reconstruction"), strict=True):
            values = history[column] if column == "kl_weight" else smooth(history[column], 10)
            assert any(np.array_equal(drawn.get_ydata(), values) for drawn in axes.lines)
    both = np.add(smooth(runs[0]["kl"], 10), smooth(runs[0]["reconstruction"], 10))
    assert any(np.array_equal(drawn.get_ydata(), both) for drawn in figure.axes[2].lines)
    alone = plot_driven(runs[0], tiny_corpus)
    assert sum(len(drawn.get_ydata()) == TINY.steps for drawn in alone.axes[1].lines) == 1


def test_active_units_are_counted_and_coloured():
    (axes,) = plot_units([0.5, 0.0101, 0.0099, 0.0]).axes
    assert axes.get_title() == "active units: 2 of 4"
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.0101, 0.0099, 0.0]
