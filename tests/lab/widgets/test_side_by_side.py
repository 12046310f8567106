"""The side-by-side in the kernel: any two schedules, their tail at weight 1, and a history that keeps everything."""

from dataclasses import replace

import pytest
from conftest import our_threads, wait_for

from kldanneal import Annealer
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.plots import smooth
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.schedules import Then
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import records
from kldanneal.lab.widgets.figures import plot_side_by_side
from kldanneal.lab.widgets.side_by_side import SideBySide, identical

SMALL = Settings(steps=40, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
ENDLESS = replace(SMALL, steps=10**5)


@pytest.fixture
def make(tiny_corpus):
    records.forget()
    made = []

    def make(settings=SMALL):
        made.append(SideBySide(tiny_corpus, settings, seed=3, device="cpu"))
        return made[-1]

    yield make
    for widget in made:
        widget.background.stop()
    assert our_threads() == []


@pytest.fixture
def widget(make):
    return make()


def finish(widget, button="train"):
    widget.press(button)
    widget.background.wait()
    assert widget.error == "" and not widget.background.running


def alone(corpus, annealer, until=40):
    """The run that a side should be, trained by itself."""
    settings = replace(SMALL, steps=80)
    return Run(corpus, Then(annealer, 40), settings, seed=3, device="cpu").fit(until=until)


# ------------------------------------------------------------------------------------------------------------- controls


@pytest.mark.parametrize(
    "moves, weights",
    [
        ({"right_schedule": "constant", "right_weight": 0.5}, [0.5] * 40),
        ({"right_schedule": "once", "right_ramp": 13, "right_shape": "cosine"}, Annealer(13, "cosine").schedule(40)),
        ({"right_cycles": 7}, Annealer(6, cyclical=True, ratio=0.5).schedule(40)),
        ({"right_cycles": 1}, Annealer(40, cyclical=True, ratio=0.5).schedule(40)),
    ],
)
def test_any_schedule_can_be_chosen_and_is_drawn_as_it_will_be(widget, moves, weights):
    for name, value in moves.items():
        widget[name] = value
    assert list(widget.sides["right"].planned()) == weights
    assert [widget.sides["right"].annealer().weight] == weights[:1]
    assert widget.contents["chart:both"]["panels"][0]["lines"][1]["y"] == pytest.approx(weights, abs=1e-3)


@pytest.mark.parametrize("cycles", range(1, 21))
def test_cycles_and_their_length_never_contradict_each_other(widget, cycles):
    widget["right_cycles"] = cycles
    length = widget.sides["right"].cycle()
    assert (cycles - 1) * length <= 40 <= cycles * length or -(-40 // length) <= cycles
    assert widget.inputs["right_cycles"].unit == f"of {length:,} updates"
    assert f"of {length:,}" in widget.words()


def test_the_stretch_in_which_both_are_the_same_is_shaded(widget):
    assert widget.contents["chart:both"]["shade"] == [0, 10]  # a ramp of 5, then 1; the first cycle has 10
    assert "the schedules are the same until update 10" in widget.words().lower()
    assert identical([0, 1, 1], [0, 1, 0]) == 2 and identical([0, 1], [0, 1]) == 2
    widget["right_schedule"] = "constant"
    assert widget.contents["chart:both"]["shade"] is None


# ------------------------------------------------------------------------------------------------------------- training


def test_both_are_trained_on_the_same_seed_and_the_result_is_in_words(widget, tiny_corpus):
    finish(widget)
    for side, annealer in (("left", Annealer(5)), ("right", Annealer(10, cyclical=True, ratio=0.5))):
        run = alone(tiny_corpus, annealer)
        assert widget.record.runs[side].history() == run.history()
        metrics = evaluate(run.model, tiny_corpus.test, iw_samples=5)
        assert widget.record.moments[side] == [(40, metrics)]
        assert f"{side} KL {metrics.kl:.3f} ({metrics.active_units} of 4 units active" in widget.words()
    left, right = (widget.record.runs[side].history()["kl"] for side in ("left", "right"))
    assert left[:10] == right[:10] and left[10] == right[10] and left[11] != right[11]
    assert "Done, 40 updates" in widget.words() and "One seed (3)" in widget.words()
    drawn = widget.contents["chart:both"]["panels"][1]["lines"]
    assert drawn[0]["y"] == pytest.approx(smooth(left, 20), rel=1e-3)


def test_the_tail_goes_on_with_both_at_weight_1(widget, tiny_corpus):
    assert widget.inputs["tail"].disabled
    finish(widget)
    before = widget.record.at("right", 40)
    finish(widget, "tail")
    run = alone(tiny_corpus, Annealer(10, cyclical=True, ratio=0.5), until=80)
    assert widget.record.runs["right"].history() == run.history()
    assert run.history()["kl_weight"][40:] == [1.0] * 40
    assert widget.record.at("right", 40) is before  # what was measured before the tail is still there
    kl = widget.record.at("right", 80).metrics.kl
    assert f"right from {before.metrics.kl:.3f} to {kl:.3f}" in widget.words() and widget.inputs["tail"].disabled


def test_a_press_never_destroys_a_finished_comparison(widget):
    finish(widget)
    record, words = widget.record, widget.words()
    finish(widget)  # the same again: the button is disabled
    assert widget.shelf.records == [record] and widget.words() == words
    widget["right_cycles"] = 2
    assert "Done" not in widget.words()
    finish(widget)
    assert len(widget.shelf.records) == 2 and record.at("left", 40)
    widget.press("history", record.number)
    assert widget["right_cycles"] == 4 and widget.words() == words
    widget["right_cycles"] = 2
    assert "Done" in widget.words()  # put back, it is seen again


def test_the_cell_run_again_shows_what_was_there(make):
    first = make()
    first["left_ramp"] = 9
    finish(first)
    again = make()
    assert again["left_ramp"] == 9 and again.words() == first.words() and again.shelf is first.shelf


def test_stopped_and_resumed_is_the_same_bit_for_bit(widget, tiny_corpus, monkeypatch):
    update = Run.update

    def counted(run):
        update(run)
        if run.step == 11:
            widget.background.ask_to_stop()

    with monkeypatch.context() as patched:
        patched.setattr(Run, "update", counted)
        finish(widget)
    assert "Stopped after" in widget.words() and widget.inputs["train"].label == "Go on"
    finish(widget)
    assert widget.record.runs["left"].history() == alone(tiny_corpus, Annealer(5)).history()


def test_a_second_press_stops_and_a_third_goes_on(make):
    widget = make(ENDLESS)
    widget.press("train")
    assert widget.inputs["train"].label == "Stop" and "Training" in widget.words()
    wait_for(lambda: widget.record.runs and all(run.step > 2 for run in widget.record.runs.values()))
    widget["right_cycles"] = 9  # a control that is moved meanwhile loses nothing
    widget.press("train")
    assert widget.inputs["train"].disabled  # until it has stopped
    widget.background.wait()
    assert widget.inputs["train"].label == "Train both"
    widget["right_cycles"] = 4
    assert widget.inputs["train"].label == "Go on"


def test_an_error_in_a_run_stops_the_other_and_both_are_kept(make, monkeypatch):
    widget = make(ENDLESS)
    update = Run.update

    def fails(run):
        if run.name == "right" and run.step == 5:
            raise FloatingPointError("The loss is not finite at step 5 of <right>")
        update(run)

    monkeypatch.setattr(Run, "update", fails)
    widget.press("train")
    widget.background.wait()
    assert "FloatingPointError: The loss is not finite at step 5 of &lt;right&gt;" in widget.contents["text:error"]
    assert widget.record.runs["right"].step == 5 and widget.inputs["train"].label == "Go on"


def test_a_saved_drive_is_offered_as_a_schedule(widget, tiny_corpus):
    records.drives()["drive 1 (by hand)"] = [0.0] * 30 + [0.4]
    widget.refresh()
    widget["right_schedule"] = "drive 1 (by hand)"
    assert list(widget.sides["right"].planned()) == [0.0] * 30 + [0.4] * 10
    finish(widget)
    assert widget.record.runs["right"].history()["kl_weight"] == [0.0] * 30 + [0.4] * 10


def test_sentences_of_both_models_follow_the_slider(widget, tiny_corpus):
    assert "Train both first" in widget.contents["text:sentences"]
    finish(widget)
    for number in (0, 5):
        widget["sentence"] = number
        shown = widget.contents["text:sentences"]
        assert tiny_corpus.decode(tiny_corpus.test[number]) in shown
        for side, run in widget.record.runs.items():
            (written,) = run.model.eval().reconstruct(tiny_corpus.test[number][None])
            assert f"<b>{side}</b>" in shown and (tiny_corpus.decode(written) or "(nothing)") in shown


# --------------------------------------------------------------------------------------------------- a static picture


def test_the_static_picture_shows_the_histories(tiny_corpus):
    schedules = {"monotonic": Annealer(100), "cyclical": Annealer(100, cyclical=True)}
    comparison = Comparison(tiny_corpus, schedules, replace(SMALL, steps=200)).fit(progress=False)
    histories = {name: comparison.runs[name, 0].history() for name in comparison.schedules}
    figure = plot_side_by_side(histories, tiny_corpus)
    for i, history in enumerate(histories.values()):
        drawn = [list(line.get_ydata()) for line in figure.axes[i].lines]
        assert list(history["kl_weight"]) in drawn
