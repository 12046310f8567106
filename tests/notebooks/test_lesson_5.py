"""What lesson 5 says, checked on its stored outputs: values with a margin."""

import re
from statistics import mean

import pytest
from lessons import DIFFERENCE, numbers, output, prose, rows

from kldanneal.lab.questions import questions
from kldanneal.lab.results import budgets, keeping
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.tail import at, at_update, durable, ending

LESSON = "05_does_it_last"


def number(text):
    """The first number of a cell of a table, such as ``0.90 ± 0.24`` or ``1,360 [550, 2,720]``."""
    return float(re.search(r"[\d,.]*\d", text)[0].replace(",", ""))


def table(cell):
    """A table by the text of its first column, without backquotes."""
    return {row[0].replace("`", ""): row[1:] for row in rows(output(LESSON, cell))}


def states():
    """The KL of each seed at the end, by text and schedule."""
    found = rows(output(LESSON, "states-table"))
    return {(text, label): [float(kl) for kl in values.split(", ")] for text, label, values, _ in found}


def test_without_word_dropout_the_kl_fades():
    found = table("fade-table")
    assert len(found) == 4
    for name, (seeds, first, _, _, last, _) in found.items():
        assert int(seeds) >= 2 and number(last) < 0.4 * number(first), name
    assert "1,360 [550, 2,720]" in found["toy, 0; cyclical"][-1] and found["toy, 0; cyclical"][0] == "5"


def test_where_the_hypothesis_holds_and_where_it_fails():
    kl = states()
    with_it, without = "toy, 0.2", "toy, 0"
    assert min(kl[with_it, "cyclical"]) > 0.5 and len(kl[with_it, "cyclical"]) == 5
    assert sum(value < 0.1 for value in kl[with_it, "monotonic-long"]) == 1
    left = [f"{value:.2f}" for value in kl[with_it, "constant"] if value > 0.1]
    asked = questions(5)["states"]
    assert (asked.answer, asked.why) == (f"in {len(left)}", f"They end at {' and '.join(left)} nats.")
    before, after = (mean(at_update(run, "kl", n) for run in durable("toy", "cyclical", 0.2)) for n in (4000, 12_000))
    assert f"rises from {before:.2f} to {after:.2f} after update 4,000" in prose(LESSON) and before < after
    for label in ("monotonic-long", "cyclical"):  # "3 of 5 seeds each above 0.1: undecided"
        high = [run for run in durable("toy", label, 0.0) if at_update(run, "kl", 12_000) > 0.1]
        assert sum(value > 0.1 for value in kl[without, label]) == 3 == len(high)
        assert [ending(run) for run in high] == ["falling"] * 3
    last = [at_update(run, "kl", 12_000) - at(run, "kl", 8000) for run in high]
    assert min(last) < 0 < max(last)  # of cyclical; so "still falling" would be wrong
    assert max(kl[without, "constant"]) < 0.1
    for label in ("monotonic-long", "cyclical"):
        assert min(kl["docstrings, 0.2", label]) > 0.5 and max(kl["docstrings, 0", label]) < 0.1
    assert max(kl["docstrings, 0.2", "constant"]) < 0.1


def test_a_lower_fixed_weight_keeps_more_and_it_fades_at_one():
    found = [table("fixed-table")[f"toy, 0; constant {weight}, then 1"] for weight in (0.9, 0.75, 0.5)]
    kl = [[number(row[1]), number(row[-2])] for row in found]
    assert kl[0][0] < 0.5 < kl[1][0] < kl[2][0]
    assert all(last < 0.5 * first for first, last in kl)
    assert kl[2][1] > 0.5 > max(number(row[-2]) for row in table("fade-table").values())


def test_with_word_dropout_cyclical_ends_with_more_kl_in_every_seed():
    kl = states()
    for text in ("toy, 0.2", "docstrings, 0.2"):
        assert all(after > before for before, after in zip(kl[text, "constant"], kl[text, "cyclical"], strict=True))


def test_where_the_weight_is_1_for_the_last_time_and_the_discounts():
    low, discounts = {}, {}
    for label in ("monotonic-long", "cyclical", "constant 0.5"):
        job = from_dict(keeping.runs_of(label)[0]["job"])
        low[label], discounts[label] = job.last_low(), sum(1 - weight for weight in job.weights())
    assert low == {"monotonic-long": 2000, "cyclical": 3500, "constant 0.5": 4000}
    assert discounts == pytest.approx({"monotonic-long": 1000, "cyclical": 1000, "constant 0.5": 2000}, rel=0.01)
    assert [ending(run) for run in keeping.runs_of("constant 0.5")] == ["falling"] * 3


