"""kldanneal.lab.results: tail, lasting, claims and repeat, on runs whose numbers are known."""

import json
import math
from dataclasses import asdict

import pytest
from conftest import made_up_map

from kldanneal.lab.results import claims, fair, lasting, make, pool, repeat, sections, stored, tail
from kldanneal.lab.results.fair_map import FairMap
from kldanneal.lab.results.jobs import Job
from kldanneal.lab.results.statistics import interval, with_interval

DISTANCES = (0, 250, 500, 1000, 2000, 4000, 8000)


def run(label, kl, *, seed=0, corpus="toy", word_dropout=0.0, first=0, bound=14.0, **settings):
    """A run with a KL at each distance, from a low update on; ``first`` is the number of that update."""
    job = Job(corpus, label, {"total_steps": first}, 12_000, seed, {"word_dropout": word_dropout} | settings)
    marks = [
        {"update": first + distance, "distance": distance, "kl": value, "neg_elbo": bound + value, "iw_nll": bound}
        for distance, value in zip(DISTANCES, kl, strict=True)
        if first + distance > 0
    ]
    last = {"update": 12_000, "distance": 12_000 - first, "kl": kl[-1], "neg_elbo": bound + kl[-1], "iw_nll": bound}
    return {"job": asdict(job), "measured": [*marks, last], "kl_curve": [1.0] * 240, "digest": "d", "sentences": 1000}


HALVING = (0.8, 0.7, 0.6, 0.4, 0.2, 0.1, 0.05)  # half is lost at 1,000 exactly
FADING = (0.8, 0.8, 0.8, 0.8, 0.6, 0.2, 0.15)  # 0.4 lies half-way from 2,000 to 4,000
LASTING = (0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.84)
RISING = (0.8, 0.8, 0.8, 0.8, 0.9, 1.0, 1.2)
NONE = (0.0,) * 7


@pytest.mark.parametrize(
    "kl, half, end",
    [
        (HALVING, 1000, "collapsed"),
        (FADING, 3000, "falling"),
        (LASTING, math.inf, "plateau"),
        (RISING, math.inf, "rising"),
    ],
)
def test_when_half_is_lost_and_where_it_ends(kl, half, end):
    one = run("cyclical", kl, first=3500)
    assert tail.half_distance(one) == pytest.approx(half)
    assert tail.ending(one) == end


def test_half_distances_in_words():
    runs = [run("cyclical", kl, seed=seed, first=3500) for seed, kl in enumerate((HALVING, FADING, LASTING))]
    assert tail.half_distances(runs) == "3,000 [1,000, > 8,500]"
    collapsed = run("cyclical", NONE, seed=3, first=3500)
    assert tail.half_distances([*runs, collapsed]) == "3,000 [1,000, > 8,500] (3 of 4 seeds; the rest began below 0.1)"
    assert tail.half_distances([collapsed]) == "-"
    assert tail.half_distances([run("constant", NONE)]) == "-"  # it was never measured at distance 0
    assert tail.counted([*map(tail.ending, runs)]) == "1 collapsed, 1 falling, 1 plateau"


def test_runs_are_selected_by_what_they_are():
    runs = [run("cyclical", NONE, seed=1), run("cyclical", NONE, seed=0), run("cyclical", NONE, word_dropout=0.2),
            run("cyclical", NONE, corpus="docstrings"), run("cyclical", NONE, lr_schedule="decay")]  # fmt: skip
    found = tail.select(runs, "toy", "cyclical", word_dropout=0.0, lr_schedule=0)
    assert [each["job"]["seed"] for each in found] == [0, 1]


def test_differences_are_within_seeds_and_at_equal_distance():
    ours = [run("cyclical", RISING, seed=seed, first=3500) for seed in (0, 1)]
    theirs = [run("constant", HALVING, seed=seed) for seed in (1, 2)]
    assert tail.differences(ours, theirs, "kl") == [pytest.approx(1.2 - 0.05)]  # seed 1 alone has both
    assert tail.differences(ours, theirs, "kl", 1000) == [pytest.approx(0.4)]
    assert tail.differences_at_update(ours, theirs, "neg_elbo", 12_000) == [pytest.approx(1.15)]
    with pytest.raises(ValueError, match=r"Expected distance to be one at which the run was measured.*but got 7"):
        tail.at(ours[0], "kl", 7)


