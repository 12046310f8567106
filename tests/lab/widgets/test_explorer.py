"""The schedule explorer in the kernel: it tells the truth, the map takes a guess, and nothing is lost."""

from dataclasses import replace

import pytest
from conftest import made_up_map, our_threads, wait_for

from kldanneal.lab.metrics import evaluate
from kldanneal.lab.results.fair_map import FairMap
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import explorer as module
from kldanneal.lab.widgets import records
from kldanneal.lab.widgets.explorer import ScheduleExplorer

TINY = Settings(steps=2000, batch_size=16, embedding=4, hidden=8, latent=2)
NOTHING = "No stored run like this: train it."


@pytest.fixture(scope="module")
def stored():
    return FairMap(made_up_map(distances=(0, 20, 500, 4000)))


@pytest.fixture
def make(stored, tiny_corpus, monkeypatch):
    """Makes explorers of a small map that train a tiny model on few sentences."""
    monkeypatch.setattr(module, "QUICK", TINY)
    monkeypatch.setattr(module, "load_corpus", lambda name: tiny_corpus)
    records.forget()
    made = []

    def make(uncovered=True):
        made.append(ScheduleExplorer(stored))
        made[-1]["distance"] = 20
        if uncovered:
            made[-1].press("uncover")
        return made[-1]

    yield make
    for widget in made:
        widget.background.stop()
    assert our_threads() == []


def found(widget):
    """Whether the numbers of stored runs are on show."""
    return bool(widget.contents["table:numbers"]["rows"])


def train(widget):
    widget.press("train")
    widget.background.wait()
    assert widget.error == ""


# ------------------------------------------------------------------------------------------------------------- truthful


def test_a_schedule_on_the_grid_shows_its_own_stored_numbers(make, stored):
    widget = make()
    widget["course"], widget["shape"], widget["size"], widget["distance"] = "in cycles", "cosine", 500, 4000
    kl = stored.kl(widget.cell(), 0.0, 4000)
    assert f"At distance 4,000: KL {kl:.3f}; it survives. 2 seeds" in widget.words()
    assert found(widget) and "Close to" not in widget.words()


@pytest.mark.parametrize(
    "moves, says",
    [
        ({"ratio": 0.5}, "none"),
        ({"highest": 0.5}, "none"),
        ({"baseline": 0.1}, "close"),
        ({"baseline": 0.0}, "same"),
    ],
)
def test_numbers_are_never_shown_as_those_of_another_schedule(make, moves, says):
    widget = make()
    for name, value in moves.items():
        widget[name] = value
    assert found(widget) == (says != "none")
    assert (NOTHING in widget.words()) == (says == "none")
    assert ("Close to this" in widget.words()) == (says == "close")
    assert ("collapsed" in widget.words() or "survives" in widget.words()) == (says != "none")


def test_a_constant_weight_of_1_is_told_as_what_it_is(make):
    widget = make()
    widget["course"] = "constant"
    assert "After 20 updates: KL 0.005; the posterior has collapsed." in widget.words()


@pytest.mark.parametrize("course", ["once", "in cycles"])
def test_a_ramp_from_1_is_a_constant_weight_of_1_whatever_its_name(make, course):
    widget = make()
    widget["course"], widget["size"] = course, 500
    kept = widget.words()
    widget["baseline"] = 1.0
    assert "KL 0.005; the posterior has collapsed." in widget.words() and "survives" in kept


def test_a_baseline_of_1_takes_the_highest_weight_with_it(make):
    widget = make()
    widget["highest"], widget["baseline"] = 0.5, 0.8
    assert (widget["baseline"], widget["highest"]) == (0.8, 0.8)
    widget["highest"] = 0.3
    assert (widget["baseline"], widget["highest"]) == (0.3, 0.3)


def test_controls_snap_to_what_is_stored(make, stored):
    widget = make()
    for name, values in (("size", stored.sizes), ("constant", stored.weights), ("distance", stored.distances)):
        assert [value for value, _ in widget.inputs[name].options] == values
        with pytest.raises(ValueError, match=r"Expected .* to be one of"):
            widget[name] = 333


def test_the_ramp_of_cycles_is_drawn_as_it_is_named(make):
    widget = make()
    widget["course"] = "in cycles"
    assert widget.plan().job.annealer["cycles"] == 4 and "4 cycles of 500" in widget.contents["chart:outcome"]["alt"]
    assert widget.inputs["constant"].hidden and not widget.inputs["size"].hidden


# ------------------------------------------------------------------------------------------------------------------ map


