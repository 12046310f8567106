"""The pictures of lesson 2: the stored runs by length and by discount, and a loss that misleads early stopping."""

from collections.abc import Callable, Sequence
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.annealing import SHAPES
from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.plots import GREY, OTHER_COLOURS, STYLES, tidy
from kldanneal.lab.results.annealed_loss import course
from kldanneal.lab.results.equal_discount import equal_discounts
from kldanneal.lab.results.fair_map import ONCE, Cell, FairMap, load_map
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.tail import durable

MARKS = ("o", "s", "^", "D")


def plot_losses(name: str = "cyclical", seed: int = 0, updates: int = 4000) -> Diagram:
    """A stored run on the toy language: its KL weight, its loss at that weight, and its loss at weight 1."""
    run = durable("toy", name, 0.0)[seed]
    found = course(run, updates)
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    weight, loss = figure.subplots(2, sharex=True, height_ratios=(1, 2))
    weight.plot(from_dict(run["job"]).weights()[:updates], color=STYLES[name][0])
    weight.set(ylim=(-0.05, 1.05), ylabel="KL weight (β)", xlim=(0, updates))
    loss.plot(found.update, found.neg_elbo, color=OTHER_COLOURS[2], label="at weight 1 (-ELBO)")
    loss.plot(found.update, found.loss, color=STYLES[name][0], linestyle="--", label="at the current weight")
    low = int(found.loss.argmin())
    where, value, fair = found.update[low], found.loss[low], found.neg_elbo[low]
    loss.plot(where, value, "o", color="black", markersize=6)
    loss.annotate("lowest", (where, value), xytext=(-6, -4), textcoords="offset points", ha="right", va="top")
    settled = np.concatenate([found.loss, found.neg_elbo])[found.update.tolist().index(500) :]
    loss.set(ylim=(value - 0.8, min(settled.max(), fair + 0.7)), xlabel="update", ylabel="loss (nats per sentence)")
    for axes in (weight, loss):
        tidy(axes)
    title = f"toy language, {run['sentences']:,} sentences, {updates:,} updates, seed {run['job']['seed']}, {name}"
    figure.legend(*loss.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=10,
                  title=title, title_fontsize=9)  # fmt: skip
    return Diagram(figure, f"Two panels over the updates: KL weight, and two losses in training. {title}. The loss at "
                           f"the current weight is lowest at update {where:,}: {value:.2f} nats. There the loss at "
                           f"weight 1 is {fair:.2f}; at the end it is {found.neg_elbo[-1]:.2f}.")  # fmt: skip


def plot_ramps(distance: int, stored: FairMap | None = None) -> Diagram:
    """One ramp, then weight 1: the KL at a distance against the length of the ramp, for each shape."""
    stored = load_map() if stored is None else stored
    says: list[str] = []

    def lines(axes: Axes, word_dropout: float) -> None:
        for shape, colour, mark in zip(SHAPES, OTHER_COLOURS, MARKS):  # noqa: B905  there are more colours
            cells = [Cell(ONCE, shape, size) for size in stored.sizes]
            means = _points(axes, stored, [[cell] for cell in cells], word_dropout, distance, stored.sizes, colour,
                            mark, shape)  # fmt: skip
            says.append(f"word dropout {word_dropout:g}, {shape}: {_in_words(stored.sizes, means)}")

    figure = _panels(stored, distance, "total_steps of one ramp (updates)", stored.sizes, lines)
    return Diagram(figure, f"KL against the length of one ramp, at a distance of {distance:,} updates. "
                           f"{_runs(stored)}. " + ". ".join(says) + ".")  # fmt: skip


def plot_discounts(distance: int, stored: FairMap | None = None) -> Diagram:
    """One ramp and cycles of equal discount: the KL at a distance against the discount."""
    stored = load_map() if stored is None else stored
    pairs, says = equal_discounts(stored), []
    sizes = sorted({pair.cycles.size for pair in pairs})
    groups = [[pair for pair in pairs if pair.cycles.size == size] for size in sizes]
    discounts = [round(group[0].discount) for group in groups]

    def lines(axes: Axes, word_dropout: float) -> None:
        for name, label, mark, of in (("monotonic-long", "one ramp", "s", 0), ("cyclical", "4 cycles", "o", 1)):
            cells = [[pair[1 + of] for pair in group] for group in groups]
            means = _points(axes, stored, cells, word_dropout, distance, discounts, STYLES[name][0], mark, label,
                            STYLES[name][1])  # fmt: skip
            says.append(f"word dropout {word_dropout:g}, {label}: {_in_words(discounts, means)}")

    figure = _panels(stored, distance, "discount: the sum of 1 - β", discounts, lines)
    return Diagram(figure, f"KL against the discount, at a distance of {distance:,} updates, means over the "
                           f"shapes. {_runs(stored)}. " + ". ".join(says) + ".")  # fmt: skip


def _panels(
    stored: FairMap, distance: int, xlabel: str, ticks: Sequence[float], lines: Callable[[Axes, float], None]
) -> Figure:
    """A panel for each word dropout, one below the other."""
    figure = Figure(figsize=(WIDTH, 0.9 + 2.1 * len(stored.word_dropouts)), layout="constrained")
    panels = figure.subplots(len(stored.word_dropouts), sharex=True, squeeze=False)[:, 0]
    for axes, word_dropout in zip(panels, stored.word_dropouts, strict=True):
        axes.axhline(COLLAPSED, color=GREY, linewidth=1, linestyle=":")
        lines(axes, word_dropout)
        axes.set_title(f"word dropout {word_dropout:g}", fontsize=10, loc="left")
        axes.set(xscale="log", ylim=(0, None), ylabel="held-out KL")
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        tidy(axes)
    panels[0].annotate("collapsed below", (ticks[0], COLLAPSED), xytext=(0, 3), textcoords="offset points", fontsize=9)
    panels[-1].set_xlabel(f"{xlabel};\nKL in nats per sentence, at a distance of {distance:,} updates")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=10,
                  title=_runs(stored), title_fontsize=9)  # fmt: skip
    return figure


def _points(
    axes: Axes,
    stored: FairMap,
    groups: Sequence[Sequence[Cell]],
    word_dropout: float,
    distance: int,
    at: Sequence[float],
    colour: str,
    mark: str,
    label: str,
    line: str = "-",
) -> list[float]:
    """A mark for each run of each group of cells, and a line through the means, which are returned."""
    means = []
    for x, cells in zip(at, groups, strict=True):
        kl = [found["kl"] for cell in cells for found in stored.measured(cell, word_dropout, distance)]
        means.append(mean(kl) if kl else np.nan)
        axes.plot([x] * len(kl), kl, mark, color=colour, fillstyle="none", markersize=5, linestyle="none")
    axes.plot(at, means, line, color=colour, marker=mark, markersize=3, label=label)
    return means


def _in_words(at: Sequence[float], means: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f} at {x:,}" for x, value in zip(at, means, strict=True))


def _runs(stored: FairMap) -> str:
    """The text, its size, the seeds, and the size and learning rate of the models of a map's runs."""
    runs = [run for found in stored.runs.values() for run in found]
    seeds = len({run["job"]["seed"] for run in runs})
    sentences = runs[0]["sentences"]
    size, lr = (runs[0]["job"]["settings"][name] for name in ("hidden", "lr"))
    many = f"{seeds} seed{'s' if seeds > 1 else ''}"
    return f"toy language, {sentences:,} sentences, {many}, {size} LSTM units, learning rate {lr:g}"
