"""What an Annealer keeps: state, copies, equality, repr, and what a checkpoint that holds it loads."""

import copy
import functools
import json
import math
import pickle

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


@pytest.mark.parametrize(
    "annealer",
    [
        Annealer(9, "cosine", 0.25, True, True, ratio=0.75),
        Annealer(9, baseline=0.1, max_weight=0.3, delay=5),
        Annealer(9, Logistic(20, 0.1), cyclical=True, cycles=2),
        Annealer(9, ZeroThenRamp(0.5, ZeroThenRamp(0.5, "cosine"))),
        Annealer.constant(0.7),
    ],
    ids=repr,
)
def test_repr_gives_the_settings_back(annealer):
    assert eval(repr(annealer)) == annealer
    moved = copy.copy(annealer)
    for _ in range(3):
        moved.step()
    again = eval(repr(moved))
    assert again == annealer  # the position is behind a #
    assert f"# current_step={moved.current_step}" in repr(moved) or moved.current_step == annealer.current_step
    if moved.cycles:
        moved.cyclical = False
        assert eval(repr(moved)) == annealer


def test_repr_names_a_function_and_asks_it_nothing():
    def odd(p):
        return p if p in (0, 1) else None

    assert "odd" in repr(Annealer(4, odd)) and " at 0x" not in repr(Annealer(4, odd))
    assert " at 0x" not in repr(Annealer(4, ZeroThenRamp(0.5, odd)))


# ------------------------------------------------------------------------------- states of other settings and versions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (functools.partial(power, exponent=2), functools.partial(power, exponent=5)),
        (lambda p: p**2, lambda p: p**3),
        (ZeroThenRamp(0.25, lambda p: p**2), ZeroThenRamp(0.25, lambda p: p**3)),
    ],
    ids=["partial", "lambda", "inside"],
)
def test_functions_of_one_name_are_told_apart_by_their_values(one, other):
    annealer, state = Annealer(10, one), json.loads(json.dumps(Annealer(10, other).state_dict()))
    with pytest.raises(ValueError) as caught:
        annealer.load_state_dict(state)
    assert f"{one(0.5)}" in str(caught.value) and f"{other(0.5)}" in str(caught.value)
    assert annealer != Annealer(10, other) and annealer == Annealer(10, one)


def test_functions_of_the_same_values_are_the_same_shape():
    annealer = Annealer(10, lambda p: p * p)
    saved = Annealer(10, square)
    saved.step()
    assert annealer.load_state_dict(saved.state_dict()) == []
    assert annealer.weight == 0.1**2


#: As version 0.1 wrote them.
OLD = {"total_steps": 4, "shape": "cosine", "baseline": 0.1, "cyclical": True, "disable": False, "ratio": 0.5,
       "current_step": 1}  # fmt: skip


def test_a_state_of_version_0_1_loads():
    annealer = Annealer(4, "cosine", 0.1, ratio=0.5)
    assert annealer.load_state_dict(OLD) == []
    assert annealer.schedule(4) == pytest.approx([0.55, 1.0, 1.0, 0.1]) and annealer.cyclical
    own = Annealer(4, square)
    own.load_state_dict({**OLD, "shape": f"{__name__}.square", "baseline": 0.0, "ratio": 1.0})
    assert own.weight == 1 / 16
    for changed in ({"max_weight": 2}, {"delay": 3}, {"cyclical": True, "cycles": 2}):
        other = Annealer(4, "cosine", 0.1, ratio=0.5, **changed)
        with pytest.raises(ValueError, match=f"{list(changed)[-1]} is"):
            other.load_state_dict(OLD)


def test_cycles_done_are_part_of_the_state():
    arguments = {"total_steps": 3, "cyclical": True, "cycles": 3, "delay": 2}
    saved, whole = Annealer(**arguments), Annealer(**arguments).schedule(30)
    for step in range(20):
        loaded = Annealer(**arguments)
        loaded.load_state_dict(json.loads(json.dumps(saved.state_dict())))
        assert loaded == saved and loaded.schedule(9) == whole[step : step + 9]
        saved.step()