def test_the_map_starts_covered_and_gives_nothing_away(make):
    widget = make(uncovered=False)
    for name, value in (("size", 2000), ("course", "in cycles"), ("distance", 4000)):
        widget[name] = value
        assert not found(widget) and "Where will the KL survive?" in widget.words()
    texts = {cell["text"] for row in widget.contents["map:grid"]["cells"][:-1] for cell in row}
    assert texts == {"?"}
    assert len(widget.contents["chart:outcome"]["panels"][1]["lines"]) == 0


def test_a_guess_gets_its_score(make, stored):
    widget = make(uncovered=False)
    cells = widget.map.cells()
    kl = {cell: stored.kl(cell, 0.0, 20) for row in cells for cell in row if cell}
    alive = [(r, c) for r, row in enumerate(cells) for c, cell in enumerate(row) if cell and kl[cell] >= 0.1]
    for at in alive[:-1]:  # one is missed
        widget.press("grid", at)
    widget.press("grid", alive[0])  # and one mark is taken away again
    widget.press("uncover")
    assert f"Your guess: {len(kl) - 2} of {len(kl)} right" in widget.contents["text:score"]
    assert widget.inputs["uncover"].hidden
    crossed = [
        one["name"] for row in widget.contents["map:grid"]["cells"] for one in row if one and "\u2717" in one["text"]
    ]
    assert len(crossed) == 2 and all("your guess was wrong" in name for name in crossed)


def test_uncovered_without_a_mark_there_is_no_score_and_a_cell_sets_the_controls(make):
    widget = make()
    assert widget.contents["text:score"] == ""
    for r, row in enumerate(widget.map.cells()):
        for c, cell in enumerate(row):
            if cell:
                widget.press("grid", (r, c))
                assert widget.cell() == cell and widget.plan().match.apart == 0
                shown = widget.contents["map:grid"]["cells"][r][c]
                assert shown["pressed"] and f"{widget.stored.kl(cell, 0.0, 20):.2f}" in shown["text"]


def test_without_stored_runs_it_still_trains(make, tiny_corpus):
    widget = ScheduleExplorer(FairMap([]))
    assert NOTHING in widget.words() and widget.inputs["uncover"].hidden
    widget.close()


# ------------------------------------------------------------------------------------------------------------- training


def test_what_it_trained_is_shown_with_its_update(make, tiny_corpus):
    widget = make()
    widget["size"] = 62
    plan = widget.plan()
    train(widget)
    settings = replace(TINY, steps=plan.low + 4000)
    alone = Run(tiny_corpus, plan.job.schedule(), settings, seed=0, device="cpu").fit(until=plan.low + 20)
    metrics = evaluate(alone.model, tiny_corpus.test)
    assert widget.record.last("run") == (plan.low + 20, metrics)
    assert f"Trained here, at distance 20: KL {metrics.kl:.3f}" in widget.words()
    row = widget.contents["table:history"]["rows"][0]["cells"]
    assert row[1:4] == [f"{plan.low + 20}", f"{plan.low + 20}", f"{metrics.kl:.3f}"]
    assert widget.record.at("run", plan.low).update == plan.low  # measured on the way as well


def test_nothing_is_lost_by_any_press_and_a_row_restores(make):
    widget = make()
    widget["size"] = 62
    train(widget)
    before = widget.record
    train(widget)  # it is there already: the button is disabled
    widget["shape"] = "cosine"
    train(widget)
    assert [record.number for record in widget.shelf.records] == [1, 2] and widget.shelf.records[0] is before
    widget.press("history", 1)
    assert widget["shape"] == "linear" and widget.record is before and "Trained here" in widget.words()
    again = ScheduleExplorer(widget.stored)  # the cell is run again
    assert again.shelf.records[0] is before and again["shape"] == "cosine" and "Trained here" in again.words()
    again.close()


def test_stopped_it_goes_on_and_the_controls_move_meanwhile(make):
    widget = make()
    widget["distance"] = 4000
    widget.press("train")
    assert widget.inputs["train"].label == "Stop" and "Training" in widget.words()
    wait_for(lambda: widget.record.runs["run"].step > 3)
    record = widget.record
    widget["shape"] = "logistic"
    widget.press("train")
    widget.background.wait()
    widget["shape"] = "linear"
    assert widget.inputs["train"].label == "Go on" and "Stopped after" in widget.words()
    at = record.runs["run"].step
    widget.press("train")
    wait_for(lambda: record.runs["run"].step > at)
    assert widget.shelf.records == [record]


def test_an_error_leaves_the_run_as_it_was(make, monkeypatch):
    widget = make()
    update = Run.update

    def fails(run):
        if run.step == 5:
            raise FloatingPointError("The loss is not finite at step 5")
        update(run)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "update", fails)
        widget.press("train")
        widget.background.wait()
    assert "FloatingPointError: The loss is not finite" in widget.contents["text:error"]
    assert widget.record.runs["run"].step == 5 and widget.inputs["train"].label == "Go on"
