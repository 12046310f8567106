"""kldanneal.lab.results: factorial and its pictures, on cells whose effects are known and on the stored runs."""

from dataclasses import asdict, replace

import pytest

from kldanneal.lab.results import evidence, factorial, factorial_pictures, tail
from kldanneal.lab.results.factorial import RATES, WEIGHTS, TwoByTwo
from kldanneal.lab.results.parts import two_by_two
from kldanneal.lab.results.statistics import with_interval

ADDS = {("monotonic", "constant"): [0.1, 0.2], ("monotonic", "cosine-restarts"): [0.3, 0.4],
        ("cyclical", "constant"): [1.1, 1.2], ("cyclical", "cosine-restarts"): [1.3, 1.4]}  # fmt: skip
MULTIPLIES = {("monotonic", "constant"): [0.1, 0.2], ("monotonic", "cosine-restarts"): [0.2, 0.4],
              ("cyclical", "constant"): [0.5, 1.0], ("cyclical", "cosine-restarts"): [1.0, 2.0]}  # fmt: skip


def two(cells, title="10 sentences, 4,000 updates, 2 seeds"):
    return TwoByTwo(title, {place: [{"kl": value, "neg_elbo": 60 + value, "iw_nll": 60.0} for value in values]
                            for place, values in cells.items()}, 4000)  # fmt: skip


def test_effects_that_add_up_interact_as_ratios_alone():
    differences, ratios = factorial.difference_effects(ADDS), factorial.ratio_effects(ADDS)
    assert differences["restarts, monotonic weight"] == pytest.approx([0.2, 0.2])
    assert differences["cyclical weight, restarts"] == pytest.approx([1.0, 1.0])
    assert differences["interaction"] == pytest.approx([0, 0])
    assert max(ratios["interaction"]) < -0.5


def test_effects_that_multiply_interact_as_differences_alone():
    differences, ratios = factorial.difference_effects(MULTIPLIES), factorial.ratio_effects(MULTIPLIES)
    assert ratios["interaction"] == pytest.approx([0, 0])
    assert differences["interaction"] == pytest.approx([0.4, 0.8])
    assert factorial.as_ratio(ratios["cyclical weight, restarts"]) == "x5.00 [5.00, 5.00]"


def test_the_tables():
    lines = factorial.table_of_effects(MULTIPLIES).splitlines()
    assert lines[0] == "| effect on the KL | difference (nats) | ratio |"
    assert lines[-1] == f"| interaction | {with_interval([0.4, 0.8])} | x1.00 [1.00, 1.00] |"
    bounds = factorial.table_of_effects(ADDS, "neg_elbo", ratios=False).splitlines()
    assert bounds[0] == "| effect on the -ELBO | difference (nats) |" and len(bounds) == len(lines)
    cells = factorial.table_of_cells(two(ADDS)).splitlines()
    assert cells[2] == "| monotonic | constant | 405 | 3,100 | 0.150 | 60.15 | 60.00 |"
    assert "| cyclical | restarts | 812 | 550 |" in cells[-1]


def test_the_published_weights_are_those_of_the_stored_runs():
    for job in two_by_two():
        assert job.schedule().schedule(job.updates) == factorial.published(job.updates)[job.label].schedule(job.updates)
    weights = factorial.published(4000)["cyclical"].schedule(4000)
    assert factorial.discount_and_distance(weights)[1] == job.updates - job.last_low() == 550
    assert factorial.discount_and_distance([1.0, 1.0]) == (0, 2)


def test_the_small_penn_treebank_is_the_evidence():
    (small, *_) = factorial.stored_experiments()
    assert small.title == "2,742 Penn Treebank sentences, 2,000 updates, 5 seeds"
    stored = evidence.load_evidence()
    for weight, schedule in enumerate(WEIGHTS):
        for lr, name in enumerate(RATES):
            assert small.values("kl", schedule, name) == evidence.cell(stored, "kl", "ptb", weight, lr)


def test_docstrings_are_there_with_the_seeds_that_all_four_have(monkeypatch):
    runs = [{"job": asdict(job), "sentences": 30_000, "measured": [{"kl": 9.0}, {"kl": float(job.seed)}]}
            for job in two_by_two() if job.seed < 3]  # fmt: skip
    runs.remove(next(run for run in runs if run["job"]["seed"] == 1))  # it is to come
    monkeypatch.setattr(tail, "load_runs", lambda part: runs)
    _, docstrings = factorial.stored_experiments()
    assert docstrings.title == "30,000 docstrings, 4,000 updates, 2 seeds"
    assert docstrings.cells("kl") == {(weight, lr): [0.0, 2.0] for weight in WEIGHTS for lr in RATES}
    monkeypatch.setattr(tail, "load_runs", lambda part: [])
    assert len(factorial.stored_experiments()) == 1


@pytest.mark.parametrize("ratios", [False, True])
def test_lines_are_parallel_on_the_scale_without_an_interaction(ratios):
    figure, alt = factorial_pictures.plot_cells([two(MULTIPLIES if ratios else ADDS)] * 2, ratios=ratios)
    left, right = figure.axes
    monotonic, cyclical = (line for line in left.lines if len(line.get_xdata()) == 2 and line.get_linestyle() != "None"
                           and line.get_marker() == "None")  # fmt: skip
    heights = [left.transData.transform(line.get_xydata())[:, 1] for line in (monotonic, cyclical)]
    rises = [high - low for low, high in heights]
    assert rises[0] == pytest.approx(rises[1])
    assert right.get_title() == "10 sentences,\n4,000 updates, 2 seeds"
    assert "10 sentences, 4,000 updates, 2 seeds, cyclical weight: constant" in alt


def test_the_two_scripts():
    weights = {"monotonic": [0.1, 1.0, 1.0, 1.0], "cyclical": [0.1, 1.0, 0.1, 1.0]}
    rates = {"monotonic": [1e-3] * 4, "cyclical": [1e-3, 5e-4, 1e-3, 5e-4]}
    figure, alt = factorial_pictures.plot_two_scripts(weights, rates, batches=2)
    above, below = figure.axes
    assert [list(line.get_ydata()) for line in above.lines] == list(weights.values())
    assert list(below.lines[1].get_ydata()) == [1.0, 0.5, 1.0, 0.5]
    assert "over 2 epochs" in alt and "cyclical script: the weight is below 1 in 1.0 epochs" in alt


def test_a_cell_without_runs_is_an_error_that_names_no_result():
    empty = replace(two(ADDS), runs={place: [] for place in ADDS})
    with pytest.raises(ValueError, match="at least 2 values"):
        factorial.table_of_effects(empty.cells("kl"))
