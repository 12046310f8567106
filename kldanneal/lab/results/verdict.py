"""What the numbers of a comparison say, in words: which posteriors collapsed, and how the schedules differ."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from kldanneal.lab.metrics import COLLAPSED

Rows = Sequence[Mapping[str, Any]]  #: as of Comparison.rows()

ENOUGH = 500  # updates; after fewer, an unused z can be a z that is not used yet
NO_DIFFERENCE = 0.0005  # nats: below it, the three digits that are shown are zeros
LASTING = 0.9  # the share of the KL that is left after the tail, from which it counts as lasting


def by_schedule(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each schedule, in their order."""
    return {
        name: [row for row in rows if row["schedule"] == name] for name in dict.fromkeys(r["schedule"] for r in rows)
    }


def verdict(rows: Rows, entropy: float | None = None, after_tail: Rows = ()) -> str:
    """What the numbers say, in words: which posteriors collapsed, and how the last schedule compares to the others.

    Args:
        rows: as of :meth:`~kldanneal.lab.training.comparison.Comparison.rows`.
        entropy (float, optional): of the language, in nats per sentence, where it is known.
        after_tail: the rows after the tail, if there was one.
    """
    groups, after = by_schedule(rows), by_schedule(after_tail)
    lines = [_collapse(name, runs) for name, runs in groups.items()]
    lines += [_lasts(name, runs, after[name]) for name, runs in groups.items() if name in after]
    *others, last = groups
    lines += [_paired(last, groups[last], other, groups[other]) for other in others]
    lines += [line for name, runs in groups.items() if (line := _overfit(name, runs))]
    if entropy is not None:
        lines.append(_against_entropy(rows, entropy))
    if len(groups[last]) == 1:
        lines.append("One seed: nothing here says how much of a difference is chance.")
    return "\n".join(lines)


def too_short(runs: Rows) -> str | None:
    """Why the runs of a schedule are too short to show anything, if they are."""
    updates = min(run.get("updates", ENOUGH) for run in runs)
    if updates < ENOUGH:
        return f"{_plural(updates, 'update')}, and z may need {ENOUGH} or more"
    unlearnt = [run for run in runs if run.get("training_loss", 0) >= run.get("word_frequencies_training", 1)]
    if unlearnt:
        return (
            f"after {updates:,} updates the loss in training, {mean(run['training_loss'] for run in unlearnt):.2f} "
            f"nats, is not below {unlearnt[0]['word_frequencies_training']:.2f}, which word frequencies alone reach"
        )
    return None


def collapsed(runs: Rows) -> bool:
    """Whether the posterior collapsed in every run, and the runs were long enough to say so."""
    return all(run["kl"] < COLLAPSED for run in runs) and not too_short(runs)


def _plural(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _count(hits: int, n: int) -> str:
    if n == 1:
        return "on its one seed"
    return f"in every one of {n} seeds" if hits == n else f"in {hits} of {n} seeds"


def _collapse(name: str, runs: Rows) -> str:
    n, kl = len(runs), mean(run["kl"] for run in runs)
    hits = sum(run["kl"] < COLLAPSED for run in runs)
    units, latent = mean(run["active_units"] for run in runs), len(runs[0]["kl_per_dimension"])
    if reason := too_short(runs):
        says = f"too short a run to show whether the posterior collapses ({reason})"
    elif hits == n:
        says = f"the posterior collapsed (KL below {COLLAPSED} nats {_count(n, n)})"
    elif hits:
        says = f"the posterior collapsed {_count(hits, n)}, and did not in the others"
    else:
        says = f"the posterior did not collapse (KL of {COLLAPSED} nats or more {_count(n, n)})"
    weight = max(run.get("kl_weight", 1.0) for run in runs)
    if weight < 0.99:
        says += f". The last KL weight was {weight:.3g}: at weight 1 the KL would become smaller"
    return f"{name}: KL {kl:.3f}, {units:g} of {latent} units active: {says}."


def _lasts(name: str, runs: Rows, after: Rows) -> str:
    """Whether the KL lasts when training goes on at the schedule's last weight."""
    before, now = mean(run["kl"] for run in runs), mean(run["kl"] for run in after)
    updates = after[0]["updates"] - runs[0]["updates"]
    n, hits = len(after), sum(run["kl"] < COLLAPSED for run in after)
    if before < COLLAPSED:
        says = "there was no KL to keep" if now < COLLAPSED else "it rose in the tail"
    elif hits:
        says = f"it did not last: the posterior collapsed {_count(hits, n)}"
    elif now < LASTING * before:
        says = f"{now / before:.0%} of it is left"
    else:
        says = "it lasted"
    return (
        f"{name}, {_plural(updates, 'more update')} at KL weight {after[0]['kl_weight']:.3g}: KL {before:.3f} before, "
        f"{now:.3f} after: {says}."
    )


def _paired(name: str, runs: Rows, other: str, others: Rows) -> str:
    kl, bound = ([a[key] - b[key] for a, b in zip(runs, others, strict=True)] for key in ("kl", "neg_elbo"))
    return f"{name} against {other}: KL {_words(kl, 'higher', 'lower')}, -ELBO {_words(bound, 'worse', 'better')}."


def _words(differences: Sequence[float], above: str, below: str) -> str:
    """A mean difference, and its direction, if there are seeds enough to speak of one."""
    average, n = mean(differences), len(differences)
    if abs(average) < NO_DIFFERENCE:
        return f"+0.000 nats (no difference{' on average' if any(differences) and n > 1 else ''})"
    if n == 1:
        return f"{average:+.3f} nats (one seed)"
    sign, word = (1, above) if average > 0 else (-1, below)
    return f"{average:+.3f} nats ({word} {_count(sum(sign * d > 0 for d in differences), n)})"


def _overfit(name: str, runs: Rows) -> str | None:
    """A model that fits its training sentences and no others: only if it has learnt something at all."""
    if too_short(runs) or not all("word_frequencies" in run for run in runs):
        return None
    bound, frequencies = mean(run["neg_elbo"] for run in runs), runs[0]["word_frequencies"]
    if bound <= frequencies:
        return None
    return (
        f"{name}: on held-out sentences it is worse than word frequencies alone (-ELBO {bound:.2f}, word frequencies "
        f"{frequencies:.2f} nats). It fits its training sentences alone: use more text, or fewer updates."
    )


def _against_entropy(rows: Rows, entropy: float) -> str:
    gaps = [row["neg_elbo"] - entropy for row in rows]
    too_low = sum(gap < -2 * row["standard_error"] for gap, row in zip(gaps, rows, strict=True))
    says = (
        "none is below it by more than the sampling error"
        if not too_low
        else f"{_plural(too_low, 'run')} below it by more than the sampling error, which no sound estimate can be"
    )
    return f"-ELBO is {min(gaps):.2f} to {max(gaps):.2f} nats above the language's entropy of {entropy:.3f}; {says}."
