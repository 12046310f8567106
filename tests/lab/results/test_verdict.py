"""kldanneal.lab.results.verdict: runs that are too short, unfinished ramps, tails, and learning by heart."""

import pytest
from test_report import line_about, measured, rows_of

from kldanneal.lab.results.verdict import ENOUGH, collapsed, too_short, verdict


def rows(kl=(0.001, 0.002), neg_elbo=14.0, **more):
    """The rows of ``constant``, with what a comparison that was trained says besides."""
    made = rows_of(constant=[measured(kl=value, neg_elbo=neg_elbo) for value in kl])
    about = {"updates": 4000, "kl_weight": 1.0, "training_loss": 13.0, "word_frequencies": 50.0,
             "word_frequencies_training": 49.0}  # fmt: skip
    return [{**row, **about, **more} for row in made]


@pytest.mark.parametrize("kl", [(0.001, 0.002), (0.001, 2.0), (2.0, 3.0)])
@pytest.mark.parametrize(
    "more, words",
    [
        ({"updates": 20}, "(20 updates, and z may need 500 or more)"),
        ({"updates": 1}, "(1 update, and z may need 500 or more)"),
        ({"updates": 900, "training_loss": 49.5}, "(after 900 updates the loss in training, 49.50 nats, is not below "
         "49.00, which word frequencies alone reach)"),
    ],
)  # fmt: skip
def test_a_run_that_is_too_short_says_so_and_nothing_of_a_collapse(kl, more, words):
    found = rows(kl, **more)
    line = line_about(verdict(found), "constant:")
    assert line.endswith(f"too short a run to show whether the posterior collapses {words}.")
    assert "collapsed" not in line and "did not collapse" not in line and not collapsed(found)


def test_a_run_that_is_long_enough_is_judged():
    assert too_short(rows(updates=ENOUGH)) is None and collapsed(rows(updates=ENOUGH))
    assert "the posterior collapsed (KL below 0.1 nats in every one of 2 seeds)" in verdict(rows(updates=ENOUGH))
    assert not collapsed(rows((0.001, 0.2)))


@pytest.mark.parametrize("weight, said", [(0.25, True), (0.98, True), (0.999, False), (1.0, False), (2.0, False)])
def test_a_ramp_that_has_not_ended_is_named(weight, said):
    line = line_about(verdict(rows((2.0, 3.0), kl_weight=weight)), "constant:")
    assert (f"The last KL weight was {weight:.3g}: at weight 1 the KL would become smaller" in line) == said


@pytest.mark.parametrize("neg_elbo, said", [(60.0, True), (50.0, False), (14.0, False)])
def test_sentences_learnt_by_heart_are_named(neg_elbo, said):
    words = "on held-out sentences it is worse than word frequencies alone (-ELBO 60.00, word frequencies 50.00 nats)"
    assert (words in verdict(rows(neg_elbo=neg_elbo))) == said
    assert words not in verdict(rows(neg_elbo=60.0, updates=20))


@pytest.mark.parametrize(
    "before, after, words",
    [
        ((1.0, 1.0), (1.0, 0.9), "KL 1.000 before, 0.950 after: it lasted."),
        ((1.0, 1.0), (0.5, 0.3), "KL 1.000 before, 0.400 after: 40% of it is left."),
        ((1.0, 1.0), (0.05, 0.01), "0.030 after: it did not last: the posterior collapsed in every one of 2 seeds."),
        ((1.0, 1.0), (0.05, 1.0), "it did not last: the posterior collapsed in 1 of 2 seeds."),
        ((0.01, 0.02), (0.01, 0.0), "there was no KL to keep."),
        ((0.01, 0.02), (1.0, 2.0), "it rose in the tail."),
    ],
)
def test_whether_the_kl_lasts(before, after, words):
    said = verdict(rows(before), None, rows(after, updates=5000, kl_weight=0.5))
    line = line_about(said, "constant, 1,000 more updates at KL weight 0.5: KL")
    assert line.endswith(words)


@pytest.mark.parametrize("difference", [0.0, 0.0004, -0.0004])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_difference_of_zero_is_not_called_higher_or_lower(difference, seeds):
    found = rows_of(a=[measured()] * seeds, b=[measured(kl=1 + difference, neg_elbo=14 - difference)] * seeds)
    line = line_about(verdict(found), "b against a:")
    assert "no difference" in line and "-0.000" not in line
    assert not any(word in line for word in ("higher", "lower", "better", "worse"))


def test_a_single_seed_is_not_called_higher_or_lower():
    line = line_about(verdict(rows_of(a=[measured()], b=[measured(kl=3.0, neg_elbo=13.0)])), "b against a:")
    assert line == "b against a: KL +2.000 nats (one seed), -ELBO -1.000 nats (one seed)."
