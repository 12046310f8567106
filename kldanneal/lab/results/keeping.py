"""What keeps the KL at weight 1, and what it costs: tables of the stored runs, and a guide that is made from them."""

from collections.abc import Sequence
from functools import reduce
from statistics import mean

from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.results import budgets
from kldanneal.lab.results.fair import TITLES, seeds_of
from kldanneal.lab.results.parts import BUDGETS, DURABILITY, TOTALS
from kldanneal.lab.results.statistics import mean_and_spread, with_interval
from kldanneal.lab.results.tail import (
    LAST,
    Run,
    at,
    at_update,
    differences,
    durable,
    half_distances,
    load_runs,
    mean_at,
    select,
    shown,
)
from kldanneal.lab.tables import table

SWITCH = TOTALS[0]  # after so many updates schedules and remedies end, and the weight is 1
TEXTS = tuple((corpus, word_dropout) for corpus, word_dropout, _ in DURABILITY)
#: What was tried beside schedules, each for 4,000 updates, and the schedules to compare with.
SCORED = ("constant", "cyclical", "constant 0.75", "constant 0.5", "free bits 0.1", "free bits 0.25",
          "word dropout 0.5")  # fmt: skip


def runs_of(label: str, corpus: str = "toy", word_dropout: float = 0.0) -> list[Run]:
    """The stored runs under a schedule or a remedy, by seed."""
    found = durable(corpus, label, word_dropout)
    if not found and corpus == "toy" and not word_dropout:
        found = select(load_runs("remedies"), corpus, label)
    return found


def paired(labels: Sequence[str]) -> dict[str, list[Run]]:
    """The runs of each label on the toy language, only of those seeds that all of them have."""
    by_seed = {label: {run["job"]["seed"]: run for run in runs_of(label)} for label in labels}
    common = sorted(reduce(set.intersection, (set(found) for found in by_seed.values())))
    return {label: [found[seed] for seed in common] for label, found in by_seed.items()}


def table_of_tails(labels: Sequence[str], texts: Sequence[tuple[str, float]] = (("toy", 0.0),)) -> str:
    """In Markdown: the KL at the last low update and at three distances from it, and where half of it is lost.

    A KL is a mean and a standard deviation over the seeds; a distance is a median and a range.
    """
    distances = (0, 500, 2000, LAST)
    rows = [["text, word dropout; first", "seeds", *(f"KL at distance {d:,}" for d in distances),
             "distance where half is lost: median [range]"]]  # fmt: skip
    for corpus, dropout in texts:
        for label in labels:
            runs = runs_of(label, corpus, dropout)
            kl = [mean_and_spread([at(run, "kl", distance) for run in runs], 2) for distance in distances]
            rows.append([f"{corpus}, {dropout:g}; `{shown(runs[0])}`", str(len(runs)), *kl, half_distances(runs)])
    return table(rows, "markdown")


def table_of_states(texts: Sequence[tuple[str, float]] = TEXTS) -> str:
    """In Markdown: the KL of each seed after the last update, by the schedule that it began with."""
    rows = [["text, word dropout", "first", f"KL of each seed at update {TOTALS[-1]:,}", f"at least {COLLAPSED}"]]
    for corpus, dropout in texts:
        for label in ("constant", "monotonic-long", "cyclical"):
            kl = [at_update(run, "kl", TOTALS[-1]) for run in durable(corpus, label, dropout)]
            high = sum(value >= COLLAPSED for value in kl)
            rows.append([f"{corpus}, {dropout:g}", f"`{label}`", ", ".join(f"{value:.2f}" for value in kl),
                         f"{high} of {len(kl)}"])  # fmt: skip
    return table(rows, "markdown")


