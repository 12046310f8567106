"""kldanneal.lab.results.statistics: the interval against a table of Student's t and by its coverage."""

import statistics

import numpy as np
import pytest

from kldanneal.lab.results.statistics import holds, interval, mean_and_spread, with_interval


@pytest.mark.parametrize(("n", "t"), [(2, 12.706), (3, 4.303), (5, 2.776), (50, 2.0096)])
def test_the_interval_against_a_printed_table_of_t(n, t):
    values = np.random.default_rng(n).normal(size=n).tolist()
    half = t * statistics.stdev(values) / n**0.5
    assert interval(values) == pytest.approx((statistics.mean(values) - half, statistics.mean(values) + half), rel=1e-3)


def test_the_coverage_for_five_seeds_is_what_the_docstring_says():
    rng = np.random.default_rng(1)
    for draw, true_mean, share in ((rng.normal, 0, 0.95), (rng.exponential, 1, 0.88)):
        held = [low <= true_mean <= high for low, high in (interval(draw(size=5).tolist()) for _ in range(1500))]
        assert np.mean(held) == pytest.approx(share, abs=0.02)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match=r"at least 2 values .* 1"):
        interval([0.3])


def test_words():
    assert with_interval([1.0, 1.0, 1.0]) == "+1.00 [+1.00, +1.00]"
    assert [holds(d, 1) for d in ([1, 2], [-1, -2], [1, -2], [0, 1])] == ["yes", "no", "1 of 2", "1 of 2"]
    assert mean_and_spread([1.0], 1) == "1.0" and mean_and_spread([1.0, 3.0], 2) == "2.00 ± 1.41"
