"""The pictures of the linear VAE: the KL of each direction against the KL weight (β), and the KL in training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from kldanneal.lab.drawing import DARK, LIGHT, WIDTH, Diagram, in_nats, on_page
from kldanneal.lab.linear import LinearOptimum, linear_optimum
from kldanneal.lab.plots import GREEN, LINES, ORANGE, PURPLE, SKY, VERMILION, History, styles, tidy

COLOURS = (VERMILION, SKY, GREEN, PURPLE, ORANGE)  # each readable on a light and on a dark page
MARKERS = (("o", 11), ("s", 7), ("x", 5))  # open and of three sizes, so that they can be seen where they coincide

Trained = Mapping[str, Mapping[float, Sequence[float]]]


def plot_linear_kl(
    eigenvalues: Sequence[float],
    variance: float,
    trained: Trained | None = None,
    *,
    betas: tuple[float, float] = (0.25, 16),
    dark: bool = False,
) -> Diagram:
    """The KL of each direction against the KL weight: the closed form as lines, trained models as points.

    Args:
        eigenvalues: of the covariance of the data, at most 5.
        variance (float): sigma squared, of p(x|z).
        trained: for the name of each schedule, at most 3: the KL of each latent dimension of a trained model, in any
            order, for each last weight beta.
        betas: the lowest and the highest KL weight of the axis. Default: 0.25 to 16.
        dark (bool): for a dark page. Default: ``False``.
    """
    theme, trained = DARK if dark else LIGHT, trained or {}
    lam = sorted(eigenvalues, reverse=True)
    if len(lam) > len(COLOURS):
        raise ValueError(f"Expected at most {len(COLOURS)} eigenvalues, but got {len(lam)}")
    if len(trained) > len(MARKERS):
        raise ValueError(f"Expected at most {len(MARKERS)} schedules, but got {', '.join(trained)}")
    offs = [eigenvalue / variance for eigenvalue in lam]
    inside = [off for off in offs if betas[0] < off < betas[1]]
    grid = np.unique(np.concatenate([np.geomspace(*betas, 200), inside]))  # the corners of the lines are in it
    kls = np.array([linear_optimum(lam, beta, variance).kl for beta in grid])  # (betas, directions)

    figure = Figure(figsize=(WIDTH, 4.4), dpi=150, facecolor=theme.page, layout="constrained")
    axes = figure.subplots()
    for i, eigenvalue in enumerate(lam):
        style = {"color": COLOURS[i], "linestyle": LINES[i % 4], "linewidth": 2.2}
        axes.plot(grid, kls[:, i], label=f"λ = {eigenvalue:g}", **style)
        if kls[0, i] > 0:
            axes.text(
                grid[0] * 0.93, kls[0, i], f"λ = {eigenvalue:g}", color=theme.ink, size=10, ha="right", va="center"
            )
    handles = [Line2D([], [], color=theme.ink, linewidth=2.2, label="closed form")]
    for (name, models), (marker, size) in zip(trained.items(), MARKERS, strict=False):
        look = {"marker": marker, "markersize": size, "markerfacecolor": "none", "linestyle": "none"}
        for beta, kl in models.items():
            for i, value in enumerate(sorted(kl, reverse=True)):
                axes.plot([beta], [value], color=COLOURS[i], markeredgewidth=1.5, clip_on=False, **look)
        handles.append(Line2D([], [], color=theme.ink, label=f"trained, {name}", **look))
    axes.set(
        xscale="log",
        xlim=betas,
        ylim=(0, max(0.1, 1.08 * kls.max())),
        xlabel="KL weight (β) at the end of training",
    )
    axes.set_title(f"KL of each direction (nats); σ² = {variance:g}", color=theme.ink, size=10, loc="left")
    axes.xaxis.set_major_locator(FixedLocator(2.0 ** np.arange(np.floor(np.log2(betas[0])), np.log2(betas[1]) + 1)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.tick_right()
    on_page(axes, theme)
    axes.spines["left"].set_visible(False)
    figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=10, labelcolor=theme.ink)
    alt = (
        f"The KL of each direction of a linear VAE against the KL weight beta, at variance {variance:g}. By the closed "
        "form, each falls as beta grows and is exactly 0 from beta = eigenvalue / variance on: "
        + ", ".join(f"{off:g} for eigenvalue {eigenvalue:g}" for eigenvalue, off in zip(lam, offs, strict=True))
        + "."
    )
    for name, models in trained.items():
        distances = [
            np.abs(np.array(sorted(kl, reverse=True)) - linear_optimum(lam, beta, variance).kl[: len(kl)]).max()
            for beta, kl in models.items()
        ]
        alt += f" Models trained under the schedule {name} differ from it by {in_nats(max(distances))} nats at most."
    return Diagram(figure, alt)


def plot_linear_training(histories: Mapping[str, History], optimum: LinearOptimum, title: str = "") -> Diagram:
    """KL weight and KL over the updates of several trainings, and the KL of the closed form as a line.

    Args:
        histories: of :func:`~kldanneal.lab.linear.train_linear_vae`, by the name of the schedule.
        optimum: of the last weight, which all of them share.
        title (str): for example, which data, how many examples, which seed. Default: nothing.
    """
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    weight, kl = figure.subplots(2, sharex=True, height_ratios=(1, 1.8))
    updates = max(len(history["step"]) for history in histories.values())
    for name, style in styles(list(histories)).items():
        for axes, column in ((weight, "kl_weight"), (kl, "kl")):
            axes.plot(histories[name]["step"], histories[name][column], label=name, linewidth=1.8, **style)
    total = float(optimum.kl.sum())
    kl.axhline(total, color="#555555", linestyle=":", linewidth=1.5)
    kl.annotate(f"closed form: {in_nats(total)}", (updates, total), (0, -5), textcoords="offset points",
                ha="right", va="top", fontsize=10)  # fmt: skip
    weight.set_yscale("symlog", linthresh=1, linscale=1)
    highest = max(max(history["kl_weight"]) for history in histories.values())
    ticks = [tick for tick in (0, 0.5, 1, 10, 100) if tick <= highest]
    weight.set(ylabel="KL weight (β)", yticks=ticks, yticklabels=[f"{tick:g}" for tick in ticks],
               ylim=(-0.1, 1.4 * highest))  # fmt: skip
    weight.yaxis.set_minor_locator(NullLocator())
    kl.set(ylabel="KL (nats per example)", xlabel="update", xlim=(0, updates), ylim=(0, 2 * total))
    for axes in (weight, kl):
        tidy(axes)
    figure.align_ylabels()
    figure.legend(*kl.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=10,
                  title=title, title_fontsize=9)  # fmt: skip
    ends = "; ".join(f"{name} {in_nats(history['kl'][-1])}" for name, history in histories.items())
    return Diagram(figure, f"KL weight and KL of a linear VAE over {updates:,} updates. {title} The KL at "
                           f"the end, in nats: {ends}. The closed form gives {in_nats(total)}.")  # fmt: skip
