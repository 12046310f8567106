"""The tables of two schedules side by side."""

from typing import Any

from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.widgets import records

SIDES = ("left", "right")


def numbers_table(record: records.Record | None) -> dict[str, Any]:
    """All measures of both sides, a column for each update at which they were measured."""
    columns = []
    for side in SIDES:
        moments = record.moments.get(side, []) if record else []
        columns += [(f"{side}, update {moment.update:,}", moment.metrics) for moment in moments]
    names = [name for name in MEASURES if name != "perplexity"]
    rows = [{"cells": [MEASURES[name].heading, *(records.shown(m, name) for _, m in columns)]} for name in names]
    return {"caption": "Nats per sentence, at KL weight 1", "head": ["", *(title for title, _ in columns)],
            "rows": rows if columns else []}  # fmt: skip


def history_table(shelf: records.Shelf, chosen: records.Record | None) -> dict[str, Any]:
    """Every pair that was trained. Its numbers are those of the update that the row names."""
    rows = []
    for record in reversed(shelf.records):
        cells = [record.name]
        for side in SIDES:
            moment = record.last(side)
            done = f"{record.runs[side].step:,}" if record.runs else "0"
            kl = f"{records.shown(moment.metrics, 'kl')} at {moment.update:,}" if moment else f"\u2013 ({done})"
            cells.append(kl)
        rows.append({"id": record.number, "cells": cells, "chosen": record is chosen})
    return {"caption": "Trained here (press a name to restore it)", "rows": rows,
            "head": ["left | right", "left KL at update", "right KL at update"]}  # fmt: skip
