"""The chart and the tables of the schedule explorer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kldanneal.lab.corpora import toy
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.results.jobs import EVERY
from kldanneal.lab.widgets import charts, records

if TYPE_CHECKING:
    from kldanneal.lab.widgets.explorer import Plan, ScheduleExplorer

LIMITS = (toy.ENTROPY - 4, toy.ENTROPY + 6)  # of the reconstruction


def outcome_chart(
    widget: "ScheduleExplorer", plan: "Plan", runs: Sequence[dict], near: bool, record: records.Record | None
) -> charts.Chart:
    """The weights of the chosen schedule; KL and reconstruction of stored runs and of what was trained here.

    Args:
        runs: stored ones, of the same schedule or, where ``near``, of a close one.
        record: what was trained here under this schedule.
    """
    length = max(plan.job.updates, 100)
    weight_lines = [charts.line(np.concatenate([plan.weights, np.ones(length - plan.low)]), "blue")]
    kl: list[Any] = []
    reconstruction: list[Any] = []
    legend: list[dict[str, Any]] = [{"text": "chosen schedule", "color": "blue"}]
    for other in widget.shelf.records:  # thin, behind the rest
        if other is not record:
            kl.append(charts.curve(other.runs["run"].history(), "kl", "grey", 50, width=1, opacity=0.6))
    for run in runs:
        for lines, name in ((kl, "kl_curve"), (reconstruction, "reconstruction_curve")):
            places = [EVERY * (i + 1) for i in range(len(run[name]))]
            lines.append(charts.line(run[name], "orange", places, width=1.4))
    if runs:
        legend.append({"text": "close stored runs" if near else "stored runs, a line for each seed", "color": "orange"})
    if record:
        history = record.runs["run"].history()
        kl.append(charts.curve(history, "kl", "purple", 20, width=2.2))
        reconstruction.append(charts.curve(history, "reconstruction", "purple", 20, width=2.2))
        legend.append({"text": "trained here", "color": "purple"})
    rules = [{"y": COLLAPSED, "text": "collapsed below"}]
    rules += [{"x": plan.low, "text": "last weight below 1"}] if plan.low else []
    alt = f"KL weight, KL and reconstruction over {length:,} updates: {widget.name()}."
    entropy = [{"y": toy.ENTROPY, "text": "entropy"}]
    panels = [
        charts.weight_panel(weight_lines, 72),
        charts.kl_panel(kl, 120, rules=rules),
        charts.panel("recon., nats", LIMITS, 70, lines=reconstruction, rules=entropy),
    ]
    return charts.chart(alt, (0, length), "update", panels, legend)


def numbers_table(found: Sequence[dict], moment: records.Moment | None, distance: int) -> dict[str, Any]:
    """The measures of each stored seed, and of what was trained here."""
    columns: list[tuple[str, Any]] = [(f"seed {mark['seed']}", mark) for mark in found]
    columns += [(f"trained here, update {moment.update:,}", moment.metrics)] if moment else []
    rows = [{"cells": [MEASURES[name].heading, *(records.shown(values, name) for _, values in columns)]}
            for name in records.NAMES] if columns else []  # fmt: skip
    return {"caption": f"At distance {distance:,}, in nats per sentence",
            "head": ["", *(title for title, _ in columns)], "rows": rows}  # fmt: skip


def history_table(widget: "ScheduleExplorer") -> dict[str, Any]:
    """Every run that was trained here. Its numbers are those of the update that the row names."""
    rows = []
    for record in reversed(widget.shelf.records):
        moment, run = record.last("run"), record.runs["run"]
        measured = [f"{moment.update:,}", records.shown(moment.metrics, "kl"),
                    records.shown(moment.metrics, "active_units")] if moment else ["\u2013"] * 3  # fmt: skip
        cells = [record.name, f"{run.step:,}", *measured]
        rows.append({"id": record.number, "cells": cells, "chosen": record is widget.record})
    return {"caption": "Trained here (press a name to restore it)", "rows": rows,
            "head": ["schedule", "updates so far", "measured at update", "KL", "active units"]}  # fmt: skip
