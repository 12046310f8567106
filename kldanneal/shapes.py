"""The curves along which a KL weight rises: functions from [0, 1] to [0, 1] with shape(0) = 0 and shape(1) = 1.

Three have a name and no parameters: ``'linear'``, ``'cosine'`` and ``'logistic'``. Four take parameters:

    Logistic(steepness, midpoint)   a sigmoid: slow, fast, slow
    Power(exponent)                 p ** exponent: a slow start above 1, a fast start below 1
    Exponential(rate)               a fast start that levels off, like a capacitor that is charged
    ZeroThenRamp(zero, shape)       0 for a share of the ramp, then any other shape

They are small immutable objects. They compare by value, pickle, and their repr gives them back.

    >>> from kldanneal import Annealer
    >>> Annealer(4, Power(2)).schedule(5)
    [0.0, 0.0625, 0.25, 0.5625, 1.0]
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kldanneal import _checks

__all__ = ["SHAPES", "Exponential", "Logistic", "Power", "ZeroThenRamp", "cosine", "linear", "logistic"]

ShapeName = Literal["linear", "cosine", "logistic"]
ShapeFunction = Callable[[float], float]

POINTS = [i / 10 for i in range(1, 10)]
STEEPNESS = 12  # of the logistic curve: before it is rescaled it runs from sigmoid(-6) to sigmoid(6)


def linear(p: float) -> float:
    """p"""
    return p


def cosine(p: float) -> float:
    """(1 - cos(pi p)) / 2"""
    return (1 - math.cos(math.pi * p)) / 2


def logistic(p: float) -> float:
    """sigmoid(12 (p - 1/2)), rescaled to start at 0 and end at 1; as sigmoid(x) = (1 + tanh(x / 2)) / 2:"""
    return (1 + math.tanh(STEEPNESS / 2 * (p - 0.5)) / math.tanh(STEEPNESS / 4)) / 2


#: The shapes that have a name.
SHAPES: dict[str, ShapeFunction] = {"linear": linear, "cosine": cosine, "logistic": logistic}


def _set(shape: Any, name: str, value: Any) -> None:
    object.__setattr__(shape, name, value)  # how a frozen dataclass sets its own field


@dataclass(frozen=True)
class Logistic:
    r"""A sigmoid, rescaled to start at 0 and end at 1.

    .. math::
        \frac{s(p) - s(0)}{s(1) - s(0)}, \qquad s(p) = \text{sigmoid}(\text{steepness} \cdot (p - \text{midpoint}))

    Args:
        steepness (float): how fast it rises, above 0. For a schedule sigmoid(k (step - x0)) over N steps, it is k N.
            Default: 12.0, as ``'logistic'``.
        midpoint (float): where it rises fastest, in [0, 1]. For the same schedule, x0 / N. Default: 0.5.

    Raises:
        TypeError, ValueError: an argument that is not a number, or out of range.

    Example::

        >>> early = Logistic(steepness=20, midpoint=0.25)
        >>> [round(early(p / 4), 3) for p in range(5)]
        [0.0, 0.497, 0.993, 1.0, 1.0]
    """

    steepness: float = float(STEEPNESS)
    midpoint: float = 0.5

    def __post_init__(self) -> None:
        _set(self, "steepness", _checks.number("steepness", self.steepness, "(0, inf)"))
        _set(self, "midpoint", _checks.number("midpoint", self.midpoint, "[0, 1]"))

    def __call__(self, p: float) -> float:
        k, m = self.steepness / 2, self.midpoint  # sigmoid(x) = (1 + tanh(x / 2)) / 2, and tanh never overflows
        return (math.tanh(k * (p - m)) + math.tanh(k * m)) / (math.tanh(k * (1 - m)) + math.tanh(k * m))


@dataclass(frozen=True)
class Power:
    """p ** exponent.

    Args:
        exponent (float): above 0; 1 is ``'linear'``.

    Raises:
        TypeError, ValueError: an exponent that is not a number, or out of range.

    Example::

        >>> Power(0.5)(0.25)
        0.5
    """

    exponent: float

    def __post_init__(self) -> None:
        _set(self, "exponent", _checks.number("exponent", self.exponent, "(0, inf)"))

    def __call__(self, p: float) -> float:
        return float(p**self.exponent)


@dataclass(frozen=True)
class Exponential:
    r"""An exponential approach to a limit, rescaled to reach 1 at p = 1.

    .. math::
        \frac{1 - e^{-\text{rate} \cdot p}}{1 - e^{-\text{rate}}}

    Args:
        rate (float): above 0. For a schedule 1 - r^step over N steps, it is -N log(r).

    Raises:
        TypeError, ValueError: a rate that is not a number, or out of range.

    Example::

        >>> [round(Exponential(rate=3)(p / 4), 3) for p in range(5)]
        [0.0, 0.555, 0.818, 0.941, 1.0]
    """

    rate: float

    def __post_init__(self) -> None:
        _set(self, "rate", _checks.number("rate", self.rate, "(0, inf)"))

    def __call__(self, p: float) -> float:
        return math.expm1(-self.rate * p) / math.expm1(-self.rate)


@dataclass(frozen=True)
class ZeroThenRamp:
    """0 over the first share of the ramp, then another shape over the rest.

    ``Annealer(total_steps, delay=n)`` waits once, before the first ramp. This shape waits in every cycle.

    Args:
        zero (float): the share of the ramp that stays at 0, in [0, 1).
        shape (str or callable): the shape of the rest. Default: ``'linear'``.

    Raises:
        TypeError, ValueError: a share that is not a number or out of range; no such shape.

    Example::

        >>> [ZeroThenRamp(zero=0.5)(p / 4) for p in range(5)]
        [0.0, 0.0, 0.0, 0.5, 1.0]
    """

    zero: float
    shape: ShapeName | ShapeFunction = "linear"

    def __post_init__(self) -> None:
        _set(self, "zero", _checks.number("zero", self.zero, "[0, 1)"))
        check(self.shape)

    def __call__(self, p: float) -> float:
        return 0.0 if p <= self.zero else function(self.shape)((p - self.zero) / (1 - self.zero))


PARAMETRIC = (Logistic, Power, Exponential, ZeroThenRamp)


def function(shape: ShapeName | ShapeFunction) -> ShapeFunction:
    """The function that a shape's name stands for; a function stands for itself."""
    return SHAPES[shape] if isinstance(shape, str) else shape


