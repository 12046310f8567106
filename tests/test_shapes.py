"""The shapes against formulas written differently, and functions of one's own as shape."""

import functools
import itertools
import json
import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from kldanneal import Annealer, shapes
from kldanneal.shapes import Exponential, Logistic, Power, ZeroThenRamp


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def logistic(p, steepness, midpoint):
    low, high = sigmoid(-steepness * midpoint), sigmoid(steepness * (1 - midpoint))
    return (sigmoid(steepness * (p - midpoint)) - low) / (high - low)


#: Shapes with parameters, and the same written differently.
REFERENCE = {
    Logistic(): lambda p: logistic(p, 12, 0.5),
    Logistic(steepness=25, midpoint=0.25): lambda p: logistic(p, 25, 0.25),
    Logistic(0.5, 1.0): lambda p: logistic(p, 0.5, 1),
    Power(3): lambda p: p * p * p,
    Power(0.5): math.sqrt,
    Exponential(4): lambda p: (1 - math.e ** (-4 * p)) / (1 - math.e**-4),
    Exponential(-500 * math.log(0.99)): lambda p: (1 - 0.99 ** (500 * p)) / (1 - 0.99**500),
    ZeroThenRamp(0.25): lambda p: max(0, 4 * p - 1) / 3,
    ZeroThenRamp(0.5, "cosine"): lambda p: math.sin(math.pi * max(0, p - 0.5)) ** 2,
    ZeroThenRamp(0.5, Power(2)): lambda p: max(0, 2 * p - 1) ** 2,
}
EXTREME = [Logistic(1e4, 0.3), Logistic(1e-6), Logistic(50, 0), Logistic(50, 1), Power(1e-3), Power(1e3),
           Exponential(1e-9), Exponential(1e4), ZeroThenRamp(0), ZeroThenRamp(1 - 1e-9)]  # fmt: skip


@pytest.mark.parametrize("shape", REFERENCE, ids=repr)
def test_shapes_follow_their_formulas(shape):
    points = [i / 64 for i in range(65)]
    assert [shape(p) for p in points] == pytest.approx([REFERENCE[shape](p) for p in points], abs=1e-13)


@pytest.mark.parametrize("shape", [*REFERENCE, *EXTREME], ids=repr)
def test_shapes_rise_from_exactly_0_to_exactly_1(shape):
    values = [shape(i / 1000) for i in range(1001)]
    assert values[0] == 0 and values[-1] == 1
    assert all(a <= b for a, b in itertools.pairwise(values))
    assert Annealer(10, shape).schedule(12)[10:] == [1.0, 1.0]


@pytest.mark.parametrize("shape", REFERENCE, ids=repr)
def test_shapes_give_themselves_back(shape):
    for again in (pickle.loads(pickle.dumps(shape)), eval(repr(shape))):
        assert again == shape and hash(again) == hash(shape)
    annealer = Annealer(7, shape, 0.1, cyclical=True, delay=2)
    assert eval(repr(annealer)) == annealer
    state = json.loads(json.dumps(annealer.state_dict()))
    assert state["shape"] == repr(shape)
    assert Annealer(7, shape, 0.1, cyclical=True, delay=2).load_state_dict(state) == []


@pytest.mark.parametrize(("one", "other"), list(itertools.pairwise(REFERENCE)), ids=repr)
def test_shapes_with_other_parameters_are_unequal_and_their_states_refused(one, other):
    assert one != other and Annealer(5, one) != Annealer(5, other)
    with pytest.raises(ValueError) as caught:
        Annealer(5, one).load_state_dict(Annealer(5, other).state_dict())
    assert f"shape is {repr(one)!r} here and {repr(other)!r} in the state" in str(caught.value)


def test_shapes_cannot_change():
    with pytest.raises(AttributeError):
        Power(2).exponent = 3


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Logistic(0), ValueError, ["steepness", "positive finite", "0"]),
        (lambda: Logistic(12, 1.5), ValueError, ["midpoint", "[0, 1]", "1.5"]),
        (lambda: Logistic("12"), TypeError, ["steepness", "number", "'12'"]),
        (lambda: Power(-2), ValueError, ["exponent", "positive finite", "-2"]),
        (lambda: Exponential(math.inf), ValueError, ["rate", "positive finite", "inf"]),
        (lambda: ZeroThenRamp(1), ValueError, ["zero", "[0, 1)", "1"]),
        (lambda: ZeroThenRamp(0.5, "cubic"), ValueError, ["shape", "'linear'", "'cubic'"]),
        (lambda: ZeroThenRamp(0.5, lambda p: p / 2), ValueError, ["shape(1) = 1", "0.5"]),
    ],
)
def test_bad_parameters_are_refused_by_name_and_value(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == []


def test_the_named_shapes_are_where_they_were():
    from kldanneal.annealing import SHAPES

    assert SHAPES is shapes.SHAPES and list(SHAPES) == ["linear", "cosine", "logistic"]
    assert [shape(0.25) for shape in SHAPES.values()] == pytest.approx(
        [0.25, math.sin(math.pi / 8) ** 2, logistic(0.25, 12, 0.5)], abs=1e-15
    )


def square(p):
    return p * p


def power(p, exponent):
    return p**exponent


@dataclass
class Own:
    exponent: float

    def __call__(self, p):
        return p**self.exponent


# ------------------------------------------------------------------------------------------------ callables as shape


@pytest.mark.parametrize(
    "shape",
    [square, lambda p: p**2, np.square, functools.partial(power, exponent=2), Own(2)],
    ids=["function", "lambda", "ufunc", "partial", "dataclass"],
)
def test_any_function_with_the_right_ends_is_a_shape(shape):
    weights = Annealer(4, shape, baseline=0.5).schedule(6)
    assert weights == pytest.approx([0.5, 0.5 + 1 / 32, 0.625, 0.5 + 9 / 32, 1.0, 1.0], abs=1e-12)
    assert all(type(weight) is float for weight in weights)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (lambda p: p / 2, ["shape(0) = 0", "shape(1) = 1", "0.5"]),
        (lambda p: 1 - p, ["shape(0) = 0", "shape(1) = 1", "1.0 and 0.0"]),
        (lambda p: p + 0.125, ["shape(0) = 0", "0.125 and 1.125"]),
        (lambda p: math.nan, ["shape(0) = 0", "nan"]),
        (lambda p: None, ["shape(0) = 0", "None"]),
    ],
)
def test_a_function_with_other_ends_is_refused_at_construction(shape, words):
    with pytest.raises(ValueError) as caught:
        Annealer(4, shape)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(("middle", "shown"), [(1.5, "1.5"), (-0.25, "-0.25"), (math.nan, "nan")])
def test_a_function_that_leaves_the_interval_in_between_is_refused_there(middle, shown):
    annealer = Annealer(4, lambda p: middle if p == 0.5 else p)
    assert annealer.weight_at(1) == 0.25
    with pytest.raises(ValueError) as caught:
        annealer.weight_at(2)
    assert [word for word in ["[0, 1]", "shape(0.5)", shown] if word not in str(caught.value)] == []
