"""The claims that are tested: who says so, whether it holds in the stored runs, and the numbers."""

from collections.abc import Callable, Sequence

from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.results.parts import DURABILITY, TOTALS
from kldanneal.lab.results.paths import apart, updates_at_one
from kldanneal.lab.results.statistics import with_interval
from kldanneal.lab.results.tail import (
    LAST,
    Run,
    at,
    at_update,
    differences,
    differences_at_update,
    durable,
    ending,
    half_distances,
    load_runs,
    mean_at,
    select,
)
from kldanneal.lab.tables import table

END = TOTALS[-1]
STAYS = ("plateau", "rising")  # where a KL may end that is kept
Row = tuple[str, str, str, str]  # claim, source, verdict, numbers


def table_of_claims() -> str:
    """In Markdown: a row for each claim of which there are runs."""
    rows = [["claim", "source", "verdict", "on what, with which numbers"]]
    for claim in (_constant_collapses, _collapses_again, _lasts_with_word_dropout, _cycles, _cycles_long, _bound,
                  _two_states, _fixed_weight, _free_bits):  # fmt: skip
        rows += [list(row) for row in claim()]
    return table(rows, "markdown")


def verdict(right: Sequence[bool]) -> str:
    """*holds* in every run, *does not hold* in none, else *depends*."""
    if all(right):
        return "**holds**"
    return "**depends**" if any(right) else "**does not hold**"


def _settings(label: str) -> list[tuple[str, float, list[Run]]]:
    """The runs under a schedule, for every corpus and word dropout of which there are some."""
    found = [(corpus, dropout, durable(corpus, label, dropout)) for corpus, dropout, _ in DURABILITY]
    return [each for each in found if each[2]]


def _where(corpus: str, word_dropout: float) -> str:
    return f"{corpus}, word dropout {word_dropout:g}"


def _constant_collapses() -> list[Row]:
    right, numbers = [], []
    for corpus, dropout, runs in _settings("constant"):
        collapsed = [at_update(run, "kl", END) < COLLAPSED for run in runs]
        right += collapsed
        numbers.append(f"{_where(corpus, dropout)}: KL below {COLLAPSED} in {sum(collapsed)} of {len(runs)} seeds")
    return [("A constant weight of 1 ends in collapse.", "Bowman et al. 2016", verdict(right),
             f"after {END:,} updates. " + "; ".join(numbers))]  # fmt: skip


def _collapses_again() -> list[Row]:
    def numbers(runs: Sequence[Run]) -> str:
        return f"; half is lost at {half_distances(runs)}"

    return [
        _after_annealing(f"After annealing (`{label}`), the KL falls when training goes on at weight 1.",
                         "Lucas et al. 2019, for Gaussian decoders", label, 0, ("collapsed", "falling"), numbers)
        for label in ("cyclical", "monotonic-long")
    ]  # fmt: skip


def _lasts_with_word_dropout() -> list[Row]:
    def numbers(runs: Sequence[Run]) -> str:
        return f", levels off or rises in {sum(ending(run) in STAYS for run in runs)} of {len(runs)} seeds"

    return [
        _after_annealing(f"With word dropout, the KL after annealing (`{label}`) levels off or rises.",
                         "Bowman et al. 2016, section 3.3.1", label, 0.2, STAYS, numbers)
        for label in ("cyclical", "monotonic-long")
    ]  # fmt: skip


def _after_annealing(
    claim: str, source: str, label: str, word_dropout: float, ends: Sequence[str],
    also: Callable[[Sequence[Run]], str],
) -> Row:  # fmt: skip
    """Whether the tails at one word dropout end in the ways that are claimed."""
    right, numbers = [], []
    for corpus, dropout, runs in _settings(label):
        if dropout == word_dropout:
            right += [ending(run) in ends for run in runs]
            first, last = (mean_at(runs, "kl", distance) for distance in (0, LAST))
            numbers.append(f"{_where(corpus, dropout)}: KL {first:.2f}, {LAST:,} updates later {last:.2f}{also(runs)}")
    return claim, source, verdict(right), "; ".join(numbers)


