"""The controls of one schedule: one ramp, cycles, a constant weight, or a drive that was saved."""

import math
from functools import lru_cache

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.training.hand import Replay
from kldanneal.lab.training.run import KLWeight
from kldanneal.lab.widgets import controls, records

KINDS = [("once", "monotonic: one ramp"), ("cycles", "cyclical"), ("constant", "constant weight")]
SHOWN_FOR = {"shape": ("once", "cycles"), "ramp": ("once",), "cycles": ("cycles",), "weight": ("constant",)}


class ScheduleControls:
    """The length of a cycle follows from the number of cycles, so the two cannot contradict each other.

    Args:
        side (str): what the labels begin with, and the names of the controls.
        steps (int): the updates of a run.
        first (str): the kind that is chosen at first.
    """

    NAMES = ("schedule", "shape", "ramp", "cycles", "weight")

    def __init__(self, side: str, steps: int, first: str) -> None:
        self.side, self.steps = side, steps
        step, most = max(1, steps // 200), max(1, min(20, steps // 2))
        ramp = max(step, steps // 8 // step * step)
        shapes = [(shape, shape) for shape in SHAPES]
        tip = "Updates until the weight is 1"
        halves = "Each cycle is a ramp over its first half, then weight 1"
        own = {
            "schedule": controls.select(f"{side} schedule", KINDS, first),
            "shape": controls.select(f"{side} shape", shapes, "linear"),
            "ramp": controls.slider(f"{side} ramp", ramp, step, steps, step, "updates", tip),
            "cycles": controls.slider(f"{side} cycles", min(4, most), 1, most, 1, "", halves),
            "weight": controls.slider(f"{side} weight", 1, 0, 1, 0.05, "", "The KL weight of every update"),
        }
        self.inputs = {f"{side}_{name}": control for name, control in own.items()}

    def update(self) -> None:
        """Offers the saved drives, and hides the controls that the chosen kind does not have."""
        kind = self["schedule"]
        self.offer_drives()
        for name, kinds in SHOWN_FOR.items():
            self.inputs[f"{self.side}_{name}"].hidden = kind not in kinds
        cycles = self.inputs[f"{self.side}_cycles"]
        cycles.unit = f"of {self.cycle():,} updates"

    def offer_drives(self) -> None:
        self.inputs[f"{self.side}_schedule"].options = KINDS + [(name, name) for name in records.drives()]

    def cycle(self) -> int:
        """The updates of one cycle."""
        return math.ceil(self.steps / self["cycles"])

    def annealer(self) -> KLWeight:
        """A new schedule as the controls show it."""
        kind, shape = self["schedule"], self["shape"]
        if kind == "constant":
            return Annealer.constant(self["weight"])
        if kind == "once":
            return Annealer(self["ramp"], shape)
        if kind == "cycles":
            return Annealer(self.cycle(), shape, cyclical=True, ratio=0.5)
        return Replay(records.drives()[kind])

    def planned(self) -> tuple[float, ...]:
        """The KL weight of each update."""
        kind = self["schedule"]
        if kind in records.drives():
            weights = records.drives()[kind][: self.steps]
            return (*weights, *[weights[-1]] * (self.steps - len(weights)))
        size = {"once": self["ramp"], "cycles": self.cycle(), "constant": self["weight"]}[kind]
        return _planned(kind, self["shape"], size, self.steps)

    def name(self) -> str:
        """The schedule in words."""
        kind, shape = self["schedule"], self["shape"]
        if kind == "constant":
            return f"constant {self['weight']:g}"
        if kind == "once":
            return f"{shape} ramp of {self['ramp']:,}"
        if kind == "cycles":
            return f"{self['cycles']} {shape} cycle{'s' * (self['cycles'] > 1)} of {self.cycle():,}"
        return kind

    def __getitem__(self, name: str):
        return self.inputs[f"{self.side}_{name}"].value


@lru_cache(maxsize=256)
def _planned(kind: str, shape: str, size: float, steps: int) -> tuple[float, ...]:
    if kind == "constant":
        return (size,) * steps
    cyclical = {"cyclical": True, "ratio": 0.5} if kind == "cycles" else {}
    return tuple(Annealer(size, shape, **cyclical).schedule(steps))
