"""The KL weight driven by hand, a drive replayed, and the widget for both, in the kernel."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import our_threads, same, wait_for

from kldanneal import Annealer
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.plots import smooth
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.hand import HandWeight, Replay
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.schedules import parse_schedule
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import records
from kldanneal.lab.widgets.driver import DriveTheWeight, compare_runs, first

SMALL = Settings(steps=40, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
ENDLESS = replace(SMALL, steps=20_000)


# --- the hand's weight ------------------------------------------------------------------------------------------------


def drive(hand, weights):
    for weight in weights:
        hand.position = weight
        hand(torch.ones(()))
        hand.step()


@pytest.mark.parametrize(
    "value, error, message",
    [
        (1.5, ValueError, r"Expected {} to be in \[0, 1\], but got 1.5"),
        (-0.1, ValueError, r"Expected {} to be in \[0, 1\], but got -0.1"),
        (float("nan"), ValueError, r"Expected {} to be in \[0, 1\], but got nan"),
        ("0.5", TypeError, "Expected {} to be a number, but got '0.5'"),
        (True, TypeError, "Expected {} to be a number, but got True"),
        (None, TypeError, "Expected {} to be a number, but got None"),
    ],
)
def test_a_weight_is_a_number_from_0_to_1(value, error, message):
    with pytest.raises(error, match=message.format("position")):
        HandWeight(value)
    hand = HandWeight(0.25)
    with pytest.raises(error, match=message.format("position")):
        hand.position = value
    assert hand.position == hand.weight == 0.25
    with pytest.raises(error, match=message.format(r"weights\[1\]")):
        Replay([0.5, value])


def test_the_hand_notes_the_weight_of_each_update():
    hand = HandWeight(0.5)
    hand.step()  # not looked at, but an update all the same
    drive(hand, [0.0, 1, np.float64(0.25)])
    assert hand.weights == [0.5, 0.0, 1.0, 0.25] and all(type(weight) is float for weight in hand.weights)
    assert hand(2.0) == 0.5


def test_an_update_has_one_weight_whenever_the_hand_moves():
    hand = HandWeight(0.25)
    looked = hand.weight
    hand.position = 0.75  # a slider's event, in the middle of an update
    assert (looked, hand(1.0), hand.weight) == (0.25, 0.25, 0.25)
    hand.step()
    hand.position = 0.5  # between two updates
    assert (hand(1.0), hand.weights) == (0.5, [0.25])


def test_a_replay_plays_the_weights_and_stays_at_the_last():
    weights = [0.0, 0.5, 1.0, 0.25]
    played = Replay(np.array(weights))
    heard = []
    for _ in range(6):
        heard.append((played.weight, played(2.0)))
        played.step()
    assert heard == [(weight, 2 * weight) for weight in [*weights, 0.25, 0.25]]


@pytest.mark.parametrize(
    "weights, error, message",
    [([], ValueError, "at least one weight"), (3, TypeError, "a sequence of numbers, but got 3"),
     ("01", TypeError, r"weights\[0\] to be a number, but got '0'")],
)  # fmt: skip
def test_a_replay_needs_weights(weights, error, message):
    with pytest.raises(error, match=message):
        Replay(weights)


def test_states_are_plain_data_and_go_on():
    hand, played = HandWeight(), Replay([0.0, 0.5, 1.0])
    drive(hand, [0.25, 0.75])
    hand.position = 0.125
    played.step()
    for kept, twin in ((hand, HandWeight(1.0)), (played, Replay([0.0, 0.5, 1.0]))):
        saved = json.loads(json.dumps(kept.state_dict()))
        twin.load_state_dict(saved)
        assert twin.state_dict() == saved and twin.weight == kept.weight
        kept.step()  # a state is a copy
        assert twin.state_dict() == saved


def test_a_state_ends_the_update_that_was_under_way():
    hand = HandWeight(0.25)
    assert hand(2.0) == 0.5  # looked at: an update has begun
    hand.load_state_dict({"position": 0.75, "weights": [0.5]})
    assert hand(2.0) == 1.5
    hand.step()
    assert hand.weights == [0.5, 0.75]


@pytest.mark.parametrize(
    "make, state, message",
    [
        (HandWeight, {"position": 0.5}, "state of a HandWeight with position, weights, but got position$"),
        (HandWeight, [0.5], "but got list"),
        (HandWeight, {"position": 2.0, "weights": []}, "position to be in"),
        (HandWeight, {"position": 0.5, "weights": [0.0, 7.0]}, r"weights\[1\] to be in"),
        (lambda: Replay([0.5, 1.0]), Annealer(10).state_dict(), "state of a Replay"),
        (lambda: Replay([0.5, 1.0]), {"weights": [0.5, 0.9], "current_step": 1}, "of 2 here and 2 there the first 1"),
        (lambda: Replay([0.5, 1.0]), {"weights": [0.5], "current_step": 1}, "of 2 here and 1 there the first 1"),
        (lambda: Replay([0.5, 1.0]), {"weights": [0.5, 1.0], "current_step": -1}, "at least 0, but got -1"),
        (lambda: Replay([0.5, 1.0]), {"weights": [0.5, 1.0], "current_step": 1.5}, "an integer"),
    ],
)
def test_another_state_is_refused_and_nothing_changes(make, state, message):
    kept = make()
    before = kept.state_dict()
    with pytest.raises((ValueError, TypeError), match=message):
        kept.load_state_dict(state)
    assert kept.state_dict() == before


# --- in a run ---------------------------------------------------------------------------------------------------------


def of_training(run):
    """All of a run's state but what its schedule is."""
    return {name: part for name, part in run.state_dict().items() if name not in ("annealer", "identity")}


