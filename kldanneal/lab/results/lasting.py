"""Tables in Markdown of the runs with a tail: does the KL last, and what keeps it?"""

from collections.abc import Sequence

from kldanneal.lab.corpora.toy import ENTROPY
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.results import fair
from kldanneal.lab.results.factorial import docstrings, table_of_cells, table_of_effects
from kldanneal.lab.results.fair_map import FairMap
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.parts import DURABILITY, TOTALS
from kldanneal.lab.results.statistics import mean_and_spread, with_interval
from kldanneal.lab.results.tail import (
    LAST,
    Run,
    at,
    at_update,
    counted,
    course,
    differences_at_update,
    durable,
    ending,
    half_distances,
    load_about,
    load_runs,
    mean_at,
    select,
    shown,
)
from kldanneal.lab.tables import table

SHOWN = (0, 500, 2000, LAST)
REMEDIES = (
    *(f"constant {weight}" for weight in (0.5, 0.75, 0.9)),
    "ramp to 0.75",
    *(f"free bits {floor}" for floor in (0.05, 0.1, 0.25)),
    "word dropout 0.5",
)


def durability() -> str:
    """The KL at growing distance from the last low update, when half of it is lost, and where it ends."""
    rows = [["corpus", "word dropout", "schedule", "seeds", *(f"KL at {distance:,}" for distance in SHOWN),
             "half is lost at", f"at {LAST:,}", "updates then", "-ELBO then", "-log p(x) then"]]  # fmt: skip
    for corpus, word_dropout, labels in DURABILITY:
        for label in labels:
            if found := durable(corpus, label, word_dropout):
                kl = [_of(found, "kl", distance, 2) for distance in SHOWN]
                bounds = [_of(found, measure, LAST, 2) for measure in ("neg_elbo", "iw_nll")]
                rows.append([corpus, f"{word_dropout:g}", f"`{label}`", str(len(found)), *kl,
                             half_distances(found), counted([*map(ending, found)]),
                             f"{from_dict(found[0]['job']).last_low() + LAST:,}", *bounds])  # fmt: skip
    return table(rows, "markdown")


def summary() -> str:
    """README's table: the KL at the last low update, and 2,000 and 8,000 updates later, under three schedules."""
    labels = ("constant", "monotonic-long", "cyclical")
    rows = [["corpus, word dropout (seeds)", *(f"`{label}`" for label in labels)]]
    for corpus, word_dropout, _ in DURABILITY:
        found = [durable(corpus, label, word_dropout) for label in labels]
        if all(found):
            seeds = " to ".join(map(str, sorted({len(runs) for runs in found})))
            rows.append([f"{corpus}, {word_dropout:g} ({seeds})", *map(_course, found)])
    return table(rows, "markdown")


def _course(runs: Sequence[Run]) -> str:
    distances = [distance for distance in (0, 2000, LAST) if _of(runs, "kl", distance, 2) != "-"]
    return " → ".join(f"{mean_at(runs, 'kl', distance):.2f}" for distance in distances)


def totals() -> str:
    """The same runs after equal numbers of updates in all."""
    rows = [["corpus", "word dropout", "schedule", *(f"KL after {update:,}" for update in TOTALS),
             f"-ELBO after {TOTALS[-1]:,}", f"-log p(x) after {TOTALS[-1]:,}"]]  # fmt: skip
    measured = [*(("kl", update) for update in TOTALS), ("neg_elbo", TOTALS[-1]), ("iw_nll", TOTALS[-1])]
    for corpus, word_dropout, labels in DURABILITY:
        for label in labels:
            if found := durable(corpus, label, word_dropout):
                cells = (mean_and_spread([at_update(run, *each) for run in found], 2) for each in measured)
                rows.append([corpus, f"{word_dropout:g}", f"`{label}`", *cells])
    return table(rows, "markdown")


def decay() -> str:
    """The control with a learning rate that falls to 0 from update 4,000 to 8,000, beside the same seeds without."""
    runs = load_runs("durability")
    frozen = select(runs, "toy", "cyclical, learning rate decays")
    seeds = {run["job"]["seed"] for run in frozen}
    plain = [run for run in select(runs, "toy", "cyclical", word_dropout=0.0) if run["job"]["seed"] in seeds]
    updates = [update for update in TOTALS if update <= 8000]
    rows = [["learning rate", *(f"KL after {update:,}" for update in updates), "-ELBO after 8,000"]]
    for name, found in (("decays", frozen), ("constant", plain)):
        if found:
            kl = [mean_and_spread([at_update(run, "kl", update) for run in found], 2) for update in updates]
            elbo = mean_and_spread([at_update(run, "neg_elbo", 8000) for run in found], 2)
            rows.append([name, *kl, elbo])
    if len(seeds) > 1:
        d = [differences_at_update(frozen, plain, "kl", update) for update in updates]
        d.append(differences_at_update(frozen, plain, "neg_elbo", 8000))
        rows.append(["difference within seeds [95 % interval]", *map(with_interval, d)])
    return table(rows, "markdown")


