"""kldanneal.lab.results: keeping, its pictures and budgets, on runs whose numbers are known and on the stored ones."""

from dataclasses import asdict
from statistics import mean

import numpy as np
import pytest

from kldanneal.lab.drawing import Diagram
from kldanneal.lab.results import budgets, findings, keeping, keeping_pictures, tail
from kldanneal.lab.results.jobs import Job
from kldanneal.lab.results.parts import BUDGETS, DURABILITY, SCHEDULES, TOTALS
from kldanneal.lab.results.statistics import with_interval
from kldanneal.lab.results.tail import load_runs

DISTANCES = (0, 500, 2000, 4000, 8000)


def measured(update, distance, kl, bound=14.0):
    return {"update": update, "distance": distance, "kl": kl, "neg_elbo": bound + kl, "iw_nll": bound,
            "mutual_information": kl / 2, "active_units": 3}  # fmt: skip


def budget(label, seed, updates, kl, word_dropout=0.0, bound=14.0):
    job = Job("toy", label, {"total_steps": 10}, updates, seed, {"word_dropout": word_dropout}, distances=())
    return {"job": asdict(job), "measured": [measured(updates, 500, kl, bound)], "sentences": 1234}


def ramp(total_steps, kl, word_dropout):
    """A run of the map; its KL is measured at a distance as long as its ramp, among others."""
    annealer = {"total_steps": total_steps, "shape": "linear"}
    job = Job("toy", "once", annealer, total_steps + 4000, 0, {"word_dropout": word_dropout})
    marks = [measured(total_steps + distance, distance, 8.0 if distance < total_steps else kl)
             for distance in (0, total_steps)]  # fmt: skip
    return {"job": asdict(job), "measured": marks, "sentences": 1234}


def course(label, seed, kl, corpus="toy", word_dropout=0.0, **job):
    """A run with a KL at each distance, and the last of them at every total that is not at a distance."""
    annealer = SCHEDULES.get(label, {"total_steps": 0} if "free_bits" in job else {"total_steps": 0, "max_weight": 0.5})
    made = Job(corpus, label, annealer, 12_000, seed, {"word_dropout": word_dropout}, **job)
    low = made.last_low()
    marks = {low + distance: measured(low + distance, distance, value)
             for distance, value in zip(DISTANCES, kl, strict=True)}  # fmt: skip
    for update in TOTALS:
        marks.setdefault(update, measured(update, update - low, kl[-1]))
    return {"job": asdict(made), "measured": [marks[update] for update in sorted(marks) if update],
            "sentences": 1234, "kl_curve": [float(seed)] * 240}  # fmt: skip


FADING = (0.8, 0.4, 0.2, 0.1, 0.05)
LASTING = (0.8, 0.8, 0.8, 0.9, 1.0)
NONE = (0.0,) * 5


