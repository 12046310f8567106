"""The side-by-side widget, in the kernel: what the controls draw, and what the button trains."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import our_threads, wait_for

from kldanneal import Annealer
from kldanneal.lab.plots import reconstruction_limits, smooth, styles
from kldanneal.lab.results import report
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets.figures import plot_side_by_side
from kldanneal.lab.widgets.side_by_side import SideBySide

SMALL = Settings(steps=40, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
ENDLESS = replace(SMALL, steps=10**6)


@pytest.fixture
def widget(tiny_corpus):
    widget = SideBySide(tiny_corpus, SMALL, seed=3, device="cpu")
    yield widget
    widget.background.stop()
    assert our_threads() == []


def train(widget):
    widget.button.click()
    widget.background.wait(60)
    assert not widget.background.running
    assert widget.background.message.value == ""


def pictures(widget):
    return [bytes(picture.value) for picture in widget.pictures]


def planned(widget):
    return [list(panel.planned.get_ydata()) for panel in widget.panels]


def lines(widget, column):
    return [list(panel.lines[column].get_ydata()) for panel in widget.panels]


# --- controls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, value", [("shape", "logistic"), ("total_steps", 8), ("ratio", 0.25)])
def test_a_slider_redraws_both_panels_with_the_annealers_weights(widget, name, value):
    before = pictures(widget)
    widget.controls[name].value = value
    chosen = {"total_steps": 20, "shape": "linear", "ratio": 0.9, name: value}
    for shown, cyclical in zip(planned(widget), (False, True), strict=True):
        assert shown == Annealer(**chosen, cyclical=cyclical).schedule(SMALL.steps)
    assert all(a != b for a, b in zip(before, pictures(widget), strict=True))
    widget.controls[name].value = {"shape": "linear", "total_steps": 20, "ratio": 0.9}[name]
    assert pictures(widget) == before


def test_both_are_the_same_until_the_first_restart(widget):
    left, right = planned(widget)
    assert left[:20] == right[:20] and left[20] == 1 and right[20] == 0


@pytest.mark.parametrize("total_steps, ratio", [(20, 0.9), (10, 0.5), (7, 0.3), (15, 1.0), (40, 0.9)])
def test_the_fair_baseline_has_one_ramp_as_long_as_all_ramps_in_cycles(widget, total_steps, ratio):
    widget.total_steps.value, widget.ratio.value, widget.fair.value = total_steps, ratio, True
    left, right = planned(widget)
    assert sum(weight < 1 for weight in left) == sum(weight < 1 for weight in right)
    assert left == sorted(left)
    assert list(widget.annealers()) == ["monotonic-long", "cyclical"]
    assert widget.panels[0].title.get_text() == "monotonic-long"
    assert widget.panels[0].lines["kl"].get_color() == styles(["monotonic-long"])["monotonic-long"]["color"]


def test_the_words_say_what_is_drawn(widget):
    assert "a ramp over 18 of 40 updates, then weight 1. Right: 2 cycles of 20, each a ramp over 18." in (
        widget.status.value
    )
    widget.total_steps.value = 40
    assert "1 cycle of 40" in widget.status.value and "The two are the same" in widget.status.value


def test_both_panels_have_the_same_limits(widget):
    train(widget)
    for left, right in zip(*(panel.panels.axes for panel in widget.panels), strict=True):
        assert left.get_ylim() == right.get_ylim() and left.get_xlim() == right.get_xlim()


def test_the_device_is_shown(widget):
    assert widget.device.value == "cpu" and "cpu" in widget.device.options


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_button_trains_both_on_the_same_seed_and_shows_the_outcome(widget, tiny_corpus):
    assert widget.results.layout.display == "none"
    before = pictures(widget)
    train(widget)
    schedules = {"monotonic": Annealer(20, ratio=0.9), "cyclical": Annealer(20, cyclical=True, ratio=0.9)}
    alone = Comparison(tiny_corpus, schedules, SMALL, seeds=[3], device="cpu").fit(progress=False)
    assert widget.comparison.histories() == alone.histories()
    assert widget.comparison.metrics == alone.metrics
    assert lines(widget, "kl_weight") == [annealer.schedule(SMALL.steps) for annealer in schedules.values()]
    for column in ("kl", "reconstruction"):  # too short a run to be smoothed
        expected = [alone.runs[name, 3].history()[column] for name in schedules]
        np.testing.assert_allclose(lines(widget, column), expected, rtol=1e-9)
    assert all(a != b for a, b in zip(before, pictures(widget), strict=True))
    assert widget.results.layout.display is None
    for name in schedules:
        metrics = alone.metrics[name, 3]
        assert f"<th>{name}</th>" in widget.table.value
        assert f"{metrics.kl:.3f}</td>" in widget.table.value and f"{metrics.neg_elbo:.2f}</td>" in widget.table.value
    for words in report.verdict(alone.rows()).splitlines():
        assert words.split(":")[0] in widget.table.value
    assert [name in shown.value for name, shown in zip(schedules, widget.samples, strict=True)] == [True, True]
    assert widget.samples[0].value.count("<li>") == 6


def test_another_sentence_is_reconstructed_under_both(widget, tiny_corpus):
    train(widget)
    for number in (0, 5):
        widget.sentence.value = number
        assert tiny_corpus.decode(tiny_corpus.test[number]) in widget.chosen.value
        for (name, _), shown in zip(widget.comparison.runs, widget.reconstructions, strict=True):
            model = widget.comparison.runs[name, 3].model.eval()
            (written,) = model.reconstruct(tiny_corpus.test[number][None])
            assert f"<b>{name}</b>" in shown.value and tiny_corpus.decode(written) in shown.value
    assert widget.sentence.max == len(tiny_corpus.test) - 1


def test_curves_grow_while_it_trains_and_controls_rest(tiny_corpus):
    widget = SideBySide(tiny_corpus, ENDLESS)
    widget.button.click()
    assert widget.button.description == "Stop"
    assert all(control.disabled for control in widget.controls.values()) and widget.reset.disabled
    wait_for(lambda: all(len(panel.lines["kl"].get_xdata()) > 1 for panel in widget.panels))
    seen = [len(panel.lines["kl"].get_xdata()) for panel in widget.panels]
    wait_for(lambda: all(len(p.lines["kl"].get_xdata()) > n for p, n in zip(widget.panels, seen, strict=True)))
    assert widget.progress.children  # with the time left
    widget.button.click()
    widget.background.wait(60)
    assert widget.button.description == "Go on" and not widget.button.disabled
    assert not any(control.disabled for control in widget.controls.values())
    assert our_threads() == []


def test_stop_works_at_the_next_update(tiny_corpus):
    """And so within a second; by the clock, a busy machine would decide."""
    widget = SideBySide(tiny_corpus, ENDLESS)
    widget.button.click()
    wait_for(lambda: widget.comparison and all(run.step for run in widget.comparison.runs.values()))
    widget.button.click()
    steps = [run.step for run in widget.comparison.runs.values()]
    widget.background.wait(60)
    assert not widget.background.running and our_threads() == []
    for before, run in zip(steps, widget.comparison.runs.values(), strict=True):
        assert run.step <= before + 1


def stop_after(widget, monkeypatch, updates):
    """Presses stop once a run has made so many updates."""
    update = Run.update

    def counted(run):
        update(run)
        if run.step == updates and not widget.background._stop.is_set():
            widget.button.click()

    monkeypatch.setattr(Run, "update", counted)


def test_stopped_and_resumed_is_the_same_bit_for_bit(widget, tiny_corpus, monkeypatch):
    uninterrupted = Comparison(tiny_corpus, widget.annealers(), SMALL, seeds=[3], device="cpu").fit(progress=False)
    with monkeypatch.context() as patched:
        stop_after(widget, patched, updates=11)
        train(widget)
    assert any(0 < run.step < SMALL.steps for run in widget.comparison.runs.values())
    assert widget.button.description == "Go on" and widget.results.layout.display == "none"
    first = widget.comparison
    train(widget)
    assert widget.comparison is first and first.finished()
    assert first.histories() == uninterrupted.histories()
    assert first.metrics == uninterrupted.metrics


def test_a_moved_slider_previews_and_says_that_a_new_comparison_begins(widget, monkeypatch):
    with monkeypatch.context() as patched:
        stop_after(widget, patched, updates=11)
        train(widget)
    first, curves = widget.comparison, lines(widget, "kl")
    widget.total_steps.value = 10
    assert planned(widget)[1] == Annealer(10, cyclical=True, ratio=0.9).schedule(SMALL.steps)
    assert lines(widget, "kl") == [[], []]
    assert widget.button.description == "Train both"
    assert "starts a new comparison" in widget.status.value and "total_steps 20" in widget.status.value
    assert widget.comparison is first  # nothing is lost yet
    widget.total_steps.value = 20
    assert lines(widget, "kl") == curves and widget.button.description == "Go on"
    assert "new comparison" not in widget.status.value
    widget.total_steps.value = 10
    train(widget)
    assert widget.comparison is not first and widget.comparison.finished()
    assert lines(widget, "kl_weight")[1] == Annealer(10, cyclical=True, ratio=0.9).schedule(SMALL.steps)


def test_reset_forgets_the_comparison_and_puts_the_controls_back(widget):
    start, before = widget.choices(), pictures(widget)
    widget.ratio.value, widget.fair.value, widget.seed.value = 0.5, True, 7
    train(widget)
    widget.reset.click()
    assert widget.choices() == start and widget.comparison is None
    assert lines(widget, "kl") == [[], []] and planned(widget)[0] == Annealer(20, ratio=0.9).schedule(SMALL.steps)
    assert widget.results.layout.display == "none" and widget.button.description == "Train both"
    assert len(pictures(widget)) == len(before)


def test_an_error_in_a_run_is_shown_and_stops_the_other(tiny_corpus, monkeypatch):
    widget = SideBySide(tiny_corpus, ENDLESS)
    update = Run.update

    def fails(run):
        if run.name == "cyclical" and run.step == 5:
            raise FloatingPointError("The loss is not finite at step 5 of <cyclical>")
        update(run)

    monkeypatch.setattr(Run, "update", fails)
    widget.button.click()
    widget.background.wait(60)
    assert "FloatingPointError: The loss is not finite at step 5 of &lt;cyclical&gt;" in widget.background.message.value
    assert not widget.background.running and our_threads() == []
    assert not widget.button.disabled and not widget.shape.disabled


def test_a_second_widget_stops_the_first(tiny_corpus):
    first = SideBySide(tiny_corpus, ENDLESS)
    first.button.click()
    wait_for(lambda: first.comparison and any(run.step for run in first.comparison.runs.values()))
    second = SideBySide(tiny_corpus, SMALL)
    assert not first.background.running and our_threads() == []
    train(second)
    assert second.comparison.finished()


# --- the picture for the page -----------------------------------------------------------------------------------------


def test_the_static_picture_shows_the_histories(tiny_corpus):
    comparison = Comparison(tiny_corpus, {"monotonic": Annealer(100), "cyclical": Annealer(100, cyclical=True)},
                            replace(SMALL, steps=200)).fit(progress=False)  # fmt: skip
    histories = {name: comparison.runs[name, 0].history() for name in comparison.schedules}
    figure = plot_side_by_side(histories, tiny_corpus)
    columns = np.reshape(figure.axes, (3, 2)).T
    for axes, (name, history) in zip(columns, histories.items(), strict=True):
        assert axes[0].get_title() == name
        for axis, column in zip(axes, ("kl_weight", "kl", "reconstruction"), strict=True):
            values = history[column] if column == "kl_weight" else smooth(history[column], 2)
            assert any(np.array_equal(line.get_ydata(), values) for line in axis.lines)
    for left, right in zip(*columns, strict=True):
        assert left.get_ylim() == right.get_ylim()


def test_reconstruction_is_drawn_around_the_entropy_or_below_what_word_frequencies_give(toy_corpus, tiny_corpus):
    assert reconstruction_limits(toy_corpus) == (toy_corpus.entropy - 4, toy_corpus.entropy + 6)
    low, high = reconstruction_limits(tiny_corpus)
    words = [int(i) for n in range(len(tiny_corpus.train)) for i in tiny_corpus.train[n][1:]]
    frequency = np.unique(words, return_counts=True)[1] / len(words)
    assert high == pytest.approx(-(frequency * np.log(frequency)).sum() * len(words) / len(tiny_corpus.train))
    assert low == pytest.approx(0.3 * high)
