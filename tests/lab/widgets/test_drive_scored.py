"""A drive from the widget to its score: every button of a short drive, then the function of lesson 8."""

from dataclasses import replace

import pytest
from conftest import our_threads, wait_for

from kldanneal.lab.metrics import evaluate
from kldanneal.lab.training.score import score_drive
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import records
from kldanneal.lab.widgets.driver import DriveTheWeight

SMALL = Settings(steps=40, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4)


@pytest.fixture
def widget(tiny_corpus):
    records.forget()
    widget = DriveTheWeight(tiny_corpus, SMALL, device="cpu")
    widget["pace"] = 200
    yield widget
    widget.background.stop()
    assert our_threads() == []


def test_every_button_of_a_short_drive(widget):
    widget["schedule"], widget["weight"] = "monotonic", 0.25
    for button in ("toggle", "replay", "train", "save"):
        widget.press(button)
        widget.background.wait()
        assert widget.error == ""
    assert set(widget.drive()) == {0.25} and len(widget.drive()) == SMALL.steps
    assert "the same bit for bit" in widget.words() and len(widget.shelf.records) == 3
    assert records.drives() == {"drive 1 (by hand)": widget.drive()}
    widget.press("new")
    assert widget.drive() == [] and len(widget.shelf.records) == 3  # the drive is still a row


def test_a_finished_drive_is_scored_as_the_run_that_was_driven(widget, tiny_corpus):
    widget["weight"] = 0.75
    widget.press("toggle")
    wait_for(lambda: not widget.background.running)
    found = score_drive(widget.drive(), tiny_corpus, SMALL, tail=10, device="cpu", iw_samples=1)
    assert found.at_end == evaluate(widget.run.model, tiny_corpus.test, iw_samples=1)
    assert widget.run.history() == {name: values[: SMALL.steps] for name, values in found.history.items()}
    assert len(widget.drive()) == SMALL.steps  # scoring leaves the widget alone


def test_a_drive_that_was_paused_has_no_score(widget, tiny_corpus):
    widget.press("toggle")
    wait_for(lambda: len(widget.drive()) > 3)
    widget.press("toggle")
    widget.background.wait()
    with pytest.raises(ValueError, match="when it is finished"):
        score_drive(widget.drive(), tiny_corpus, replace(SMALL, steps=10_000))
