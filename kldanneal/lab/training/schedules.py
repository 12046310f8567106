"""The schedules of a comparison: four by name, and any Annealer written out.

Named schedules are functions of the training run's length, so that they compare fairly. With the defaults of 4 cycles
and a ratio of 1/2, over S steps:

    constant         weight 1 throughout
    monotonic        a ramp over the first S/8, then 1: the first ramp of the cyclical schedule, once
    monotonic-long   a ramp over the first S/2, then 1: as many steps of ramp as the cyclical schedule has in all
    cyclical         4 cycles of S/4, each a ramp over its first half, then 1 (Fu et al. 2019)
"""

import math
from collections.abc import Sequence
from typing import Any

from kldanneal import Annealer
from kldanneal.annealing import SHAPES

NAMED = ("constant", "monotonic", "monotonic-long", "cyclical")
OPTIONS = {"total_steps": int, "baseline": float, "ratio": float}
FLAGS = ("cyclical", "disable")


def parse_schedule(text: str, *, steps: int, shape: str = "linear", cycles: int = 4, ratio: float = 0.5) -> Annealer:
    """The Annealer of a named schedule, or of one written out.

    Written out, it is a shape and what differs from the Annealer's defaults, joined by colons; ``total_steps`` is the
    whole run unless it is given.

    Args:
        text (str): ``constant``, ``monotonic``, ``monotonic-long``, ``cyclical``, or e.g.
            ``cosine:total_steps=500:cyclical``.
        steps (int): the length of the training run.
        shape, cycles, ratio: of the named schedules. Default: ``'linear'``, 4, 0.5.

    Raises:
        ValueError: no such schedule, shape or option, or a value out of range.

    Example::

        >>> parse_schedule("cyclical", steps=8, cycles=2).schedule(8)
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0]
        >>> parse_schedule("linear:total_steps=4:baseline=0.5", steps=8).schedule(6)
        [0.5, 0.625, 0.75, 0.875, 1.0, 1.0]
    """
    if cycles < 1:
        raise ValueError(f"Expected cycles to be at least 1, but got {cycles}")
    if cycles > steps:
        raise ValueError(f"Expected cycles to be at most the {steps} steps of the run, but got {cycles}")
    cycle = math.ceil(steps / cycles)
    if text == "constant":
        return Annealer(1, disable=True)
    if text == "monotonic":
        return Annealer(cycle, shape, ratio=ratio)
    if text == "monotonic-long":
        return Annealer(steps, shape, ratio=ratio)
    if text == "cyclical":
        if math.ceil(steps / cycle) != cycles:
            raise ValueError(
                f"Expected cycles to fit into the {steps} steps of the run, but got {cycles}: "
                f"{math.ceil(steps / cycle)} cycles of {cycle} steps fill it"
            )
        if cycle == 1:
            raise ValueError(f"Expected cycles of at least 2 steps each, but got cycles {cycles} and {steps} steps")
        return Annealer(cycle, shape, cyclical=True, ratio=ratio)
    return _written_out(text, steps)


def _written_out(text: str, steps: int) -> Annealer:
    shape, *parts = text.split(":")
    expected = (
        f"Expected a schedule to be one of {', '.join(NAMED)}, or a shape ({', '.join(SHAPES)}) followed by any of "
        f":total_steps=N, :baseline=X, :ratio=X, :cyclical, :disable, but got {text!r}"
    )
    if shape not in SHAPES:
        raise ValueError(expected)
    options: dict = {"total_steps": steps}
    for part in parts:
        key, equals, value = part.partition("=")
        if key in FLAGS and not equals:
            options[key] = True
        elif key in OPTIONS and equals:
            try:
                options[key] = OPTIONS[key](value)
            except ValueError:
                raise ValueError(f"{expected}: {value!r} is not a number") from None
        else:
            raise ValueError(f"{expected}: {part!r} is not an option")
    try:
        return Annealer(shape=shape, **options)
    except ValueError as error:
        raise ValueError(f"{error} (in the schedule {text!r})") from None


def parse_schedules(names: Sequence[str], **options) -> dict[str, Annealer]:
    """Several schedules by name; see :func:`parse_schedule`."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Expected every schedule once, but got {', '.join(twice)} more than once")
    return {name: parse_schedule(name, **options) for name in names}


class Then:
    """A schedule for so many updates, then a weight of 1: whether a KL lasts is seen there.

    Args:
        first (Annealer): the schedule. Its own counter is used.
        updates (int): how long it weights the KL.
    """

    def __init__(self, first: Annealer, updates: int) -> None:
        self.first, self.updates, self.current_step = first, updates, 0

    @property
    def weight(self) -> float:
        return self.first.weight if self.current_step < self.updates else 1.0

    def __call__(self, kld: Any) -> Any:
        return self.weight * kld

    def step(self) -> None:
        self.first.step()
        self.current_step += 1

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first.state_dict(), "updates": self.updates, "current_step": self.current_step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["updates"] != self.updates:
            raise ValueError(f"Expected a schedule for {self.updates} updates, but got one for {state['updates']}")
        self.first.load_state_dict(state["first"])
        self.current_step = state["current_step"]
