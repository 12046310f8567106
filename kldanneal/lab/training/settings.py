"""What a run is trained with: every number in one place, checked when it is written down."""

from dataclasses import dataclass
from typing import Any

from kldanneal import _checks
from kldanneal.lab.model import POOLINGS

LR_SCHEDULES = ("constant", "cosine-restarts", "decay")


@dataclass(frozen=True)
class Settings:
    """What a run is trained with; runs that are compared differ in nothing but schedule and seed.

    Args:
        steps (int): optimizer updates. Default: 4000.
        batch_size (int): sentences an update. Default: 32.
        lr (float): Adam's learning rate. Default: 5e-3.
        lr_schedule (str): ``'constant'``, or ``'cosine-restarts'``: from lr down to 0 in a cosine, ``lr_cycles`` times
            (Fu et al.'s published code does this in its cyclical runs). ``'decay'``: constant over the first half of
            the updates, then down to 0 in a line. Default: ``'constant'``.
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
        for name, most in LARGEST.items():
            _checks.integer(name, getattr(self, name), 1, most)
        for name in ("lr", "clip"):
            _checks.number(name, getattr(self, name), "(0, inf)")
        for name in ("word_dropout", "dropout"):
            _checks.number(name, getattr(self, name), "[0, 1)")
        _checks.one_of("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        _checks.one_of("pooling", self.pooling, POOLINGS)

    def model_options(self) -> dict[str, Any]:
        names = ("embedding", "hidden", "latent", "pooling", "word_dropout", "dropout")
        return {name: getattr(self, name) for name in names}


#: The integers among the settings. A larger number is a typing mistake; the system would kill the run for its memory.
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