def test_a_replayed_drive_is_the_same_run_bit_for_bit(tiny_corpus):
    hand = HandWeight()
    run = Run(tiny_corpus, hand, SMALL, seed=3)
    criterion, looks = run.criterion, []

    def moved_in_the_middle(*arguments):
        looks.append(hand.weight)
        hand.position = (7 * len(looks) % 40) / 40
        return criterion(*arguments)

    moved_in_the_middle.free_bits = 0.0
    run.criterion = moved_in_the_middle
    run.fit()
    assert hand.weights == looks == run.history()["kl_weight"] and len(set(hand.weights)) == 40
    again = Run(tiny_corpus, Replay(hand.weights), SMALL, seed=3).fit()
    assert same(of_training(again), of_training(run))
    other = Run(tiny_corpus, Replay([*hand.weights[:20], 0.0, *hand.weights[21:]]), SMALL, seed=3).fit()
    assert not same(of_training(other), of_training(run))


def test_a_replay_of_an_annealers_weights_is_the_annealers_run(tiny_corpus):
    for annealer in (Annealer(10, "cosine", cyclical=True), Annealer(1, disable=True)):
        replayed = Run(tiny_corpus, Replay(annealer.schedule(SMALL.steps)), SMALL).fit()
        assert same(of_training(replayed), of_training(Run(tiny_corpus, annealer, SMALL).fit()))


@pytest.mark.parametrize("make", [lambda: HandWeight(0.5), lambda: Replay([i / 40 for i in range(40)])])
def test_interrupted_and_resumed_is_the_same_bit_for_bit(tiny_corpus, tmp_path, make):
    uninterrupted = Run(tiny_corpus, make(), SMALL).fit()
    stop = threading.Event()
    first_part = Run(tiny_corpus, make(), SMALL)
    first_part.fit(tmp_path / "run.pt", stop=stop, on_update=lambda: first_part.step == 13 and stop.set())
    assert first_part.step == 13
    resumed = Run(tiny_corpus, make(), SMALL).load(tmp_path / "run.pt").fit()
    assert same(resumed.state_dict(), uninterrupted.state_dict())