def remedies() -> str:
    """What was tried for 4,000 updates, then a weight of 1; the word dropout stays. Above it, weight 1 throughout."""
    rows = [["for 4,000 updates", "seeds", *(f"KL {later:,} later" for later in SHOWN), "half is lost after",
             f"{LAST:,} later", "-ELBO 0 later", "-log p(x) 0 later", f"-log p(x) {LAST:,} later"]]  # fmt: skip
    tried = {label: select(load_runs("remedies"), "toy", label) for label in REMEDIES}
    seeds = {run["job"]["seed"] for found in tried.values() for run in found}
    one = [run for run in durable("toy", "constant", 0.0) if run["job"]["seed"] in seeds]
    for found in (one, *tried.values()):
        if found:
            ends = [course(*(_later(run, "kl", later) for later in (LAST // 2, LAST))) for run in found]
            rows.append([shown(found[0]), str(len(found)), *(_spread(found, "kl", later) for later in SHOWN),
                         half_distances(found), counted(ends), _spread(found, "neg_elbo", 0),
                         _spread(found, "iw_nll", 0), _spread(found, "iw_nll", LAST)])  # fmt: skip
    return table(rows, "markdown")


def interaction() -> str:
    """Both schedules of the weight and of the learning rate: means, then effects as differences and as ratios."""
    two = docstrings()
    return f"{table_of_cells(two)}\n\n{table_of_effects(two.cells('kl'))}"


def on_the_map(stored: FairMap) -> str:
    """How many schedules of the map have a mean KL that is not collapsed, and which one has most, by distance."""
    first, *_, last = stored.distances
    distances = (first, 1000, last)
    rows = [["word dropout", "schedules", "number", *(f"KL of {COLLAPSED} or more at {d:,}" for d in distances),
             f"most KL at {last:,}"]]  # fmt: skip
    for word_dropout in stored.word_dropouts:
        for name in stored.courses:
            cells = [cell for cell, dropout in stored.runs if dropout == word_dropout and cell.course == name]
            kl = [[stored.kl(cell, word_dropout, distance) for cell in cells] for distance in distances]
            most, cell = max(zip(kl[-1], cells, strict=True))
            rows.append([f"{word_dropout:g}", name, str(len(cells)),
                         *(str(sum(value is not None and value >= COLLAPSED for value in values)) for values in kl),
                         f"{most:.2f}: {cell.shape or 'weight'} {cell.size:g}"])  # fmt: skip
    return table(rows, "markdown")


def pairs() -> str:
    """``cyclical`` minus each other schedule within seeds: at equal distance, then after equal updates in all."""
    measures = ("kl", "neg_elbo", "iw_nll")
    names = [MEASURES[m].heading for m in measures]
    rows = [["", *(f"{name}, {LAST:,} after the last low" for name in names),
             *(f"{name}, after {TOTALS[-1]:,} in all" for name in names)]]  # fmt: skip
    for corpus, word_dropout, labels in DURABILITY:
        for other in labels[:-1]:
            if len(fair.pairs(corpus, word_dropout, other)) > 1:
                d = [fair.pairs(corpus, word_dropout, other, m, update=update)
                     for update in (None, TOTALS[-1]) for m in measures]  # fmt: skip
                heading = f"{corpus}, word dropout {word_dropout:g}: `cyclical` minus `{other}`"
                rows.append([heading, *map(with_interval, d)])
    return table(rows, "markdown")


def source(part: str) -> str:
    """Where the runs of a part come from, in a sentence or two."""
    runs, made = load_runs(part), load_about(part)["made"]
    corpora = sorted({(run["job"]["corpus"], run["sentences"], run["digest"]) for run in runs})
    named = "; ".join(f"{name}: {n:,} sentences to train on, digest {digest}" for name, n, digest in corpora)
    commits = ", ".join(dict.fromkeys(each["commit"] for each in made))
    last = made[-1]
    versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    return (
        f"{len(runs)} runs, {_seeds(runs)}. {named}. Commit {commits}, {last['date']}, {versions}, {last['machine']}."
    )


def entropy() -> str:
    return f"The entropy of the toy language is {ENTROPY:.2f} nats per sentence: no model can have a lower -log p(x)."


def _seeds(runs: Sequence[Run]) -> str:
    seeds = sorted({run["job"]["seed"] for run in runs})
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def _of(runs: Sequence[Run], measure: str, distance: int, digits: int) -> str:
    """The mean and spread at a distance; at distance 0 a run without low updates has none."""
    if distance == 0 and runs[0]["measured"][0]["distance"] > 0:
        return "-"
    return mean_and_spread([at(run, measure, distance) for run in runs], digits)


def _later(run: Run, measure: str, later: int) -> float:
    """So many updates after the first 4,000: the distance, but of word dropout, which needs no low update."""
    return at_update(run, measure, TOTALS[0] + later)


def _spread(runs: Sequence[Run], measure: str, later: int) -> str:
    if TOTALS[0] + later not in [mark["update"] for mark in runs[0]["measured"]]:
        return "-"
    return mean_and_spread([_later(run, measure, later) for run in runs], 2)
