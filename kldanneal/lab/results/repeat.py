"""Trains stored runs again, and says whether they come out as they are stored."""

import random
import tempfile
from collections.abc import Sequence
from typing import Any

from kldanneal.lab.results import pool, stored
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.tail import Run

TIMES = ("seconds", "made")  # what differs from one time to the next


def chosen(
    runs: Sequence[Run], *, corpus: str | None = None, label: str | None = None, seed: int | None = None,
    word_dropout: float | None = None,
) -> list[Run]:  # fmt: skip
    """The runs with all the properties that are given.

    Raises:
        ValueError: there is none. The message names the choices.
    """
    wanted = {"corpus": corpus, "label": label, "seed": seed, "word_dropout": word_dropout}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    found = [run for run in runs if wanted.items() <= _properties(run).items()]
    if not found:
        choices = {name: sorted({_properties(run)[name] for run in runs}) for name in wanted}
        raise ValueError(f"Expected stored runs with {wanted}, but there are none; there are {choices}")
    return found


def some(runs: Sequence[Run], number: int, draw: int) -> list[Run]:
    """So many of the runs, drawn by a random number."""
    return random.Random(draw).sample(list(runs), min(number, len(runs)))


def repeat(run: Run, ptb: str | None = None) -> str:
    """Trains a stored run again, from nothing: ``equal``, or the first difference in words.

    What is compared is all that is stored of a run but its time: each measure to its four digits, and the KL curve.
    """
    job = from_dict(run["job"])
    here = pool.corpus(job.corpus, ptb)
    if here.digest != run["digest"]:
        return f"another corpus: digest {here.digest} here, {run['digest']} stored ({here.source})"
    with tempfile.TemporaryDirectory() as folder:
        again = stored.as_stored(pool.work(job, folder, ptb))
    for name in again:
        if name not in TIMES and again[name] != run[name]:
            return f"differs in {name}: {_shortly(again[name])} here, {_shortly(run[name])} stored"
    return "equal"


def name(run: Run) -> str:
    has, job = _properties(run), run["job"]
    schedule = ", ".join(f"{name} {value}" for name, value in job["annealer"].items() if value is not True)
    of = f"{has['corpus']}, word dropout {has['word_dropout']:g}, {has['label']} ({schedule})"
    return f"{of}, {job['updates']:,} updates, seed {has['seed']}"


def _properties(run: Run) -> dict[str, Any]:
    job = run["job"]
    return {name: job[name] for name in ("corpus", "label", "seed")} | {
        "word_dropout": job["settings"].get("word_dropout", 0.0)
    }


def _shortly(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
