"""The schedules of a comparison: four by name, and any Annealer written out.

Named schedules are functions of the training run's length, so that they compare fairly. With the defaults of 4 cycles
and a ratio of 1/2, over S steps:

    constant         weight 1 throughout
    monotonic        a ramp over the first S/8, then 1: the first ramp of the cyclical schedule, once
    monotonic-long   a ramp over the first S/2, then 1: as many steps of ramp as the cyclical schedule has in all
    cyclical         4 cycles of S/4, each a ramp over its first half, then 1 (Fu et al. 2019)

Written out, a schedule is a shape and what differs from the Annealer's defaults, joined by colons:

    linear:total_steps=500:max_weight=0.5:delay=100
    cosine:total_steps=500:cyclical:cycles=3:ratio=0.5
    logistic:steepness=20:midpoint=0.25     power:exponent=2     exponential:rate=5
    zero-then-ramp:zero=0.3:shape=power:exponent=2
    constant:max_weight=0.5                 a weight that never changes
    cyclical:free_bits=0.1                  any schedule with a floor under the KL of each dimension
"""

import math
from collections.abc import Sequence
from typing import Any

from kldanneal import Annealer, _checks, shapes
from kldanneal.annealing import SHAPES

NAMED = ("constant", "monotonic", "monotonic-long", "cyclical")
OPTIONS = {"total_steps": int, "baseline": float, "ratio": float, "max_weight": float, "delay": int, "cycles": int}
FLAGS = ("cyclical", "disable")
#: The shapes with parameters, and their parameters. ``logistic`` is also a shape without any.
PARAMETRIC = {
    "logistic": (shapes.Logistic, ("steepness", "midpoint")),
    "power": (shapes.Power, ("exponent",)),
    "exponential": (shapes.Exponential, ("rate",)),
    "zero-then-ramp": (shapes.ZeroThenRamp, ("zero",)),
}
PARAMETERS = ("steepness", "midpoint", "exponent", "rate", "zero", "shape")
ALL_SHAPES = tuple({**SHAPES, **PARAMETRIC})
EXPECTED = (
    f"Expected a schedule to be one of {', '.join(NAMED)}, or a shape ({', '.join(ALL_SHAPES)}) followed by any "
    "of :total_steps=N, :baseline=X, :ratio=X, :max_weight=X, :delay=N, :cyclical, :cycles=N, :disable, and by "
    ":free_bits=X"
)


def parse_schedule(text: str, *, steps: int, shape: str = "linear", cycles: int = 4, ratio: float = 0.5) -> Annealer:
    """The Annealer of a named schedule, or of one written out; ``total_steps`` is the whole run unless it is given.

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
        >>> parse_schedule("power:exponent=2:max_weight=0.5:total_steps=2", steps=8).schedule(3)
        [0.0, 0.125, 0.5]
    """
    text, _ = _without_free_bits(text)
    if cycles < 1:
        raise ValueError(f"Expected cycles to be at least 1, but got {cycles}")
    if cycles > steps and text in ("monotonic", "cyclical"):
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


def free_bits(text: str) -> float:
    """The free bits of a schedule, in nats per latent dimension: 0 unless it says ``:free_bits=X``.

    Example::

        >>> free_bits("cyclical:free_bits=0.1"), free_bits("cyclical")
        (0.1, 0.0)
    """
    return _without_free_bits(text)[1]


def _without_free_bits(text: str) -> tuple[str, float]:
    parts = text.split(":")
    values = [part.partition("=")[2] for part in parts if part.startswith("free_bits=")]
    if not values:
        return text, 0.0
    try:
        value = _checks.number("free_bits", float(values[0]), "[0, inf)")
    except ValueError as error:
        raise ValueError(f"{error} (in the schedule {text!r})") from None
    if len(values) > 1:
        raise ValueError(f"Expected free_bits once in a schedule, but got {text!r}")
    return ":".join(part for part in parts if not part.startswith("free_bits=")), value


def _written_out(text: str, steps: int) -> Annealer:
    shape, *parts = text.split(":")
    wrong = f"{EXPECTED}, but got {text!r}"
    if shape not in ALL_SHAPES and not (shape == "constant" and parts):
        raise ValueError(wrong)
    options: dict = {}
    parameters: dict = {}
    for part in parts:
        key, equals, value = part.partition("=")
        given = parameters if key in PARAMETERS else options
        if key in given:
            raise ValueError(f"{wrong}: {key} is there twice")
        if key in FLAGS and not equals:
            given[key] = True
        elif key == "shape" and equals:
            given[key] = value
        elif equals and (key in OPTIONS or key in PARAMETERS):
            try:
                given[key] = OPTIONS.get(key, float)(value)
            except ValueError:
                raise ValueError(f"{wrong}: {value!r} is not a number") from None
        else:
            raise ValueError(f"{wrong}: {part!r} is not an option")
    if shape == "constant":
        if parameters or options.keys() != {"max_weight"}:
            raise ValueError(f"{wrong}: constant takes :max_weight=X and :free_bits=X alone")
        options, shape = {"total_steps": 0, **options}, "linear"
    try:
        made = _shape(shape, parameters)
        if parameters:
            raise ValueError(f"{', '.join(parameters)} is no parameter of the shape {shape}")
        return Annealer(shape=made, **{"total_steps": steps, **options})
    except ValueError as error:
        raise ValueError(f"{error} (in the schedule {text!r})") from None


def _shape(name: str, parameters: dict) -> Any:
    """The shape of a name; it takes its own parameters out of ``parameters``."""
    if name not in ALL_SHAPES:
        raise ValueError(f"Expected shape to be one of {', '.join(ALL_SHAPES)}, but got {name!r}")
    kind, own = PARAMETRIC.get(name, (None, ()))
    given = {key: parameters.pop(key) for key in own if key in parameters}
    if name == "zero-then-ramp" and "shape" in parameters:
        given["shape"] = _shape(parameters.pop("shape"), parameters)
    if name in SHAPES and not given:
        return name
    missing = [key for key in own if key not in given and name != "logistic"]
    if missing:
        raise ValueError(f"Expected the shape {name} with :{missing[0]}=X")
    return kind(**given)


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
