"""kldanneal.lab.results: fair and its pictures, on runs whose numbers are known and on the stored ones."""

from dataclasses import asdict
from statistics import mean

import pytest

from kldanneal.lab.drawing import Diagram
from kldanneal.lab.results import fair, fair_pictures, tail
from kldanneal.lab.results.jobs import Job
from kldanneal.lab.results.parts import SCHEDULES
from kldanneal.lab.results.statistics import with_interval
from kldanneal.lab.results.tail import load_runs

DISTANCES = (0, 2000, 8000)


def run(label, seed, kl, corpus="toy", word_dropout=0.0):
    """A run with a KL at each distance, and at update 4,000."""
    job = Job(corpus, label, SCHEDULES[label], 12_000, seed, {"word_dropout": word_dropout})
    low = job.last_low()
    marks = [{"update": low + distance, "distance": distance, "kl": value, "neg_elbo": 14 - value}
             for distance, value in zip(DISTANCES, kl, strict=True)]  # fmt: skip
    marks.append({"update": 4000, "distance": 4000 - low, "kl": 9.0 if label == "cyclical" else 7.0})
    return {"job": asdict(job), "measured": marks, "sentences": 1234, "kl_curve": [float(seed)] * 240,
            "reconstruction_curve": [14.0] * 240}  # fmt: skip


@pytest.fixture
def known(monkeypatch):
    runs = [run("cyclical", seed, (0.9, 0.5, 0.25 + seed / 100)) for seed in (0, 1, 2)]
    runs += [run("monotonic", seed, (0.1, 0.1, 0.125)) for seed in (0, 1, 2)]
    runs += [run("monotonic-long", seed, (0.8, 0.8 - 0.5 * seed, 0.5)) for seed in (0, 1)]  # seed 2 is to come
    runs += [run("cyclical", 0, (1, 1, 1), "docstrings")]  # nothing to pair it with
    monkeypatch.setattr(tail, "load_runs", lambda part: runs)


def test_pairs_are_of_equal_seeds_and_distance(known):
    assert fair.pairs("toy", 0.0, "monotonic") == pytest.approx([0.125, 0.135, 0.145])
    assert fair.pairs("toy", 0.0, "monotonic-long", distance=2000) == pytest.approx([-0.3, 0.2])
    assert fair.pairs("toy", 0.0, "monotonic", "neg_elbo", 0) == pytest.approx([-0.8] * 3)
    assert fair.pairs("toy", 0.0, "monotonic", update=4000) == pytest.approx([2.0] * 3)
    assert fair.pairs("toy", 0.2, "monotonic") == []


def test_only_what_has_two_pairs_is_shown(known):
    assert fair.stored_texts() == [("toy", 0.0)]
    assert fair.where("toy", 0.0) == "toy language, 1,234 sentences, word dropout 0, 3 seeds"


def test_the_higher_one_by_the_interval():
    assert fair.higher([0.1, 0.2, 0.3, 0.2], "a", "b") == "a"
    assert fair.higher([-0.1, -0.2, -0.3, -0.2], "a", "b") == "b"
    assert fair.higher([-0.1, 0.2, 0.3, -0.2], "a", "b") == "no winner"


def test_the_table_of_pairs(known):
    lines = fair.table_of_pairs(distances=[2000]).splitlines()
    assert len(lines) == 4
    assert lines[2] == "| toy, 0; KL; 2,000 | `monotonic` | +0.40 [+0.40, +0.40] | `cyclical` higher in 3 of 3 seeds |"
    assert with_interval([-0.3, 0.2]) in lines[3] and "no winner; `cyclical` higher in 1 of 2 seeds" in lines[3]


def test_the_table_of_levels_has_a_mean_for_each_schedule(known):
    lines = fair.table_of_levels(["kl", "neg_elbo"], distance=0).splitlines()
    assert lines[0] == "| text, word dropout | schedule | KL | -ELBO | seeds |"
    assert lines[2:] == [
        "| toy, 0 | `monotonic` | 0.10 | 13.90 | 3 |",
        "| toy, 0 | `monotonic-long` | 0.80 | 13.20 | 2 |",
        "| toy, 0 | `cyclical` | 0.90 | 13.10 | 3 |",
    ]


def test_the_result_counts_the_seeds_of_the_winner_and_a_lower_bound_wins():
    below = [-0.1, -0.2, -0.3, -0.2]
    assert fair.result(below, "other") == "`other` higher in 4 of 4 seeds"
    assert fair.result(below, "other", "neg_elbo") == "`cyclical` lower in 4 of 4 seeds"
    assert fair.result([-0.1, 0.2, 0.3], "other", "iw_nll") == "no winner; `cyclical` lower in 1 of 3 seeds"


def test_the_heading_says_that_lower_is_better_for_bounds_only(known):
    heads = [fair.table_of_pairs([measure], [2000]).splitlines()[0] for measure in ("kl", "neg_elbo")]
    assert heads[0].endswith("| result |") and heads[1].endswith("| result (lower is better) |")


def test_the_two_runs_are_grey_until_their_weights_differ():
    figure, alt = fair_pictures.plot_two_runs()
    assert "the same up to update 1,000" in alt and "20,000 sentences, 4,000 updates, seed 0" in alt
    weight, kl, _ = figure.axes
    lines = {line.get_label(): line for line in weight.lines}
    assert list(lines["cyclical"].get_ydata()[:1000]) == list(lines["monotonic"].get_ydata()[:1000])
    assert lines["cyclical"].get_ydata()[1000] == 0 != lines["monotonic"].get_ydata()[1000]
    stored = [each for each in load_runs("durability") if each["job"]["label"] == "cyclical"]
    assert any(list(kl.lines[1].get_ydata()) == each["kl_curve"][:80] for each in stored)


def test_a_bar_is_the_interval_and_a_circle_a_seed():
    figure, alt = fair_pictures.plot_pairs(distance=2000)
    bar, circles, short_line, *_ = figure.axes[0].lines
    d = fair.pairs("toy", 0.0, "monotonic", distance=2000)
    assert list(circles.get_xdata()) == d and short_line.get_xdata()[0] == mean(d)
    assert f"[{bar.get_xdata()[0]:+.2f}, {bar.get_xdata()[1]:+.2f}]" in with_interval(d)
    assert len(figure.axes) == len(fair.stored_texts())
    assert f"{mean(d):+.2f}" in alt and "at a distance of 2,000 updates" in alt


def test_the_tail_has_a_panel_for_each_text():
    picture = fair_pictures.plot_over_tail()
    assert isinstance(picture, Diagram)
    assert len(picture.figure.axes) == len(fair.stored_texts())
    thick = [line for line in picture.figure.axes[0].lines if line.get_linewidth() == 2]
    runs = tail.durable("toy", "cyclical", 0.0)
    first = mean(each["measured"][i]["kl"] for each in runs for i in [0] if each["measured"][0]["distance"] == 0)
    assert [line.get_ydata()[0] for line in thick][1] == pytest.approx(first)
    assert f"cyclical: from {first:.2f} to " in picture.alt
