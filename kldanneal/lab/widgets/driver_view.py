"""The charts and the table of a drive."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.plots import reconstruction_limits
from kldanneal.lab.widgets import charts, records

if TYPE_CHECKING:
    from kldanneal.lab.widgets.driver import DriveTheWeight, Look

ACTIVE = 0.01  # variance of mu from which a latent dimension counts as active (Burda et al. 2016)


def run_chart(widget: "DriveTheWeight", other: records.Record | None, planned: Sequence[float]) -> charts.Chart:
    """KL weight, KL and reconstruction: by hand, replayed, under a schedule, and thin those of earlier drives."""
    steps, corpus = widget.settings.steps, widget.corpus
    weight = [charts.line(planned, "blue", width=1, dash=charts.DASHED)]
    kl, reconstruction = [], []
    for record in widget.shelf.records:
        if record.parts["kind"] == "drive" and record is not widget.record:
            kl.append(charts.curve(record.runs["run"].history(), "kl", "grey", width=1, opacity=0.6))
    legend = [{"text": widget["schedule"], "color": "blue"} | ({} if other else {"dash": charts.DASHED})]
    drawn: list[tuple[Any, str, dict[str, Any]]] = [(other.runs["run"], "blue", {"width": 1.2})] if other else []
    if widget.run:
        drawn.append((widget.run, "vermilion", {"width": 2}))
        legend.append({"text": "by hand", "color": "vermilion"})
        if replay := widget.record.parts.get("replay"):
            drawn.append((replay.runs["run"], "ink", {"width": 1.2, "dash": charts.DOTTED}))
            legend.append({"text": "replayed", "color": "ink", "dash": charts.DOTTED})
    for run, color, look in drawn:
        history = run.history()
        weight.append(charts.curve(history, "kl_weight", color, **look))
        kl.append(charts.curve(history, "kl", color, **look))
        reconstruction.append(charts.curve(history, "reconstruction", color, **look))
    step = widget.run.step if widget.run else 0
    hand = [{"x": step, "y": widget["weight"], "color": "vermilion"}]
    highest = 2 * corpus.entropy if corpus.entropy is not None else reconstruction_limits(corpus)[1]
    entropy = [{"y": corpus.entropy, "text": "entropy"}] if corpus.entropy is not None else []
    collapsed = [{"y": COLLAPSED, "text": "collapsed below"}]
    alt = f"KL weight, KL and reconstruction over {steps:,} updates; driven by hand so far: {step:,}."
    panels = [
        charts.weight_panel(weight, 80, marks=hand),
        charts.kl_panel(kl, 130, rules=collapsed),
        charts.panel("recon., nats", (0, highest), 90, lines=reconstruction, rules=entropy),
    ]
    return charts.chart(alt, (0, steps), "update", panels, legend)


def units_chart(look: "Look | None", latent: int) -> charts.Chart:
    """The variance of mu in each latent dimension, against the threshold of an active unit."""
    variances = look.variances if look else [0.0] * latent
    colors = ["vermilion" if value > ACTIVE else "grey" for value in variances]
    bars = charts.bars([max(value, 1e-6) for value in variances], colors)
    active = sum(value > ACTIVE for value in variances)
    at = f" at update {look.update:,}" if look else ""
    legend = [{"text": f"active units: {active} of {latent}{at}", "color": "vermilion", "width": 8}]
    values = ", ".join(f"{value:.2g}" for value in variances)
    alt = f"{active} of {latent} units active{at}. Variance of mu by latent dimension: {values}."
    rules = [{"y": ACTIVE, "text": f"active above {ACTIVE}"}]
    panel = charts.panel("variance of mu", (1e-5, 10), 110, log=True, bars=bars, rules=rules)
    return charts.chart(alt, (0.5, latent + 0.5), "latent dimension", [panel], legend)


def history_table(widget: "DriveTheWeight") -> dict[str, Any]:
    """Every drive, replay and schedule. The numbers of a row are those of the update that the row names."""
    rows = []
    for record in reversed(widget.shelf.records):
        moment, run = record.last("run"), record.runs["run"]
        numbers = [records.shown(moment.metrics, name) for name in records.NAMES] if moment else ["\u2013"] * 5
        cells = [record.name, f"{run.step:,}", f"{moment.update:,}" if moment else "\u2013", *numbers]
        rows.append({"id": record.number, "cells": cells, "chosen": record is widget.record})
    head = ["run", "updates so far", "measured at update", *(MEASURES[name].heading for name in records.NAMES)]
    return {"caption": "All runs on this seed (press a name to bring it back); nats per sentence at KL weight 1",
            "head": head, "rows": rows}  # fmt: skip