def check(shape: Any) -> Any:
    """A shape, if it is the name of one or a function with both ends where they should be."""
    choices = f"one of {', '.join(map(repr, SHAPES))} or a function from [0, 1] to [0, 1]"
    if isinstance(shape, str):
        if shape not in SHAPES:
            raise ValueError(f"Expected shape to be {choices}, but got {shape!r}")
    elif not callable(shape):
        raise TypeError(f"Expected shape to be {choices}, but got {shape!r}")
    elif isinstance(shape, type):
        raise TypeError(
            f"Expected shape to be {choices}, but got a class: give an object such as {shape.__name__}(...)"
        )
    elif not (shape(0.0) == 0 and shape(1.0) == 1):
        raise ValueError(f"Expected shape(0) = 0 and shape(1) = 1, but got {shape(0.0)!r} and {shape(1.0)!r}")
    return shape


def name(shape: ShapeName | ShapeFunction) -> tuple[str, bool]:
    """How a shape is called, and whether that says all about it. It does not for a function from elsewhere."""
    if isinstance(shape, str):
        return repr(shape), True
    if isinstance(shape, ZeroThenRamp):
        rest, says_all = name(shape.shape)
        return f"ZeroThenRamp(zero={shape.zero!r}, shape={rest})", says_all
    if isinstance(shape, PARAMETRIC):
        return repr(shape), True
    return f"{shape.__module__}.{getattr(shape, '__qualname__', type(shape).__qualname__)}", False


def values(shape: ShapeName | ShapeFunction) -> list[float]:
    """What two functions are compared by: nine values."""
    return [float(function(shape)(p)) for p in POINTS]


def in_words(state: dict[str, Any], other: dict[str, Any]) -> tuple[str, str]:
    """The shapes of two states of an Annealer, in the same words if they are the same.

    They are compared by their values where both states have them, else by their names.
    """
    here, there = state["shape_values"], other["shape_values"]
    if here is None or there is None:
        return state["shape"], other["shape"]
    if len(here) == len(there) and all(abs(a - b) < 1e-9 for a, b in zip(here, there, strict=True)):
        return state["shape"], state["shape"]
    return f"{state['shape']} with the values {here}", f"{other['shape']} with {there}"