def test_a_drive_takes_part_in_a_comparison(tiny_corpus):
    drives = {"by hand": Replay([0.0] * 10 + [1.0]), "constant": Annealer(1, disable=True)}
    comparison = Comparison(tiny_corpus, drives, SMALL, device="cpu").fit(progress=False)
    assert comparison.runs["by hand", 0].history()["kl_weight"] == [0.0] * 10 + [1.0] * 30
    assert drives["by hand"].current_step == 0 and comparison.finished()


# --- the widget -------------------------------------------------------------------------------------------------------


@pytest.fixture
def make(tiny_corpus):
    """Makes widgets, at full speed; none leaves a thread behind."""
    records.forget()
    made = []

    def make(settings=SMALL):
        made.append(DriveTheWeight(tiny_corpus, settings, seed=3, device="cpu"))
        made[-1]["pace"] = 200
        return made[-1]

    yield make
    for widget in made:
        widget.background.stop()
    assert our_threads() == []


def finish(widget, button):
    widget.press(button)
    widget.background.wait()
    assert not widget.background.running and widget.error == ""


def rows(widget):
    return {row["cells"][0]: row["cells"][1:] for row in widget.contents["table:history"]["rows"]}


def lines(widget, panel, color):
    return [drawn for drawn in widget.contents["chart:run"]["panels"][panel]["lines"] if drawn["color"] == color]


def drive_for(widget, weights, updates=3):
    """Starts, moves the slider to each weight for some updates, and pauses."""
    widget.press("toggle")
    for weight in weights:
        widget["weight"] = weight
        at = len(widget.drive())
        wait_for(lambda at=at: len(widget.drive()) > at + updates or not widget.background.running)
    if widget.background.running:
        finish(widget, "toggle")
    widget.background.wait()


def test_the_slider_moves_the_mark_at_once(make):
    widget = make()
    widget["weight"] = 0.7
    assert widget.contents["chart:run"]["panels"][0]["marks"] == [{"x": 0, "y": 0.7, "color": "vermilion"}]


def test_a_move_reaches_the_run_and_then_the_curves(make):
    widget = make(ENDLESS)
    assert widget.inputs["toggle"].label == "Start" and widget.inputs["replay"].disabled
    widget.press("toggle")
    assert widget.inputs["toggle"].label == "Pause" and widget.inputs["train"].disabled
    wait_for(lambda: lines(widget, 1, "vermilion") and len(lines(widget, 1, "vermilion")[0]["y"]) > 1)
    at = len(widget.drive())
    widget["weight"] = 0.62
    wait_for(lambda: 0.62 in lines(widget, 0, "vermilion")[0]["y"])
    weights = widget.drive()
    assert set(weights[:at]) == {0.0} and weights.index(0.62) <= at + 1  # the update under way keeps its own
    wait_for(lambda: "Driving" in widget.words() and "-ELBO" in widget.words())
    finish(widget, "toggle")
    assert widget.run.history()["kl_weight"] == widget.drive()


def test_numbers_belong_to_the_update_that_they_name(make, tiny_corpus):
    widget = make(ENDLESS)
    drive_for(widget, [0.5])
    first_stop, shown = widget.run.step, rows(widget)["drive 1"]
    drive_for(widget, [0.9, 0.1])
    assert widget.run.step > first_stop
    for moment in widget.record.moments["run"]:  # each is what the run was worth then: trained again up to there
        again = Run(tiny_corpus, Replay(widget.drive()), ENDLESS, seed=3, device="cpu").fit(until=moment.update)
        assert moment.metrics == evaluate(again.model, tiny_corpus.test, iw_samples=1)
    assert [moment.update for moment in widget.record.moments["run"]] == [first_stop, widget.run.step]
    assert shown[:2] == [f"{first_stop:,}"] * 2 and rows(widget)["drive 1"][:2] == [f"{widget.run.step:,}"] * 2
    look = widget.record.parts["look"]
    again = Run(tiny_corpus, Replay(widget.drive()), ENDLESS, seed=3, device="cpu").fit(until=look.update)
    assert look.metrics == evaluate(again.model, tiny_corpus.valid, iw_samples=1)
    assert f"At update {look.update:,} of 20,000: KL {look.metrics.kl:.3f}" in widget.words()


