"""The map of stored schedules: which cells there are, and which of them a schedule is."""

import numpy as np
import pytest
from conftest import made_up_map

from kldanneal.lab.results.fair_map import CONSTANT, CYCLES, ONCE, Cell, FairMap, difference, weights
from kldanneal.lab.results.jobs import Job
from kldanneal.lab.results.tail import load_runs


@pytest.fixture(scope="module")
def stored():
    return FairMap(made_up_map())


def job(**annealer):
    return Job("toy", "", annealer, 1000)


def test_it_has_what_is_stored_and_nothing_else(stored):
    assert stored.sizes == [62, 500, 2000] and stored.weights == [0.5, 0.75, 0.9, 1.0]
    assert stored.word_dropouts == [0.0, 0.2] and stored.distances == [0, 500, 4000]
    assert stored.courses == [ONCE, CYCLES, CONSTANT] and stored.shapes == ["linear", "cosine", "logistic"]
    few = FairMap(made_up_map(sizes=(500,), seeds=(0,), distances=(500,)))
    assert few.sizes == [500] and few.distances == [500]
    assert FairMap([]).closest(weights(job(total_steps=10))) is None


def test_the_mean_is_over_the_seeds_and_missing_is_none(stored):
    cell = Cell(ONCE, "linear", 500)
    found = stored.measured(cell, 0.2, 500)
    assert [mark["seed"] for mark in found] == [0, 1]
    assert stored.kl(cell, 0.2, 500) == pytest.approx((found[0]["kl"] + found[1]["kl"]) / 2)
    assert stored.kl(cell, 0.2, 123) is stored.kl(Cell(ONCE, "linear", 7), 0.2, 500) is None


def test_each_cell_is_its_own_schedule(stored):
    for (cell, _), runs in stored.runs.items():
        own = Job(**{**runs[0]["job"]})
        match = stored.closest(weights(own))
        assert match.apart == 0 and str(match) == "same"
        if not (cell.course == CONSTANT and cell.size == 1):
            assert match.cell == cell


@pytest.mark.parametrize(
    "annealer, cell, says",
    [
        ({"total_steps": 0}, Cell(CONSTANT, "", 1.0), "same"),
        ({"total_steps": 510}, Cell(ONCE, "linear", 500), "same"),
        ({"total_steps": 450}, Cell(ONCE, "linear", 500), "close"),
        ({"total_steps": 500, "baseline": 0.15}, Cell(ONCE, "linear", 500), "close"),
        ({"total_steps": 500, "baseline": 0.5}, None, "none"),
        ({"total_steps": 200}, None, "none"),
    ],
)
def test_numbers_are_a_schedules_own_only_where_the_weights_are(stored, annealer, cell, says):
    match = stored.closest(weights(job(**annealer)))
    assert str(match) == says
    assert cell is None or match.cell == cell


def test_a_short_ramp_is_no_constant_weight_however_long_the_tail():
    ramp, ones = weights(job(total_steps=62)), np.ones(0)
    assert difference(ramp, ones) == pytest.approx(0.5, abs=0.01)
    assert difference(ones, ones) == 0 and difference(ramp, ramp) == 0


def test_a_map_that_was_not_trained_yet_is_empty(tmp_path):
    assert FairMap(load_runs("map", tmp_path / "none.json")).runs == {}
