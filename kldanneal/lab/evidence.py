"""The evidence behind the claims: measured runs over paired seeds, and what can be said from them.

``evidence.json`` beside this file holds the measures of every run that ``make evidence`` has trained. The tables and
pictures of README and of notebook 03 are made from it, by the functions below, so none of their numbers is typed.

    evidence = load_evidence()
    d = evidence.differences("kl", "toy", "cyclical", "monotonic")     # one for each seed, nats per sentence
    interval(d)                                                         # a bootstrap interval of their mean
    print(table(evidence, "toy"))
    print(claims(evidence))
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.lab.comparison import VANISHED
from kldanneal.lab.files import write_atomically
from kldanneal.lab.plots import styles, tidy
from kldanneal.lab.schedules import NAMED
from kldanneal.lab.settings import LR_SCHEDULES, Settings
from kldanneal.lab.toy import ENTROPY

PATH = Path(__file__).with_name("evidence.json")
MEASURES = {  # and their headings
    "kl": "KL",
    "reconstruction": "reconstruction",
    "neg_elbo": "-ELBO",
    "iw_nll": "-log p(x)",
    "active_units": "active units",
    "mutual_information": "I(x; z)",
}
SMALL = ("kl", "mutual_information")  # which are shown with a digit more
TITLES = {"toy": "toy", "docstrings": "docstrings", "ptb": "Penn Treebank"}
#: What was turned, one at a time, on the toy language: how it is called, and what it is where nothing else is said.
KNOBS = {
    "steps": ("updates", Settings.steps),
    "ratio": ("ramp's share of a cycle", 0.5),
    "pooling": ("encoder's pooling", Settings.pooling),
    "word_dropout": ("word dropout", Settings.word_dropout),
}
CLAIMS = {  # measure, schedule, other schedule, and the sign that the difference should have
    "more KL than the short ramp": ("kl", "cyclical", "monotonic", 1),
    "a lower reconstruction term": ("reconstruction", "cyclical", "monotonic", -1),
    "more information in z": ("mutual_information", "cyclical", "monotonic", 1),
    "a better bound: a lower -ELBO": ("neg_elbo", "cyclical", "monotonic", -1),
    "more KL than one long ramp": ("kl", "cyclical", "monotonic-long", 1),
    "a lower -ELBO than one long ramp": ("neg_elbo", "cyclical", "monotonic-long", -1),
}
PUBLISHED = {"knob": "lr_schedule", "value": "constant"}  # Fu et al.'s two schedules, with one learning rate
COLUMNS = {  # of the table of claims
    "toy": {"corpus": "toy"},
    "docstrings": {"corpus": "docstrings"},
    "docstrings, schedules as in Fu et al.'s code": {"corpus": "docstrings", **PUBLISHED},
    "Penn Treebank, the same schedules": {"corpus": "ptb", **PUBLISHED},
}


@dataclass(frozen=True)
class Evidence:
    """The runs, a dictionary each, and ``about``: corpora, versions, machine and date.

    A run is named by its corpus, schedule and seed, and by what else was changed, a ``knob`` and its ``value``; both
    are empty for the four schedules with ``Settings()``.
    """

    about: dict[str, Any]
    runs: list[dict[str, Any]]

    def values(self, measure: str, corpus: str, schedule: str, knob: str = "", value: object = "") -> list[Any]:
        """A measure of the runs that differ in nothing but the seed, by seed; [] if there are none."""
        wanted = {"corpus": corpus, "schedule": schedule, "knob": knob, "value": str(value)}
        found = [run for run in self.runs if wanted.items() <= run.items()]
        return [run[measure] for run in sorted(found, key=lambda run: run["seed"])]

    def differences(self, measure: str, corpus: str, schedule: str, other: str, **setting: object) -> list[float]:
        """What a measure is under one schedule less what it is under the other, for each seed."""
        own, others = (self.values(measure, corpus, name, **setting) for name in (schedule, other))
        return [a - b for a, b in zip(own, others, strict=True)] if own and others else []

    def turned(self, measure: str, schedule: str, knob: str, value: object) -> list[float]:
        """A measure on the toy language with one knob turned, or left where it usually is."""
        usual = value == KNOBS[knob][1] or (knob == "ratio" and schedule == "constant")
        return self.values(measure, "toy", schedule, *(() if usual else (knob, value)))

    def positions(self, knob: str) -> list[Any]:
        usual = KNOBS[knob][1]
        return sorted({usual, *(type(usual)(run["value"]) for run in self.runs if run["knob"] == knob)})


@cache
def load_evidence(path: str | Path = PATH) -> Evidence:
    """The runs that come with the package, or others that :func:`save_evidence` wrote."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    return Evidence(data["about"], data["runs"])