def test_while_it_drives_on_a_row_still_names_its_own_update(make):
    widget = make(ENDLESS)
    drive_for(widget, [0.5])
    measured = widget.record.last("run").update
    widget.press("toggle")
    wait_for(lambda: widget.run.step > measured + 5)
    widget.refresh()
    row = rows(widget)["drive 1"]
    assert int(row[0].replace(",", "")) > measured and row[1] == f"{measured:,}"
    finish(widget, "toggle")


def test_pause_works_at_the_next_update(make):
    widget = make(ENDLESS)
    widget["pace"] = 10
    widget.press("toggle")
    wait_for(lambda: widget.run.step > 2)
    at = widget.run.step
    widget.press("toggle")
    assert widget.inputs["toggle"].disabled  # until it has stopped
    widget.background.wait()
    assert widget.run.step <= at + 1
    assert widget.inputs["toggle"].label == "Go on" and not widget.inputs["toggle"].disabled


def test_driven_in_parts_and_replayed_is_one_run(make, tiny_corpus):
    widget = make()
    drive_for(widget, [0.0, 0.3])
    paused_at = widget.run.step
    widget["weight"] = 0.9  # moved while it rests: the next update has it
    drive_for(widget, [0.9, 0.1, 1.0], updates=5)
    if widget.run.step < 40:
        finish(widget, "toggle")
    assert 0 < paused_at < 40 and widget.run.step == 40 and widget.drive()[paused_at] == 0.9
    assert widget.inputs["toggle"].label == "Start again" and "Finished" in widget.words()
    again = Run(tiny_corpus, Replay(widget.drive()), SMALL, seed=3, device="cpu").fit()
    assert same(of_training(again), of_training(widget.run))
    finish(widget, "replay")
    assert "40 updates, every number the same bit for bit" in widget.words()
    assert lines(widget, 1, "ink")[0]["y"] == lines(widget, 1, "vermilion")[0]["y"]
    drive_for(widget, [0.4])
    assert "bit for bit" not in widget.words()  # it was said of the other drive


def test_a_replay_that_differs_is_told(tiny_corpus):
    weights = [0.5] * 40
    run = Run(tiny_corpus, Replay(weights), SMALL).fit()
    assert "the same bit for bit" in compare_runs(run, Run(tiny_corpus, Replay(weights), SMALL).fit())
    other = Run(tiny_corpus, Replay([*weights[:9], 0.6]), SMALL).fit()
    assert compare_runs(run, other) == "The replay differs from the drive from update 10 of 40 on."
    with torch.no_grad():
        next(run.model.parameters())[0] += 1
    assert "other parameters" in compare_runs(run, Run(tiny_corpus, Replay(weights), SMALL).fit())


def test_a_schedule_is_drawn_trained_on_the_same_seed_and_kept(make, tiny_corpus):
    widget = make()
    assert lines(widget, 0, "blue")[0]["y"] == pytest.approx(
        parse_schedule("cyclical", steps=40).schedule(40), abs=1e-3
    )
    widget["schedule"] = "constant"
    assert lines(widget, 0, "blue")[0]["y"] == [1.0] * 40
    finish(widget, "train")
    alone = Run(tiny_corpus, Annealer(1, disable=True), SMALL, seed=3, device="cpu").fit()
    metrics = evaluate(alone.model, tiny_corpus.test, iw_samples=1)
    assert rows(widget)["constant"][1:3] == ["40", f"{metrics.kl:.3f}"]
    assert lines(widget, 1, "blue")[0]["y"] == pytest.approx(smooth(alone.history()["kl"], 10), rel=1e-3)
    assert widget.inputs["train"].disabled and widget.run is None and widget.inputs["toggle"].label == "Start"


