"""Checks of arguments. Each names the argument, what was expected, and what was given, and returns the value.

An interval is written as in mathematics: "[0, 1]" holds both ends, "(0, 1]" leaves out 0, "[1, inf)" has no upper end.
"""

import operator
import reprlib
from collections.abc import Collection
from numbers import Real
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


def integer(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """An int; the integers of NumPy and torch pass, a bool does not."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"Expected {name} to be an integer, but got {value!r}") from None
    if number < least:
        raise ValueError(f"Expected {name} to be at least {least}, but got {value!r}")
    if most is not None and number > most:
        raise ValueError(f"Expected {name} to be at most {most:,}, but got {value!r}")
    return number


def number(name: str, value: Any, interval: str) -> float:
    """A float inside the interval; NaN is outside of every interval."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"Expected {name} to be a number, but got {value!r}")
    low, high = map(float, interval[1:-1].split(","))
    above = (operator.ge if interval[0] == "[" else operator.gt)(value, low)
    below = (operator.le if interval[-1] == "]" else operator.lt)(value, high)
    if not (above and below):
        allowed = "a positive finite number" if interval == "(0, inf)" else f"in {interval}"
        raise ValueError(f"Expected {name} to be {allowed}, but got {value!r}")
    return float(value)


def boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"Expected {name} to be True or False, but got {value!r}")
    return value


def one_of(name: str, value: T, choices: Collection[T]) -> T:
    if value not in choices:
        raise ValueError(f"Expected {name} to be one of {', '.join(map(repr, choices))}, but got {value!r}")
    return value


def instance(name: str, value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        given = f"{type(value).__name__}: {reprlib.repr(value)}"
        raise TypeError(f"Expected {name} to be of type {kind.__name__}, but got one of type {given}")
    return value


def same_shape(**tensors: Any) -> None:
    """Tensors of the same shape, with a batch dimension first."""
    for name, value in tensors.items():
        if instance(name, value, Tensor).dim() < 2:
            raise ValueError(f"Expected {name} to have the shape (batch, latent), but got {tuple(value.shape)}")
    if len({value.shape for value in tensors.values()}) > 1:
        given = ", ".join(f"{name} {tuple(value.shape)}" for name, value in tensors.items())
        raise ValueError(f"Expected {', '.join(tensors)} to have the same shape, but got {given}")