def save_evidence(evidence: Evidence, path: str | Path = PATH) -> None:
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in evidence.runs)
    text = f'{{"about": {json.dumps(evidence.about, indent=1)},\n"runs": [\n{lines}\n]}}\n'
    write_atomically(Path(path), text.encode())


def interval(values: Sequence[float], share: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean, exactly: from all resamples, without random draws.

    n values have n^n resamples of n: 3,125 for five seeds. With so few it is too narrow. What is called 95 % holds the
    true mean of five normal draws in about 84 of 100 cases.
    """
    means = np.mean(list(itertools.product(values, repeat=len(values))), axis=1)
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def table(evidence: Evidence, corpus: str) -> str:
    """In Markdown: the mean of each measure under each schedule, and what cycles change, seed by seed."""
    rows = [["", *MEASURES.values()]]
    for name in NAMED:
        means = {measure: mean(evidence.values(measure, corpus, name)) for measure in MEASURES}
        rows.append([f"`{name}`", *(f"{value:.{3 if m in SMALL else 2}f}" for m, value in means.items())])
    for name in NAMED[:-1]:
        d = (evidence.differences(m, corpus, "cyclical", name) for m in MEASURES)
        rows.append([f"`cyclical` less `{name}`", *map(_with_interval, d)])
    return _markdown(rows)


def above_entropy(evidence: Evidence) -> str:
    """How far the bounds are from the entropy of the toy language, in a sentence."""
    gaps = {
        heading: ", ".join(f"{mean(evidence.values(measure, 'toy', name)) - ENTROPY:.2f}" for name in NAMED)
        for measure, heading in MEASURES.items()
        if measure in ("neg_elbo", "iw_nll")
    }
    return (
        f"The entropy of the toy language is {ENTROPY:.3f} nats per sentence. Above it, in the order of the table, lie "
        + " and ".join(f"{heading} by {values}" for heading, values in gaps.items())
        + " nats."
    )


def claims(evidence: Evidence) -> str:
    """In Markdown: what is claimed for cycles, and whether it holds: in every seed (yes), in none (no), or in some."""
    rows = [["with cycles there is", *COLUMNS]]
    for claim, (measure, schedule, other, sign) in CLAIMS.items():
        row = [claim]
        for setting in COLUMNS.values():
            d = evidence.differences(measure, schedule=schedule, other=other, **setting)
            row.append(f"**{_verdict(d, sign)}** {_with_interval(d)}" if d else "not run")
        rows.append(row)
    row = ["more KL at the end of the last cycle than of the first"]
    for setting in COLUMNS.values():
        d = [ends[-1] - ends[0] for ends in evidence.values("kl_at_quarters", schedule="cyclical", **setting)]
        row.append(f"**{_verdict(d, 1)}** {_with_interval(d)}")
    return _markdown([*rows, row])


def vanished(evidence: Evidence) -> str:
    """In how many seeds the KL term vanished, in a sentence."""
    counts = []
    for corpus in ("toy", "docstrings"):
        for name in NAMED:
            kl = evidence.values("kl", corpus, name)
            counts.append(f"`{name}` on {corpus} in {sum(value < VANISHED for value in kl)} of {len(kl)}")
    return f"The KL term vanished (ended below {VANISHED} nats) under {', '.join(counts)} seeds."


def knobs(evidence: Evidence) -> str:
    """In Markdown: the KL on the toy language with one knob turned at a time, and two of the claims there."""
    pairs = {"short": "monotonic", "long": "monotonic-long"}
    rows = [["toy", *(f"KL `{name}`" for name in NAMED), *(f"cycles against the {pair} ramp" for pair in pairs)]]
    for knob, (title, usual) in KNOBS.items():
        for value in evidence.positions(knob):
            kl = {name: evidence.turned("kl", name, knob, value) for name in NAMED}
            d = [[a - b for a, b in zip(kl["cyclical"], kl[other], strict=True)] for other in pairs.values()]
            label = f"{title}: {value}" + (" (usual)" if value == usual else "")
            verdicts = [f"**{_verdict(each, 1)}** {_with_interval(each)}" for each in d]
            rows.append([label, *(f"{mean(of_seeds):.2f}" for of_seeds in kl.values()), *verdicts])
    return _markdown(rows)


def two_by_two(evidence: Evidence) -> str:
    """In Markdown: what each of the two knobs does that Fu et al.'s code turns together, and both, seed by seed."""
    measures, corpora = ("kl", "reconstruction", "neg_elbo"), ("docstrings", "ptb")
    rows = [["", *(f"{TITLES[corpus]}: {MEASURES[m]}" for corpus in corpora for m in measures)]]
    effects = {
        "cyclical weight alone": (1, 0),
        "restarts of the learning rate alone": (0, 1),
        "both, as published": (1, 1),
    }
    for name, (weight, lr) in effects.items():
        row = [name]
        for corpus in corpora:
            for measure in measures:
                a = _cell(evidence, measure, corpus, 0, 0)
                b = _cell(evidence, measure, corpus, weight, lr)
                row.append(_with_interval([y - x for x, y in zip(a, b, strict=True)]))
        rows.append(row)
    return _markdown(rows)


def about(evidence: Evidence) -> str:
    """Where the numbers come from, in a sentence."""
    has = evidence.about
    seeds = len({run["seed"] for run in evidence.runs})
    versions = ", ".join(f"{name} {version}" for name, version in has["versions"].items())
    corpora = "; ".join(f"{TITLES[name]}: {what}" for name, what in has["corpora"].items())
    return (
        f"{len(evidence.runs)} runs over {seeds} paired seeds, {has['date']}, commit {has['commit']}, {versions}, "
        f"{has['machine']}. {corpora}. "
        "Nats per sentence at KL weight 1 on held-out sentences; in brackets a 95 % bootstrap interval of the mean "
        "difference within seeds (with five seeds too narrow: it holds in about 84 of 100 cases)."
    )


def plot_measured(evidence: Evidence) -> Figure:
    """KL and -ELBO of every run under the four schedules; grey lines join the runs of one seed."""
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for column, corpus in enumerate(("toy", "docstrings")):
        for axes, measure in zip(panels[:, column], ("kl", "neg_elbo"), strict=True):
            values = [evidence.values(measure, corpus, name) for name in NAMED]
            axes.plot(range(4), values, color="#999999", linewidth=0.7, zorder=1)
            for x, (style, of_seeds) in enumerate(zip(styles(NAMED).values(), values, strict=True)):
                _point(axes, x, of_seeds, style["color"])
            axes.set(xticks=range(4), xticklabels=["constant", "mono-\ntonic", "monotonic\n-long", "cyclical"])
            tidy(axes)
        panels[0, column].set(title=corpus)
    panels[1, 0].axhline(ENTROPY, color="black", linestyle=":", linewidth=1)
    panels[1, 0].annotate("entropy: no model can be lower", (3.4, ENTROPY), ha="right", va="bottom", fontsize=8)
    for axes, measure in zip(panels[:, 0], ("kl", "neg_elbo"), strict=True):
        axes.set(ylabel=f"{MEASURES[measure]} (nats per sentence)")
    return figure


def plot_two_by_two(evidence: Evidence) -> Figure:
    """KL and -ELBO over the two knobs that Fu et al.'s code turns together."""
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for column, corpus in enumerate(("docstrings", "ptb")):
        for axes, measure in zip(panels[:, column], ("kl", "neg_elbo"), strict=True):
            for weight, (name, style) in enumerate(styles(["monotonic", "cyclical"]).items()):
                cells = [_cell(evidence, measure, corpus, weight, lr) for lr in (0, 1)]
                x = [lr + (weight - 0.5) / 10 for lr in (0, 1)]
                axes.plot(x, list(map(mean, cells)), label=f"weight {name}", **style)
                for at, of_seeds in zip(x, cells, strict=True):
                    _point(axes, at, of_seeds, style["color"])
            axes.set(xticks=[0, 1], xticklabels=["constant", "restarts"], xlim=(-0.4, 1.4))
            tidy(axes)
        panels[0, column].set(title=TITLES[corpus])
        panels[1, column].set(xlabel="learning rate")
    for axes, measure in zip(panels[:, 0], ("kl", "neg_elbo"), strict=True):
        axes.set(ylabel=f"{MEASURES[measure]} (nats per sentence)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def plot_knobs(evidence: Evidence) -> Figure:
    """KL and -ELBO on the toy language, one knob turned at a time."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = figure.subplots(2, len(KNOBS), sharey="row")
    for column, (knob, (title, usual)) in enumerate(KNOBS.items()):
        positions = evidence.positions(knob)
        for axes, measure in zip(panels[:, column], ("kl", "neg_elbo"), strict=True):
            for i, (name, style) in enumerate(styles(NAMED).items()):
                cells = [evidence.turned(measure, name, knob, value) for value in positions]
                x = [at + (i - 1.5) / 12 for at in range(len(positions))]
                axes.plot(x, list(map(mean, cells)), label=name, **style)
                for at, of_seeds in zip(x, cells, strict=True):
                    axes.plot([at, at], interval(of_seeds), color=style["color"], linewidth=1)
            labels = [f"{value}\n(usual)" if value == usual else str(value) for value in positions]
            axes.set(xticks=range(len(positions)), xticklabels=labels, xlim=(-0.4, len(positions) - 0.6))
            tidy(axes)
        panels[1, column].axhline(ENTROPY, color="black", linestyle=":", linewidth=1)
        panels[1, column].set(xlabel=title)
    for axes, measure in zip(panels[:, 0], ("kl", "neg_elbo"), strict=True):
        axes.set(ylabel=f"{MEASURES[measure]} (nats per sentence)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return figure


def _cell(evidence: Evidence, measure: str, corpus: str, weight: int, lr: int) -> list[float]:
    """A cell of the two by two; 0 and 1 are the positions of its two knobs."""
    return evidence.values(measure, corpus, ("monotonic", "cyclical")[weight], "lr_schedule", LR_SCHEDULES[lr])


def _verdict(differences: Sequence[float], sign: int) -> str:
    right = sum(sign * d > 0 for d in differences)
    return {len(differences): "yes", 0: "no"}.get(right, f"{right} of {len(differences)}")


def _with_interval(differences: Sequence[float]) -> str:
    low, high = interval(differences)
    return f"{mean(differences):+.2f} [{low:+.2f}, {high:+.2f}]"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def _point(axes: Axes, x: float, values: Sequence[float], colour: str) -> None:
    """All seeds as circles, their mean as a bar, its bootstrap interval as a line."""
    axes.plot([x] * len(values), values, "o", color=colour, fillstyle="none", markersize=5)
    axes.plot(x + 0.12, mean(values), "_", color=colour, markersize=10)
    axes.plot([x + 0.12] * 2, interval(values), color=colour, linewidth=2)