@pytest.fixture
def known(monkeypatch):
    """Two seeds of every schedule: cycles last with word dropout and fade without; a constant weight has no KL."""
    runs = [
        run(label, kl[word_dropout > 0], seed=seed, word_dropout=word_dropout, first=first)
        for word_dropout in (0.0, 0.2)
        for seed in (0, 1)
        for label, kl, first in (
            ("constant", (NONE, NONE), 0),
            ("monotonic", (NONE, NONE), 500),
            ("monotonic-long", (FADING, FADING), 2000),
            ("cyclical", (FADING, LASTING), 3500),
        )
    ]
    remedies = [
        run(label, kl, seed=seed, first=first)
        for seed in (0, 1)
        for label, kl, first in (
            ("constant 0.5", LASTING, 4000),
            ("constant 0.75", HALVING, 4000),
            ("word dropout 0.5", FADING, 0),
        )
    ]
    parts = {"durability": runs, "remedies": remedies}
    for module in (tail, lasting, claims):
        monkeypatch.setattr(module, "load_runs", lambda part, path=None: parts.get(part, []))
    return runs


def test_verdicts_are_of_the_runs(known):
    rows = {line.split("|")[1].strip(): line for line in claims.table_of_claims().splitlines()}
    assert "**holds**" in rows["A constant weight of 1 ends in collapse."]
    assert "**holds**" in rows["After annealing (`cyclical`), the KL falls when training goes on at weight 1."]
    assert "**holds**" in rows["With word dropout, the KL after annealing (`cyclical`) levels off or rises."]
    assert (
        "**does not hold**" in rows["With word dropout, the KL after annealing (`monotonic-long`) levels off or rises."]
    )
    long = rows["Cycles keep more KL than one long ramp with as many low updates."]
    assert "**depends**" in long and "+0.00 [+0.00, +0.00], 0 of 2 seeds" in long and "+0.69" in long
    assert "**does not hold**" in rows[
        "Annealed in cycles, a model has a lower -ELBO than under a constant weight of 1."]  # fmt: skip
    assert "KL 0.80, 0.80" in rows["A constant weight of 0.5 keeps the KL up."]
    assert "**holds** while it is on; that it then levels off: **does not hold**" in rows[
        "A constant weight of 0.75 keeps the KL up."]  # fmt: skip
    assert len([row for row in rows if "8,500 or more at weight 1" in row]) == 2


def test_the_tables_hold_means_and_spreads(known, monkeypatch):
    monkeypatch.setattr(lasting, "TOTALS", (12_000,))
    known[0]["measured"][-2]["kl"] = 0.4  # of the constant weight, seed 0, at distance 8,000
    lines = lasting.durability().splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:8] == ["toy", "0", "`constant`", "2", "-", "0.00 ± 0.00", "0.00 ± 0.00", "0.20 ± 0.28"]
    assert len(lines) == 2 + 8
    assert "0.15 ± 0.00" in lasting.totals().splitlines()[5]
    low, high = interval([0.15 - 0.4, 0.15])
    assert f"{-0.05:+.2f} [{low:+.2f}, {high:+.2f}]" in lasting.pairs().splitlines()[2]
    assert lasting.summary().splitlines()[2] == "| toy, 0 (2) | 0.00 → 0.20 | 0.80 → 0.60 → 0.15 | 0.80 → 0.60 → 0.15 |"


def test_a_remedy_without_low_updates_is_measured_after_as_many_updates_as_the_others(known):
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lasting.remedies().splitlines()]
    one, weight, _, word_dropout = rows[2:]
    assert one[:2] == ["constant", "2"] and one[6:8] == ["-", "2 collapsed"]
    assert weight[2:6] == ["0.80 ± 0.00", "0.80 ± 0.00", "0.80 ± 0.00", "0.84 ± 0.00"] and weight[7] == "2 plateau"
    assert word_dropout[2:6] == ["0.20 ± 0.00", "-", "-", "0.15 ± 0.00"]  # FADING at 4,000 and 12,000 updates in all
    assert word_dropout[6:8] == ["-", "2 plateau"]  # 0.15 after 8,000 and after 12,000