def table_of_scores(labels: Sequence[str] = SCORED) -> str:
    """In Markdown: KL, information and both bounds after 4,000 updates, at weight 1; means over common seeds."""
    measures = ("kl", "mutual_information", "neg_elbo", "iw_nll")
    found = paired(labels)
    rows = [
        [f"for {SWITCH:,} updates; {seeds_of(*found.values())}", *(MEASURES[measure].heading for measure in measures)]
    ]
    for label, runs in found.items():
        means = (f"{mean(at_update(run, m, SWITCH) for run in runs):.2f}" for m in measures)
        rows.append([f"`{label}`", *means])
    return table(rows, "markdown")


def collapsed(runs: Sequence[Run]) -> int:
    """How many runs are collapsed after 12,000 updates."""
    return sum(at_update(run, "kl", TOTALS[-1]) < COLLAPSED for run in runs)


def price_of_word_dropout(corpus: str) -> list[float]:
    """-log p(x) after cycles with word dropout 0.2 minus without, within seeds and after equally many updates."""
    return differences(durable(corpus, "cyclical", 0.2), durable(corpus, "cyclical", 0.0), "iw_nll")


def guide() -> str:
    """In Markdown: what to try, in which order, and what was seen in the stored runs. Needs those of the budgets."""
    rows = [["", "if", "then", "seen here"]]
    for i, row in enumerate((_collapsed(), _short(), _lasts(), _fixed(), _at_one(), _floor(), _know()), start=1):
        rows.append([str(i), *row])
    return table(rows, "markdown")


Row = tuple[str, str, str]  # if, then, seen here


def _collapsed() -> Row:
    found = [(f"{TITLES[corpus]}, word dropout {dropout:g}", durable(corpus, "constant", dropout))
             for corpus, dropout in TEXTS]  # fmt: skip
    seen = "; ".join(f"{where}: {collapsed(runs)} of {len(runs)}" for where, runs in found)
    return (
        "you do not know whether there is a problem",
        f"measure the held-out KL at weight 1. Below {COLLAPSED} nats: collapsed. Then ask whether you need z at all",
        f"weight 1 from the start, {TOTALS[-1]:,} updates, collapsed seeds: {seen}",
    )


def _lasts() -> Row:
    seen = []
    for corpus in ("toy", "docstrings"):
        for label in ("cyclical", "monotonic-long"):
            runs = durable(corpus, label, 0.2)
            kept = sum(at(run, "kl", LAST) >= COLLAPSED for run in runs)
            seen.append(f"{TITLES[corpus]}, `{label}`: {kept} of {len(runs)}")
    return (
        "you need a z that lasts at weight 1",
        "hide words (word dropout 0.2), and anneal: one long ramp, or cycles. Check the cost by -log p(x)",
        f"schedules for {SWITCH:,} updates; seeds with a KL of {COLLAPSED} or more at distance {LAST:,}: "
        f"{'; '.join(seen)}. Word dropout 0.2 minus 0, docstrings, `cyclical`, -log p(x), mean [95 % interval]: "
        f"{_mean(price_of_word_dropout('docstrings'))}",
    )


