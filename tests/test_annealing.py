"""The Annealer against independent formulas and a short reference model.

Its state is tested in test_annealing_state.py, shapes with parameters and functions as shape in test_shapes.py.
"""

import copy
import itertools
import json
import math
import os
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kldanneal import Annealer

SHAPES = ("linear", "cosine", "logistic")
TOTALS = (1, 2, 3, 7, 10, 100, 1420, 10**6, 10**9)
BASELINES = (0.0, 0.1, 0.3, 1 / 3, 0.7, 1.0)
RATIOS = (1.0, 0.5, 0.55, 0.29, 0.07, 1 / 3)  # 0.55 * 100 is 55.00000000000001, 0.29 * 100 is 28.999999999999996


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


#: The three shapes again, written differently.
REFERENCE = {
    "linear": lambda p: p,
    "cosine": lambda p: math.sin(math.pi * p / 2) ** 2,
    "logistic": lambda p: (sigmoid(12 * p - 6) - sigmoid(-6)) / (sigmoid(6) - sigmoid(-6)),
}


def reference_weight(step, total_steps, shape="linear", baseline=0.0, ratio=1.0, max_weight=1.0):
    """The formula of the docstring, with p in exact arithmetic on the ratio as it is written."""
    p = min(Fraction(1), Fraction(max(0, step)) / (Fraction(str(ratio)) * total_steps))
    return baseline + (max_weight - baseline) * REFERENCE[shape](float(p))


def square(p):
    return p * p


