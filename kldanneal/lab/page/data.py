"""The stored runs of the map, as the page and its charts read them.

    data = page_data(stored_at("map"), stored_at("remedies"))
    data["cells"]                 # for each schedule, word dropout and distance, the mean KL over seeds

A *schedule* has a name such as ``linear-500-once``. A *key* is a schedule with its word dropout, such as
``linear-500-once-wd0.2``. Every number is that of a stored run, or a mean over the stored seeds.
"""

from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from kldanneal.annealing import SHAPES
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.results import stored
from kldanneal.lab.results.jobs import EVERY, Job, from_dict
from kldanneal.lab.training.settings import Settings

MODES = ("once", "cycles", "constant")
#: What the page's tables show of each measurement, in this order.
SHOWN = ("kl", "reconstruction", "neg_elbo", "iw_nll", "active_units", "mutual_information")
COLUMNS = ("distance", "update", *SHOWN)  # of each measurement
TOLERANCE = 0.004  # by how much a drawn KL weight may differ from the true one


def page_data(path: str | Path, remedies: str | Path | None = None) -> dict[str, Any]:
    """All that the page shows, as JSON can hold it.

    Args:
        path (path): the stored runs of the part ``map``. Some may be missing: the page shows those that are there.
        remedies (path, optional): the stored runs of the part ``remedies``. Those with free bits become references.

    Returns:
        ``grid``: the values of each control; ``schedules``: for each schedule its name in words, its place on the map
        and its KL weight; ``runs``: for each run its curves, and a row of ``columns`` for each distance; ``cells``: one
        for each schedule, word dropout and distance; ``references``: what can be switched on; ``about``: provenance.

    Raises:
        ValueError: there is no stored run, or they were trained on several corpora.
    """
    about, runs = stored.load(path)
    if not runs:
        raise ValueError(f"Expected stored runs of the map in {path}, but got none")
    own = [(from_dict(run["job"]), run) for run in runs]
    more = [(job, run) for job, run in _of(remedies) if job.free_bits]
    made = _used(about, runs)
    if more:
        made += [one for one in _used(*stored.load(remedies)) if one not in made]
    digests = sorted({run["digest"] for _, run in [*own, *more]})
    if len(digests) > 1:
        raise ValueError(f"Expected stored runs of one corpus, but got the digests {', '.join(digests)}")
    grid = _grid([job for job, _ in own])
    references, kept = _references(grid, [job for job, _ in more])
    shown = [*own, *((job, run) for job, run in more if key_of(job) == kept)]
    return {
        "grid": grid,
        "every": EVERY,
        "collapsed": COLLAPSED,
        "measures": {name: MEASURES[name]._asdict() for name in SHOWN},
        "schedules": _schedules(job for job, _ in shown),
        "runs": [_run(job, run) for job, run in shown],
        "columns": COLUMNS,
        "cells": _cells(own, grid["distances"]),
        "references": references,
        "about": _about(own, made, digests[0]),
    }


def schedule_of(job: Job) -> str:
    """The name of a job's schedule, in which seed and word dropout play no part."""
    if job.free_bits:
        return f"free-bits-{job.free_bits:g}"
    options = job.annealer
    if not options["total_steps"]:
        return f"constant-{options.get('max_weight', 1):g}"
    return f"{options.get('shape', 'linear')}-{options['total_steps']}-{_mode(job)}"


def key_of(job: Job) -> str:
    return f"{schedule_of(job)}-wd{_dropout(job):g}"


def in_words(job: Job) -> str:
    """A schedule as a reader would say it."""
    options, schedule = job.annealer, schedule_of(job)
    if job.free_bits:
        return f"free bits: {job.free_bits:g} nats in each dimension, weight 1"
    if schedule.startswith("constant"):
        weight = options.get("max_weight", 1)
        after = f" for {job.then_one:,} updates, then 1" if job.then_one else ""
        return f"constant weight {weight:g}{after}"
    shape, steps = options.get("shape", "linear"), options["total_steps"]
    if options.get("cyclical"):
        return f"{options['cycles']} {shape} cycles of {steps:,} updates"
    return f"one {shape} ramp of {steps:,} updates"


def corners(values: list[float], tolerance: float = TOLERANCE) -> list[int]:
    """The places of the fewest values, or nearly, between which straight lines come within the tolerance of all.

    >>> corners([0.0, 0.5, 1.0, 1.0, 0.0, 0.5])
    [0, 2, 3, 4, 5]
    """
    kept, todo = {0, len(values) - 1}, [(0, len(values) - 1)]
    while todo:
        start, end = todo.pop()
        slope = (values[end] - values[start]) / max(1, end - start)
        off = [abs(values[i] - values[start] - slope * (i - start)) for i in range(start, end + 1)]
        worst = max(range(len(off)), key=off.__getitem__)
        if off[worst] > tolerance:
            middle = start + worst
            kept.add(middle)
            todo += [(start, middle), (middle, end)]
    return sorted(kept)


def _of(path: str | Path | None) -> list[tuple[Job, dict[str, Any]]]:
    return [] if path is None else [(from_dict(run["job"]), run) for run in stored.load(path)[1]]


