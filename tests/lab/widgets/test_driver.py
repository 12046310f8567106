"""The KL weight driven by hand, a drive replayed, and the widget for both, in the kernel."""

import json
import threading
import time
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
from kldanneal.lab.widgets.driver import DriveTheWeight, compare_runs, first
from kldanneal.lab.widgets.figures import plot_driven, plot_units

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

    moved_in_the_middle.free_bits = criterion.free_bits
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
    made = []

    def make(settings=SMALL):
        made.append(DriveTheWeight(tiny_corpus, settings, seed=3, device="cpu"))
        made[-1].pace.value = 200
        return made[-1]

    yield make
    for widget in made:
        widget.background.stop()
    assert our_threads() == []


def finish(widget, button):
    button.click()
    widget.background.wait(60)
    assert not widget.background.running and widget.background.message.value == ""


def pictures(widget):
    return bytes(widget.picture.value), bytes(widget.units_picture.value)


def line(widget, who, column):
    return list(widget.plot.lines[who][column].get_ydata())


def drive_for(widget, weights, updates=3):
    """Starts, moves the slider to each weight for some updates, and pauses."""
    widget.toggle.click()
    for weight in weights:
        widget.weight.value = weight
        at = len(widget.drive())
        wait_for(lambda at=at: len(widget.drive()) > at + updates or not widget.background.running)
    if widget.background.running:
        finish(widget, widget.toggle)


def test_the_slider_moves_the_mark_at_once(make):
    widget = make()
    before = pictures(widget)
    widget.weight.value = 0.7
    assert widget.plot.hand.get_data() == ([0], [0.7])
    assert pictures(widget)[0] != before[0] and pictures(widget)[1] == before[1]
    widget.weight.value = 0.0
    assert pictures(widget) == before


def test_a_move_reaches_the_run_and_then_the_curves(make):
    widget = make(ENDLESS)
    assert widget.toggle.description == "Start" and widget.replay.disabled
    widget.toggle.click()
    assert widget.toggle.description == "Pause" and widget.train.disabled
    wait_for(lambda: len(line(widget, "hand", "kl")) > 1)
    before, at = pictures(widget), len(widget.drive())
    widget.weight.value = 0.62
    wait_for(lambda: 0.62 in line(widget, "hand", "kl_weight"))
    weights = widget.drive()
    assert set(weights[:at]) == {0.0} and weights.index(0.62) <= at + 1  # the update under way keeps its own
    wait_for(lambda: all(a != b for a, b in zip(before, pictures(widget), strict=True)))
    wait_for(lambda: "KL weight <b>0.62" in widget.numbers.value)
    assert all(f"{what} <b>" in widget.numbers.value for what in ("KL", "reconstruction", "-ELBO (their sum)", "units"))
    finish(widget, widget.toggle)
    history = widget.run.history()
    assert history["kl_weight"] == widget.drive() == line(widget, "hand", "kl_weight")
    np.testing.assert_array_equal(line(widget, "hand", "kl"), smooth(history["kl"], 10))
    np.testing.assert_array_equal(line(widget, "hand", "reconstruction"), smooth(history["reconstruction"], 10))


def test_the_numbers_are_of_the_held_out_sentences_now(make, tiny_corpus):
    widget = make()
    drive_for(widget, [0.5])
    measured, variances = widget.seen
    assert measured == evaluate(widget.run.model, tiny_corpus.valid, iw_samples=1)
    mu = torch.stack([widget.run.model.encode(tiny_corpus.valid[i][None])[0][0] for i in range(30)])
    np.testing.assert_allclose(variances, mu.var(dim=0).tolist(), rtol=1e-4)
    assert [bar.get_height() for bar in widget.units.bars] == variances
    assert f"KL <b>{measured.kl:.3f}</b>" in widget.numbers.value
    table = evaluate(widget.run.model, tiny_corpus.test, iw_samples=1)
    assert widget.metrics == {"by hand": table}
    assert f"by hand ({widget.run.step:,} updates)" in widget.table.value and f"{table.kl:.3f}" in widget.table.value


def test_pause_works_within_a_second_and_at_the_next_update(make):
    widget = make(ENDLESS)
    widget.pace.value = 10
    widget.toggle.click()
    wait_for(lambda: widget.run.step > 2)
    started, at = time.monotonic(), widget.run.step
    widget.toggle.click()
    wait_for(lambda: not widget.background.running)
    assert time.monotonic() - started < 1
    assert widget.run.step <= at + 1
    widget.background.wait(60)
    assert widget.toggle.description == "Go on" and not widget.toggle.disabled and not widget.replay.disabled


