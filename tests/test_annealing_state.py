"""What an Annealer keeps: state, copies, equality, repr, and what a checkpoint that holds it loads."""

import copy
import functools
import json
import math
import pickle

import numpy as np
import pytest
import torch

from kldanneal import Annealer
from kldanneal.shapes import Exponential, Logistic, Power, ZeroThenRamp


def square(p):
    return p * p


def power(p, exponent):
    return p**exponent


class Cubic:
    def __call__(self, p):
        return p**3


COPIES = [copy.copy, copy.deepcopy, lambda annealer: pickle.loads(pickle.dumps(annealer))]


@pytest.mark.parametrize(
    "make_shape",
    [lambda: "logistic", lambda: square, lambda: math.sqrt, lambda: functools.partial(power, exponent=2), Cubic],
    ids=["name", "function", "builtin", "partial", "object"],
)
def test_a_state_survives_json_and_loads_into_an_annealer_made_alike(make_shape):
    saved = Annealer(7, make_shape(), 0.1, cyclical=True, ratio=0.55)
    for _ in range(10):
        saved.step()
    state = json.loads(json.dumps(saved.state_dict()))
    assert state == saved.state_dict()
    assert " at 0x" not in str(state)  # an address is another one in the process that goes on
    fresh = Annealer(7, make_shape(), 0.1, ratio=0.55)
    fresh.load_state_dict(state)
    assert (fresh.current_step, fresh.cyclical) == (3, True)
    assert fresh.schedule(20) == saved.schedule(20)


SETTINGS = {"total_steps": 8, "shape": "cosine", "baseline": 0.25, "disable": True, "ratio": 0.5}


@pytest.mark.parametrize("names", [*([name] for name in SETTINGS), list(SETTINGS)], ids=" ".join)
def test_settings_that_differ_are_refused_by_name_and_nothing_changes(names):
    other = Annealer(**{"total_steps": 4, "cyclical": True, **{name: SETTINGS[name] for name in names}})
    other.step()
    annealer = Annealer(4)
    before = annealer.state_dict()
    with pytest.raises(ValueError) as caught:
        annealer.load_state_dict(other.state_dict())
    for name in names:
        assert f"{name} is {before[name]!r} here and {SETTINGS[name]!r} in the state" in str(caught.value)
    for name in SETTINGS.keys() - names:
        assert f"{name} is" not in str(caught.value)
    assert annealer.state_dict() == before


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"current_step": 5}, ValueError, ["current_step", "at most 4", "5"]),
        ({"current_step": -1}, ValueError, ["current_step", "at least 0", "-1"]),
        ({"current_step": 1.5}, (TypeError, ValueError), ["current_step", "integer", "1.5"]),
        ({"current_step": None}, (TypeError, ValueError), ["current_step", "integer", "None"]),
        ({"current_step": 1, "cyclical": "yes"}, (TypeError, ValueError), ["cyclical", "True or False", "'yes'"]),
    ],
)
def test_a_damaged_state_is_refused_and_nothing_changes(changes, error, words):
    annealer = Annealer(4)
    before = annealer.state_dict()
    with pytest.raises(error) as caught:
        annealer.load_state_dict({**before, **changes})
    assert [word for word in words if word not in str(caught.value)] == []
    assert annealer.state_dict() == before


@pytest.mark.parametrize("missing", ["total_steps", "current_step", "cyclical", "ratio"])
def test_a_state_with_a_missing_key_is_refused(missing):
    annealer = Annealer(4)
    state = annealer.state_dict()
    del state[missing]
    with pytest.raises(ValueError) as caught:
        annealer.load_state_dict(state)
    expected, _, got = str(caught.value).partition("but got")
    assert missing in expected and missing not in got


@pytest.mark.parametrize(
    ("state", "words"), [(None, ["NoneType"]), ([1], ["list"]), ({}, ["[]"]), ({"epoch": 3}, ["epoch"])]
)
def test_what_is_no_state_at_all_is_refused(state, words):
    with pytest.raises(ValueError) as caught:
        Annealer(4).load_state_dict(state)
    assert [word for word in ["total_steps", "current_step", *words] if word not in str(caught.value)] == []


def test_a_state_is_a_copy():
    annealer = Annealer(4)
    annealer.state_dict()["current_step"] = 3
    assert annealer.current_step == 0


def test_the_weight_is_read_only():
    annealer = Annealer(4)
    with pytest.raises(AttributeError):
        annealer.weight = 0.5
    assert annealer.weight == 0.0


@pytest.mark.parametrize("replace", COPIES)
@pytest.mark.parametrize("shape", ["cosine", square])
def test_copies_are_equal_and_go_their_own_way(replace, shape):
    annealer = Annealer(5, shape, 0.1, cyclical=True, ratio=0.8)
    annealer.step()
    twin = replace(annealer)
    assert twin == annealer
    assert twin.schedule(12) == annealer.schedule(12)
    twin.step()
    twin.cyclical_setter(False)
    assert twin != annealer
    assert (annealer.current_step, annealer.cyclical) == (1, True)


@pytest.mark.parametrize(
    "changed", [{name: value} for name, value in SETTINGS.items()] + [{"cyclical": True}], ids=repr
)
def test_annealers_are_equal_when_every_setting_and_the_step_are(changed):
    assert Annealer(**{"total_steps": 4, **changed}) == Annealer(**{"total_steps": 4, **changed})
    assert Annealer(**{"total_steps": 4, **changed}) != Annealer(4)


def test_equality_beyond_settings():
    moved = Annealer(4)
    moved.step()
    assert moved != Annealer(4)
    assert Annealer(4) != "Annealer" and Annealer(4) != Annealer(4).state_dict()


def test_annealers_are_unhashable():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Annealer(4))


def test_repr_shows_every_setting_and_the_step():
    annealer = Annealer(9, "cosine", 0.25, True, True, ratio=0.75)
    annealer.step()
    shown = repr(annealer)
    assert shown.startswith("Annealer(")
    for part in (
        "total_steps=9",
        "'cosine'",
        "baseline=0.25",
        "cyclical=True",
        "disable=True",
        "ratio=0.75",
        "current_step=1",
    ):
        assert part in shown
    assert "square" in repr(Annealer(4, square))