def test_a_schedules_training_stops_and_goes_on(make):
    widget = make(ENDLESS)
    widget.press("train")
    assert widget.inputs["toggle"].label == "Stop"
    wait_for(lambda: widget.training.runs["run"].step > 3)
    finish(widget, "toggle")
    record, stopped_at = widget.training, widget.training.runs["run"].step
    widget.press("train")
    assert widget.training is record
    wait_for(lambda: record.runs["run"].step > stopped_at)
    finish(widget, "toggle")


def test_nothing_is_lost_by_a_new_drive_or_by_the_cell_run_again(make):
    widget = make()
    drive_for(widget, [0.4])
    first_drive, weights = widget.record, widget.drive()
    widget.press("new")
    assert widget.drive() == [] and widget.inputs["toggle"].label == "Start" and "drive 1" in rows(widget)
    widget["weight"] = 0.5
    finish(widget, "toggle")
    finish(widget, "toggle")  # start again: another row
    assert list(rows(widget)) == ["drive 3", "drive 2", "drive 1"] and widget.drive() == [0.5] * 40
    widget.press("history", first_drive.number)
    assert widget.drive() == weights and widget.inputs["toggle"].label in ("Go on", "Start again")
    again = make()
    assert list(rows(again)) == ["drive 3", "drive 2", "drive 1"] and again.drive() == [0.5] * 40


def test_a_drive_that_is_brought_back_goes_on_at_the_sliders_weight(make):
    widget = make(ENDLESS)
    drive_for(widget, [0.4])
    first_drive, weights = widget.record, widget.drive()
    widget.press("new")
    widget["weight"] = 0.9
    widget.press("history", first_drive.number)
    widget.press("toggle")
    wait_for(lambda: len(widget.drive()) > len(weights))
    finish(widget, "toggle")
    assert widget.record is first_drive
    assert widget.drive()[: len(weights)] == weights and set(widget.drive()[len(weights) :]) == {0.9}


def test_fast_presses_from_two_threads_break_nothing(make):
    widget = make(ENDLESS)

    def presses():
        for name in ("toggle", "new") * 10:
            widget._heard(widget, {"name": name, "value": None}, [])

    threads = [threading.Thread(target=presses) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    widget.background.stop()
    assert widget.error == "" and our_threads() == []


def test_an_error_is_shown_and_the_drive_is_kept(make, monkeypatch):
    widget = make(ENDLESS)
    update = Run.update

    def fails(run):
        if run.step == 5:
            raise FloatingPointError("The loss is not finite at step 5 of <the run>")
        update(run)

    monkeypatch.setattr(Run, "update", fails)
    widget.press("toggle")
    widget.background.wait()
    assert "FloatingPointError: The loss is not finite at step 5 of &lt;the run&gt;" in widget.contents["text:error"]
    assert widget.run.step == 5 and widget.inputs["toggle"].label == "Go on"


def test_a_saved_drive_becomes_a_schedule(make):
    widget = make()
    drive_for(widget, [0.25])
    widget.press("save")
    assert records.drives() == {"drive 1 (by hand)": widget.drive()} and "Saved as the schedule" in widget.words()


def test_live_sentences_are_what_the_model_writes_now(make, tiny_corpus):
    widget = make()
    finish(widget, "toggle")
    given, written = widget.record.parts["look"].sentences[1]
    assert given == tiny_corpus.decode(tiny_corpus.valid[1])
    assert written == tiny_corpus.decode(widget.run.model.eval().reconstruct(tiny_corpus.valid[1][None])[0])
    assert given in widget.contents["text:sentences"]


def test_without_a_corpus_it_is_the_toy_language(toy_corpus):
    widget = DriveTheWeight()
    assert widget.corpus.digest == toy_corpus.digest and len(widget.held_out) == 200


def test_the_first_sentences(tiny_corpus):
    some = first(tiny_corpus.valid, 7)
    assert len(some) == 7 and all(torch.equal(some[i], tiny_corpus.valid[i]) for i in range(7))
    assert len(some.tokens) == some.lengths.sum() and len(first(tiny_corpus.valid, 10**6)) == 30