def test_the_pace_is_kept(make):
    widget = make(replace(SMALL, steps=8))
    widget.pace.value = 10
    started = time.monotonic()
    finish(widget, widget.toggle)
    assert time.monotonic() - started > 0.6  # 8 updates of 0.1 s; what is lost to a busy computer is made good, in part


def test_driven_in_parts_and_replayed_is_one_run(make, tiny_corpus):
    widget = make()
    drive_for(widget, [0.0, 0.3])
    paused_at = widget.run.step
    assert 0 < paused_at < 40
    widget.weight.value = 0.9  # moved while it rests: the next update has it
    drive_for(widget, [0.9, 0.1, 1.0], updates=5)
    if widget.run.step < 40:
        finish(widget, widget.toggle)
    assert widget.run.step == 40 and widget.drive()[paused_at] == 0.9
    assert widget.toggle.description == "Start again"
    again = Run(tiny_corpus, Replay(widget.drive()), SMALL, seed=3, device="cpu").fit()
    assert same(of_training(again), of_training(widget.run))
    finish(widget, widget.replay)
    assert same(of_training(widget.again), of_training(widget.run))
    assert "40 updates, every number the same bit for bit" in widget.verdict.value
    for column in ("kl_weight", "kl", "reconstruction"):
        assert line(widget, "replay", column) == line(widget, "hand", column)


def test_a_drive_can_be_replayed_while_it_rests(make):
    widget = make(ENDLESS)
    drive_for(widget, [0.2, 0.8])
    n = widget.run.step
    finish(widget, widget.replay)
    assert widget.again.step == n and widget.again.settings == ENDLESS
    assert f"{n:,} updates, every number the same" in widget.verdict.value
    drive_for(widget, [0.4])  # and goes on
    assert widget.run.step > n and widget.drive()[:n] == widget.again.annealer.weights


def test_a_replay_that_differs_is_told(tiny_corpus):
    weights = [0.5] * 40
    run = Run(tiny_corpus, Replay(weights), SMALL).fit()
    assert "the same bit for bit" in compare_runs(run, Run(tiny_corpus, Replay(weights), SMALL).fit())
    other = Run(tiny_corpus, Replay([*weights[:9], 0.6]), SMALL).fit()
    assert compare_runs(run, other) == "The replay differs from the drive from update 10 of 40 on."
    with torch.no_grad():
        next(run.model.parameters())[0] += 1
    assert "other parameters" in compare_runs(run, Run(tiny_corpus, Replay(weights), SMALL).fit())


def test_a_schedule_is_drawn_trained_on_the_same_seed_and_tabled(make, tiny_corpus):
    widget = make()
    cyclical = parse_schedule("cyclical", steps=40)
    assert list(widget.plot.planned.get_ydata()) == cyclical.schedule(40)
    before = pictures(widget)
    widget.schedule.value = "constant"
    assert list(widget.plot.planned.get_ydata()) == [1.0] * 40 and pictures(widget)[0] != before[0]
    finish(widget, widget.train)
    alone = Run(tiny_corpus, Annealer(1, disable=True), SMALL, seed=3, device="cpu").fit()
    assert widget.schedules["constant"].history() == alone.history()
    np.testing.assert_array_equal(line(widget, "schedule", "kl"), smooth(alone.history()["kl"], 10))
    measured = evaluate(alone.model, tiny_corpus.test, iw_samples=1)
    assert widget.metrics == {"constant": measured}
    assert "<td>constant</td>" in widget.table.value and f"{measured.neg_elbo:.2f}</td>" in widget.table.value
    assert widget.train.disabled and widget.run is None and widget.toggle.description == "Start"
    widget.schedule.value = "cyclical"
    assert line(widget, "schedule", "kl") == [] and not widget.train.disabled
    finish(widget, widget.train)
    assert widget.schedules["cyclical"].history()["kl_weight"] == cyclical.schedule(40)
    widget.schedule.value = "constant"
    assert line(widget, "schedule", "kl_weight") == [1.0] * 40


