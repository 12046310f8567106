"""The weight of the KL term over the course of training: a pure function of a step, and a counter."""

import copy
import math
from collections.abc import Callable
from typing import Any, SupportsFloat, SupportsIndex, overload

import torch
from torch import Tensor

from kldanneal import _checks, shapes
from kldanneal.shapes import SHAPES, ShapeName

__all__ = ["SHAPES", "Annealer"]

SETTINGS = ("total_steps", "shape", "baseline", "cyclical", "disable", "ratio", "max_weight", "delay", "cycles")
LATER = {"max_weight": 1.0, "delay": 0, "cycles": None, "cycles_done": 0, "shape_values": None}  # than version 0.1


class Annealer:
    r"""Multiplies the KL term by a weight that rises from ``baseline`` to ``max_weight``, once or in cycles.

    .. math::
        p = \min(1, \tfrac{\text{step}}{\text{ratio} \cdot \text{total\_steps}}), \qquad
        \text{weight} = \text{baseline} + (\text{max\_weight} - \text{baseline}) \cdot \text{shape}(p)

    ``annealer(kld)`` applies the weight, ``annealer.step()`` moves on by one. Call ``step()`` once per optimizer update
    (``total_steps`` then counts updates) or once per epoch (then it counts epochs). The weight is exactly ``baseline``
    at p = 0 and exactly ``max_weight`` at p = 1, where it stays without ``cyclical``. With it, ``total_steps`` is the
    length of one cycle: the counter that reaches it becomes 0 at once, so each cycle uses the weights of the steps 0 to
    total_steps - 1. The last of them is just below ``max_weight`` unless ``ratio`` is below 1.

    With ``max_weight`` other than 1 (a β-VAE) the final loss is not the negative ELBO. Compare models at weight 1.

    Use the weight, then step. A loop that steps first needs a remedy, above all in cycles:

    | habit | the first update uses | the last update of a cycle uses | remedy |
    |---|---|---|---|
    | ``annealer(kld)``, then ``step()`` | ``weight_at(0)`` | the highest weight | |
    | ``step()``, then ``annealer(kld)`` | ``weight_at(1)`` | ``baseline``, by mistake | ``delay=1`` |
    | ``weight_at(n)``, n counted from 0 | ``weight_at(0)`` | the highest weight | |
    | ``weight_at(n)``, n counted from 1 | ``weight_at(1)`` | ``baseline``, by mistake | ``weight_at(n - 1)`` |

    Args:
        total_steps (int): steps until the weight is ``max_weight`` (at ``ratio`` 1), and the length of a cycle. With 0
            there is no ramp: the weight is ``max_weight`` from the first step.
        shape (str or callable): ``'linear'`` p, ``'cosine'`` (1 - cos(pi p)) / 2, ``'logistic'`` a sigmoid rescaled to
            hit both ends, a shape with parameters from :mod:`kldanneal.shapes`, or a function from [0, 1] to [0, 1]
            with shape(0) = 0 and shape(1) = 1. Default: ``'linear'``.
        baseline (float): the weight at step 0, from 0 to ``max_weight``. Default: 0.0.
        cyclical (bool): whether the weight starts again from ``baseline`` every total_steps. Default: ``False``.
        disable (bool): no annealing: ``annealer(kld)`` returns kld itself, the weight is 1. Default: ``False``.
        ratio (float): the share of total_steps that the ramp takes, in (0, 1]; over the rest the weight holds.
            Fu et al. call it R and use 0.5. Default: 1.0.
        max_weight (float): the weight at the end of the ramp, finite and at least ``baseline``. Default: 1.0.
        delay (int): steps at ``baseline`` before the first ramp. Default: 0.
        cycles (int or None): after so many cycles the weight stays at ``max_weight``. Default: ``None``, no end.

    Shape:
        - ``annealer(kld)``: any shape, returned unchanged.

    Raises:
        TypeError, ValueError: when it is made: an argument of the wrong kind, out of range, or at odds with another.

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
        >>> Annealer(4, delay=3).schedule(9)
        [0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
        >>> Annealer(4, cyclical=True, ratio=0.5, cycles=2).schedule(10)
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0]

    Reference:
        Bowman et al., Generating Sentences from a Continuous Space, CoNLL 2016 (annealing). Higgins et al., beta-VAE,
        ICLR 2017 (max_weight). Fu et al., Cyclical Annealing Schedule, NAACL 2019 (cycles and R).
    """

    __hash__ = None  # type: ignore[assignment]  # equal by value, and mutable

    def __init__(
        self,
        total_steps: SupportsIndex,
        shape: ShapeName | Callable[[float], float] = "linear",
        baseline: SupportsFloat = 0.0,
        cyclical: bool = False,
        disable: bool = False,
        *,
        ratio: SupportsFloat = 1.0,
        max_weight: SupportsFloat = 1.0,
        delay: SupportsIndex = 0,
        cycles: SupportsIndex | None = None,
    ) -> None:
        self.total_steps = _checks.integer("total_steps", total_steps, 0, 2**53)
        self.shape: ShapeName | Callable[[float], float] = shapes.check(shape)
        self.max_weight = _checks.number("max_weight", max_weight, "[0, inf)")
        self.baseline = _checks.number("baseline", baseline, "[0, 1]" if self.max_weight == 1 else "[0, inf)")
        if self.max_weight < self.baseline:
            raise ValueError(f"Expected max_weight to be at least baseline, {baseline!r}, but got {max_weight!r}")
        self.disable = _checks.boolean("disable", disable)
        if self.disable and self.max_weight != 1:
            raise ValueError(f"Expected max_weight to be 1 with disable=True, which returns kld unchanged, but got "
                             f"{max_weight!r}; for a constant weight use Annealer.constant")  # fmt: skip
        self.ratio = _checks.number("ratio", ratio, "(0, 1]")
        self.delay = _checks.integer("delay", delay, 0, 2**53)
        self.cycles = None if cycles is None else _checks.integer("cycles", cycles, 1)
        if self.cycles is not None and cyclical is False:
            raise ValueError(f"Expected cyclical=True with cycles, but got cycles={cycles!r} and cyclical=False")
        self.cyclical = cyclical
        self._step: int = -self.delay
        self._cycles_done: int = 0

    @classmethod
    def constant(cls, weight: SupportsFloat) -> "Annealer":
        """An Annealer whose weight is the same at every step: any finite number from 0."""
        return cls(0, max_weight=_checks.number("weight", weight, "[0, inf)"))

    @overload
    def __call__(self, kld: Tensor) -> Tensor: ...
    @overload
    def __call__(self, kld: float) -> float: ...
    @overload
    def __call__(self, kld: Any) -> Any: ...
    def __call__(self, kld: Any) -> Any:
        """``kld`` times the weight: for tensors, floats, NumPy scalars, anything that a float multiplies."""
        return kld if self.disable else kld * self.weight

    def step(self) -> None:
        """Raises ``current_step`` by 1 up to ``total_steps``; with ``cyclical``, reaching it means starting at 0."""
        step = self._step + 1
        if step < self.total_steps:
            self._step = step
        elif self._cyclical and (self.cycles is None or self._cycles_done + 1 < self.cycles):
            self._step, self._cycles_done = 0, self._cycles_done + 1
        else:
            self._step = self.total_steps

    def reset(self) -> None:
        """Back to the first step. ``cyclical`` stays as it is."""
        self._step, self._cycles_done = -self.delay, 0

    @property
    def cyclical(self) -> bool:
        """Whether cycles are on; may be set, as by :meth:`cyclical_setter`."""
        return self._cyclical

    @cyclical.setter
    def cyclical(self, cyclical: bool) -> None:
        self._cyclical = self._can_be_cyclical(cyclical)

    def cyclical_setter(self, cyclical: bool) -> None:
        """Switches cycles on or off while training.

        Off: the ramp that is under way completes, and the weight stays at ``max_weight``. On again after that: the next
        :meth:`step` starts a cycle at 0. The ramp that completed counts as one of ``cycles``.
        """
        self.cyclical = cyclical

    set_cyclical = cyclical_setter

    @property
    def current_step(self) -> int:
        """The step within the cycle: from -``delay`` to -1 before the first ramp, then from 0 to ``total_steps``."""
        return self._step

    @current_step.setter
    def current_step(self, step: SupportsIndex) -> None:
        self._step = _checks.integer("current_step", step, -self.delay, self.total_steps)

    @property
    def weight(self) -> float:
        """The weight now, from ``baseline`` to ``max_weight``."""
        return self._weight(self._step)

    def weight_at(self, step: SupportsIndex) -> float:
        """The weight at a step counted from 0 since the start of training: a pure function, nothing moves on.

        It is the weight after ``step`` calls of :meth:`step`, if nothing else moves the annealer meanwhile, such as
        :meth:`cyclical_setter`. In cycles, ``weight_at(total_steps)`` starts the second one (without a delay).
        """
        return self._weight(self._place(_checks.integer("step", step))[0])

    def _place(self, step: int) -> tuple[int, int]:
        """``current_step``, and how many cycles are done, after ``step`` calls of :meth:`step`."""
        step -= self.delay
        if step < self.total_steps:
            return step, 0
        if self._cyclical and (self.cycles is None or step < self.cycles * self.total_steps):
            return step % self.total_steps, step // self.total_steps
        return self.total_steps, self.cycles - 1 if self._cyclical and self.cycles else 0

    def _weight(self, step: int) -> float:
        """The weight at a value of ``current_step``."""
        if self.disable:
            return 1.0
        ramp = self.ratio * self.total_steps
        if math.isclose(ramp, round(ramp), rel_tol=1e-12):  # 0.55 * 100 is 55.00000000000001
            ramp = round(ramp)
        if step >= ramp:  # exactly max_weight, without rounding errors
            return self.max_weight
        if step <= 0:
            return self.baseline
        p = step / ramp
        rise = shapes.function(self.shape)(p)
        if not 0 <= rise <= 1:
            raise ValueError(f"Expected shape to stay in [0, 1], but got shape({p}) = {rise!r}")
        return min(self.max_weight, self.baseline + (self.max_weight - self.baseline) * float(rise))

    def _can_be_cyclical(self, cyclical: bool) -> bool:
        """``cyclical``, unless cycles of this length would never leave the baseline."""
        if not _checks.boolean("cyclical", cyclical):
            return False
        steps = range(self.total_steps - 1, -1, -max(1, self.total_steps // 1000))  # the last one is the highest
        flat = not self.disable and self.baseline < self.max_weight
        if self.total_steps == 0 or (flat and all(self._weight(step) == self.baseline for step in steps)):
            raise ValueError(f"Expected cycles to rise above baseline, but got cycles of {self.total_steps} steps that "
                             f"stay at {self.baseline!r}; set total_steps to the steps of a whole cycle, at least 2 "
                             "(more, or a lower ratio, if shape starts with zeros)")  # fmt: skip
        return True

    def schedule(self, n: SupportsIndex) -> list[float]:
        """The ``n`` weights that the next ``n`` calls would use, each followed by :meth:`step`; nothing moves on."""
        twin = copy.copy(self)
        weights: list[float] = []
        for _ in range(_checks.integer("n", n)):
            weights.append(twin.weight)
            twin.step()
        return weights

    def state_dict(self) -> dict[str, Any]:
        """The settings and the position as plain data that JSON can hold.

        A callable shape is there by its name; one that is not from :mod:`kldanneal.shapes` also by some values.
        """
        name, says_all = shapes.name(self.shape)
        state: dict[str, Any] = {setting: getattr(self, setting) for setting in SETTINGS}
        state["shape_values"] = None if says_all else shapes.values(self.shape)
        state["shape"] = self.shape if isinstance(self.shape, str) else name
        return {**state, "current_step": self._step, "cycles_done": self._cycles_done}

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> list[str]:
        """Goes on from a state saved by :meth:`state_dict`, also by that of version 0.1.

        ``current_step`` and ``cyclical``, which training moves, are taken over; the other settings must agree. Shapes
        from elsewhere agree if their values do.

        Args:
            state_dict (dict): the state.
            strict (bool): ``False`` keeps the settings of this annealer, also ``cyclical``, and takes over the position
                alone: the steps since the start, which are not counted beyond the last ramp. Default: ``True``.

        Returns:
            list of str: what differs, one sentence for each setting; empty with ``strict``.

        Raises:
            ValueError, TypeError: settings that differ, or a state that is not an Annealer's. Nothing has changed then.
        """
        own = self.state_dict()
        if not isinstance(state_dict, dict) or not own.keys() - LATER <= state_dict.keys() <= own.keys():
            found = sorted(map(str, state_dict)) if isinstance(state_dict, dict) else type(state_dict).__name__
            raise ValueError(f"Expected the state of an Annealer with {', '.join(own)}, but got {found}")
        state = {**LATER, **state_dict}
        cyclical = _checks.boolean("cyclical", state["cyclical"])
        own["shape"], state["shape"] = shapes.in_words(own, state)
        differ = [f"{name} is {own[name]!r} here and {state[name]!r} in the state" for name in SETTINGS
                  if own[name] != state[name] and not (strict and name == "cyclical")]  # fmt: skip
        if strict and differ:
            raise ValueError(f"Expected the state of an Annealer with the same settings, but {'; '.join(differ)}")
        total_steps, delay = (_checks.integer(name, state[name]) for name in ("total_steps", "delay"))
        step = _checks.integer("current_step", state["current_step"], -delay, total_steps)
        done = _checks.integer("cycles_done", state["cycles_done"])
        if strict:
            self._cyclical = self._can_be_cyclical(cyclical)
        elif any(own[name] != state[name] for name in ("total_steps", "delay", "cycles")):
            step, done = self._place(delay + done * total_steps + step)
        self._step, self._cycles_done = step, done
        return differ

    def __eq__(self, other: object) -> bool:
        return self.state_dict() == other.state_dict() if isinstance(other, Annealer) else NotImplemented

    def __repr__(self) -> str:
        """The settings, as they are given to make it; behind a ``#``, ``current_step`` once it has moved."""
        shown = {setting: repr(getattr(self, setting)) for setting in SETTINGS}
        shown["shape"] = shapes.name(self.shape)[0]
        shown["cyclical"] = repr(self._cyclical or self.cycles is not None)
        settings = [f"{key}={text}" for key, text in shown.items() if key not in LATER or text != repr(LATER[key])]
        moved = f"  # current_step={self._step}" if self._step != -self.delay else ""
        return f"{type(self).__name__}({', '.join(settings)}){moved}"


if hasattr(torch.serialization, "add_safe_globals"):  # torch.load(weights_only=True) may make these, since torch 2.4
    torch.serialization.add_safe_globals([Annealer, *shapes.PARAMETRIC])