def test_the_map_in_numbers():
    stored = FairMap(made_up_map(distances=(0, 1000, 4000)))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lasting.on_the_map(stored).splitlines()]
    for name, cells in (("once", rows[2]), ("in cycles", rows[6])):
        word_dropout = float(cells[0])
        kl = {
            cell: [stored.kl(cell, word_dropout, distance) for distance in (0, 1000, 4000)]
            for cell, dropout in stored.runs
            if (cell.course, dropout) == (name, word_dropout)
        }
        assert cells[1:3] == [name, str(len(kl))]
        assert cells[3:6] == [str(sum(values[i] >= 0.1 for values in kl.values())) for i in range(3)]
        best = max(kl, key=lambda cell: kl[cell][2])  # of any shape: these numbers do not depend on it
        assert cells[6].startswith(f"{kl[best][2]:.2f}: ") and cells[6].endswith(f" {best.size}")


def test_what_the_page_says_in_short_is_so():
    """Of the stored runs: its sentences are written by hand, its numbers are not."""
    for corpus in ("toy", "docstrings"):
        fades, stays = (tail.durable(corpus, "cyclical", dropout) for dropout in (0.0, 0.2))
        assert all(tail.ending(run) in ("collapsed", "falling") for run in fades)
        assert all(tail.ending(run) in claims.STAYS and tail.at(run, "kl", 0) > 0.1 for run in stays)
    ones = [run for corpus in ("toy", "docstrings") for run in tail.durable(corpus, "constant", 0.2)]
    assert sum(tail.at_update(run, "kl", 12_000) < 0.1 for run in ones) > len(ones) / 2
    for text in fair.stored_texts():
        assert interval(fair.pairs(*text, "monotonic-long"))[0] < 0
        assert interval(fair.pairs(*text, "constant", "iw_nll", update=12_000))[1] > 0
    said = sections.in_short()
    assert all(with_interval(fair.pairs(*text, "monotonic-long")) in said for text in fair.stored_texts())


def test_interaction_on_both_scales(monkeypatch):
    kl = {("monotonic", "constant"): 0.1, ("monotonic", "cosine-restarts"): 0.2,
          ("cyclical", "constant"): 0.5, ("cyclical", "cosine-restarts"): 1.0}  # fmt: skip
    runs = [run(weight, (value,) * 7, seed=seed, corpus="docstrings", lr_schedule=lr)
            for (weight, lr), value in kl.items() for seed in (0, 1)]  # fmt: skip
    monkeypatch.setattr(tail, "load_runs", lambda part: runs)
    last = lasting.interaction().splitlines()[-1]  # ratios of 5 and of 2 everywhere: additive interaction alone
    assert with_interval([0.4, 0.4]) in last and "x1.00 [1.00, 1.00]" in last


# -- repeating stored runs ---------------------------------------------------------------------------------------------

TINY = {"embedding": 8, "hidden": 12, "latent": 4}


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    job = Job("toy", "ramp", {"total_steps": 10}, 30, 1, TINY, distances=(0, 10))
    result = pool.work(job, str(tmp_path_factory.mktemp("run")), None)
    return stored.as_stored({"job": asdict(job), **result, "made": 0})


def test_a_run_repeated_is_equal(one_run):
    assert repeat.repeat(one_run) == "equal"


def test_a_run_repeated_shows_what_differs(one_run):
    changed = json.loads(json.dumps(one_run))
    changed["discount"] += 1
    assert repeat.repeat(changed).startswith("differs in discount: 5.5 here, 6.5 stored")
    assert repeat.repeat({**one_run, "digest": "other"}).startswith("another corpus: digest")


def test_runs_are_chosen_by_their_properties_or_drawn():
    runs = [run("cyclical", NONE, seed=seed, word_dropout=dropout) for seed in range(5) for dropout in (0.0, 0.2)]
    assert [each["job"]["seed"] for each in repeat.chosen(runs, word_dropout=0.2)] == list(range(5))
    assert repeat.some(runs, 3, draw=1) == repeat.some(runs, 3, draw=1) != repeat.some(runs, 3, draw=2)
    with pytest.raises(ValueError, match=r"seed.*9.*there are none; there are.*\[0, 1, 2, 3, 4\]"):
        repeat.chosen(runs, seed=9)


def test_a_run_is_named_by_all_that_tells_it_from_others(one_run):
    assert repeat.name(one_run) == "toy, word dropout 0, ramp (total_steps 10), 30 updates, seed 1"


def test_a_run_that_is_not_there_is_one_line_with_the_choices(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["make", "repeat", "map", "--label", "constant"])
    with pytest.raises(SystemExit) as ended:
        make.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "Traceback" not in said and "'constant 0.5'" in said.splitlines()[-1]