def test_a_schedules_training_stops_and_goes_on(make):
    widget = make(ENDLESS)
    widget.train.click()
    assert widget.toggle.description == "Stop"
    wait_for(lambda: widget.progress.value > 3 and widget.progress.layout.display is None)
    wait_for(lambda: widget.schedules["cyclical"].step > 3)
    finish(widget, widget.toggle)
    stopped_at = widget.schedules["cyclical"].step
    assert widget.metrics == {} and not widget.train.disabled and widget.progress.layout.display == "none"
    widget.train.click()
    wait_for(lambda: widget.schedules["cyclical"].step > stopped_at)
    finish(widget, widget.toggle)


def test_reset_forgets_the_drive_and_keeps_the_schedules(make):
    widget = make()
    fresh = pictures(widget)
    finish(widget, widget.train)
    trained = pictures(widget)
    assert trained[0] != fresh[0]
    drive_for(widget, [0.4])
    finish(widget, widget.replay)
    widget.reset.click()
    assert widget.drive() == [] and widget.run is widget.again is None and widget.weight.value == 0
    assert pictures(widget) == trained and list(widget.metrics) == ["cyclical"]
    assert widget.verdict.value == "" and "by hand" not in widget.table.value
    assert widget.toggle.description == "Start" and widget.replay.disabled


def test_reset_stops_what_trains(make):
    widget = make(ENDLESS)
    widget.toggle.click()
    wait_for(lambda: widget.run.step > 2)
    widget.reset.click()
    assert not widget.background.running and our_threads() == [] and widget.run is None


def test_start_again_begins_where_the_slider_is(make):
    widget = make()
    finish(widget, widget.toggle)
    widget.weight.value = 0.5
    finish(widget, widget.toggle)
    assert widget.drive() == [0.5] * 40 == widget.run.history()["kl_weight"]


def test_an_error_is_shown(make, monkeypatch):
    widget = make(ENDLESS)
    update = Run.update

    def fails(run):
        if run.step == 5:
            raise FloatingPointError("The loss is not finite at step 5 of <the run>")
        update(run)

    monkeypatch.setattr(Run, "update", fails)
    widget.toggle.click()
    widget.background.wait(60)
    assert "FloatingPointError: The loss is not finite at step 5 of &lt;the run&gt;" in widget.background.message.value
    assert not widget.background.running and not widget.toggle.disabled and our_threads() == []


def test_a_second_widget_stops_the_first(make):
    one = make(ENDLESS)
    one.toggle.click()
    wait_for(lambda: one.run.step > 2)
    other = make()
    assert not one.background.running and our_threads() == []
    finish(other, other.toggle)
    assert other.run.step == 40


def test_without_a_corpus_it_is_the_toy_language(toy_corpus):
    widget = DriveTheWeight()
    assert widget.corpus.digest == toy_corpus.digest and len(widget.held_out) == 200
    assert widget.plot.axes[2].get_ylim() == (0, 2 * toy_corpus.entropy)


# --- the pictures for the page ----------------------------------------------------------------------------------------


def test_the_static_pictures_show_the_same(tiny_corpus):
    runs = [Run(tiny_corpus, Replay(weights), SMALL).fit().history() for weights in ([0.5], [0.0, 1.0])]
    figure = plot_driven(runs[0], tiny_corpus, name="one", reference=("another", runs[1]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["another", "one", "one, -ELBO"]
    for history in runs:
        for axes, column in zip(figure.axes, ("kl_weight", "kl", "reconstruction"), strict=True):
            values = history[column] if column == "kl_weight" else smooth(history[column], 10)
            assert any(np.array_equal(drawn.get_ydata(), values) for drawn in axes.lines)
    both = np.add(smooth(runs[0]["kl"], 10), smooth(runs[0]["reconstruction"], 10))
    assert any(np.array_equal(drawn.get_ydata(), both) for drawn in figure.axes[2].lines)
    alone = plot_driven(runs[0], tiny_corpus)
    assert sum(len(drawn.get_ydata()) == 40 for drawn in alone.axes[1].lines) == 1


def test_active_units_are_counted_and_coloured():
    (axes,) = plot_units([0.5, 0.0101, 0.0099, 0.0]).axes
    assert axes.get_title() == "active units: 2 of 4"
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.0101, 0.0099, 0.0]


def test_the_first_sentences(tiny_corpus):
    some = first(tiny_corpus.valid, 7)
    assert len(some) == 7 and all(torch.equal(some[i], tiny_corpus.valid[i]) for i in range(7))
    assert len(some.tokens) == some.lengths.sum() and len(first(tiny_corpus.valid, 10**6)) == 30
