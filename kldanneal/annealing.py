"""The weight of the KL term over the course of training: a pure function of a step, and a counter."""

import math
from collections.abc import Callable
from typing import Any

from kldanneal import _checks

__all__ = ["SHAPES", "Annealer"]

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


#: The named shapes of the ramp, functions from [0, 1] to [0, 1].
SHAPES: dict[str, Callable[[float], float]] = {"linear": linear, "cosine": cosine, "logistic": logistic}


class Annealer:
    r"""Multiplies the KL term by a weight that rises from ``baseline`` to 1, once or in cycles.

    .. math::
        p = \min(1, \tfrac{\text{step}}{\text{ratio} \cdot \text{total\_steps}}), \qquad
        \text{weight} = \text{baseline} + (1 - \text{baseline}) \cdot \text{shape}(p)

    ``annealer(kld)`` applies the weight, ``annealer.step()`` moves on by one. Call ``step()`` as often as the weight is
    to change: once per optimizer update (``total_steps`` then counts updates) or once per epoch (then it counts
    epochs). The weight is exactly ``baseline`` at p = 0 and exactly 1 at p = 1. Without ``cyclical`` it stays at 1.
    With it, ``total_steps`` is the length of one cycle: the counter that reaches it becomes 0 at once, so each cycle
    uses the weights of the steps 0 to total_steps - 1, and its last weight is just below 1 unless ``ratio`` is below 1.

    Args:
        total_steps (int): steps until the weight is 1 (at ``ratio`` 1), and the length of a cycle; at least 1.
        shape (str or callable): ``'linear'`` p, ``'cosine'`` (1 - cos(pi p)) / 2, ``'logistic'`` a sigmoid rescaled to
            hit both ends, or a function from [0, 1] to [0, 1] with shape(0) = 0 and shape(1) = 1.
            Default: ``'linear'``.
        baseline (float): the weight at step 0, in [0, 1]. Default: 0.0.
        cyclical (bool): whether the weight starts again from ``baseline`` every total_steps. Default: ``False``.
        disable (bool): no annealing: ``annealer(kld)`` returns kld itself, the weight is 1. Default: ``False``.
        ratio (float): the share of total_steps that the ramp takes, in (0, 1]; over the rest the weight holds at 1.
            Fu et al. call it R and use 0.5. Default: 1.0.

    Shape:
        - ``annealer(kld)``: any shape, returned unchanged.

    Raises:
        TypeError, ValueError: an argument of the wrong kind or out of range, when the object is made.

    Example::

        >>> annealer = Annealer(total_steps=4)
        >>> for _ in range(3):
        ...     print(annealer(2.0))               # in a training loop: loss = bce + annealer(kld)
        ...     annealer.step()
        0.0
        0.5
        1.0
        >>> annealer.weight
        0.75
        >>> Annealer(4, cyclical=True, ratio=0.5).schedule(8)
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0]

    Reference:
        Bowman et al., Generating Sentences from a Continuous Space, CoNLL 2016 (annealing). Fu et al., Cyclical
        Annealing Schedule: A Simple Approach to Mitigating KL Vanishing, NAACL 2019 (cycles and R).
    """

    __hash__ = None  # equal by value, and mutable

    def __init__(
        self,
        total_steps: int,
        shape: str | Callable[[float], float] = "linear",
        baseline: float = 0.0,
        cyclical: bool = False,
        disable: bool = False,
        *,
        ratio: float = 1.0,
    ) -> None:
        self.total_steps = _checks.integer("total_steps", total_steps, 1, 2**53)
        self.shape = _shape(shape)
        self.baseline = _checks.number("baseline", baseline, "[0, 1]")
        self.cyclical = _checks.boolean("cyclical", cyclical)
        self.disable = _checks.boolean("disable", disable)
        self.ratio = _checks.number("ratio", ratio, "(0, 1]")
        self.current_step = 0

    def __call__(self, kld: Any) -> Any:
        """``kld`` times the weight: for tensors, floats, NumPy scalars, anything that a float multiplies."""
        return kld if self.disable else kld * self.weight

    def step(self) -> None:
        """Raises ``current_step`` by 1 up to ``total_steps``; with ``cyclical``, reaching it means starting at 0."""
        if self.current_step < self.total_steps:
            self.current_step += 1
        if self.cyclical and self.current_step >= self.total_steps:
            self.current_step = 0

    def cyclical_setter(self, cyclical: bool) -> None:
        """Switches cycles on or off while training.

        Off: the ramp that is under way completes, and the weight stays at 1. On again after that: the next
        :meth:`step` starts a cycle at 0.
        """
        self.cyclical = _checks.boolean("cyclical", cyclical)

    set_cyclical = cyclical_setter

    @property
    def weight(self) -> float:
        """The weight now, in [0, 1]."""
        return self.weight_at(self.current_step)

    def weight_at(self, step: int) -> float:
        """The weight at a step within a cycle, from 0 to ``total_steps``: a pure function, nothing moves on."""
        step = _checks.integer("step", step, 0, self.total_steps)
        if self.disable:
            return 1.0
        ramp = self.ratio * self.total_steps
        if math.isclose(ramp, round(ramp), rel_tol=1e-12):  # 0.55 * 100 is 55.00000000000001
            ramp = round(ramp)
        p = min(1.0, step / ramp)
        if p == 0:  # exact ends, whatever rounding does in between
            return self.baseline
        if p == 1:
            return 1.0
        shape = SHAPES[self.shape] if isinstance(self.shape, str) else self.shape
        rise = shape(p)
        if not 0 <= rise <= 1:
            raise ValueError(f"Expected shape to stay in [0, 1], but got shape({p}) = {rise!r}")
        return min(1.0, self.baseline + (1 - self.baseline) * float(rise))

    def schedule(self, n: int) -> list[float]:
        """The ``n`` weights that the next ``n`` calls would use, each followed by :meth:`step`; nothing moves on."""
        twin = Annealer.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        weights = []
        for _ in range(_checks.integer("n", n)):
            weights.append(twin.weight)
            twin.step()
        return weights

    def state_dict(self) -> dict[str, Any]:
        """The settings and ``current_step`` as plain data that JSON can hold (a callable shape by its name)."""
        return {**self.__dict__, "shape": _name(self.shape)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state saved by :meth:`state_dict`.

        ``current_step`` and ``cyclical``, which training moves, are taken over; the other settings must agree.

        Raises:
            ValueError, TypeError: settings that differ, or a state that is not an Annealer's. Nothing has changed then.
        """
        own = self.state_dict()
        if not isinstance(state_dict, dict) or state_dict.keys() != own.keys():
            found = sorted(map(str, state_dict)) if isinstance(state_dict, dict) else type(state_dict).__name__
            raise ValueError(f"Expected the state of an Annealer with {', '.join(own)}, but got {found}")
        settings = (name for name in own if name not in ("current_step", "cyclical"))
        differ = [f"{name} is {own[name]!r} here and {state_dict[name]!r} in the state" for name in settings
                  if own[name] != state_dict[name]]  # fmt: skip
        if differ:
            raise ValueError(f"Expected the state of an Annealer with the same settings, but {'; '.join(differ)}")
        current_step = _checks.integer("current_step", state_dict["current_step"], 0, self.total_steps)
        cyclical = _checks.boolean("cyclical", state_dict["cyclical"])
        self.current_step, self.cyclical = current_step, cyclical

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if isinstance(other, Annealer) else NotImplemented

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.state_dict().items())})"


def _shape(shape: Any) -> str | Callable[[float], float]:
    choices = f"one of {', '.join(map(repr, SHAPES))} or a function from [0, 1] to [0, 1]"
    if isinstance(shape, str):
        if shape not in SHAPES:
            raise ValueError(f"Expected shape to be {choices}, but got {shape!r}")
    elif not callable(shape):
        raise TypeError(f"Expected shape to be {choices}, but got {shape!r}")
    elif not (shape(0.0) == 0 and shape(1.0) == 1):
        raise ValueError(f"Expected shape(0) = 0 and shape(1) = 1, but got {shape(0.0)!r} and {shape(1.0)!r}")
    return shape


def _name(shape: str | Callable[[float], float]) -> str:
    if isinstance(shape, str):
        return shape
    return f"{shape.__module__}.{getattr(shape, '__qualname__', type(shape).__qualname__)}"