def _short() -> Row:
    best = {n: [budgets.best(dropout, n) for dropout in budgets.WORD_DROPOUTS] for n in BUDGETS}
    few = [n for n, kl in best.items() if max(kl) < COLLAPSED]
    edge = max(few, default=BUDGETS[0])
    runs, ramps = budgets.budgeted(0.0)["cyclical"][BUDGETS[0]], _quick_ramps(edge)
    large = {n: kl for n, kl in best.items() if edge <= n <= 2 * edge}
    small = {edge: [mean_at(found, "kl", edge // 2) for found in ramps]}
    return (
        f"N is small (here: {max(few):,} or less)" if few else "N is small",
        "train longer before you compare ramps with cycles. A short ramp keeps nothing here. How many updates are "
        "enough depends on model and learning rate",
        "toy language, half of N for the schedule, half at weight 1. KL of ramp or cycles, the higher mean, with word "
        f"dropout 0 / 0.2: {_by_length(large)} ({seeds_of(runs)}). The small model of the map, with twice the learning "
        f"rate, one ramp: {_by_length(small)} ({seeds_of(*ramps)})",
    )


def _quick_ramps(n: int) -> list[list[Run]]:
    """The runs of the map with one linear ramp over half of N updates, by word dropout."""
    ramp = {"total_steps": n // 2, "shape": "linear"}
    runs = [select(load_runs("map"), "toy", "once", word_dropout=dropout) for dropout in budgets.WORD_DROPOUTS]
    return [[run for run in each if run["job"]["annealer"] == ramp] for each in runs]


def _by_length(kl: dict[int, list[float]]) -> str:
    return "; ".join(f"N = {n:,}: {' / '.join(f'{value:.2f}' for value in values)}" for n, values in kl.items())


def _fixed() -> Row:
    fixed, one = (budgets.budgeted(0.0)[label] for label in ("constant 0.75", "constant"))
    seen = ", ".join(f"{mean(budgets.last(fixed[n], 'kl')):.2f} after {n:,}" for n in BUDGETS)
    n = BUDGETS[-1]
    return (
        "the decoder must stay as it is",
        "keep β at 0.75 to the end. Say so, and score at weight 1",
        f"toy language, word dropout 0: KL {seen}. After {n:,}, minus `constant` (weight 1), mean [95 % interval]: "
        f"-ELBO {_less(fixed[n], one[n], 'neg_elbo')}, -log p(x) {_less(fixed[n], one[n], 'iw_nll')} "
        f"({seeds_of(fixed[n])})",
    )


def _at_one() -> Row:
    half = runs_of("constant 0.5")
    cycles = durable("toy", "cyclical", 0.0)
    return (
        "the decoder must stay, and training must end at weight 1",
        "begin with a low weight for many updates. Stop soon after the last low weight, and report the distance",
        f"toy language, word dropout 0: after β = 0.5, KL {_at(half, 0)}, {LAST:,} updates later {_at(half, LAST)}, "
        f"half is lost at distance {half_distances(half)}, median [range] ({seeds_of(half)}); after `cyclical` "
        f"{_at(cycles, 0)}, {_at(cycles, LAST)}, {half_distances(cycles)} ({seeds_of(cycles)})",
    )


def _floor() -> Row:
    runs = runs_of("free bits 0.1")
    information = mean_at(runs, "mutual_information", 0)
    units = mean_at(runs, "active_units", 0)
    return (
        "every dimension of z must carry something",
        "use free bits, and keep them to the end. Report I(x; z) beside the KL",
        f"toy language, word dropout 0, floor 0.1: KL {_at(runs, 0)}, I(x; z) {information:.2f}, "
        f"{units:.0f} of 8 units active; without the floor half is lost at distance {half_distances(runs)} "
        f"({seeds_of(runs)})",
    )


def _know() -> Row:
    plain, runs = (durable("toy", "cyclical", word_dropout) for word_dropout in (0.0, 0.2))
    kl = [at(run, "kl", LAST) for run in runs]
    return (
        "the KL looks good",
        "go on at weight 1 for as many updates again. Use three seeds or more. Compare -log p(x), not only the -ELBO",
        f"toy language, `cyclical`, KL over {LAST:,} updates at weight 1: word dropout 0: {_at(plain, 0)} to "
        f"{_at(plain, LAST)}; word dropout 0.2: {_at(runs, 0)} to {_at(runs, LAST)} (then the seeds lie "
        f"between {min(kl):.2f} and {max(kl):.2f}; {seeds_of(runs)})",
    )


def _at(runs: Sequence[Run], distance: int) -> str:
    return f"{mean_at(runs, 'kl', distance):.2f}"


def _less(runs: Sequence[Run], others: Sequence[Run], measure: str) -> str:
    return _mean([a - b for a, b in zip(budgets.last(runs, measure), budgets.last(others, measure), strict=True)])


def _mean(d: Sequence[float]) -> str:
    """The mean difference, with its interval if there are several."""
    return with_interval(d) if len(d) > 1 else f"{d[0]:+.2f}"