@pytest.mark.parametrize(
    ("settings", "position", "names"),
    [
        ({"total_steps": 20}, 7, ["total_steps"]),
        ({"total_steps": 5}, 5, ["total_steps"]),
        ({"max_weight": 3, "shape": "cosine"}, 7, ["shape", "max_weight"]),
        ({"delay": 4}, 3, ["delay"]),
        ({"delay": 9}, -2, ["delay"]),
        ({"total_steps": 3, "cyclical": True}, 1, ["total_steps", "cyclical"]),
        ({"total_steps": 3, "cyclical": True, "cycles": 4}, 1, ["total_steps", "cyclical", "cycles"]),
        ({"total_steps": 3, "cyclical": True, "cycles": 2}, 3, ["total_steps", "cyclical", "cycles"]),
        ({}, 7, []),
    ],
    ids=repr,
)
def test_not_strict_takes_over_the_position_and_returns_what_differs(settings, position, names):
    saved = Annealer(10)
    for _ in range(7):
        saved.step()
    annealer = Annealer(**{"total_steps": 10, **settings})
    fresh = copy.copy(annealer)
    differ = annealer.load_state_dict(saved.state_dict(), strict=False)
    assert [sentence.partition(" is ")[0] for sentence in differ] == names
    assert all(" here and " in sentence and "in the state" in sentence for sentence in differ)
    assert annealer.current_step == position
    assert annealer.schedule(30) == [fresh.weight_at(step) for step in range(7, 37)]
    annealer.reset()
    assert annealer == fresh  # its own settings are as they were


def test_not_strict_from_cycles_counts_every_step():
    saved, annealer = Annealer(5, cyclical=True, delay=1), Annealer(100, baseline=0.5)
    for _ in range(38):
        saved.step()
    annealer.load_state_dict(saved.state_dict(), strict=False)
    assert annealer.current_step == 38 and annealer.weight == 0.69
    with pytest.raises(ValueError, match="current_step"):
        annealer.load_state_dict({**saved.state_dict(), "current_step": 6}, strict=False)
    assert annealer.current_step == 38


# ------------------------------------------------------------------------------------------------------- checkpoints

IN_CHECKPOINTS = ["logistic", Logistic(20, 0.25), Power(2), Exponential(3), ZeroThenRamp(0.5, Power(2))]


@pytest.mark.skipif(not hasattr(torch.serialization, "add_safe_globals"), reason="an object of ours, since torch 2.4")
@pytest.mark.parametrize("shape", IN_CHECKPOINTS, ids=repr)
def test_a_checkpoint_of_weights_only_may_hold_an_annealer(shape, tmp_path):
    annealer = Annealer(9, shape, 0.1, cyclical=True, cycles=3, delay=2, max_weight=0.5)
    for _ in range(14):
        annealer.step()
    torch.save({"annealer": annealer, "state": annealer.state_dict()}, tmp_path / "checkpoint.pt")
    loaded = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert loaded["annealer"] == annealer and loaded["annealer"].schedule(20) == annealer.schedule(20)
    annealer.load_state_dict(loaded["state"])


def test_lightning_saves_and_loads_it_as_a_hyperparameter(tmp_path):
    pl = pytest.importorskip("pytorch_lightning")

    class Model(pl.LightningModule):
        def __init__(self, annealer, width=3):
            super().__init__()
            self.save_hyperparameters()
            self.annealer, self.layer = annealer, torch.nn.Linear(width, 1)

        def training_step(self, x):
            loss = self.annealer(self.layer(x).square().mean())
            self.annealer.step()
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    settings = {"total_steps": 8, "shape": Logistic(20, 0.25), "cyclical": True, "delay": 1}
    trainer = pl.Trainer(max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(Model(Annealer(**settings)), torch.utils.data.DataLoader(torch.ones(6, 3)))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    model = Model.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert model.annealer.shape == Logistic(20, 0.25)
    model.annealer.reset()
    assert model.annealer == Annealer(**settings)
