"""kldanneal.lab.results.paths: two ways to weight 1, compared within seeds on the stored runs."""

from dataclasses import asdict

import numpy as np
import pytest

from kldanneal.lab.results import fair, paths, tail
from kldanneal.lab.results.jobs import Job
from kldanneal.lab.results.paths import apart, plot_paths, table_of_paths, updates_at_one, verdict
from kldanneal.lab.results.stored import as_stored


def run(label, seed, kl, neg_elbo, updates=12_000):
    """A stored run with two points."""
    annealer = {"total_steps": 0} if label == "constant" else {"total_steps": 400}
    job = Job("toy", label, annealer, updates, seed, {"word_dropout": 0.0}, distances=(8000,), totals=(12_000,))
    values = {"kl": kl, "neg_elbo": neg_elbo, "iw_nll": neg_elbo - 0.1}
    measured = [{"update": 8400, "distance": 8000, **values}, {"update": 12_000, "distance": 11_600, **values}]
    return {
        "job": as_stored(asdict(job)),
        "measured": measured,
        "kl_curve": [kl] * 240,
        "sentences": 100,
        "digest": "d",
    }


@pytest.fixture
def two_seeds(monkeypatch):
    runs = [run("constant", 0, 0.01, 13.6), run("constant", 1, 0.03, 13.7)]
    for label in ("cyclical", "monotonic-long"):
        runs += [run(label, 0, 0.10, 13.65), run(label, 1, 0.14, 13.65)]
    monkeypatch.setattr(tail, "load_runs", lambda part: runs)
    assert fair.stored_texts() == [("toy", 0.0)]


def test_apart_is_a_difference_of_a_collapsed_kl(two_seeds):
    assert apart("toy", 0.0) == [False, True]  # 0.09 and 0.11
    assert updates_at_one("toy", 0.0) == 12_000 - 400


def test_the_table_has_both_ends_and_the_differences(two_seeds):
    row = [cell.strip() for cell in table_of_paths().splitlines()[-1].strip("|").split("|")]
    assert row[:4] == ["toy, 0", "0.12 (0.10 to 0.14)", "0.02 (0.01 to 0.03)", "1 of 2 seeds"]
    assert row[4].startswith("+0.00 [") or row[4].startswith("-0.00 [")
    assert row[6] == "undecided"


@pytest.mark.parametrize(("kl", "bound", "said"), [
    (0.05, 13.65, "met; `constant` has the lower -ELBO"),
    (0.5, 13.55, "still apart; `cyclical` has the lower -ELBO"),
])  # fmt: skip
def test_the_verdict_names_the_lower_bound(monkeypatch, kl, bound, said):
    ends = {"constant": (0.01, 13.6), "cyclical": (kl, bound), "monotonic-long": (kl, bound)}
    runs = [run(label, seed, of, elbo + seed / 1000) for label, (of, elbo) in ends.items() for seed in (0, 1)]
    monkeypatch.setattr(tail, "load_runs", lambda part: runs)
    assert verdict("toy", 0.0) == said


def test_without_word_dropout_two_ends_are_against_the_hypothesis(two_seeds, monkeypatch):
    assert paths.against_the_hypothesis() == (
        "- toy language, 100 sentences, word dropout 0, 2 seeds, after 11,600 updates at weight 1: the KLs differ in "
        "1 of 2 seeds, **not as expected, or not yet**."
    )
    monkeypatch.setattr(paths, "COLLAPSED", 0.2)
    assert paths.against_the_hypothesis().endswith("the KLs differ in 0 of 2 seeds, **as expected**.")


def test_the_picture_has_the_weights_and_every_seed(two_seeds):
    figure, alt = plot_paths("toy")
    weight, kl = figure.axes
    assert [len(drawn.get_ydata()) for drawn in weight.lines] == [12_000, 12_000]
    assert np.array_equal(weight.lines[0].get_ydata()[:2], [0, 1 / 400])
    assert len(kl.lines) == 2 * 3  # two ways: two seeds and their mean
    assert "cyclical at 0.12" in alt and "constant at 0.02" in alt and "100 sentences" in alt


def test_on_the_stored_runs_of_the_toy_language():
    assert sum(apart("toy", 0.0)) == 3 and all(apart("toy", 0.2))
    assert paths.END == 12_000
