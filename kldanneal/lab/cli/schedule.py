"""``kldanneal schedule``: schedules as numbers, as pictures, and as lines of Python."""

import io
from pathlib import Path
from typing import Any

from kldanneal import Annealer, _checks, shapes
from kldanneal.lab.files import write_atomically
from kldanneal.lab.tables import table
from kldanneal.lab.terminal import bars
from kldanneal.lab.training.schedules import free_bits, parse_schedules

MOST_SHOWN = 10**6  # steps of a schedule that is printed or plotted
WIDTH = 64  # of a picture in the terminal


def schedule(given: dict[str, Any]) -> int:
    """Runs the command; returns its exit status."""
    steps, names = given["steps"], given["schedules"].split(",")
    for option in ("steps", "rows"):
        _checks.integer(f"--{option}", given[option], 1, MOST_SHOWN)
    annealers = parse_schedules(names, steps=steps, **{name: given[name] for name in ("shape", "cycles", "ratio")})
    in_python = [f"{name}\n  {python(name, annealer)}" for name, annealer in annealers.items()]
    if given["plot"]:
        from kldanneal.lab.plots import plot_schedules

        picture = io.BytesIO()
        plot_schedules(annealers, steps).savefig(picture, format="png", dpi=150)
        write_atomically(Path(given["plot"]), picture.getvalue())
        print("\n".join([*in_python, f"written to {given['plot']}"]))
        return 0
    shown = sorted({round(i * (steps - 1) / max(1, given["rows"] - 1)) for i in range(given["rows"])})
    rows = [
        [f"{step:>9}", *(f"{annealer.weight_at(step):.4f}".rjust(len(name)) for name, annealer in annealers.items())]
        for step in shown
    ]
    print(table([["     step", *(name.rjust(6) for name in names)], *rows]))
    for title, annealer in zip(in_python, annealers.values(), strict=True):
        print(f"\n{title}\n" + "\n".join(picture_of(annealer, steps)))
    return 0


def picture_of(annealer: Annealer, steps: int) -> list[str]:
    """The weights over the steps, as lines for a terminal."""
    width = min(WIDTH, steps)
    weights = [annealer.weight_at(i * (steps - 1) // max(1, width - 1)) for i in range(width)]
    lines = bars(weights, highest=max(weights), width=width)
    axis = f"0{'step ' + str(steps - 1):>{max(1, width - 1)}}"
    return [*lines, f"     +{'-' * width}", f"      {axis}"]


def python(name: str, annealer: Annealer) -> str:
    """One line of Python that makes the Annealer, and the loss if the schedule has free bits.

    Example::

        >>> line = python("power", Annealer(500, shapes.Power(2)))
        >>> line.startswith("from kldanneal import Annealer; from kldanneal.shapes import Power; annealer = Annealer(")
        True
    """
    kinds, shape = ["Annealer"], annealer.shape
    used = []
    while isinstance(shape, shapes.PARAMETRIC):
        used.append(type(shape).__name__)
        shape = getattr(shape, "shape", "linear")
    loss = ""
    if floor := free_bits(name):
        kinds.append("VAELoss")
        loss = f'; criterion = VAELoss("cross_entropy", free_bits={floor!r})'
    imports = f"from kldanneal import {', '.join(kinds)}; "
    imports += f"from kldanneal.shapes import {', '.join(used)}; " if used else ""
    return f"{imports}annealer = {annealer!r}{loss}"
