"""A KL weight that is moved by hand, and a recording of it that is played again. A Run takes either.

    hand = HandWeight(0.0)
    run = Run(corpus, hand, settings, seed=0)
    run.fit()                                                      # meanwhile a slider sets hand.position
    again = Run(corpus, Replay(hand.weights), settings, seed=0)

On a CPU, ``again.fit()`` repeats the run bit for bit.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from kldanneal import _checks


class HandWeight:
    """A KL weight that a hand moves at any moment, from any thread, while a run trains; it notes what was used.

    Set :attr:`position` to move the hand. The first look at :attr:`weight` begins an update and takes the position;
    :meth:`step` ends it. In between the weight stays: a hand that moves meanwhile counts from the next update on. So an
    update has one weight, and :attr:`weights` has it.

    Args:
        position (float): where the hand is at first, in [0, 1]. Default: 0.0.

    Example::

        >>> hand = HandWeight()
        >>> for position in (0.0, 0.5, 0.25):
        ...     hand.position = position
        ...     print(hand(2.0))                # in a training loop: loss = bce + hand(kld)
        ...     hand.step()
        0.0
        1.0
        0.5
        >>> hand.weights
        [0.0, 0.5, 0.25]
    """

    def __init__(self, position: float = 0.0) -> None:
        self.position = position
        self._update: float | None = None  # the weight of the update that is under way
        self.weights: list[float] = []  # one for each update

    @property
    def position(self) -> float:
        """Where the hand is: the weight of the next update."""
        return self._position

    @position.setter
    def position(self, position: float) -> None:
        self._position = _weight("position", position)

    @property
    def weight(self) -> float:
        """The weight of this update."""
        if self._update is None:
            self._update = self.position
        return self._update

    def __call__(self, kld: Any) -> Any:
        """``kld`` times the weight of this update."""
        return kld * self.weight

    def step(self) -> None:
        """Notes the weight of this update, and ends it."""
        self.weights.append(self.weight)
        self._update = None

    def state_dict(self) -> dict[str, Any]:
        """Where the hand is, and the weights so far, as plain data that JSON can hold."""
        return {"position": self.position, "weights": self.weights[:]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state saved by :meth:`state_dict`. Nothing has changed if that raises."""
        _keys(self, state_dict)
        position, weights = _weight("position", state_dict["position"]), _weights(state_dict["weights"])
        self.position, self.weights, self._update = position, weights, None


class Replay:
    """Plays weights again, one for each update; after the last it stays there.

    Args:
        weights (sequence of float): at least one, in [0, 1], for instance :attr:`HandWeight.weights`.

    Example::

        >>> replay = Replay([0.0, 0.5])
        >>> for _ in range(3):
        ...     print(replay(2.0))
        ...     replay.step()
        0.0
        1.0
        1.0
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = _weights(weights)
        if not self.weights:
            raise ValueError("Expected at least one weight to replay, but got none")
        self.current_step = 0

    @property
    def weight(self) -> float:
        """The weight now."""
        return self.weights[min(self.current_step, len(self.weights) - 1)]

    def __call__(self, kld: Any) -> Any:
        """``kld`` times the weight."""
        return kld * self.weight

    def step(self) -> None:
        """On to the next weight."""
        self.current_step += 1

    def state_dict(self) -> dict[str, Any]:
        """The weights and the step, as plain data that JSON can hold."""
        return {"weights": self.weights[:], "current_step": self.current_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a saved state of a replay of the same weights. Nothing has changed if that raises."""
        _keys(self, state_dict)
        weights, step = _weights(state_dict["weights"]), _checks.integer("current_step", state_dict["current_step"])
        if weights != self.weights:
            shorter = min(len(weights), len(self.weights))
            at = next((i for i in range(shorter) if weights[i] != self.weights[i]), shorter)
            raise ValueError(
                f"Expected the state of a Replay of the same weights, but of {len(self.weights)} here and "
                f"{len(weights)} there the first {at} agree"
            )
        self.current_step = step


def _weight(name: str, value: Any) -> float:
    return _checks.number(name, value, "[0, 1]")


def _weights(values: Any) -> list[float]:
    if not isinstance(values, Iterable):
        raise TypeError(f"Expected weights to be a sequence of numbers, but got {values!r}")
    return [_weight(f"weights[{i}]", value) for i, value in enumerate(values)]


def _keys(own: HandWeight | Replay, state_dict: Any) -> None:
    expected = own.state_dict().keys()
    if not isinstance(state_dict, dict) or state_dict.keys() != expected:
        found = ", ".join(map(str, state_dict)) if isinstance(state_dict, dict) else type(state_dict).__name__
        raise ValueError(f"Expected the state of a {type(own).__name__} with {', '.join(expected)}, but got {found}")
