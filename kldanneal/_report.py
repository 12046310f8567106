"""The verdict on a set of posteriors, and its words. The numbers come from :mod:`kldanneal.diagnostics`."""

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

Verdict = Literal["collapsed", "partly collapsed", "in use", "cannot tell"]

FEWEST = 30  # examples below which no verdict is given
#: What to try against a collapse that the KL weight and the scales of the two terms do not explain.
REMEDIES = ("a longer ramp", "word dropout", "free bits", "a smaller decoder or variance")
LARGE = 0.5  # nats: a KL that is mentioned if it carries no information
ROWS = 8  # of the table of dimensions


class Estimate(NamedTuple):
    """An estimate from a sample, with the standard error of its sampling."""

    value: float
    standard_error: float

    @classmethod
    def of(cls, terms: Tensor, plus: float = 0.0) -> "Estimate":
        """The mean of independent terms (N,), shifted; the standard error is their standard deviation / sqrt(N)."""
        deviation = terms.std().item() if len(terms) > 1 else math.nan
        return cls(terms.mean().item() + plus, deviation / len(terms) ** 0.5 if len(terms) else math.nan)

    def __str__(self) -> str:
        return f"{self.value:.3f} (standard error {self.standard_error:.3f})"


@dataclass
class Report:
    """A verdict on the posteriors of one data set, and the numbers behind it, in nats per example.

    ``threshold`` (0.05 nats by default) separates used from unused. A dimension is *in use* if it can carry at least
    so much information about x: ``information_per_dimension``. The verdicts:

    - ``'collapsed'``: z says nothing about x, because the mutual information is below the threshold. The KL may be
      large all the same, if all posteriors are alike but differ from the prior. Or the decoder ignores z: exchanging z
      between examples costs less than the threshold.
    - ``'partly collapsed'``: z says something about x, but fewer than half of its dimensions are in use. This is
      harmless if the model has more latent dimensions than it needs: an unused dimension adds nothing to the KL.
    - ``'in use'``: z says something about x, and at least half of its dimensions are in use.
    - ``'cannot tell'``: fewer than 30 examples; a number that is NaN or infinite; the mutual information is within two
      standard errors of the threshold; z says something, but the cost of exchanging z is within two standard errors of
      the threshold; or z says nothing, but exchanging z clearly costs more (five standard errors).

    ``sure`` is ``'sure'`` if the numbers that decide are at least five standard errors away from the threshold, and
    the verdict does not depend on dimensions that are close to it (two standard errors of the variance of mu).
    Otherwise it is ``'fairly sure'``, and ``'not sure'`` with the verdict ``'cannot tell'``.
    """

    verdict: Verdict = field(init=False)
    sure: str = field(init=False)
    reason: str = field(init=False)
    check_next: list[str] = field(init=False)
    dimensions_in_use: int = field(init=False)
    examples: int
    kept: int
    not_finite: int
    threshold: float
    kl: float
    mutual_information: Estimate
    distance_to_prior: Estimate
    exchange_cost: Estimate | None
    active_units: int
    kl_per_dimension: list[float]
    information_per_dimension: list[float]
    mu_over_sigma: list[float]

    def __post_init__(self) -> None:
        self.dimensions_in_use = sum(_used(self))
        doubt = _doubt(self)
        if doubt:
            self.verdict, self.sure, self.reason, remedy = "cannot tell", "not sure", *doubt
        else:
            self.verdict, self.reason = _judge(self)
            self.sure, remedy = _how_sure(self), ""
        self.check_next = ([remedy] if remedy else []) + _checks_to_do(self)

    @property
    def text(self) -> str:
        """The report as print() shows it."""
        checks = [f"  {number}. {check}" for number, check in enumerate(self.check_next, 1)]
        verdict = f"Verdict: {self.verdict} ({self.sure})"
        lines = [verdict, self.reason, "", *_numbers(self), "", *_table(self), ""]
        return "\n".join([*lines, "What to check next, in this order:", *checks])

    def __str__(self) -> str:
        return self.text


