"""kldanneal.lab.training.score: a drive is replayed, trained on at weight 1, and measured."""

from dataclasses import asdict, replace

import pytest

from kldanneal.lab.metrics import evaluate
from kldanneal.lab.training.hand import Replay
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.score import REQUIRED_KL, TAIL, Score, score_drive
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import missions

SMALL = Settings(steps=30, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
WEIGHTS = [0.0] * 20 + [0.5] * 10


def test_the_measures_are_those_of_the_drive_and_of_the_tail(tiny_corpus):
    found = score_drive(WEIGHTS, tiny_corpus, SMALL, tail=10, seed=3, device="cpu", iw_samples=2)
    assert found.history["kl_weight"] == WEIGHTS + [1.0] * 10
    drive = Run(tiny_corpus, Replay(WEIGHTS), SMALL, seed=3, device="cpu").fit()
    assert found.at_end == evaluate(drive.model, tiny_corpus.test, iw_samples=2)
    both = replace(SMALL, steps=40)
    longer = Run(tiny_corpus, Replay([*WEIGHTS, 1.0]), both, seed=3, device="cpu").fit()
    assert found.after_tail == evaluate(longer.model, tiny_corpus.test, iw_samples=2)
    assert found.history == longer.history() and found.at_end != found.after_tail


@pytest.mark.parametrize(("kl", "has_score"), [(REQUIRED_KL, True), (REQUIRED_KL - 0.01, False)])
def test_a_score_needs_the_required_kl_after_the_tail(tiny_corpus, kl, has_score):
    found = score_drive(WEIGHTS, tiny_corpus, SMALL, tail=1, iw_samples=1)
    high, low = (replace(found.at_end, kl=value) for value in (9.0, kl))
    score = Score(high, replace(low, neg_elbo=13.25), {})  # the KL before the tail does not count
    assert score.value == (13.25 if has_score else None)
    text = f"score 13.25 (KL {kl:.2f} after the tail)"
    assert str(score) == (text if has_score else f"no score: KL {kl:.2f} after the tail, at least 0.5 is required")


def test_a_drive_that_is_not_finished_is_not_scored(tiny_corpus):
    with pytest.raises(ValueError, match=r"each of the 30 updates of the budget, but got 29\. A drive by hand"):
        score_drive(WEIGHTS[:-1], tiny_corpus, SMALL)
    with pytest.raises(ValueError, match=r"weights\[0\] to be in"):
        score_drive([2.0] * 30, tiny_corpus, SMALL)
    with pytest.raises(ValueError, match="tail"):
        score_drive(WEIGHTS, tiny_corpus, SMALL, tail=0)
    with pytest.raises(ValueError, match="lr_schedule"):
        score_drive(WEIGHTS, tiny_corpus, replace(SMALL, lr_schedule="decay"))


def test_the_same_drive_has_the_same_score(tiny_corpus):
    one, again = (asdict(score_drive(WEIGHTS, tiny_corpus, SMALL, tail=5, device="cpu", iw_samples=1)) for _ in "ab")
    assert one == again


def test_the_rules_are_those_of_the_widgets_mission():
    assert (missions.KL, missions.UPDATES) == (REQUIRED_KL, TAIL)
