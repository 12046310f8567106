"""kldanneal.lab.training.settings: what is refused."""

import dataclasses
import itertools
import math
import threading
from copy import deepcopy

import pytest
import torch

from kldanneal import Annealer
from kldanneal.lab.training.run import Run, pick_device
from kldanneal.lab.training.settings import LARGEST, Settings

SMALL = Settings(
    steps=24, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4
)  # 8 batches an epoch on the tiny corpus
NOISY = dataclasses.replace(SMALL, word_dropout=0.3, dropout=0.2, lr_schedule="cosine-restarts", lr_cycles=3)
ALWAYS_ONE = {"total_steps": 1, "disable": True}
CYCLES = {"total_steps": 6, "cyclical": True, "ratio": 0.5}


def state(run):
    return deepcopy(run.state_dict())


def recorded_batches(run):
    batches = []
    run.model.register_forward_pre_hook(lambda module, inputs: batches.append(inputs[0].clone()))
    return batches


def stop_after(run, step, **fit):
    """Trains up to a step of the run by the means a user has: the event."""
    stop = threading.Event()
    if run.step >= step:
        stop.set()
    return run.fit(stop=stop, on_update=lambda: stop.set() if run.step >= step else None, **fit)


# --- settings ---------------------------------------------------------------------------------------------------------

SIZES = ("steps", "batch_size", "lr_cycles", "embedding", "hidden", "latent")
POSITIVE = ("lr", "clip")
SHARES = ("word_dropout", "dropout")
BAD_SETTINGS = [
    *((name, value, "at ") for name in SIZES for value in (0, -1, LARGEST[name] + 1)),
    *((name, value, "an integer") for name in SIZES for value in (1.5, True, "12", None, math.nan)),
    *((name, value, "a positive finite number") for name in POSITIVE for value in (0, -1.0, math.nan, math.inf)),
    *((name, value, "number") for name in POSITIVE for value in (True, "0.1", None)),
    *((name, value, "[0, 1)") for name in SHARES for value in (-0.1, 1, 7, math.nan, math.inf)),
    *((name, value, "") for name in SHARES for value in (True, False, "0.1", None)),
    ("lr_schedule", "cosine", "'constant', 'cosine-restarts'"),
    ("lr_schedule", None, "'constant', 'cosine-restarts'"),
]


@pytest.mark.parametrize("name, value, expected", BAD_SETTINGS)
def test_bad_settings_are_named_with_what_was_expected(name, value, expected):
    with pytest.raises((TypeError, ValueError)) as caught:
        Settings(**{name: value})
    before, _, after = str(caught.value).partition(", but got ")
    assert before.startswith(f"Expected {name} to be ") and expected in before
    assert after in (repr(value), str(value))


def test_a_misspelt_pooling_is_named(tiny_corpus):
    with pytest.raises(ValueError, match="Expected pooling to be one of 'max', 'last', but got 'mean'"):
        Run(tiny_corpus, Annealer(**CYCLES), dataclasses.replace(SMALL, pooling="mean"))


def test_the_largest_and_smallest_settings_are_accepted():
    for name, value in itertools.chain(LARGEST.items(), ((name, 1) for name in SIZES)):
        assert getattr(Settings(**{name: value}), name) == value
    assert Settings(lr=1, clip=1, word_dropout=0, dropout=0.999).lr == 1  # whole numbers are numbers


def test_auto_is_cuda_where_there_is_one_and_else_the_cpu():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device() == pick_device("auto")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "", "CPU ", "cpu:x", "tpu9", "cuda:99"])
def test_a_device_that_does_not_exist_is_named(device):
    with pytest.raises(ValueError) as error:
        pick_device(device)
    assert f"Expected device to be 'auto', 'cpu' or 'cuda', but got {device!r}" in str(error.value)
    assert "\n" not in str(error.value)
