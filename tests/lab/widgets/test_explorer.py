"""Pictures that follow sliders, training beside them, and the schedule explorer, in the kernel."""

import io
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import our_threads, wait_for
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from kldanneal import Annealer
from kldanneal.lab.results.sweep import CONSTANT, TOTAL_STEPS, Cell, load_sweep
from kldanneal.lab.widgets.background import Background
from kldanneal.lab.widgets.explorer import ScheduleExplorer, plot_map, plot_outcome
from kldanneal.lab.widgets.picture import Picture


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB")).astype(int)


# ----------------------------------------------------------------------------------------------------------- pictures


def figure_with_a_line():
    figure = Figure(figsize=(3, 2), dpi=60)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1), title="a line")
    (line,) = axes.plot([0, 1], [0, 1])
    return figure, line


def test_a_picture_of_moving_lines_is_what_matplotlib_draws():
    figure, line = figure_with_a_line()
    picture = Picture(figure, [line])
    for ydata in ([0, 1], [1, 0], [0.2, 0.4]):
        line.set_ydata(ydata)
        picture.refresh()
        other, same_line = figure_with_a_line()
        same_line.set_ydata(ydata)
        png = io.BytesIO()
        other.savefig(png, format="png")
        # the line lies over the frame here and under it there: but for that, the same pixels
        different = (abs(pixels(picture.value) - pixels(png.getvalue())).max(axis=2) > 60).mean()
        assert different < 0.005
    assert picture.format == "png"


def test_a_whole_drawing_is_only_made_when_asked_for():
    figure, line = figure_with_a_line()
    picture = Picture(figure, [line])
    figure.axes[0].set_title("another title")
    before = bytes(picture.value)
    picture.refresh()
    assert bytes(picture.value) == before
    picture.refresh(whole=True)
    assert bytes(picture.value) != before


# --------------------------------------------------------------------------------------------------------- background


def until_stopped(stop):
    while not stop.is_set():
        time.sleep(0.005)


def test_a_job_ticks_while_it_runs_and_ends():
    calls = []
    background = Background("test", lambda: calls.append("tick"), lambda: calls.append("end"))
    background.start(until_stopped)
    assert background.running
    wait_for(lambda: calls.count("tick") >= 2, seconds=30)
    background.stop()
    assert calls[-1] == "end" and calls.count("end") == 1
    assert not background.running and our_threads() == []


def test_an_error_is_shown_and_escaped():
    def fails(stop):
        raise ValueError("a < b & c")

    background = Background("test", lambda: None, lambda: None)
    background.start(fails)
    background.wait()
    assert "ValueError: a &lt; b &amp; c" in background.message.value
    assert not background.running and our_threads() == []
    background.start(lambda stop: None)  # the next job begins with a clean sheet
    background.wait()
    assert background.message.value == ""


def test_an_error_in_a_callback_is_shown():
    background = Background("test", lambda: None, lambda: None)
    background.guard(lambda change: 1 / 0)({"new": 1})
    assert "ZeroDivisionError" in background.message.value


def test_a_new_one_of_the_same_kind_stops_the_job_of_the_old_one():
    first = Background("test", lambda: None, lambda: None)
    first.start(until_stopped)
    other_kind = Background("test of another kind", lambda: None, lambda: None)
    assert first.running
    Background("test", lambda: None, lambda: None)
    assert not first.running and not other_kind.running and our_threads() == []


def test_a_second_job_stops_the_first():
    order = []

    def first(stop):
        until_stopped(stop)
        order.append("first stopped")

    background = Background("test", lambda: None, lambda: None)
    background.start(first)
    background.start(lambda stop: order.append("second"))
    background.wait()
    assert order == ["first stopped", "second"]