def _doubt(r: Report) -> tuple[str, str] | None:
    """Why there is no verdict, and what to do about it."""
    information, cost = r.mutual_information, r.exchange_cost
    if r.not_finite:
        return (
            f"{r.not_finite:,} of {r.examples + r.not_finite:,} examples have a KL that is NaN or infinite.",
            "Find the first update with a NaN or an exploding logvar: print the largest logvar while you train.",
        )
    if r.examples < FEWEST:
        return f"There are only {r.examples} examples.", f"Add at least {FEWEST} examples, better 1,000."
    if not all(map(math.isfinite, information)):
        return (
            "The mutual information is not a finite number: some sigma is too small to be computed with.",
            "Print the smallest logvar. The encoder may be deterministic, as at a KL weight of 0.",
        )
    if _standard_errors(information, r.threshold) < 2:
        return (
            f"The mutual information is {information}, too close to the threshold of {r.threshold:g} nats.",
            "Measure more held-out examples, and keep more of them: Posteriors(keep=...).",
        )
    if cost is None:
        return None
    if not all(map(math.isfinite, cost)):
        return "The cost of exchanging z is not a finite number.", "Print what your reconstruction function returns."
    if information.value < r.threshold:
        if cost.value < r.threshold or _standard_errors(cost, r.threshold) < 5:
            return None
        return (
            f"The encoder puts almost nothing into z ({information} nats), yet exchanging z costs {cost} nats.",
            "Train longer and measure again: the encoder and the decoder do not fit each other.",
        )
    if _standard_errors(cost, r.threshold) < 2:
        return (
            f"Exchanging z between examples costs {cost} nats, too close to the threshold of {r.threshold:g} nats.",
            "Measure more held-out examples, and keep more of them: Posteriors(keep=...).",
        )
    return None


def _judge(r: Report) -> tuple[Verdict, str]:
    information, cost, unused = r.mutual_information, r.exchange_cost, len(r.kl_per_dimension) - r.dimensions_in_use
    if information.value < r.threshold:
        reason = f"z says nothing about x: it carries {information} nats, below the threshold of {r.threshold:g} nats."
        if r.kl > LARGE:
            reason += (
                f" The KL of {r.kl:.3f} nats is not information. The posteriors of all examples are nearly the same "
                "distribution, and that distribution is not the prior."
            )
        return "collapsed", reason
    if cost and cost.value < r.threshold:
        return "collapsed", (
            f"The decoder does not use z. The posteriors differ between examples ({information} nats), but exchanging "
            f"z between examples costs only {cost} nats."
        )
    reason = f"z carries {information} nats of information about x"
    reason += ", less than one bit (0.693 nats)." if information.value < math.log(2) else "."
    if cost:
        reason += f" The decoder uses it: exchanging z between examples costs {cost} nats."
    if information.value > math.log(r.kept) / 2:
        reason += f" (At least: above half of log({r.kept:,}), its upper bound, the estimate is too small.)"
    if 2 * r.dimensions_in_use >= len(r.kl_per_dimension):
        return "in use", f"{reason} {_count(r)} dimensions are in use."
    reason += f" But only {_count(r)} dimensions are in use." if r.dimensions_in_use else " But no dimension is in use."
    wasted = sum(kl for kl, used in zip(r.kl_per_dimension, _used(r), strict=True) if not used)
    if wasted > LARGE:
        return "partly collapsed", f"{reason} The {unused} others add {wasted:.3f} nats to the KL and say nothing."
    return "partly collapsed", f"{reason} That is harmless if the model needs no more: unused dimensions cost no KL."


def _how_sure(r: Report) -> str:
    decide = [r.mutual_information]
    if r.exchange_cost and r.mutual_information.value >= r.threshold:
        decide.append(r.exchange_cost)
    clear = all(_standard_errors(estimate, r.threshold) >= 5 for estimate in decide)
    error = 2 * (2 / r.examples) ** 0.5  # two relative standard errors of the variance of a normal mu
    halves = {2 * sum(_used(r, factor)) >= len(r.kl_per_dimension) for factor in (1 - error, 1, 1 + error)}
    return "sure" if clear and (r.verdict == "collapsed" or len(halves) == 1) else "fairly sure"