# ------------------------------------------------------------------------------------------------ the weight's curve


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("baseline", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_follow_their_formulas(shape, baseline, ratio):
    for total in (1, 7, 100, 1420):
        annealer = Annealer(total, shape, baseline, ratio=ratio)
        weights = [annealer.weight_at(step) for step in range(total + 1)]
        expected = [reference_weight(step, total, shape, baseline, ratio) for step in range(total + 1)]
        assert weights == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ends_are_exact(shape, total):
    for baseline in BASELINES:
        for ratio in RATIOS:
            annealer = Annealer(total, shape, baseline, ratio=ratio)
            top = math.ceil(Fraction(str(ratio)) * total)  # the first step at or past the end of the ramp
            assert annealer.weight == annealer.weight_at(0) == baseline
            assert annealer.weight_at(top) == 1.0
            assert annealer.weight_at((top + total) // 2) == 1.0  # holds
            assert annealer.weight_at(total) == 1.0
            if baseline < 1 and total <= 10**6:  # nearer to 1 there are no more floats for a cosine
                assert annealer.weight_at(top - 1) < 1.0


@pytest.mark.parametrize("ratio", [1.0, 0.55])
@pytest.mark.parametrize("baseline", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_billion_steps_rise_from_one_to_the_next(shape, baseline, ratio):
    annealer = Annealer(10**9, shape, baseline, ratio=ratio)
    ramp = round(ratio * 10**9)
    for start in (0, ramp // 4, ramp // 2 - 500, 3 * ramp // 4, ramp - 1000):
        weights = [annealer.weight_at(step) for step in range(start, start + 1001)]
        assert all(a <= b for a, b in itertools.pairwise(weights))
    coarse = [annealer.weight_at(ramp * i // 1000) for i in range(1001)]
    assert all(a < b for a, b in itertools.pairwise(coarse))
    assert coarse == pytest.approx([reference_weight(i, 1000, shape, baseline) for i in range(1001)], abs=1e-12)


@pytest.mark.parametrize("total", [1419, 1420, 1421, 5000])
def test_every_step_of_a_long_logistic_ramp_is_a_rising_number(total):
    # the ancestor's exponential overflows from total_steps = 1420; for large totals its curve is a jump
    weights = Annealer(total, "logistic").schedule(total + 1)
    assert weights[0] == 0 and weights[-1] == 1
    assert all(a < b for a, b in itertools.pairwise(weights))
    assert weights[total // 4] == pytest.approx(sigmoid(-3), abs=0.01)
    assert max(b - a for a, b in itertools.pairwise(weights)) < 3.1 / total  # 3 is the slope at the middle


# ------------------------------------------------------------------------------------------------- steps and cycles


def test_the_counter_stops_at_total_steps():
    annealer = Annealer(3)
    seen = []
    for _ in range(6):
        seen.append((annealer.current_step, annealer.weight))
        annealer.step()
    assert seen == [(0, 0.0), (1, 1 / 3), (2, 2 / 3), (3, 1.0), (3, 1.0), (3, 1.0)]


def test_cyclical_the_counter_that_reaches_total_steps_becomes_zero():
    annealer = Annealer(3, cyclical=True)
    seen = []
    for _ in range(7):
        seen.append((annealer.current_step, annealer.weight))
        annealer.step()
    assert seen == [(0, 0.0), (1, 1 / 3), (2, 2 / 3)] * 2 + [(0, 0.0)]


@pytest.mark.parametrize("setter", ["cyclical_setter", "set_cyclical"])
def test_switching_cycles_off_lets_the_ramp_complete_and_on_restarts_it(setter):
    annealer = Annealer(4, cyclical=True)
    for _ in range(6):
        annealer.step()
    getattr(annealer, setter)(False)
    assert annealer.cyclical is False
    assert annealer.schedule(5) == [0.5, 0.75, 1.0, 1.0, 1.0]
    for _ in range(5):
        annealer.step()
    getattr(annealer, setter)(True)
    assert annealer.cyclical is True
    assert (annealer.current_step, annealer.weight) == (4, 1.0)  # switching moves nothing
    annealer.step()
    assert (annealer.current_step, annealer.weight) == (0, 0.0)


def test_ratio_holds_at_one_until_the_cycle_ends():
    assert Annealer(4, cyclical=True, ratio=0.5).schedule(9) == [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("cyclical", [False, True])
@pytest.mark.parametrize("shape", [*SHAPES, square])
def test_schedule_is_what_the_calls_then_use_and_leaves_the_object_alone(shape, cyclical):
    annealer = Annealer(7, shape, 0.2, cyclical, ratio=0.6)
    annealer.step()
    before = annealer.state_dict()
    schedule = annealer.schedule(20)
    assert annealer.state_dict() == before
    assert annealer.schedule(0) == []
    used = []
    for _ in range(20):
        used.append(annealer(1.0))
        annealer.step()
    assert schedule == used


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"delay": 3}, [0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1]),
        ({"cyclical": True, "ratio": 0.5, "cycles": 2}, [0, 0.5, 1, 1, 0, 0.5, 1, 1, 1, 1]),
        ({"cyclical": True, "cycles": 1}, [0, 0.25, 0.5, 0.75, 1, 1]),
        ({"cyclical": True, "delay": 2, "baseline": 1, "max_weight": 5}, [1, 1, 1, 2, 3, 4, 1, 2, 3, 4, 1]),
        ({"max_weight": 0.5, "baseline": 0.25}, [0.25, 0.3125, 0.375, 0.4375, 0.5, 0.5]),
        ({"baseline": 3, "max_weight": 3, "cyclical": True}, [3] * 9),
        ({"total_steps": 0}, [1, 1, 1]),
        ({"total_steps": 0, "delay": 2, "baseline": 0.1, "max_weight": 4}, [0.1, 0.1, 4, 4]),
    ],
    ids=repr,
)
def test_step_by_step(arguments, expected):
    annealer = Annealer(**{"total_steps": 4, **arguments})
    assert annealer.schedule(len(expected)) == expected
    assert [annealer.weight_at(step) for step in range(len(expected))] == expected
    for weight in expected:
        assert annealer(2.0) == 2 * weight
        annealer.step()


@pytest.mark.parametrize("weight", [0, 0.05, 1, np.float32(2.5)])
def test_a_constant_weight(weight):
    annealer = Annealer.constant(weight)
    assert annealer.schedule(4) == [weight] * 4 and annealer.weight_at(10**12) == weight
    assert annealer(torch.tensor(2.0)) == 2 * weight


def test_weight_at_needs_no_steps_and_never_ends():
    assert Annealer(10).weight_at(11) == Annealer(10).weight_at(10**15) == 1.0
    cycles = Annealer(10, cyclical=True)
    assert [cycles.weight_at(step) for step in (9, 10, 11, 10**12 + 3)] == [0.9, 0.0, 0.1, 0.3]
    cycles.step()
    assert cycles.weight_at(0) == 0.0 and cycles.current_step == 1  # the annealer's own position is no part of it


@pytest.mark.parametrize("arguments", [{}, {"cyclical": True}, {"cyclical": True, "cycles": 2}, {"delay": 3}], ids=repr)
def test_a_loop_that_steps_first_needs_one_more_delay(arguments):
    """The remedy of the docstring's table."""
    remedy = {**arguments, "delay": arguments.get("delay", 0) + 1}
    used, annealer = [], Annealer(5, **remedy)
    for _ in range(20):
        annealer.step()
        used.append(annealer.weight)
    assert used == Annealer(5, **arguments).schedule(20)


def test_without_the_remedy_the_last_update_of_each_cycle_gets_the_baseline():
    used, annealer = [], Annealer(4, cyclical=True, ratio=0.5)
    for _ in range(8):
        annealer.step()
        used.append(annealer.weight)
    assert used == [0.5, 1.0, 1.0, 0.0] * 2


def test_reset_goes_back_to_the_first_step():
    annealer = Annealer(3, cyclical=True, delay=2, cycles=2)
    schedule = annealer.schedule(12)
    for _ in range(7):
        annealer.step()
    annealer.reset()
    assert annealer == Annealer(3, cyclical=True, delay=2, cycles=2) and annealer.schedule(12) == schedule


def test_cycles_switched_off_and_on_still_end():
    """The ramp that completes while they are off counts as a cycle."""
    annealer = Annealer(2, cyclical=True, cycles=3)
    annealer.cyclical = False
    assert annealer.schedule(4) == [0.0, 0.5, 1.0, 1.0]
    for _ in range(3):
        annealer.step()
    annealer.cyclical = True
    annealer.step()
    assert annealer.schedule(6) == [0.0, 0.5, 0.0, 0.5, 1.0, 1.0]


class Model:
    """What an Annealer should do, in the words of its documentation."""

    def __init__(self, total_steps, shape, baseline, cyclical, ratio, max_weight, delay, cycles):
        self.total_steps, self.cyclical, self.cycles = total_steps, cyclical, cycles
        self.position, self.ramps = -delay, 0  # ramps that have completed
        self.settings = (total_steps, shape, baseline, ratio, max_weight)

    def step(self):
        if self.position < self.total_steps:
            self.position += 1
            self.ramps += self.position == self.total_steps
        if self.position == self.total_steps and self.cyclical and (self.cycles is None or self.ramps < self.cycles):
            self.position = 0

    def weight(self):
        return reference_weight(self.position, *self.settings)


def annealer_of(total_steps, shape, baseline, cyclical, ratio, max_weight, delay, cycles):
    return Annealer(total_steps, shape, baseline, cyclical, ratio=ratio, max_weight=max_weight, delay=delay,
                    cycles=cycles)  # fmt: skip


def reloaded(annealer):
    fresh = eval(repr(annealer))
    fresh.load_state_dict(json.loads(json.dumps(annealer.state_dict())))
    return fresh


REPLACEMENTS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda annealer: pickle.loads(pickle.dumps(annealer)),
    "reload": reloaded,
}


@settings(max_examples=int(os.environ.get("KLDANNEAL_EXAMPLES", 150)), deadline=None)  # make soak sets more
@given(
    st.data(),
    st.integers(2, 9),
    st.sampled_from(SHAPES),
    st.integers(0, 100).map(lambda percent: percent / 100),
    st.booleans(),
    st.sampled_from(RATIOS),
    st.sampled_from([0, 0.25, 1, 40]),
    st.sampled_from([0, 0, 1, 5]),
    st.lists(st.sampled_from(["step"] * 6 + ["on", "off", *REPLACEMENTS]), max_size=40),
)
def test_any_sequence_of_calls_agrees_with_the_model(data, total, shape, baseline, cyclical, ratio, rise, delay, calls):
    cycles = data.draw(st.sampled_from([None, 1, 2, 3])) if cyclical else None
    arguments = (total, shape, baseline, cyclical, ratio, baseline + rise, delay, cycles)
    annealer, model = annealer_of(*arguments), Model(*arguments)
    assert [annealer.weight_at(step) for step in range(40)] == annealer.schedule(40)
    for call in calls:
        if call == "step":
            annealer.step()
            model.step()
        elif call in ("on", "off"):
            annealer.cyclical_setter(call == "on")
            model.cyclical = call == "on"
        else:
            replaced = REPLACEMENTS[call](annealer)
            assert replaced == annealer and replaced is not annealer
            annealer.step()  # the old one must not move the new one
            annealer = replaced
        assert (annealer.current_step, annealer.cyclical) == (model.position, model.cyclical)
        assert baseline <= annealer.weight <= baseline + rise
        assert annealer.weight == pytest.approx(model.weight(), abs=1e-12)
    schedule = annealer.schedule(12)
    for weight in schedule:
        assert weight == pytest.approx(model.weight(), abs=1e-12)
        model.step()


# ------------------------------------------------------------------------------------------------- what is weighted


@pytest.fixture
def half():
    """An annealer whose weight is 1/2 now."""
    annealer = Annealer(4)
    annealer.step()
    annealer.step()
    return annealer


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_tensors_keep_their_type_and_pass_the_gradient_on(half, dtype, shape):
    kld = torch.full(shape, 3.0, dtype=dtype, requires_grad=True)
    weighted = half(kld)
    assert weighted.dtype == dtype
    assert torch.equal(weighted, torch.full(shape, 1.5, dtype=dtype))
    weighted.sum().backward()
    assert torch.equal(kld.grad, torch.full(shape, 0.5, dtype=dtype))


@pytest.mark.parametrize(
    ("kld", "expected"),
    [(3.0, 1.5), (3, 1.5), (np.float32(3), 1.5), (np.float64(3), 1.5), (np.int64(3), 1.5), (Fraction(3), 1.5)],
    ids=repr,
)
def test_numbers_that_a_float_multiplies(half, kld, expected):
    assert half(kld) == expected
    assert isinstance(half(kld), np.floating if isinstance(kld, np.generic) else float)


def test_arrays(half):
    np.testing.assert_array_equal(half(np.array([1.0, 3.0])), [0.5, 1.5])


def test_calling_moves_nothing(half):
    assert [half(1.0) for _ in range(3)] == [0.5] * 3
    assert half.current_step == 2


@pytest.mark.parametrize("kld", [torch.tensor(2.0, requires_grad=True), 2, "no number at all"], ids=repr)
def test_disabled_returns_the_very_same_object(kld):
    annealer = Annealer(4, baseline=0.3, disable=True)
    for _ in range(6):
        assert annealer(kld) is kld
        assert annealer.weight == 1.0
        annealer.step()
    assert Annealer(4, cyclical=True, disable=True).schedule(6) == [1.0] * 6


# ---------------------------------------------------------------------------------------------------------- arguments


def test_the_positional_order_and_the_defaults():
    annealer = Annealer(5, "cosine", 0.25, True, False)
    assert (annealer.total_steps, annealer.shape, annealer.baseline) == (5, "cosine", 0.25)
    assert (annealer.max_weight, annealer.delay, annealer.cycles) == (1.0, 0, None)
    assert (annealer.cyclical, annealer.disable, annealer.ratio, annealer.current_step) == (True, False, 1.0, 0)
    assert Annealer(5) == Annealer(5, "linear", 0.0, False, False, ratio=1.0)
    with pytest.raises(TypeError, match="positional"):
        Annealer(5, "cosine", 0.25, True, False, 0.5)


def test_numbers_of_numpy_are_numbers():
    annealer = Annealer(np.int64(4), baseline=np.float32(0.5), ratio=np.float64(0.5), max_weight=np.float16(2),
                        delay=np.int8(3))  # fmt: skip
    assert annealer == Annealer(4, baseline=0.5, ratio=0.5, max_weight=2, delay=3)
    assert annealer.weight_at(np.int32(4)) == annealer.weight_at(4)
    assert json.loads(json.dumps(annealer.state_dict())) == annealer.state_dict()


CHOICES = ["shape", "'linear'", "'cosine'", "'logistic'", "function"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"total_steps": -3}, ValueError, ["total_steps", "at least 0", "-3"]),
        ({"total_steps": 2.5}, TypeError, ["total_steps", "integer", "2.5"]),
        ({"total_steps": 4.0}, TypeError, ["total_steps", "integer", "4.0"]),
        ({"total_steps": math.nan}, TypeError, ["total_steps", "integer", "nan"]),
        ({"total_steps": "4"}, TypeError, ["total_steps", "integer", "'4'"]),
        ({"total_steps": None}, TypeError, ["total_steps", "integer", "None"]),
        ({"total_steps": True}, TypeError, ["total_steps", "integer", "True"]),
        ({"shape": "cos"}, ValueError, [*CHOICES, "'cos'"]),
        ({"shape": "Linear"}, ValueError, [*CHOICES, "'Linear'"]),
        ({"shape": None}, TypeError, [*CHOICES, "None"]),
        ({"shape": 3}, TypeError, [*CHOICES, "3"]),
        ({"baseline": -0.125}, ValueError, ["baseline", "[0, 1]", "-0.125"]),
        ({"baseline": 1.5}, ValueError, ["baseline", "[0, 1]", "1.5"]),
        ({"baseline": math.nan}, ValueError, ["baseline", "[0, 1]", "nan"]),
        ({"baseline": "0.5"}, TypeError, ["baseline", "number", "'0.5'"]),
        ({"baseline": None}, TypeError, ["baseline", "number", "None"]),
        ({"baseline": True}, TypeError, ["baseline", "number", "True"]),
        ({"cyclical": 1}, TypeError, ["cyclical", "True or False", "1"]),
        ({"cyclical": "no"}, TypeError, ["cyclical", "True or False", "'no'"]),
        ({"disable": None}, TypeError, ["disable", "True or False", "None"]),
        ({"ratio": 0}, ValueError, ["ratio", "(0, 1]", "0"]),
        ({"ratio": -0.5}, ValueError, ["ratio", "(0, 1]", "-0.5"]),
        ({"ratio": 1.25}, ValueError, ["ratio", "(0, 1]", "1.25"]),
        ({"ratio": math.nan}, ValueError, ["ratio", "(0, 1]", "nan"]),
        ({"ratio": math.inf}, ValueError, ["ratio", "(0, 1]", "inf"]),
        ({"ratio": [0.5]}, TypeError, ["ratio", "number", "[0.5]"]),
        ({"max_weight": -1}, ValueError, ["max_weight", "[0, inf)", "-1"]),
        ({"max_weight": math.inf}, ValueError, ["max_weight", "[0, inf)", "inf"]),
        ({"max_weight": math.nan}, ValueError, ["max_weight", "[0, inf)", "nan"]),
        ({"max_weight": 0.25, "baseline": 0.5}, ValueError, ["max_weight", "at least baseline, 0.5", "0.25"]),
        ({"max_weight": 2, "baseline": math.inf}, ValueError, ["baseline", "[0, inf)", "inf"]),
        ({"max_weight": 2, "disable": True}, ValueError, ["max_weight", "1 with disable=True", "Annealer.constant"]),
        ({"max_weight": "1"}, TypeError, ["max_weight", "number", "'1'"]),
        ({"delay": -1}, ValueError, ["delay", "at least 0", "-1"]),
        ({"delay": 1.5}, TypeError, ["delay", "integer", "1.5"]),
        ({"cycles": 0, "cyclical": True}, ValueError, ["cycles", "at least 1", "0"]),
        ({"cycles": 2.0, "cyclical": True}, TypeError, ["cycles", "integer", "2.0"]),
        ({"cycles": 3}, ValueError, ["cyclical=True", "cycles", "cycles=3"]),
        ({"shape": Fraction}, TypeError, [*CHOICES, "a class"]),
    ],
    ids=repr,
)
def test_bad_arguments_are_refused_by_name_and_value(arguments, error, words):
    with pytest.raises(error) as caught:
        Annealer(**{"total_steps": 4, **arguments})
    expected, _, got = str(caught.value).partition("but got")
    assert [word for word in words[:-1] if word not in expected] == []
    assert words[-1] in got


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda annealer: annealer.weight_at(-1), ValueError, ["step", "at least 0", "-1"]),
        (lambda annealer: setattr(annealer, "current_step", 5), ValueError, ["current_step", "at most 4", "5"]),
        (lambda annealer: setattr(annealer, "current_step", -1), ValueError, ["current_step", "at least 0", "-1"]),
        (lambda annealer: setattr(annealer, "current_step", 1.0), TypeError, ["current_step", "integer", "1.0"]),
        (lambda annealer: setattr(annealer, "cyclical", 1), TypeError, ["cyclical", "True or False", "1"]),
        (lambda annealer: annealer.constant(-1), ValueError, ["weight", "[0, inf)", "-1"]),
        (lambda annealer: annealer.weight_at(0.5), TypeError, ["step", "integer", "0.5"]),
        (lambda annealer: annealer.schedule(-2), ValueError, ["n ", "at least 0", "-2"]),
        (lambda annealer: annealer.schedule(2.0), TypeError, ["n ", "integer", "2.0"]),
        (lambda annealer: annealer.cyclical_setter(1), TypeError, ["cyclical", "True or False", "1"]),
        (lambda annealer: annealer.set_cyclical(None), TypeError, ["cyclical", "True or False", "None"]),
    ],
)
def test_bad_calls_are_refused_by_name_and_value(call, error, words):
    annealer = Annealer(4)
    with pytest.raises(error) as caught:
        call(annealer)
    assert [word for word in words if word not in str(caught.value)] == []
    assert annealer == Annealer(4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"total_steps": 1},
        {"total_steps": 1, "baseline": 0.5, "max_weight": 2},
        {"total_steps": 1, "cycles": 3},
        {"total_steps": 0},
        {"total_steps": 2, "shape": lambda p: max(0.0, 2 * p - 1)},
        {"total_steps": 10**9, "shape": lambda p: float(p == 1)},
    ],
    ids=str,
)
def test_cycles_that_would_stay_at_the_baseline_are_refused_with_a_remedy(arguments):
    with pytest.raises(ValueError) as caught:
        Annealer(**arguments, cyclical=True)
    words = ["cycles", f"{arguments['total_steps']} steps", "set total_steps", "at least 2", "ratio"]
    assert [word for word in words if word not in str(caught.value)] == []
    arguments.pop("cycles", None)
    annealer = Annealer(**arguments)  # one ramp is fine
    with pytest.raises(ValueError, match="set total_steps"):
        annealer.cyclical_setter(True)
    assert annealer == Annealer(**arguments)


def test_cycles_that_leave_the_baseline_or_have_nowhere_to_go_are_fine():
    late = Annealer(2, lambda p: max(0.0, 2 * p - 1), cyclical=True, ratio=0.5)
    assert late.schedule(4) == [0.0, 1.0] * 2
    assert Annealer(1, baseline=1, cyclical=True).schedule(3) == [1.0] * 3
    assert Annealer(1, cyclical=True, disable=True).schedule(3) == [1.0] * 3
