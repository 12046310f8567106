"""What to do with N updates: the stored runs of 1,000 to 8,000 updates in all, half of them the tail.

Only seeds that have every schedule and every N are shown, so that all numbers of a word dropout are of the same seeds.
"""

from collections.abc import Sequence
from functools import reduce
from statistics import mean

import numpy as np
from matplotlib.figure import Figure

from kldanneal.lab.drawing import WIDTH, Chart
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.plots import GREY, styles, tidy
from kldanneal.lab.results.fair import described
from kldanneal.lab.results.parts import BUDGETS
from kldanneal.lab.results.statistics import mean_and_spread
from kldanneal.lab.results.tail import Run, load_runs, select, shown
from kldanneal.lab.results.tail_pictures import seeds_and_mean
from kldanneal.lab.tables import table

LABELS = ("constant", "constant 0.75", "monotonic-long", "cyclical")
WORD_DROPOUTS = (0.0, 0.2)


def budgeted(word_dropout: float) -> dict[str, dict[int, list[Run]]]:
    """For each schedule and N, the runs of the seeds that have them all, by seed. Empty, if no seed has."""
    runs = {label: select(load_runs("budgets"), "toy", label, word_dropout=word_dropout) for label in LABELS}
    groups = [(label, n, {run["job"]["seed"]: run for run in found if run["job"]["updates"] == n})
              for label, found in runs.items() for n in BUDGETS]  # fmt: skip
    seeds = sorted(reduce(set.intersection, (set(group) for _, _, group in groups)))
    if not seeds:
        return {}
    found: dict[str, dict[int, list[Run]]] = {label: {} for label in LABELS}
    for label, n, group in groups:
        found[label][n] = [group[seed] for seed in seeds]
    return found


def last(runs: Sequence[Run], measure: str) -> list[float]:
    """A measure at the end of each run."""
    return [run["measured"][-1][measure] for run in runs]


def table_of_budgets(measures: Sequence[str] = ("kl", "neg_elbo", "iw_nll")) -> str:
    """In Markdown: the measures at the end of N updates, under each schedule."""
    rows = [["word dropout", "schedule", "seeds",
             *(f"{MEASURES[m].heading} after {n:,}" for m in measures for n in BUDGETS)]]  # fmt: skip
    for word_dropout in WORD_DROPOUTS:
        for by_length in budgeted(word_dropout).values():
            cells = [mean_and_spread(last(by_length[n], m), 2) for m in measures for n in BUDGETS]
            name = shown(by_length[BUDGETS[0]][0])
            rows.append([f"{word_dropout:g}", f"`{name}`", str(len(by_length[BUDGETS[0]])), *cells])
    return table(rows, "markdown")


def plot_budgets() -> Chart:
    """The KL at the end of N updates: a thin line for each seed, a thick one for their mean."""
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    says = []
    panels = figure.subplots(len(WORD_DROPOUTS), sharex=True, sharey=True)
    for axes, word_dropout in zip(panels, WORD_DROPOUTS, strict=True):
        for label, style in styles(LABELS).items():
            if by_length := budgeted(word_dropout).get(label):
                name = shown(by_length[BUDGETS[0]][0])
                kl = np.array([last(by_length[n], "kl") for n in BUDGETS])
                seeds_and_mean(axes, BUDGETS, kl.T, style, marker="o", markersize=4, label=name)
                means = ", ".join(f"{value:.2f}" for value in kl.mean(axis=1))
                title = described("toy", word_dropout, by_length[BUDGETS[0]])
                axes.set_title(title, fontsize=10, loc="left")
                says.append(f"{title}, {name}: {means}")
        axes.axhline(COLLAPSED, color=GREY, linestyle=":", linewidth=1)
        axes.set(xscale="log", ylabel="held-out KL (nats)")
        axes.set_xticks(BUDGETS, [f"{n:,}" for n in BUDGETS])
        axes.minorticks_off()
        tidy(axes)
    panels[0].set_ylim(bottom=0)  # of both, when all is drawn
    panels[-1].set_xlabel("updates in all, N: half for the schedule, half at the last weight")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=10,
                  title=f"thin: one seed each; thick: mean; dotted: {COLLAPSED} nats", title_fontsize=9)  # fmt: skip
    return Chart(figure, f"Held-out KL at the end of N updates in all, N = {', '.join(f'{n:,}' for n in BUDGETS)}. "
                           + ". ".join(says) + ".")  # fmt: skip


def best(word_dropout: float, n: int, labels: Sequence[str] = ("monotonic-long", "cyclical")) -> float:
    """The highest mean KL after N updates among schedules that end at weight 1."""
    found = budgeted(word_dropout)
    return max(mean(last(found[label][n], "kl")) for label in labels)