def test_below_the_floor_there_is_no_gradient():
    pattern = re.compile(r"floor (\S+): KL term (\S+); gradient of mu (\S+) and (\S+)")
    assert numbers(pattern, output(LESSON, "free-bits")) == [(0.0, 0.505, 0.1, 1.0), (0.1, 0.6, 0.0, 1.0)]


def test_free_bits_hold_the_kl_at_the_floors_and_no_longer():
    found = table("floor-table")
    for floor in (0.05, 0.1, 0.25):
        _, first, _, _, last, half = found[f"toy, 0; free bits {floor}"]
        assert abs(number(first) - 8 * floor) < 0.05
        assert number(last) < 0.1 and max(map(number, re.findall(r"[\d,]+", half))) < 250
    floor = questions(5)["floor"]
    assert abs(number(found["toy, 0; free bits 0.1"][1]) - floor.answer) < floor.within


def test_what_each_remedy_costs():
    found = {label: list(map(float, values)) for label, values in table("scores-table").items()}
    (_, _, one_elbo, one_nll) = found["constant"]
    for label in ("free bits 0.25", "constant 0.5"):
        kl, information, elbo, nll = found[label]
        assert elbo - one_elbo > 0.3 and nll - one_nll < 0.1 and kl - information > 0.2
    assert 0.7 < found["constant 0.75"][0] < 1.5 and 0.4 < found["cyclical"][0] < 0.9
    assert all(abs(found[label][3] - one_nll) < 0.04 for label in ("constant 0.75", "cyclical"))
    assert found["constant 0.75"][2] > one_elbo + 0.04  # "the -ELBO of β = 0.75 is higher"
    gaps = {label: kl - information for label, (kl, information, _, _) in found.items()}
    assert gaps["free bits 0.1"] > 0.1
    assert max(gaps, key=gaps.get) == "free bits 0.25" and gaps["free bits 0.25"] > 0.4
    assert max(found, key=lambda label: found[label][3]) == "word dropout 0.5"
    assert min(values[3] for values in found.values()) > one_nll - 0.04


def test_word_dropout_costs_on_docstrings_and_not_on_the_toy_language():
    *toy, constant, cyclical = [d for d, _, _ in numbers(DIFFERENCE, output(LESSON, "word-dropout-cost"))]
    assert max(map(abs, toy)) < 0.05 and len(toy) == 2
    assert 0.35 < constant < 0.8 and 0.35 < cyclical < 0.8


def test_the_fixed_weight_has_the_most_kl_then_the_ramp_then_the_cycles_with_half_its_discount():
    found = {(dropout, label): list(map(number, values[1:])) for dropout, label, *values in
             rows(output(LESSON, "budgets-table"))}  # fmt: skip
    assert len(found) == 8
    assert max(kl[0] for kl in found.values()) < 0.1  # none after 1,000 updates
    assert max(kl[1] for (_, label), kl in found.items() if "0.75" not in label) < 0.1
    fixed, ramp, cycles = (found["0", label] for label in ("constant 0.75 to the end", "monotonic-long", "cyclical"))
    assert fixed[1] > ramp[1] >= cycles[1] - 0.05 and fixed[2] > ramp[2] > cycles[2]
    assert cycles[3] > 0.1 > max(found["0", "constant"])
    jobs = {label: from_dict(runs[4000][0]["job"]) for label, runs in budgets.budgeted(0.0).items()}
    discounts = {label: sum(1 - weight for weight in job.weights()) for label, job in jobs.items()}
    assert discounts["monotonic-long"] == pytest.approx(2 * discounts["cyclical"], rel=0.01)
    assert jobs["monotonic-long"].last_low() == 2000  # "the long ramp fills its half"


def test_the_guide_says_under_which_conditions():
    found = rows(output(LESSON, "guide"))
    assert [row[0] for row in found] == list("1234567")
    assert found[1][1] == "N is small (here: 2,000 or less)" and "A short ramp keeps nothing here" in found[1][2]
    assert all(re.search(r"\d seeds?\b|\d of \d", row[3]) and re.search("toy language", row[3]) for row in found)
    assert all(re.search(r"\d\.\d|updates", row[3]) for row in found)


def test_what_we_saw_agrees_with_the_tables():
    found = re.findall(r"- `(.+)`, word dropout (\S+): (\S+) to (\S+) \(", output(LESSON, "summary"))
    assert len(found) == 4
    seen = {(label, dropout): (float(first), float(last)) for label, dropout, first, last in found}
    assert seen["cyclical", "0.2"][1] > seen["cyclical", "0.2"][0]
    assert all(last < 0.4 * first for key, (first, last) in seen.items() if key[1] == "0")
    first, last = seen["constant 0.5, then 1", "0"]
    row = table("fixed-table")["toy, 0; constant 0.5, then 1"]
    assert (first, last) == (number(row[1]), number(row[-2]))
