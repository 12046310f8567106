"""What a run is trained with: every number in one place, checked when it is written down."""

import math
from dataclasses import dataclass
from typing import Any

from kldanneal.lab.model import POOLINGS

LR_SCHEDULES = ("constant", "cosine-restarts")


@dataclass(frozen=True)
class Settings:
    """What a run is trained with; runs that are compared differ in nothing but schedule and seed.

    Args:
        steps (int): optimizer updates. Default: 4000.
        batch_size (int): sentences an update. Default: 32.
        lr (float): Adam's learning rate. Default: 5e-3.
        lr_schedule (str): ``'constant'``, or ``'cosine-restarts'``: from lr down to 0 in a cosine, ``lr_cycles`` times
            (Fu et al.'s published code does this in its cyclical runs). Default: ``'constant'``.
        lr_cycles (int): restarts of the learning rate, with ``'cosine-restarts'``. Default: 4.
        clip (float): the largest norm of the gradient. Default: 5.0.
        embedding, hidden, latent, pooling, word_dropout, dropout: see :class:`~kldanneal.lab.model.LSTMVAE`.
    """

    steps: int = 4000
    batch_size: int = 32
    lr: float = 5e-3
    lr_schedule: str = "constant"
    lr_cycles: int = 4
    clip: float = 5.0
    embedding: int = 64
    hidden: int = 64
    latent: int = 8
    pooling: str = "max"
    word_dropout: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "lr_cycles", "embedding", "hidden", "latent"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"Expected {name} to be an integer, but got {value!r}")
            if not 1 <= value <= LARGEST[name]:
                raise ValueError(f"Expected {name} to be from 1 to {LARGEST[name]:,}, but got {value}")
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ValueError(f"Expected {name} to be a positive finite number, but got {value!r}")
        for name in ("word_dropout", "dropout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ValueError(f"Expected {name} to be a number in [0, 1), but got {value!r}")
        if self.lr_schedule not in LR_SCHEDULES:
            choices = ", ".join(map(repr, LR_SCHEDULES))
            raise ValueError(f"Expected lr_schedule to be one of {choices}, but got {self.lr_schedule!r}")
        if self.pooling not in POOLINGS:
            choices = ", ".join(map(repr, POOLINGS))
            raise ValueError(f"Expected pooling to be one of {choices}, but got {self.pooling!r}")

    def model_options(self) -> dict[str, Any]:
        names = ("embedding", "hidden", "latent", "pooling", "word_dropout", "dropout")
        return {name: getattr(self, name) for name in names}


#: Beyond these a number is a slip of the keyboard, and would end in an out-of-memory kill without a word.
LARGEST = {
    "steps": 10**9,
    "batch_size": 10**4,
    "lr_cycles": 10**9,
    "embedding": 4096,
    "hidden": 4096,
    "latent": 1024,
}

#: A small model and a short run of the toy language, for when somebody waits: a quarter of a minute on one core.
QUICK = Settings(steps=2000, lr=0.01, embedding=32, hidden=32)
