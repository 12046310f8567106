"""kldanneal.lab.schedules: the schedules that a comparison knows by name, and those written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.schedules import NAMED, parse_schedule, parse_schedules


def weights(text, *, steps, **options):
    return parse_schedule(text, steps=steps, **options).schedule(steps)


def starts(cyclical_weights):
    """The steps at which the weight falls back: where a cycle starts anew, the first one not counted."""
    return [i for i in range(1, len(cyclical_weights)) if cyclical_weights[i] < cyclical_weights[i - 1]]


def rising(of_weights):
    """How many steps are part of a ramp: the weight is below 1."""
    return sum(weight < 1 for weight in of_weights)


def test_constant_is_one_throughout():
    assert weights("constant", steps=100) == [1.0] * 100


def test_by_default_there_are_four_cycles_each_half_a_ramp():
    ramp = [i / 10 for i in range(10)]
    assert weights("cyclical", steps=80) == (ramp + [1.0] * 10) * 4
    assert weights("monotonic", steps=80) == ramp + [1.0] * 70
    assert weights("monotonic-long", steps=80) == [i / 40 for i in range(40)] + [1.0] * 40


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "steps, cycles, ratio", [(80, 4, 0.5), (1000, 7, 0.5), (1001, 4, 0.3), (4000, 10, 1.0), (60, 1, 0.5)]
)
def test_monotonic_is_the_first_ramp_of_cyclical_and_then_one(steps, cycles, ratio, shape):
    options = {"steps": steps, "cycles": cycles, "ratio": ratio, "shape": shape}
    once, again = weights("monotonic", **options), weights("cyclical", **options)
    first_cycle = (starts(again) or [steps])[0]
    assert once[:first_cycle] == again[:first_cycle]
    assert once[first_cycle:] == [1.0] * (steps - first_cycle)
    assert again[0] == 0


@pytest.mark.parametrize("steps, cycles, ratio", [(80, 4, 0.5), (4000, 4, 0.5), (4000, 10, 0.3), (900, 9, 0.8)])
def test_monotonic_long_ramps_for_as_many_steps_as_cyclical_in_all(steps, cycles, ratio):
    options = {"steps": steps, "cycles": cycles, "ratio": ratio}
    long = weights("monotonic-long", **options)
    assert rising(long) == rising(weights("cyclical", **options)) == pytest.approx(ratio * steps)
    assert long == sorted(long)


@given(st.data(), st.integers(1, 12))
def test_cyclical_starts_exactly_as_often_as_asked(data, cycles):
    """Also when the steps are not divisible: the last cycle is then cut short."""
    steps = data.draw(st.integers(max(2, cycles**2), 3000))
    found = weights("cyclical", steps=steps, cycles=cycles, ratio=0.9)
    assert len([0, *starts(found)]) == cycles


@pytest.mark.parametrize("steps, cycles", [(9, 4), (5, 3), (100, 30), (11, 10)])
def test_cyclical_of_a_short_run_has_the_asked_number_of_cycles_or_says_that_it_cannot(steps, cycles):
    try:
        annealer = parse_schedule("cyclical", steps=steps, cycles=cycles)
    except ValueError as error:
        assert "cycles" in str(error) and str(cycles) in str(error) and str(steps) in str(error)
    else:
        assert len(range(0, steps, annealer.total_steps)) == cycles


@pytest.mark.parametrize(
    "text, expected",
    [
        ("linear", Annealer(100)),
        ("cosine:total_steps=50:cyclical", Annealer(50, "cosine", cyclical=True)),
        ("logistic:baseline=0.1:ratio=0.25", Annealer(100, "logistic", baseline=0.1, ratio=0.25)),
        ("linear:ratio=0.5:total_steps=10:cyclical:baseline=0.2", Annealer(10, "linear", 0.2, True, ratio=0.5)),
        ("linear:disable", Annealer(100, disable=True)),
        ("linear:total_steps=0", Annealer(0)),
        ("linear:total_steps=1", Annealer(1)),
        ("linear:baseline=1", Annealer(100, baseline=1.0)),
    ],
)
def test_schedules_written_out(text, expected):
    """A shape, and what differs from the Annealer's defaults; what is given for named ones does not touch them."""
    assert parse_schedule(text, steps=100) == expected
    assert parse_schedule(text, steps=100, shape="cosine", ratio=0.7, cycles=3) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("circular", [*NAMED, *SHAPES, "'circular'"]),
        ("", [*NAMED, *SHAPES, "''"]),
        ("Cyclical", [*NAMED, "'Cyclical'"]),
        ("cyclical:ratio=0.2", ["'cyclical:ratio=0.2'", "a shape"]),  # the named ones take no options
        ("linear:", ["'linear:'", "'' is not an option", ":total_steps=N"]),
        ("linear:speed=3", ["'speed=3' is not an option", ":total_steps=N"]),
        ("linear:cyclical=yes", ["'cyclical=yes' is not an option", ":cyclical"]),
        ("linear:total_steps", ["'total_steps' is not an option", ":total_steps=N"]),
        ("linear:total_steps=", ["'' is not", ":total_steps=N"]),
        ("linear:total_steps=many", ["'many' is not", ":total_steps=N"]),
        ("linear:total_steps=2.5", ["'2.5' is not", ":total_steps=N"]),
        ("linear:total_steps=-7", ["total_steps to be at least 0", "got -7", "'linear:total_steps=-7'"]),
        ("linear:total_steps=1:cyclical", ["total_steps", "at least 2", "cycles of 1 steps"]),
        ("linear:total_steps=1" + "0" * 400, ["total_steps"]),  # too large for a float
        ("linear:ratio=0", ["ratio to be in (0, 1]", "got 0.0", "'linear:ratio=0'"]),
        ("linear:ratio=1.5", ["ratio to be in (0, 1]", "got 1.5"]),
        ("linear:ratio=nan", ["ratio to be in (0, 1]", "got nan"]),
        ("linear:baseline=-0.1", ["baseline to be in [0, 1]", "got -0.1"]),
        ("linear:baseline=inf", ["baseline to be in [0, 1]", "got inf"]),
        ("linear:baseline=low", ["'low' is not a number", ":baseline=X"]),
    ],
)
def test_bad_schedules_are_named(text, expected):
    with pytest.raises(ValueError) as error:
        parse_schedule(text, steps=100).schedule(2)
    for words in expected:
        assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"cycles": 0}, ["cycles to be at least 1", "got 0"]),
        ({"cycles": -2}, ["cycles to be at least 1", "got -2"]),
        ({"cycles": 101}, ["cycles to be at most the 100 steps", "got 101"]),
        ({"cycles": 100}, ["cycles of at least 2 steps each", "100"]),
        ({"ratio": 0.0}, ["ratio to be in (0, 1]", "got 0.0"]),
        ({"ratio": float("nan")}, ["ratio to be in (0, 1]", "got nan"]),
        ({"shape": "round"}, ["shape to be one of", *SHAPES, "'round'"]),
    ],
)
def test_bad_options_of_named_schedules_are_named(options, expected):
    with pytest.raises(ValueError) as error:
        parse_schedule("cyclical", steps=100, **options)
    for words in expected:
        assert words in str(error.value)


def test_several_schedules_keep_their_order_and_options():
    names = ["cyclical", "linear:total_steps=3", "constant"]
    schedules = parse_schedules(names, steps=90, cycles=3, ratio=0.2)
    assert list(schedules) == names
    assert schedules["cyclical"] == parse_schedule("cyclical", steps=90, cycles=3, ratio=0.2)


def test_schedules_named_twice_are_refused():
    with pytest.raises(ValueError, match="every schedule once, but got cyclical, linear more than once"):
        parse_schedules(["linear", "cyclical", "constant", "cyclical", "linear"], steps=100)
