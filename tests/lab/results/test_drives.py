"""kldanneal.lab.results.drives and drive_pictures: drives that were written down, stored with their scores."""

import numpy as np
import pytest

from kldanneal.lab.results import drive_pictures, drives
from kldanneal.lab.results.drive_pictures import (
    by_kl,
    costs_more,
    plot_drives,
    plot_scores,
    scored,
    table_of_drives,
    table_of_scores,
)
from kldanneal.lab.results.drives import EVERY, SEEDS, drive_patiently, load_drives, names, score, written_down
from kldanneal.lab.training.score import REQUIRED_KL, TAIL, score_drive
from kldanneal.lab.training.settings import QUICK, Settings

SMALL = Settings(steps=40, batch_size=32, lr=0.05, embedding=8, hidden=12, latent=4)


def test_every_drive_has_the_same_budget_and_ends_at_weight_1():
    written = written_down()
    assert {len(weights) for weights in written.values()} == {QUICK.steps}
    assert all(weights[-1] == 1 and min(weights) >= 0 and max(weights) == 1 for weights in written.values())
    assert written["impatient"][:200] == [0.0] * 200 and written["impatient"][500] == 1
    assert written["there and back"][599:601] == [1, 0] and written["there and back"][1800] == 1


def test_all_of_them_are_stored_for_every_seed():
    assert set(names()) == {*written_down(), "patient"}
    assert set(load_drives()) == {(name, seed) for name in names() for seed in SEEDS}
    for (name, _), run in load_drives().items():
        assert (run["updates"], run["tail"]) == (QUICK.steps, TAIL)
        points = (QUICK.steps + TAIL) // EVERY
        assert {len(curve) for curve in run["curves"].values()} == {points}
        assert run["curves"]["kl_weight"][-TAIL // EVERY :] == [1.0] * (TAIL // EVERY)
        if name in written_down():
            means = np.reshape(written_down()[name], (-1, EVERY)).mean(axis=1)
            np.testing.assert_allclose(run["curves"]["kl_weight"][: len(means)], means, atol=1e-4)


def test_the_rule_waits_while_the_kl_is_below_1(tiny_corpus):
    weights = drive_patiently(tiny_corpus, SMALL)
    steps = np.diff(weights)
    assert len(weights) == 40 and set(steps.round(6)) <= {0.0, round(4 / 120, 6)}
    assert (steps > 0).any() and weights == drive_patiently(tiny_corpus, SMALL)


def test_a_run_as_it_is_stored(tiny_corpus, monkeypatch):
    monkeypatch.setattr(drives, "QUICK", SMALL)
    monkeypatch.setattr(drives, "score_drive", small := Small())
    run = score("mine", [0.0] * 40, tiny_corpus, 7)
    assert small.asked == {"seed": 7, "device": "cpu"} and run["updates"] == 40 and run["digest"] == tiny_corpus.digest
    assert run["after_tail"]["kl"] == pytest.approx(small.found.after_tail.kl, abs=1e-4)
    assert len(run["curves"]["kl"]) == 60 // EVERY
    assert run["curves"]["kl"][1] == pytest.approx(np.mean(small.found.history["kl"][20:40]), abs=1e-4)


class Small:
    """``score_drive`` with small settings; it remembers what it was asked and what it found."""

    def __call__(self, weights, corpus, **asked):
        self.asked = asked
        self.found = score_drive(weights, corpus, SMALL, tail=20, iw_samples=1, **asked)
        return self.found


def test_a_score_needs_the_required_kl():
    for run in load_drives().values():
        kept = run["after_tail"]["kl"] >= REQUIRED_KL
        assert scored(run) == (run["after_tail"]["neg_elbo"] if kept else None)


def fake(monkeypatch, values):
    """Stored runs with these pairs of KL and -ELBO, by name, on seed 0."""
    runs = {
        (name, 0): {
            "at_end": {"kl": kl, "neg_elbo": bound, "reconstruction": bound - kl, "iw_nll": 1, "active_units": 2}
        }
        for name, (kl, bound) in values.items()
    }
    monkeypatch.setattr(drive_pictures, "load_drives", lambda: runs)


def test_the_smallest_kl_comes_first_and_an_order_can_fail(monkeypatch):
    fake(monkeypatch, {"a": (0.5, 13.0), "b": (0.0, 12.9), "c": (0.7, 13.0)})
    assert [name for name, _ in by_kl(["a", "b", "c"], 0)] == ["b", "a", "c"]
    assert costs_more(["a", "b"], 0) and not costs_more(["a", "b", "c"], 0)
    assert table_of_drives(["a", "b"]).splitlines()[2:] == [
        "| b | 0.00 | 12.90 | 12.90 | 1.00 | 2 |",
        "| a | 0.50 | 12.50 | 13.00 | 1.00 | 2 |",
    ]


def test_the_table_of_scores_has_a_score_or_the_kl():
    lines = [line.strip("| ").split(" | ") for line in table_of_scores().splitlines()[2:]]
    assert [line[0] for line in lines] == names()
    assert {line[0]: line[1:3] for line in lines} == {
        "impatient": ["350", "2,000"],
        "there and back": ["700", "700"],
        "constant": ["0", "2,500"],
        "monotonic-long": ["501", "1,500"],
        "cyclical": ["502", "750"],
        "patient": ["908 to 1,168", "500 to 820"],
        "slow ramp": ["900", "700"],
    }
    for name, _, _, *cells, count in lines:
        for seed, cell in enumerate(cells):
            end = load_drives()[name, seed]["after_tail"]
            expected = f"{end['neg_elbo']:.2f}" if end["kl"] >= REQUIRED_KL else f"none (KL {end['kl']:.2f})"
            assert cell == expected
        assert count == f"{sum(not cell.startswith('none') for cell in cells)} of 5"


def test_the_pictures_show_the_stored_curves_and_say_so():
    figure, alt = plot_drives(["impatient", "patient"], seed=2)
    for axes, column in zip(figure.axes, ("kl_weight", "kl", "reconstruction"), strict=True):
        for drawn, name in zip(axes.lines[-2:], ("impatient", "patient"), strict=True):
            assert list(drawn.get_ydata()) == load_drives()[name, 2]["curves"][column]
            assert drawn.get_xdata()[-1] == 2500
    assert f"patient: KL {load_drives()['patient', 2]['at_end']['kl']:.2f} at the end" in alt and "seed 2" in alt
    figure, alt = plot_scores()
    (axes,) = figure.axes
    for drawn, name in zip(axes.lines, names(), strict=True):
        assert list(drawn.get_xdata()) == [load_drives()[name, seed]["after_tail"]["kl"] for seed in SEEDS]
    assert alt.count("-ELBO") == len(names()) + 1
