"""Cycles and one ramp of equal discount: on runs whose numbers are known, and on the stored map."""

import pytest

from kldanneal import Annealer
from kldanneal.lab.results.equal_discount import differences, equal_discounts
from kldanneal.lab.results.fair_map import CYCLES, ONCE, Cell, FairMap, load_map


def run(shape, steps, cyclical, discount, kl):
    """A run of each seed in ``kl``, with a KL at distance 1,000."""
    annealer = {"total_steps": steps, "shape": shape} | ({"cyclical": True, "cycles": 4} if cyclical else {})
    return [
        {
            "job": {"corpus": "toy", "label": "", "annealer": annealer, "updates": 9000, "seed": seed, "settings": {},
                    "then_one": None, "free_bits": 0.0, "distances": [1000], "totals": []},
            "measured": [{"update": 0, "distance": 1000, "kl": value}],
            "discount": discount,
        }
        for seed, value in kl.items()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def known():
    return FairMap(
        run("linear", 2000, False, 1000.5, {0: 0.5, 1: 0.01})
        + run("linear", 1000, True, 1002.0, {0: 0.3, 1: 0.75, 2: 0.9})
        + run("linear", 1000, False, 500.5, {0: 0.02})
        + run("linear", 500, True, 502.0, {0: 0.09})
        + run("cosine", 2000, False, 1000.5, {0: 0.4})  # no cycles of this shape
        + run("linear", 500, False, 250.5, {0: 7.0})  # no cycles of this discount
    )


def test_pairs_have_equal_shape_and_discount(known):
    assert equal_discounts(known) == [
        (500.5, Cell(ONCE, "linear", 1000), Cell(CYCLES, "linear", 500)),
        (1000.5, Cell(ONCE, "linear", 2000), Cell(CYCLES, "linear", 1000)),
    ]


def test_differences_are_within_seeds_and_leave_out_what_collapsed_twice(known):
    assert differences(known, 0.0, 1000) == pytest.approx([-0.2, 0.74])
    assert differences(known, 0.2, 1000) == differences(known, 0.0, 500) == []


def test_the_stored_map_pairs_cycles_with_a_ramp_of_twice_their_length():
    stored = load_map()
    pairs = equal_discounts(stored)
    assert len(pairs) == len(stored.shapes) * (len(stored.sizes) - 1)
    for pair in pairs:
        assert pair.ramp.shape == pair.cycles.shape
        assert pair.ramp.size == pytest.approx(2 * pair.cycles.size, abs=1)
        own = Annealer(pair.cycles.size, pair.cycles.shape, cyclical=True, ratio=0.5, cycles=4).schedule(9000)
        assert sum(1 - weight for weight in own) == pytest.approx(pair.discount, rel=0.05)
