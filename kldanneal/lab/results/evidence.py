"""The evidence: runs over paired seeds behind the claims, and the tables that are made from them.

``evidence.json`` beside this file holds the measures of every run that ``make evidence`` has trained.

    evidence = load_evidence()
    d = evidence.differences("kl", "toy", "cyclical", "monotonic")     # one for each seed, nats per sentence
    interval(d)                                                         # of their mean
    print(measures(evidence, "toy"))
    print(claims(evidence))
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from kldanneal.lab.corpora.toy import ENTROPY
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.results import stored
from kldanneal.lab.results.statistics import holds, with_interval
from kldanneal.lab.tables import table
from kldanneal.lab.training.schedules import NAMED
from kldanneal.lab.training.settings import LR_SCHEDULES, Settings

PATH = Path(__file__).with_name("evidence.json")
#: What is stored of each run, by its name in MEASURES.
STORED = tuple(name for name in MEASURES if name != "perplexity")
TITLES = {"toy": "toy", "docstrings": "docstrings", "ptb": "Penn Treebank"}
#: The hyperparameters that were varied, one at a time, on the toy language: their labels and defaults.
ABLATIONS = {
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
PUBLISHED = {"hyperparameter": "lr_schedule", "value": "constant"}  # Fu et al.'s two schedules, with one learning rate
PTB = {"steps": 2000, "dropout": 0.3}  # what differs from Settings() on the small Penn Treebank
COLUMNS = {  # of the table of claims
    "toy": {"corpus": "toy"},
    "docstrings": {"corpus": "docstrings"},
    "docstrings, schedules as in Fu et al.'s code": {"corpus": "docstrings", **PUBLISHED},
    "Penn Treebank, the same schedules": {"corpus": "ptb", **PUBLISHED},
}


@dataclass(frozen=True)
class Evidence:
    """The runs, a dictionary each, and ``about``: corpora, versions, machine and date.

    A run is named by its corpus, schedule and seed, and by the ``hyperparameter`` that was changed and its ``value``.
    Both are empty for the four schedules with ``Settings()``.
    """

    about: dict[str, Any]
    runs: list[dict[str, Any]]

    def values(
        self, measure: str, corpus: str, schedule: str, hyperparameter: str = "", value: object = ""
    ) -> list[Any]:
        """A measure of the runs that differ in nothing but the seed, by seed; [] if there are none."""
        wanted = {"corpus": corpus, "schedule": schedule, "hyperparameter": hyperparameter, "value": str(value)}
        found = [run for run in self.runs if wanted.items() <= run.items()]
        return [run[measure] for run in sorted(found, key=lambda run: run["seed"])]

    def differences(self, measure: str, corpus: str, schedule: str, other: str, **setting: object) -> list[float]:
        """What a measure is under one schedule less what it is under the other, for each seed."""
        own, others = (self.values(measure, corpus, name, **setting) for name in (schedule, other))
        return [a - b for a, b in zip(own, others, strict=True)] if own and others else []

    def ablation(self, measure: str, schedule: str, hyperparameter: str, value: object) -> list[float]:
        """A measure on the toy language with one hyperparameter at a value, which may be its default."""
        default = value == ABLATIONS[hyperparameter][1] or (hyperparameter == "ratio" and schedule == "constant")
        return self.values(measure, "toy", schedule, *(() if default else (hyperparameter, value)))

    def positions(self, hyperparameter: str) -> list[Any]:
        """The values at which a hyperparameter was tried."""
        default = ABLATIONS[hyperparameter][1]
        tried = (type(default)(run["value"]) for run in self.runs if run["hyperparameter"] == hyperparameter)
        return sorted({default, *tried})


@cache
def load_evidence(path: str | Path = PATH) -> Evidence:
    """The runs that come with the package, or others that :func:`save_evidence` wrote."""
    return Evidence(*stored.load(path))


def save_evidence(evidence: Evidence, path: str | Path = PATH) -> None:
    stored.save(path, evidence.about, evidence.runs)


def measures(evidence: Evidence, corpus: str) -> str:
    """In Markdown: the mean of each measure under each schedule, and what cycles change, seed by seed."""
    rows = [["", *(MEASURES[m].heading for m in STORED)]]
    for name in NAMED:
        means = (f"{mean(evidence.values(m, corpus, name)):.{MEASURES[m].digits}f}" for m in STORED)
        rows.append([f"`{name}`", *means])
    for name in NAMED[:-1]:
        d = (evidence.differences(m, corpus, "cyclical", name) for m in STORED)
        rows.append([f"`cyclical` minus `{name}`", *map(with_interval, d)])
    return table(rows, "markdown")


def summary(evidence: Evidence) -> str:
    """In Markdown: the KL and -ELBO of the four schedules, mean over the seeds, on both corpora."""
    corpora = ("toy", "docstrings")
    rows = [
        ["schedule", *(f"{TITLES[corpus]}: {MEASURES[m].heading}" for corpus in corpora for m in ("kl", "neg_elbo"))]
    ]
    for name in NAMED:
        cells = [(evidence.values(m, corpus, name), m) for corpus in corpora for m in ("kl", "neg_elbo")]
        rows.append([f"`{name}`", *(f"{mean(values):.{MEASURES[m].digits}f}" for values, m in cells)])
    return table(rows, "markdown")


def above_entropy(evidence: Evidence) -> str:
    """How far the bounds are from the entropy of the toy language, in a sentence."""
    gaps = {
        MEASURES[m].heading: ", ".join(f"{mean(evidence.values(m, 'toy', name)) - ENTROPY:.2f}" for name in NAMED)
        for m in STORED
        if MEASURES[m].bound
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
            row.append(f"**{holds(d, sign)}** {with_interval(d)}" if d else "not run")
        rows.append(row)
    row = ["more KL at the end of the last cycle than of the first"]
    for setting in COLUMNS.values():
        d = [ends[-1] - ends[0] for ends in evidence.values("kl_at_quarters", schedule="cyclical", **setting)]
        row.append(f"**{holds(d, 1)}** {with_interval(d)}")
    return table([*rows, row], "markdown")


def collapsed(evidence: Evidence) -> str:
    """In how many seeds the posterior collapsed, in a sentence."""
    counts = []
    for corpus in ("toy", "docstrings"):
        for name in NAMED:
            kl = evidence.values("kl", corpus, name)
            counts.append(f"`{name}` on {corpus} in {sum(value < COLLAPSED for value in kl)} of {len(kl)}")
    return f"The posterior collapsed (the KL ended below {COLLAPSED} nats) under {', '.join(counts)} seeds."


def ablations(evidence: Evidence) -> str:
    """In Markdown: the KL on the toy language with one hyperparameter varied at a time, and two of the claims there."""
    pairs = {"short": "monotonic", "long": "monotonic-long"}
    rows = [["toy", *(f"KL `{name}`" for name in NAMED), *(f"cycles against the {pair} ramp" for pair in pairs)]]
    for hyperparameter, (title, default) in ABLATIONS.items():
        for value in evidence.positions(hyperparameter):
            kl = {name: evidence.ablation("kl", name, hyperparameter, value) for name in NAMED}
            d = [[a - b for a, b in zip(kl["cyclical"], kl[other], strict=True)] for other in pairs.values()]
            label = f"{title}: {value}" + (" (default)" if value == default else "")
            verdicts = [f"**{holds(each, 1)}** {with_interval(each)}" for each in d]
            rows.append([label, *(f"{mean(of_seeds):.2f}" for of_seeds in kl.values()), *verdicts])
    return table(rows, "markdown")


def two_by_two(evidence: Evidence) -> str:
    """In Markdown: the effects of the two hyperparameters that Fu et al.'s code changes together, within seeds."""
    shown, corpora = ("kl", "reconstruction", "neg_elbo"), ("docstrings", "ptb")
    rows = [["", *(f"{TITLES[corpus]}: {MEASURES[m].heading}" for corpus in corpora for m in shown)]]
    effects = {
        "cyclical weight alone": (1, 0),
        "restarts of the learning rate alone": (0, 1),
        "both, as published": (1, 1),
    }
    for name, (weight, lr) in effects.items():
        row = [name]
        for corpus in corpora:
            for measure in shown:
                a = cell(evidence, measure, corpus, 0, 0)
                b = cell(evidence, measure, corpus, weight, lr)
                row.append(with_interval([y - x for x, y in zip(a, b, strict=True)]))
        rows.append(row)
    return table(rows, "markdown")


def about(evidence: Evidence) -> str:
    """Where the numbers come from, in a sentence."""
    has = evidence.about
    seeds = len({run["seed"] for run in evidence.runs})
    versions = ", ".join(f"{name} {version}" for name, version in has["versions"].items())
    corpora = "; ".join(f"{TITLES[name]}: {what}" for name, what in has["corpora"].items())
    return (
        f"{len(evidence.runs)} runs over {seeds} paired seeds, {has['date']}, commit {has['commit']}, {versions}, "
        f"{has['machine']}. {corpora}. "
        "Nats per sentence at KL weight 1 on held-out sentences. In brackets: the 95 % interval (Student's t) of the "
        "mean difference within seeds."
    )


def cell(evidence: Evidence, measure: str, corpus: str, weight: int, lr: int) -> list[float]:
    """A cell of the two by two: 0 and 1 choose the schedule of the weight, and that of the learning rate."""
    return evidence.values(measure, corpus, ("monotonic", "cyclical")[weight], "lr_schedule", LR_SCHEDULES[lr])
