"""A fair comparison of cycles with one ramp, from the stored runs with a tail: within seeds, at equal distance.

for corpus, word_dropout in stored_texts():
    print(where(corpus, word_dropout))                          # toy language, 20,000 sentences, ...
    pairs(corpus, word_dropout, "monotonic-long", "kl", 2000)   # one difference for each seed
"""

from collections.abc import Sequence
from itertools import product

from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.results.parts import DURABILITY
from kldanneal.lab.results.statistics import interval, with_interval
from kldanneal.lab.results.tail import LAST, Run, differences, differences_at_update, durable, mean_at
from kldanneal.lab.tables import table

TITLES = {"toy": "toy language", "docstrings": "docstrings", "ptb": "Penn Treebank"}
OTHERS = ("monotonic", "monotonic-long")


def stored_texts() -> list[tuple[str, float]]:
    """Each corpus and word dropout of which two pairs or more are stored: ``cyclical`` and ``monotonic-long``."""
    return [(corpus, dropout) for corpus, dropout, _ in DURABILITY if len(pairs(corpus, dropout, OTHERS[1])) > 1]


def pairs(
    corpus: str, word_dropout: float, other: str, measure: str = "kl", distance: int = LAST, update: int | None = None
) -> list[float]:
    """What a measure is under cycles less what it is under the other schedule, for each seed that both have.

    Args:
        distance (int): updates since the last one with a weight below 1. Default: 8,000.
        update (int, optional): after so many updates in all, instead of at a distance.
    """
    own, their = (durable(corpus, label, word_dropout) for label in ("cyclical", other))
    if update is not None:
        return differences_at_update(own, their, measure, update)
    return differences(own, their, measure, distance)


def where(corpus: str, word_dropout: float) -> str:
    """The text, its size, the word dropout and the number of seeds, in a line."""
    return described(corpus, word_dropout, durable(corpus, "cyclical", word_dropout))


def described(corpus: str, word_dropout: float, *groups: Sequence[Run]) -> str:
    """The same for one group of runs or several."""
    sentences = f"{groups[0][0]['sentences']:,} sentences"
    return f"{TITLES[corpus]}, {sentences}, word dropout {word_dropout:g}, {seeds_of(*groups)}"


def seeds_of(*groups: Sequence[Run]) -> str:
    """How many seeds each group has, as ``5 seeds``, ``2 to 5 seeds`` or ``1 seed``."""
    low, high = min(map(len, groups)), max(map(len, groups))
    if high == 1:
        return "1 seed"
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"


def higher(d: Sequence[float], name: str, other: str) -> str:
    """Which of two has the higher value: neither, if the 95 % interval of the mean difference contains 0."""
    low, high = interval(d)
    return name if low > 0 else other if high < 0 else "no winner"


def result(d: Sequence[float], other: str, measure: str = "kl") -> str:
    """Which of two schedules has the higher value, or the lower upper bound, and in how many seeds.

    If the interval contains 0, no schedule wins. Then the seeds are those of ``cyclical``.
    """
    word, sign = ("lower", -1) if MEASURES[measure].bound else ("higher", 1)
    signed = [sign * each for each in d]
    which = higher(signed, "cyclical", other)
    seeds = sum(each < 0 if which == other else each > 0 for each in signed)
    told = f"{word} in {seeds} of {len(d)} seeds"
    return f"no winner; `cyclical` {told}" if which not in ("cyclical", other) else f"`{which}` {told}"


def table_of_pairs(measures: Sequence[str] = ("kl",), distances: Sequence[int] = (LAST,)) -> str:
    """In Markdown: ``cyclical`` against each other schedule, on every text of which runs are stored.

    The last column is :func:`result`.
    """
    lower = all(MEASURES[measure].bound for measure in measures)
    head = "result (lower is better)" if lower else "result"
    rows = [["text, word dropout; measure; distance", "`cyclical` minus", "mean difference", head]]
    for corpus, dropout in stored_texts():
        for measure, distance, other in product(measures, distances, OTHERS):
            if len(d := pairs(corpus, dropout, other, measure, distance)) > 1:
                row = f"{corpus}, {dropout:g}; {MEASURES[measure].heading}; {distance:,}"
                rows.append([row, f"`{other}`", with_interval(d), result(d, other, measure)])
    return table(rows, "markdown")


def table_of_levels(measures: Sequence[str] = ("kl", "mutual_information"), distance: int = LAST) -> str:
    """In Markdown: the mean of each measure over the seeds of each schedule, on every text of which runs are stored."""
    rows = [["text, word dropout", "schedule", *(MEASURES[measure].heading for measure in measures), "seeds"]]
    for (corpus, dropout), label in product(stored_texts(), (*OTHERS, "cyclical")):
        if runs := durable(corpus, label, dropout):
            means = (mean_at(runs, measure, distance) for measure in measures)
            values = [f"{abs(value) if abs(value) < 0.005 else value:.2f}" for value in means]
            rows.append([f"{corpus}, {dropout:g}", f"`{label}`", *values, f"{len(runs)}"])
    return table(rows, "markdown")