def _checks_to_do(r: Report) -> list[str]:
    checks = [
        "Is the KL weight 1 now? A weight above 1 can cause the collapse. At a weight below 1 the KL is larger than it "
        "would stay at 1. At weight 0 the penalty is not the cause of a small KL.",
        "Had the ramp finished, and did training go on at the full weight? Print the weights that were used, the first "
        "and the last. If not, train on and measure again: a KL that annealing raised often falls afterwards.",
        "Are reconstruction and KL both summed over an example and averaged over the batch? A reconstruction that is "
        "averaged over elements multiplies the KL weight by their number.",
    ]
    if r.exchange_cost is None:
        checks.append("Does exchanging z between examples change the reconstruction? Call report(reconstruction=...).")
    if r.verdict == "in use":
        checks.append("Does z say what you need? Read a known label from z with a linear classifier.")
    else:
        checks.append(
            "Is there anything for z to say? If the decoder can model x alone (it is autoregressive, or its variance "
            f"is large), an unused z can be the optimum. Try {', '.join(REMEDIES[:-1])}, or {REMEDIES[-1]}."
        )
    return checks


def _numbers(r: Report) -> list[str]:
    """The numbers of z as a whole, one a line, with their units."""
    add_up = "the next two add up to it" + ("" if r.kept == r.examples else ", nearly: they are from a sample")
    rows = [
        ("KL(q(z|x) || p(z))", f"{r.kl:.3f} nats per example: {add_up}"),
        ("mutual information I(x; z)", f"{r.mutual_information} nats, at most log({r.kept:,}) = {_log(r.kept):.3f}"),
        ("KL(q(z) || p(z)), q(z) aggregate", f"{r.distance_to_prior} nats"),
        ("cost of exchanging z", "not measured" if r.exchange_cost is None else f"{r.exchange_cost} nats"),
        ("dimensions in use", f"{_count(r)}: they can carry {r.threshold:g} nats or more"),
        ("active units (Burda et al. 2016)", f"{r.active_units} of {len(r.kl_per_dimension)}: Var(mu) > 0.01"),
    ]
    kept = "" if r.kept == r.examples else f"; the numbers with a standard error are from {r.kept:,} of them"
    return [f"{r.examples:,} examples{kept}", *(f"  {name:<33}{value}" for name, value in rows)]


def _table(r: Report) -> list[str]:
    """The dimensions of the largest KL, one a line."""
    columns = zip(r.kl_per_dimension, r.information_per_dimension, r.mu_over_sigma, strict=True)
    rows = sorted(((kl, j, most, ratio) for j, (kl, most, ratio) in enumerate(columns)), reverse=True)
    lines = [f"  {j:>9} {kl:>9.3f} {most:>20.3f} {ratio:>11.3f}" for kl, j, most, ratio in rows[:ROWS]]
    if len(rows) > ROWS:
        lines.append(f"  and {len(rows) - ROWS} dimensions with a smaller KL")
    return ["  dimension  KL, nats  information, at most  mu / sigma", *lines]


def _used(r: Report, factor: float = 1.0) -> list[bool]:
    """Whether each dimension is in use, or would be if the variance of its mu were multiplied by the factor."""
    pairs = zip(r.information_per_dimension, r.mu_over_sigma, strict=True)
    return [most + 0.5 * math.log((1 + factor * ratio**2) / (1 + ratio**2)) >= r.threshold for most, ratio in pairs]


def _count(r: Report) -> str:
    return f"{r.dimensions_in_use} of {len(r.kl_per_dimension)}"


def _log(n: int) -> float:
    return math.log(n) if n else math.nan


def _standard_errors(estimate: Estimate, threshold: float) -> float:
    """The distance of an estimate from the threshold, in standard errors."""
    distance = abs(estimate.value - threshold)
    return distance / estimate.standard_error if estimate.standard_error else math.inf