@pytest.fixture
def known(monkeypatch):
    """Two seeds of every schedule and remedy, one of the last remedy; three of the budgets, of which one is half."""
    durability = [
        course(label, seed, NONE if label in ("constant", "monotonic") else LASTING if dropout else FADING,
               corpus, dropout)
        for corpus, dropout, labels in DURABILITY for label in labels for seed in (0, 1)
    ]  # fmt: skip
    remedies = [course(label, seed, LASTING, then_one=4000) for label in ("constant 0.5", "constant 0.75")
                for seed in (0, 1)]  # fmt: skip
    remedies += [course(label, 1, FADING, then_one=4000, free_bits=0.1) for label in ("free bits 0.1",)]
    parts = {
        "durability": durability,
        "remedies": remedies,
        "budgets": [
            budget(label, seed, n, (n / 1000 if label == "cyclical" else 0.25) + seed / 10, dropout, 14 + i)
            for dropout in budgets.WORD_DROPOUTS for i, label in enumerate(budgets.LABELS) for n in BUDGETS
            for seed in (0, 2)
        ],
    }  # fmt: skip
    parts["budgets"] += [budget("constant", 1, 1000, 9.0)]  # its other runs are to come
    parts["map"] = [ramp(n // 2, kl + dropout, dropout) for n, kl in ((1000, 0.0), (2000, 0.3), (10_000, 9.0))
                    for dropout in budgets.WORD_DROPOUTS]  # fmt: skip
    for module in (tail, keeping, budgets):
        monkeypatch.setattr(module, "load_runs", lambda part: parts[part])
    return parts


def test_only_whole_seeds_have_a_budget(known):
    found = budgets.budgeted(0.0)
    assert [run["job"]["seed"] for run in found["constant"][1000]] == [0, 2]
    known["budgets"] = known["budgets"][:-2]
    assert len(budgets.budgeted(0.2)["constant"][1000]) == 1
    known["budgets"] = [run for run in known["budgets"] if run["job"]["label"] != "cyclical"]
    assert budgets.budgeted(0.0) == {}
    assert len(budgets.table_of_budgets().splitlines()) == 2


def test_the_table_of_budgets(known):
    lines = budgets.table_of_budgets(["kl"]).splitlines()
    assert len(lines) == 2 + 8
    assert lines[2] == "| 0 | `constant` | 2 | " + "0.35 ± 0.14 | " * 3 + "0.35 ± 0.14 |"
    assert lines[5].startswith("| 0 | `cyclical` | 2 | 1.10 ± 0.14 | 2.10 ± 0.14 |")
    assert "-log p(x) after 8,000" in budgets.table_of_budgets().splitlines()[0]
    assert budgets.best(0.0, 2000) == pytest.approx(2.1)


def test_the_picture_of_budgets_shows_each_seed_and_the_mean(known):
    known["budgets"][-2]["measured"][-1]["kl"] = 9.2  # in the second panel, higher than all of the first
    picture = budgets.plot_budgets()
    assert all(axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 9.2 for axes in picture.figure.axes)
    assert isinstance(picture, Diagram) and len(picture.figure.axes) == 2
    *_, first, second, thick, dotted = picture.figure.axes[0].lines
    assert list(first.get_ydata()) == [1.0, 2.0, 4.0, 8.0]
    assert list(second.get_ydata()) == pytest.approx([1.2, 2.2, 4.2, 8.2])
    assert list(thick.get_ydata()) == pytest.approx([1.1, 2.1, 4.1, 8.1])
    assert dotted.get_ydata()[0] == 0.1
    assert "word dropout 0, 2 seeds, cyclical: 1.10, 2.10, 4.10, 8.10" in picture.alt


def test_a_label_finds_its_runs_in_either_part(known):
    assert [run["job"]["label"] for run in keeping.runs_of("cyclical", "docstrings", 0.2)] == ["cyclical"] * 2
    assert [run["job"]["seed"] for run in keeping.runs_of("free bits 0.1")] == [1]
    assert keeping.runs_of("free bits 0.1", "docstrings") == keeping.runs_of("free bits 0.1", "toy", 0.2) == []


def test_seeds_in_words():
    assert keeping.seeds_of([1]) == "1 seed"
    assert keeping.seeds_of([1, 2], [1, 2]) == "2 seeds"
    assert keeping.seeds_of([1, 2], [1, 2, 3]) == "2 to 3 seeds"


def test_tables_of_tails_and_states(known):
    lines = keeping.table_of_tails(["cyclical", "free bits 0.1"]).splitlines()
    assert lines[2] == (
        "| toy, 0; `cyclical` | 2 | 0.80 ± 0.00 | 0.40 ± 0.00 | 0.20 ± 0.00 | 0.05 ± 0.00 | 500 [500, 500] |"
    )
    assert lines[3].startswith("| toy, 0; `free bits 0.1` | 1 | 0.80 |")
    lines = keeping.table_of_states().splitlines()
    assert "| toy, 0.2 | `cyclical` | 1.00, 1.00 | 2 of 2 |" in lines
    assert "| toy, 0 | `cyclical` | 0.05, 0.05 | 0 of 2 |" in lines


def test_scores_are_of_the_seeds_that_all_labels_have(known):
    known["remedies"][1]["measured"][0]["kl"] = 0.6  # constant 0.5, seed 1, which free bits have too
    assert known["remedies"][1]["measured"][0]["update"] == keeping.SWITCH
    lines = keeping.table_of_scores(["constant 0.5", "free bits 0.1"]).splitlines()
    assert lines[0].startswith("| for 4,000 updates; 1 seed |")
    assert lines[2] == "| `constant 0.5` | 0.60 | 0.40 | 14.80 | 14.00 |"
    picture = keeping_pictures.plot_scores(["constant 0.5", "free bits 0.1"])
    assert "constant 0.5: KL 0.60, -ELBO 14.80, -log p(x) 14.00" in picture.alt and "1 seed" in picture.alt


def test_the_guide_has_the_numbers_of_the_runs(known):
    rows = keeping.guide().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == list("1234567")
    assert "toy language, word dropout 0: 2 of 2" in rows[0]
    assert "dropout 0 / 0.2: N = 1,000: 1.10 / 1.10; N = 2,000: 2.10 / 2.10 (2 seeds)" in rows[1]
    assert rows[1].startswith("| 2 | N is small |") and rows[1].endswith("one ramp: N = 1,000: 0.00 / 0.20 (1 seed) |")
    assert "docstrings, `cyclical`: 2 of 2" in rows[2] and f"interval]: {with_interval([0.0, 0.0])}" in rows[2]
    assert "Word dropout 0.2 minus 0, docstrings" in rows[2] and "minus `constant` (weight 1)" in rows[3]
    assert f"-log p(x) {with_interval([1.0, 1.0])} (2 seeds)" in rows[3]
    assert "after β = 0.5, KL 0.80, 8,000 updates later 1.00" in rows[4]
    assert "KL 0.80, I(x; z) 0.40, 3 of 8 units active" in rows[5]
    assert (
        "word dropout 0: 0.80 to 0.05; word dropout 0.2: 0.80 to 1.00 (then the seeds lie between 1.00 and 1.00;"
        in rows[6]
    )


def test_the_guide_says_how_many_updates_are_few(known):
    for run in known["budgets"]:
        if run["job"]["updates"] <= 2000:
            run["measured"][-1]["kl"] = 0.09 if run["job"]["updates"] == 2000 else 0.0
    row = keeping.guide().splitlines()[3]
    assert row.startswith("| 2 | N is small (here: 2,000 or less) |")
    assert "N = 2,000: 0.09 / 0.09; N = 4,000:" in row and "one ramp: N = 2,000: 0.30 / 0.50" in row


def test_a_constant_weight_says_what_comes_after_it(known):
    first, *_ = keeping.runs_of("constant 0.75")
    assert tail.shown(first) == "constant 0.75, then 1"
    assert tail.shown({"job": first["job"] | {"then_one": None}}) == "constant 0.75 to the end"
    for label in ("constant", "cyclical", "free bits 0.1"):
        assert tail.shown(keeping.runs_of(label)[0]) == label


def test_the_guide_counts_seeds_that_do_not_keep_their_kl(known):
    run = next(run for run in known["durability"] if run["job"]["label"] == "cyclical"
               and run["job"]["settings"]["word_dropout"] and run["job"]["corpus"] == "toy")  # fmt: skip
    next(mark for mark in run["measured"] if mark["distance"] == 8000)["kl"] = 0.09
    assert "toy language, `cyclical`: 1 of 2" in keeping.guide().splitlines()[4]


def test_the_course_has_weights_curves_and_floors(known):
    figure, alt = keeping_pictures.plot_course(["cyclical", "free bits 0.1"], halves=True)
    weight, floor, kl = figure.axes
    assert weight.lines[0].get_ydata()[1000] == 0 and floor.lines[1].get_ydata()[3999] == 0.1
    assert floor.lines[1].get_ydata()[4000] == 0 == np.max(floor.lines[0].get_ydata())
    dots = [line for line in kl.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [4000, 4000, 4500]  # 500 updates after the last low ones
    assert "cyclical: held-out KL" in alt and "1 to 2 seeds" in alt and "1,234 sentences" in alt


def test_the_course_of_the_stored_runs():
    picture = keeping_pictures.plot_course(["constant", "cyclical"], [("toy", 0.0), ("toy", 0.2)])
    assert len(picture.figure.axes) == 3
    curves = [run["kl_curve"] for run in tail.durable("toy", "cyclical", 0.2)]
    thick = [line for line in picture.figure.axes[2].lines if line.get_linewidth() == 2]
    assert list(thick[1].get_ydata()) == pytest.approx(list(np.mean(curves, axis=0)))
    last = mean(tail.at_update(run, "kl", 12_000) for run in tail.durable("toy", "cyclical", 0.2))
    assert picture.alt.endswith(f", {last:.2f} after 12,000.")


def test_results_have_the_budgets_and_the_guide_once_they_are_trained():
    assert findings.FIGURES["budgets"][0].name == "budgets.json"
    if load_runs("budgets"):
        assert keeping.guide() in findings.page() and budgets.table_of_budgets() in findings.page()
    else:
        assert "Not trained yet: `make runs PART=budgets`." in findings.page()
