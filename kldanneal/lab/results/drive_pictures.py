"""The stored drives as tables and pictures: in training, at the end of the drive, and with their scores."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from kldanneal.lab.corpora.toy import ENTROPY
from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.plots import TrainingPanels, styles, tidy
from kldanneal.lab.results.drives import EVERY, SEEDS, Run, load_drives, names, written_down
from kldanneal.lab.results.factorial import discount_and_distance
from kldanneal.lab.tables import table
from kldanneal.lab.training.score import REQUIRED_KL, TAIL, score_of

MARKERS = "osD^vPX"


def scored(run: Run) -> float | None:
    """The score of a stored run; None if it has less than the required KL."""
    return score_of(run["after_tail"]["kl"], run["after_tail"]["neg_elbo"])


def by_kl(drives: Sequence[str], seed: int, when: str = "at_end") -> list[tuple[str, Run]]:
    """Names and runs of one seed, the smallest KL first; ``when``: ``'at_end'`` of the drive, or ``'after_tail'``."""
    found = [(name, load_drives()[name, seed]) for name in drives]
    return sorted(found, key=lambda pair: pair[1][when]["kl"])


def costs_more(drives: Sequence[str], seed: int, when: str = "at_end") -> bool:
    """Whether the -ELBO of these drives rises strictly with their KL."""
    bounds = [run[when]["neg_elbo"] for _, run in by_kl(drives, seed, when)]
    return all(before < after for before, after in pairwise(bounds))


def table_of_drives(drives: Sequence[str], seed: int = 0, when: str = "at_end") -> str:
    """In Markdown: the measures of some drives, the smallest KL first."""
    measures = ("kl", "reconstruction", "neg_elbo", "iw_nll", "active_units")
    digits = {"kl": 2, "active_units": 0}
    rows = [["drive", *(MEASURES[measure].heading for measure in measures)]]
    for name, run in by_kl(drives, seed, when):
        values = [f"{run[when][measure]:.{digits.get(measure, 2)}f}" for measure in measures]
        rows.append([name, *values])
    return table(rows, "markdown")


def table_of_scores() -> str:
    """In Markdown: discount, distance, and the score of every drive for every seed, or the KL that is too low."""
    rows = [["drive", "discount", "distance", *(f"seed {seed}" for seed in SEEDS), "scores"]]
    for name in names():
        runs = [load_drives()[name, seed] for seed in SEEDS]
        cells = [f"none (KL {run['after_tail']['kl']:.2f})" if scored(run) is None else f"{scored(run):.2f}"
                 for run in runs]  # fmt: skip
        rows.append(
            [
                name,
                *_discount_and_distance(name),
                *cells,
                f"{sum(scored(run) is not None for run in runs)} of {len(runs)}",
            ]
        )
    return table(rows, "markdown")


def _discount_and_distance(name: str) -> list[str]:
    """Of the weights until the end of the tail; of a drive that differs between seeds, from the lowest to the highest.

    The weights of such a drive are stored as means over 20 updates, so its distance can be 19 updates too short.
    """
    if name in written_down():
        weights = [[*written_down()[name], *[1.0] * TAIL]]
    else:
        curves = [load_drives()[name, seed]["curves"]["kl_weight"] for seed in SEEDS]
        weights = [[weight for weight in curve for _ in range(EVERY)] for curve in curves]
    texts = []
    for values in zip(*map(discount_and_distance, weights), strict=True):
        low, high = f"{min(values):,.0f}", f"{max(values):,.0f}"
        texts.append(low if low == high else f"{low} to {high}")
    return texts


def plot_drives(drives: Sequence[str], seed: int = 0) -> Diagram:
    """KL weight, KL and reconstruction of stored drives, each point a mean over 20 updates. Grey: the tail."""
    runs = {name: load_drives()[name, seed] for name in drives}
    one = runs[drives[0]]
    updates = one["updates"] + one["tail"]
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    panels = TrainingPanels(figure.subplots(3, sharex=True, height_ratios=(1, 1.6, 1.2)), updates, (10, 20), ENTROPY)
    for name, style in _ordered(drives):
        lines, curves = panels.lines(name, **style), runs[name]["curves"]
        for column, line in lines.items():
            line.set_data(np.arange(1, len(curves[column]) + 1) * EVERY, curves[column])
    for axes in panels.axes:
        axes.axvspan(one["updates"], updates, color="#DDDDDD", linewidth=0)
        axes.xaxis.label.set_size(10)
    lowest = min(value for run in runs.values() for value in run["curves"]["kl"])
    panels.kl.set_ylim(max(1e-3, lowest / 2), 80)
    panels.weight.annotate("tail", ((one["updates"] + updates) / 2, 0.5), ha="center", va="center", fontsize=9)
    panels.reconstruction.annotate("dotted: entropy of the language", (updates, 10.2), ha="right", fontsize=9)
    title = f"toy language, {one['sentences']:,} sentences, {updates:,} updates, seed {seed}"
    figure.legend(*panels.weight.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False,
                  fontsize=10, title=title, title_fontsize=9)  # fmt: skip
    ends = "; ".join(
        f"{name}: KL {run['at_end']['kl']:.2f} at the end of the drive, {run['after_tail']['kl']:.2f} after the tail"
        for name, run in runs.items()
    )
    return Diagram(figure, f"KL weight, KL and reconstruction. {title}, the last {one['tail']} of them a tail at "
                           f"weight 1. On held-out sentences, {ends}.")  # fmt: skip


def plot_scores() -> Diagram:
    """-ELBO against KL after the tail: a mark for each drive and seed. Grey: too little KL for a score."""
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    says = []
    for (name, style), marker in zip(_ordered(names()), MARKERS, strict=False):
        runs = [load_drives()[name, seed] for seed in SEEDS]
        kl, bound = ([run["after_tail"][measure] for run in runs] for measure in ("kl", "neg_elbo"))
        axes.plot(
            kl, bound, marker, color=style["color"], fillstyle="none", markersize=8, markeredgewidth=1.8, label=name
        )
        says.append(f"{name}: KL {min(kl):.2f} to {max(kl):.2f}, -ELBO {min(bound):.2f} to {max(bound):.2f}")
    axes.axvspan(-1, REQUIRED_KL, color="#E8E8E8", linewidth=0, zorder=0)
    axes.annotate("no score", (REQUIRED_KL - 0.03, 0.97), xycoords=("data", "axes fraction"), ha="right", va="top")
    axes.set(xlim=(-0.06, None), xlabel="KL after the tail (nats)", ylabel="-ELBO after the tail (nats)")
    tidy(axes)
    one = load_drives()[names()[0], 0]
    title = (f"toy language, {one['sentences']:,} sentences, {one['updates']:,} + {one['tail']} updates, "
             f"{len(SEEDS)} seeds")  # fmt: skip
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9.5, title=title, title_fontsize=9)
    return Diagram(figure, f"-ELBO against KL after the tail. {title}. {'; '.join(says)}. A score needs a KL of "
                           f"{REQUIRED_KL}.")  # fmt: skip


def _ordered(drives: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    found = styles(drives)
    return [(name, found[name]) for name in drives]
