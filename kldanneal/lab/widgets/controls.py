"""What a person can move or press in a panel. Each control keeps its value, and takes only valid ones."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kldanneal import _checks


@dataclass
class Control:
    """A control. The functions below make them.

    - kind: ``'range'``, ``'choice'``, ``'select'``, ``'check'``, ``'field'`` or ``'button'``.
    - label, unit, tip: in plain words; the tip is shown when the mouse rests on it.
    - options: pairs of a value and its text, where only these values are possible.
    - min, max, step, digits: of a number.
    """

    kind: str
    label: str
    value: Any = None
    unit: str = ""
    tip: str = ""
    options: list[tuple[Any, str]] | None = None
    min: float = 0
    max: float = 1
    step: float = 1
    digits: int = 0
    number: bool = True
    primary: bool = False
    busy: str = ""
    disabled: bool = False
    hidden: bool = False

    def read(self, value: Any) -> Any:
        """The value that this control takes for what it was given: an option, or a number on its own steps.

        Raises:
            ValueError, TypeError: no such option, or a number out of range.
        """
        if self.options is not None:
            for option, _ in self.options:
                if option == value:
                    return option
            choices = ", ".join(repr(option) for option, _ in self.options)
            raise ValueError(f"Expected {self.label} to be one of {choices}, but got {value!r}")
        if self.kind == "check":
            return _checks.instance(self.label, value, bool)
        if self.kind == "field" and not self.number:
            return _checks.instance(self.label, value, str).strip()
        value = _checks.number(self.label, value, f"[{self.min:g}, {self.max:g}]")
        value = round(self.min + round((value - self.min) / self.step) * self.step, 10)
        return int(value) if self.digits == 0 else value

    def set(self, value: Any) -> None:
        """Takes a value, as if a person had chosen it."""
        self.value = self.read(value)

    def sent(self) -> dict[str, Any]:
        """What the page needs to show it."""
        return asdict(self)


def slider(
    label: str, value: float, lowest: float, highest: float, step: float, unit: str = "", tip: str = ""
) -> Control:
    """A slider over numbers."""
    digits = len(f"{step:.10f}".rstrip("0").partition(".")[2])
    control = Control("range", label, unit=unit, tip=tip, min=lowest, max=highest, step=step, digits=digits)
    control.set(value)
    return control


def steps(label: str, values: Iterable[float], value: float, unit: str = "", tip: str = "") -> Control:
    """A slider that snaps to the given numbers."""
    return Control("range", label, value, unit, tip, options=[(one, f"{one:,g}") for one in values])


def choice(label: str, options: Sequence[tuple[Any, str]], value: Any, tip: str = "") -> Control:
    """One of a few, all of them in view."""
    return Control("choice", label, value, tip=tip, options=list(options))


def select(label: str, options: Sequence[tuple[Any, str]], value: Any, tip: str = "") -> Control:
    """One of several, from a list that opens."""
    return Control("select", label, value, tip=tip, options=list(options))


def check(label: str, value: bool, tip: str = "") -> Control:
    return Control("check", label, value, tip=tip)


def text_field(label: str, value: str, tip: str = "") -> Control:
    """A line that a person types."""
    return Control("field", label, value, tip=tip, number=False)


def number_field(
    label: str, value: float | None, lowest: float, highest: float, step: float = 1, unit: str = ""
) -> Control:
    """A number that a person types; None: an empty field at first."""
    digits = len(f"{step:.10f}".rstrip("0").partition(".")[2])
    return Control("field", label, value, unit, min=lowest, max=highest, step=step, digits=digits)


def button(label: str, *, primary: bool = False, busy: str = "", tip: str = "") -> Control:
    """A button. ``busy`` is what it says from the click until the kernel has answered."""
    return Control("button", label, primary=primary, busy=busy, tip=tip)
