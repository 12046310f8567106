"""The pictures of a fair comparison: two stored runs in training, paired differences, and the KL over the tail."""

from collections.abc import Sequence
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.lab.corpora.toy import ENTROPY
from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.plots import TrainingPanels, styles, tidy
from kldanneal.lab.results.fair import OTHERS, pairs, stored_texts, where
from kldanneal.lab.results.jobs import EVERY, from_dict
from kldanneal.lab.results.statistics import interval
from kldanneal.lab.results.tail import LAST, durable, mean_at
from kldanneal.lab.results.tail_pictures import over_distance


def plot_two_runs(names: Sequence[str] = ("monotonic", "cyclical"), seed: int = 0, updates: int = 4000) -> Diagram:
    """KL weight, KL and reconstruction of stored runs on the toy language, one seed, each point a mean over 50 updates.

    Grey: the updates that all of them have in common, because their weights are the same so far.
    """
    runs = {name: durable("toy", name, 0.0)[seed] for name in names}
    weights = {name: from_dict(run["job"]).weights()[:updates] for name, run in runs.items()}
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    panels = TrainingPanels(figure.subplots(3, sharex=True, height_ratios=(1, 1.6, 1.2)), updates, (10, 20), ENTROPY)
    points = updates // EVERY
    for name, style in styles(names).items():
        run, lines = runs[name], panels.lines(name, **style)
        lines["kl_weight"].set_data(range(updates), weights[name])
        for column, key in (("kl", "kl_curve"), ("reconstruction", "reconstruction_curve")):
            lines[column].set_data(np.arange(1, points + 1) * EVERY, run[key][:points])
    same = next((i for i, each in enumerate(zip(*weights.values(), strict=True)) if len(set(each)) > 1), updates)
    for axes in panels.axes:
        axes.axvspan(0, same, color="#DDDDDD", linewidth=0)
        axes.xaxis.label.set_size(10)
    panels.kl.set_ylim(1e-3, 20)
    panels.reconstruction.annotate("dotted: entropy of the language", (updates, 10.2), ha="right", fontsize=9)
    panels.weight.annotate("grey: the same run", (same / 2, 1.05), ha="center", va="bottom", fontsize=9,
                           annotation_clip=False)  # fmt: skip
    sentences = runs[names[0]]["sentences"]
    title = f"toy language, {sentences:,} sentences, {updates:,} updates, seed {runs[names[0]]['job']['seed']}"
    _legend(figure, panels.weight, title)
    ends = "; ".join(f"{name} ends at a KL of {run['kl_curve'][points - 1]:.2f} nats" for name, run in runs.items())
    return Diagram(figure, f"Three panels over the updates: KL weight, KL, reconstruction. {title}. The runs are the "
                           f"same up to update {same:,}. {ends}.")  # fmt: skip


def plot_pairs(measure: str = "kl", distance: int = LAST) -> Diagram:
    """``cyclical`` minus each other schedule at a distance: a circle for each seed, a bar for the 95 % interval."""
    texts = stored_texts()
    figure = Figure(figsize=(WIDTH, 0.8 + 1.25 * len(texts)), layout="constrained")
    panels = figure.subplots(len(texts), sharex=True, squeeze=False)[:, 0]
    says = []
    for axes, (corpus, dropout) in zip(panels, texts, strict=True):
        found = {other: pairs(corpus, dropout, other, measure, distance) for other in OTHERS}
        found = {other: d for other, d in found.items() if len(d) > 1}
        for y, (other, d) in enumerate(found.items()):
            colour = styles([other])[other]["color"]
            axes.plot(interval(d), [y, y], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
            axes.plot(d, [y] * len(d), "o", color=colour, fillstyle="none", markersize=6)
            axes.plot(mean(d), y, "|", color=colour, markersize=16, markeredgewidth=2)
            low, high = interval(d)
            says.append(f"{where(corpus, dropout)}, minus {other}: {mean(d):+.2f}, interval {low:+.2f} to {high:+.2f}")
        axes.axvline(0, color="#555555", linewidth=1)
        axes.set(yticks=range(len(found)), yticklabels=[f"minus {other}" for other in found],
                 ylim=(len(found) - 0.5, -0.5))  # fmt: skip
        axes.set_title(where(corpus, dropout), fontsize=10, loc="right")
        tidy(axes)
    name = MEASURES[measure].heading
    panels[-1].set_xlabel(
        f"cyclical minus the other: {name} (nats per sentence),\nat a distance of {distance:,} updates"
    )
    return Diagram(figure, f"Differences in {name} within seeds, at a distance of {distance:,} updates. "
                           + ". ".join(says) + ".")  # fmt: skip


def plot_over_tail(labels: Sequence[str] = ("monotonic-long", "cyclical")) -> Diagram:
    """The held-out KL while training goes on at weight 1, on every text of which runs are stored."""
    texts = stored_texts()
    figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * len(texts)), layout="constrained")
    panels = figure.subplots(len(texts), sharex=True, squeeze=False)[:, 0]
    says = []
    for axes, (corpus, dropout) in zip(panels, texts, strict=True):
        for label, style in styles(labels).items():
            runs = durable(corpus, label, dropout)
            over_distance(axes, runs, style, label)
            first, last = (mean_at(runs, "kl", distance) for distance in (0, LAST))
            says.append(f"{where(corpus, dropout)}, {label}: from {first:.2f} to {last:.2f}")
        axes.set(xlim=(-100, LAST + 100), ylim=(0, None))
        axes.set_title(where(corpus, dropout), fontsize=10, loc="left")
        axes.set_ylabel("held-out KL")
        tidy(axes)
    panels[-1].set_xlabel("distance: updates since the last weight below 1")
    _legend(figure, panels[0], "thin: one seed each; thick: mean; nats per sentence")
    return Diagram(figure, f"Mean KL over {LAST:,} updates at weight 1. " + ". ".join(says) + ".")


def _legend(figure: Figure, axes: Axes, title: str) -> None:
    handles, labels = axes.get_legend_handles_labels()
    labels = [label.split(" (")[0] for label in labels]
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=10,
                  title=title, title_fontsize=9)  # fmt: skip