def _more(claim: str, other: str, measure: str, sign: int, source: str) -> Row:
    right, numbers = [], []
    for corpus, dropout, runs in _settings("cyclical"):
        others = durable(corpus, other, dropout)
        if len(distant := differences(runs, others, measure)) > 1:
            # a bound falls with every update, and at equal distance the runs differ in their number
            judged = distant if measure == "kl" else differences_at_update(runs, others, measure, END)
            right += [sign * each > 0 for each in judged]
            said = f"{with_interval(judged)}, {sum(sign * x > 0 for x in judged)} of {len(judged)} seeds"
            also = "" if measure == "kl" else f" (at equal distance {with_interval(distant)})"
            numbers.append(f"{_where(corpus, dropout)}: {said}{also}")
    distance = f"{LAST:,} updates after the last low weight"
    total = f"after {END:,} updates in all; at equal distance, {LAST:,}, cycles have had more updates"
    return claim, source, verdict(right), f"{distance if measure == 'kl' else total}. {'; '.join(numbers)}"


def _cycles() -> list[Row]:
    return [_more("Cycles keep more KL than one short ramp (2,000 low updates against 500).", "monotonic", "kl", 1,
                  "Fu et al. 2019")]  # fmt: skip


def _cycles_long() -> list[Row]:
    return [_more("Cycles keep more KL than one long ramp with as many low updates.", "monotonic-long", "kl", 1,
                  "Fu et al. 2019 do not compare with it")]  # fmt: skip


def _bound() -> list[Row]:
    return [
        _more("Annealed in cycles, a model has a lower -ELBO than under a constant weight of 1.", "constant",
              "neg_elbo", -1, "the contrary follows from Chen et al. 2017"),
        _more("It has a lower -log p(x).", "constant", "iw_nll", -1, "Li et al. 2019, for another remedy"),
    ]  # fmt: skip


def _two_states() -> list[Row]:
    rows = []
    for corpus, dropout, runs in _settings("cyclical"):
        constant = {run["job"]["seed"]: run for run in durable(corpus, "constant", dropout)}
        both = [(run, constant[run["job"]["seed"]]) for run in runs if run["job"]["seed"] in constant]
        pairs = [(at_update(run, "kl", END), at_update(other, "kl", END)) for run, other in both]
        at_one = updates_at_one(corpus, dropout)
        claim = (
            f"{_where(corpus, dropout)}: after {END:,} updates, the last {at_one:,} or more at weight 1, `cyclical` "
            "and `constant` have the same KL"
        )
        numbers = "KL of the two, by seed: " + ", ".join(f"{a:.2f} / {b:.2f}" for a, b in pairs)
        right = [not differ for differ in apart(corpus, dropout)]
        source = "our hypothesis leaves it open" if dropout else "follows from our hypothesis"
        rows.append((claim, source, verdict(right), numbers))
    return rows


def _fixed_weight() -> list[Row]:
    names = [(f"constant {w}", f"A constant weight of {w} keeps the KL up.") for w in (0.5, 0.75, 0.9)]
    return _kept(names, "He et al. 2019, for a weight of 0.4")


def _free_bits() -> list[Row]:
    floors = (0.05, 0.1, 0.25)
    names = [(f"free bits {f}", f"Free bits of {f} nats in each of 8 dimensions keep the KL up.") for f in floors]
    return _kept(names, "Kingma et al. 2016, for images")


def _kept(names: Sequence[tuple[str, str]], source: str) -> list[Row]:
    rows = []
    for label, claim in names:
        if runs := select(load_runs("remedies"), "toy", label):
            numbers = (
                f"toy, after 4,000 updates: KL {_list(runs, 'kl', 0)}; -ELBO {_list(runs, 'neg_elbo', 0)}; after "
                f"{LAST:,} more at weight 1: KL {_list(runs, 'kl', LAST)}; -ELBO {_list(runs, 'neg_elbo', LAST)}"
            )
            now = verdict([at(run, "kl", 0) >= COLLAPSED for run in runs])
            later = verdict([ending(run) in STAYS for run in runs])
            rows.append((claim, source, f"{now} while it is on; that it then levels off: {later}", numbers))
    return rows


def _list(runs: Sequence[Run], measure: str, distance: int) -> str:
    return ", ".join(f"{at(run, measure, distance):.2f}" for run in runs)