def test_a_kernel_that_closes_is_not_held_up():
    code = """
import time
from concurrent.futures import ThreadPoolExecutor
from kldanneal.lab.widgets.background import Background
def job(stop):
    with ThreadPoolExecutor(1) as pool:           # Python waits for these at its end
        pool.submit(lambda: [time.sleep(0.01) for _ in iter(stop.is_set, True)]).result()
background = Background("test", lambda: None, lambda: None)
background.start(job)
time.sleep(0.5)
print(background.running)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True\n", "")


# ----------------------------------------------------------------------------------------------------------- explorer


@pytest.fixture
def explorer():
    """With runs of 60 updates behind its button."""
    sweep = load_sweep()
    settings = {**sweep.about["settings"], "steps": 60}
    explorer = ScheduleExplorer(replace(sweep, about={**sweep.about, "settings": settings}))
    yield explorer
    explorer.background.stop()


MOVES = {"shape": "cosine", "total_steps": 40, "cyclical": True, "ratio": 0.5, "baseline": 0.3}


@pytest.mark.parametrize("name", MOVES)
def test_each_control_changes_the_picture_and_draws_that_schedule(explorer, name):
    before = bytes(explorer.picture.value)
    getattr(explorer, name).value = MOVES[name]
    assert bytes(explorer.picture.value) != before
    settings = {"total_steps": 60, "ratio": 0.9, name: MOVES[name]}
    expected = Annealer(**settings).schedule(2000)
    assert list(explorer.outcome.chosen.get_ydata()) == expected
    assert explorer.background.message.value == ""


def test_the_curves_and_the_mark_are_those_of_the_closest_run(explorer):
    explorer.cyclical.value = True
    explorer.shape.value = "logistic"
    cell = Cell("logistic", True, 50)  # to 60
    outcomes = explorer.sweep.runs[cell]
    assert explorer.cell == cell
    for seed, outcome in enumerate(outcomes):
        assert list(explorer.outcome.curves["kl", seed].get_ydata()) == outcome.kl_curve
        assert list(explorer.outcome.curves["reconstruction", seed].get_ydata()) == outcome.reconstruction_curve
        assert f"<td>{outcome.kl:.3f}</td>" in explorer.summary.value
    assert explorer.map.mark.get_xy() == (TOTAL_STEPS.index(50) - 0.5, 5 - 0.5)
    assert "logistic, total_steps 50, cycles" in explorer.summary.value


def test_the_map_is_drawn_again_only_when_the_closest_run_changes(explorer):
    before = bytes(explorer.map_picture.value)
    explorer.baseline.value = 0.5
    assert bytes(explorer.map_picture.value) == before
    explorer.cyclical.value = True
    assert bytes(explorer.map_picture.value) != before


def test_cycles_set_the_length_of_one(explorer):
    assert explorer.cycles.disabled
    explorer.cyclical.value = True
    assert not explorer.cycles.disabled
    explorer.cycles.value = 3
    assert explorer.total_steps.value == 20
    assert explorer.annealer() == Annealer(20, cyclical=True, ratio=0.9)


def test_train_this_one_now(explorer):
    explorer.total_steps.value = 30
    explorer.button.click()
    explorer.background.wait()
    assert explorer.background.message.value == ""
    assert explorer.run.step == 60 and explorer.run.history()["kl_weight"][:31] == Annealer(30, ratio=0.9).schedule(31)
    assert len(explorer.outcome.now_kl.get_ydata()) == 60
    assert f"<td>{explorer.metrics.kl:.3f}</td>" in explorer.summary.value and "trained now" in explorer.summary.value
    assert explorer.button.description == "Train this one now" and our_threads() == []
    explorer.shape.value = "cosine"  # its curve belongs to another schedule
    assert "trained now" not in explorer.summary.value and len(explorer.outcome.now_kl.get_ydata()) == 0
    explorer.shape.value = "linear"
    assert "trained now" in explorer.summary.value and len(explorer.outcome.now_kl.get_ydata()) == 60


def test_stop_and_go_on(explorer, monkeypatch):
    from kldanneal.lab.training.run import Run

    update = Run.update
    monkeypatch.setattr(Run, "update", lambda run: (time.sleep(0.05), update(run)))
    explorer.button.click()
    wait_for(lambda: explorer.run.step > 2, seconds=30)
    assert explorer.button.description == "Stop"
    explorer.button.click()
    explorer.background.wait()
    stopped_at = explorer.run.step
    assert 2 < stopped_at < 60 and explorer.button.description == "Go on" and explorer.metrics is None
    monkeypatch.setattr(Run, "update", update)
    explorer.button.click()
    explorer.background.wait()
    assert explorer.run.step == 60 and explorer.metrics is not None


def test_a_run_that_fails_says_so(explorer, monkeypatch):
    from kldanneal.lab.training.run import Run

    def fails(run):
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(Run, "update", fails)
    explorer.button.click()
    explorer.background.wait()
    assert "FloatingPointError: the loss is not finite" in explorer.background.message.value
    assert explorer.button.description == "Train this one now" and not explorer.button.disabled


def test_static_pictures_show_the_same():
    annealer = Annealer(400, "cosine", cyclical=True)
    sweep = load_sweep()
    cell = sweep.closest(annealer)
    figure = plot_outcome(annealer)
    drawn = [line.get_ydata() for axes in figure.axes for line in axes.lines]
    assert any(list(ydata) == annealer.schedule(2000) for ydata in drawn)
    assert all(any(list(ydata) == run.kl_curve for ydata in drawn) for run in sweep.runs[cell])
    axes = plot_map(annealer).axes[0]
    shown = [float(text.get_text()) for text in axes.texts]
    assert len(shown) == 36 and shown[5] == pytest.approx(sweep.mean(Cell("linear", False, 2000), "kl"), abs=0.005)
    assert not plot_map(Annealer(1, disable=True)).axes[0].patches[0].get_visible() and CONSTANT in sweep.runs


def luminance(colour):
    """Of an sRGB colour, from 0 to 1, as WCAG 2 defines it."""
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_the_numbers_of_the_map_can_be_read_on_their_cells():
    sweep, axes = load_sweep(), plot_map().axes[0]
    shown = axes.images[0].to_rgba(axes.images[0].get_array())
    rows = [label.get_text() for label in axes.get_yticklabels()]
    for text in axes.texts:
        column, row = text.get_position()
        shape, mode = rows[row].split(", ")
        cell = Cell(shape, {"once": False, "cycles": True}[mode], TOTAL_STEPS[column])
        assert text.get_text() == f"{np.mean([run.kl for run in sweep.runs[cell]]):.2f}"
        low, high = sorted([luminance(shown[row, column]), luminance(text.get_color())])
        assert (high + 0.05) / (low + 0.05) > 4, cell  # black or white: one of them has 4.58 on any background
    assert len(axes.texts) == len(sweep.runs) - 1
