"""The pictures of the two by two: what the two published scripts do, and what came of all four runs."""

from collections.abc import Mapping, Sequence
from statistics import geometric_mean, mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.plots import styles, tidy
from kldanneal.lab.results.factorial import RATES, WEIGHTS, TwoByTwo


def plot_two_scripts(
    weights: Mapping[str, Sequence[float]], rates: Mapping[str, Sequence[float]], batches: int
) -> Diagram:
    """The KL weight and the learning rate of each script over the epochs.

    Args:
        weights, rates: a value for each update, by the name of the schedule.
        batches (int): updates of an epoch.
    """
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    for name, style in styles(list(weights)).items():
        epochs = [update / batches for update in range(len(weights[name]))]
        above.plot(epochs, weights[name], label=f"{name} script", **style)
        below.plot(epochs, [1000 * rate for rate in rates[name]], **style)
    above.set(ylabel="KL weight (β)", ylim=(0, 1.05))
    below.set(ylabel="learning rate\n(thousandths)", xlabel="epoch", ylim=(0, 1.1))
    for axes in (above, below):
        tidy(axes)
    _legend(figure, above, "")
    words = "; ".join(
        f"{name} script: the weight is below 1 in {sum(w < 1 for w in weights[name]) / batches:.1f} epochs, the "
        f"learning rate goes from {max(rates[name]):.4f} to {min(rates[name]):.6f}"
        for name in weights
    )
    return Diagram(figure, f"KL weight and learning rate over {len(epochs) // batches} epochs. {words}.")


def plot_cells(experiments: Sequence[TwoByTwo], measure: str = "kl", *, ratios: bool = False) -> Diagram:
    """A measure in all four cells of each experiment, a circle for each seed. ``ratios``: on a logarithmic scale."""
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    panels = figure.subplots(1, len(experiments), squeeze=False)[0]
    heading, says = MEASURES[measure].heading, []
    for axes, two in zip(panels, experiments, strict=True):
        for weight, (name, style) in enumerate(styles(WEIGHTS).items()):
            cells = [two.values(measure, name, lr) for lr in RATES]
            x = [lr + (weight - 0.5) / 10 for lr in range(len(RATES))]
            average = geometric_mean if ratios else mean
            axes.plot(x, [average(cell) for cell in cells], label=f"{name} weight", **style)
            for at, cell in zip(x, cells, strict=True):
                axes.plot([at] * len(cell), cell, "o", color=style["color"], fillstyle="none", markersize=5)
            said = ", ".join(f"{lr} {average(cell):.3g}" for lr, cell in zip(RATES, cells, strict=True))
            says.append(f"{two.title}, {name} weight: {said}")
        axes.set(xticks=[0, 1], xticklabels=["constant", "restarts"], xlim=(-0.4, 1.4), xlabel="learning rate")
        axes.set_title(two.title.replace(" sentences, ", " sentences,\n").replace("docstrings, ", "docstrings,\n"),
                       fontsize=9)  # fmt: skip
        if ratios:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        elif measure == "kl":
            axes.set_ylim(bottom=0)
        tidy(axes)
    panels[0].set_ylabel(f"{heading} (nats per sentence)")
    means = "geometric means" if ratios else "means"
    scale = "equal ratios are equal heights" if ratios else "equal differences are equal heights"
    _legend(figure, panels[0], f"held-out {heading}; {scale}")
    return Diagram(
        figure,
        f"{heading} of the two by two, {means} by learning rate. " + ". ".join(says) + ".",
    )


def _legend(figure: Figure, axes: Axes, title: str) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=10,
                  title=title, title_fontsize=9)  # fmt: skip