def _used(about: dict[str, Any], runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The provenance of the runs that are there."""
    return [about["made"][i] for i in sorted({run["made"] for run in runs})]


def _mode(job: Job) -> str:
    if not job.annealer["total_steps"]:
        return "constant"
    return "cycles" if job.annealer.get("cyclical") else "once"


def _dropout(job: Job) -> float:
    return float(job.settings.get("word_dropout", 0.0))


def _grid(jobs: list[Job]) -> dict[str, list[Any]]:
    ramps = [job for job in jobs if job.annealer["total_steps"]]
    shapes = {job.annealer.get("shape", "linear") for job in ramps}
    weights = {job.annealer.get("max_weight", 1.0) for job in jobs if not job.annealer["total_steps"]}
    modes = {_mode(job) for job in jobs}
    return {
        "modes": [mode for mode in MODES if mode in modes],
        "shapes": [shape for shape in SHAPES if shape in shapes],
        "steps": sorted({job.annealer["total_steps"] for job in ramps}),
        "weights": sorted(weights),
        "dropouts": sorted({_dropout(job) for job in jobs}),
        "distances": sorted({distance for job in jobs for distance in job.distances}),
    }


def _schedules(jobs: Iterable[Job]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if (name := schedule_of(job)) not in found:
            weights = job.weights()
            places = corners(weights)
            found[name] = {
                "words": in_words(job),
                "place": _place(job),
                "low": job.last_low(),
                "updates": job.updates,
                "x": [place + 1 for place in places],
                "y": [round(weights[place], 4) for place in places],
            }
    return found


def _run(job: Job, run: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": key_of(job),
        "seed": job.seed,
        "kl": run["kl_curve"],
        "reconstruction": run["reconstruction_curve"],
        "measured": [[row[name] for name in COLUMNS] for row in run["measured"]],
    }


def _cells(runs: list[tuple[Job, dict[str, Any]]], distances: list[int]) -> list[dict[str, Any]]:
    """The map: the mean KL of each cell at each distance. It is None where nothing was measured."""
    values: dict[tuple[str, float, int], list[float]] = {}
    for job, run in runs:
        for distance in distances:
            found = [row["kl"] for row in run["measured"] if row["distance"] == distance]
            values.setdefault((schedule_of(job), _dropout(job), distance), []).extend(found)
    return [
        {"schedule": schedule, "dropout": dropout, "distance": distance, "seeds": len(kl),
         "kl": round(mean(kl), 4) if kl else None}
        for (schedule, dropout, distance), kl in values.items()
    ]  # fmt: skip


def _place(job: Job) -> list[Any]:
    """Column and row on the map."""
    options = job.annealer
    if job.free_bits:
        return []
    if not options["total_steps"]:
        return [options.get("max_weight", 1.0), "constant"]
    return [options["total_steps"], f"{options.get('shape', 'linear')}, {_mode(job)}"]


def _references(grid: dict[str, list[Any]], free_bits: list[Job]) -> tuple[list[dict[str, str]], str]:
    """What can be drawn beside a schedule, and the key of the runs with free bits among it.

    ``schedule`` has the chosen word dropout, ``key`` a fixed one.
    """
    found, kept, betas = [], "", [weight for weight in grid["weights"] if weight != 1]
    if 1 in grid["weights"]:
        found.append({"label": "constant weight 1", "schedule": "constant-1"})
    if betas:
        beta = min(betas, key=lambda weight: abs(weight - 0.75))
        found.append({"label": f"fixed β = {beta:g}", "schedule": f"constant-{beta:g}"})
    if free_bits:
        job = min(free_bits, key=lambda job: abs(job.free_bits - 0.1))
        size, kept = Settings(**job.settings).hidden, key_of(job)
        found.append({"label": f"free bits {job.free_bits:g} (larger model: {size} hidden units)", "key": kept})
    if 1 in grid["weights"] and max(grid["dropouts"]) > 0:
        dropout = f"{max(grid['dropouts']):g}"
        found.append({"label": f"word dropout {dropout}, constant weight 1", "key": f"constant-1-wd{dropout}"})
    return found, kept


def _about(own: list[tuple[Job, dict[str, Any]]], made: list[dict[str, Any]], digest: str) -> dict[str, Any]:
    jobs, updates = [job for job, _ in own], sorted({job.updates for job, _ in own})
    settings = Settings(**jobs[0].settings)
    return {
        "corpus": f"toy language, digest {digest}, {own[0][1]['sentences']:,} sentences to train on",
        "model": f"LSTM VAE: {settings.hidden} hidden units, {settings.latent} latent dimensions, batches of "
                 f"{settings.batch_size}, learning rate {settings.lr:g}",
        "updates": f"{updates[0]:,} to {updates[-1]:,}" if len(updates) > 1 else f"{updates[0]:,}",
        "runs": len(own),
        "seeds": sorted({job.seed for job in jobs}),
        "commits": sorted({one["commit"] for one in made}),
        "dates": sorted({one["date"] for one in made}),
        "versions": sorted({", ".join(f"{name} {one['versions'][name]}" for name in ("kldanneal", "torch"))
                            for one in made}),
    }  # fmt: skip
