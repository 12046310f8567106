"""Cycles against one ramp of the same discount and shape, on the map of stored runs.

The *discount* of a schedule is the sum of 1 - weight over its updates: how much cheaper it makes the KL in all. Four
cycles of n updates with a ratio of 1/2 have the discount of one ramp of 2n.

    [(pair.discount, pair.ramp.size, pair.cycles.size) for pair in equal_discounts(load_map())]
    differences(load_map(), word_dropout=0.2, distance=1000)    # cycles less one ramp, for each pair and seed
"""

from typing import NamedTuple

from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.results.fair_map import CYCLES, ONCE, Cell, FairMap

SAME = 0.05  # two discounts are equal if they differ by a smaller share


class Pair(NamedTuple):
    """One ramp, cycles of the same shape, and the discount of the ramp. That of the cycles is equal to within 5 %."""

    discount: float
    ramp: Cell
    cycles: Cell


def equal_discounts(stored: FairMap) -> list[Pair]:
    """Every pair of one ramp and cycles that have equal shapes and discounts, by the length of a cycle and shape."""
    discounts = {cell: runs[0]["discount"] for (cell, _), runs in stored.runs.items()}
    pairs = [
        Pair(discounts[ramp], ramp, cycles)
        for ramp in discounts
        for cycles in discounts
        if (ramp.course, cycles.course, ramp.shape) == (ONCE, CYCLES, cycles.shape)
        and abs(discounts[ramp] - discounts[cycles]) < SAME * discounts[ramp]
    ]
    return sorted(pairs, key=lambda pair: (pair.cycles.size, stored.shapes.index(pair.cycles.shape)))


def differences(stored: FairMap, word_dropout: float, distance: int) -> list[float]:
    """The KL in cycles less the KL after one ramp, for each pair and seed, unless both have collapsed."""
    found = []
    for pair in equal_discounts(stored):
        ramp, cycles = (
            {mark["seed"]: mark["kl"] for mark in stored.measured(cell, word_dropout, distance)}
            for cell in (pair.ramp, pair.cycles)
        )
        found += [
            cycles[seed] - ramp[seed]
            for seed in sorted(ramp.keys() & cycles.keys())
            if max(ramp[seed], cycles[seed]) >= COLLAPSED
        ]
    return found
