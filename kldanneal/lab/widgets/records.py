"""The history of runs of a widget. It outlives the widget: a cell that is run again finds every run as it was."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kldanneal.lab.metrics import MEASURES, Metrics
from kldanneal.lab.training.run import Run


class Moment(NamedTuple):
    """Measures of a run after so many updates. The two belong together, so they are never shown apart."""

    update: int
    metrics: Metrics


@dataclass
class Record:
    """A row of the history: one run, or several that were trained together.

    - values: of the controls when it was started, so that a click can restore them.
    - runs, moments: by the name of the schedule.
    - parts: what else its widget keeps.
    """

    number: int
    name: str
    values: dict[str, Any]
    runs: dict[str, Run]
    moments: dict[str, list[Moment]] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def measured(self, name: str, metrics: Metrics) -> None:
        """Notes what a run, which rests, is worth now. A second measurement at one update replaces the first."""
        moments = self.moments.setdefault(name, [])
        moments[:] = [moment for moment in moments if moment.update != self.runs[name].step]
        moments.append(Moment(self.runs[name].step, metrics))

    def last(self, name: str) -> Moment | None:
        """The latest measurement of a run."""
        moments = self.moments.get(name)
        return moments[-1] if moments else None

    def at(self, name: str, update: int) -> Moment | None:
        """The measurement of a run after exactly so many updates, if there is one."""
        return next((moment for moment in self.moments.get(name, []) if moment.update == update), None)


class Shelf:
    """The records of one kind of widget on one corpus, with the same settings."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, name: str, values: dict[str, Any], runs: dict[str, Run], **parts: Any) -> Record:
        self.records.append(Record(len(self.records) + 1, name, dict(values), runs, parts=parts))
        return self.records[-1]

    def get(self, number: int) -> Record:
        for record in self.records:
            if record.number == number:
                return record
        raise ValueError(f"Expected a run between 1 and {len(self.records)}, but got {number!r}")


_shelves: dict[Hashable, Shelf] = {}
_drives: dict[str, list[float]] = {}


def shelf(kind: str, *key: Hashable) -> Shelf:
    """The shelf of a kind of widget; the same one for the same key as long as the kernel lives."""
    return _shelves.setdefault((kind, *key), Shelf())


def drives() -> dict[str, list[float]]:
    """The drives that were saved as schedules: a weight for each update, by name."""
    return _drives


def forget() -> None:
    """Empties all shelves."""
    _shelves.clear()
    _drives.clear()


NAMES = ("kl", "reconstruction", "neg_elbo", "active_units", "mutual_information")


def shown(metrics: Any, name: str) -> str:
    """A measure with its digits; never a negative zero, and whole units."""
    value = getattr(metrics, name) if isinstance(metrics, Metrics) else metrics[name]
    digits = 0 if name == "active_units" and float(value).is_integer() else MEASURES[name].digits
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not float(text) else text
