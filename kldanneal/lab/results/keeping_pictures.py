"""Pictures of what keeps the KL: the whole course of stored runs, and what each remedy costs by two bounds."""

from collections.abc import Sequence
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kldanneal.lab.corpora.toy import ENTROPY
from kldanneal.lab.drawing import WIDTH, Chart
from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.plots import BLUE, GREY, VERMILION, styles, tidy
from kldanneal.lab.results.fair import described, seeds_of
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.keeping import SCORED, SWITCH, paired, runs_of
from kldanneal.lab.results.tail import Run, at, at_update, half_distance, shown
from kldanneal.lab.results.tail_pictures import over_updates

TO_THE_LEFT = ("constant 0.5", "word dropout 0.5", "free bits 0.1")  # where a name stands, so that none covers another
ABOVE = ("constant", "cyclical", "constant 0.75")


def plot_course(
    labels: Sequence[str], texts: Sequence[tuple[str, float]] = (("toy", 0.0),), halves: bool = False, top: float = 3.0
) -> Chart:
    """The KL weight, then the KL in training on each text: a thin line for each seed, a thick one for their mean.

    If a remedy has free bits, their floor is shown too.

    Args:
        labels: schedules of the durability part, or remedies.
        texts: each a corpus and a word dropout. Default: the toy language without word dropout.
        halves (bool): mark where each seed has lost half of its KL. Default: ``False``.
        top (float): the highest KL that is shown, in nats. While the weight is low, it can be higher. Default: 3.0.
    """
    found = {text: {label: runs_of(label, *text) for label in labels} for text in texts}
    jobs = {label: from_dict(runs[0]["job"]) for label, runs in found[texts[0]].items()}
    names = {label: shown(runs[0]) for label, runs in found[texts[0]].items()}
    floors = any(job.free_bits for job in jobs.values())
    rows = 1 + floors + len(texts)
    heights = (*(0.7,) * (1 + floors), *(1.3,) * len(texts))
    figure = Figure(figsize=(WIDTH, 0.9 + 1.35 * sum(heights)), layout="constrained")
    panels = list(figure.subplots(rows, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    for label, style in styles(labels).items():
        updates = np.arange(jobs[label].updates)
        panels[0].plot(updates, jobs[label].weights(), label=names[label], linewidth=1.6, **style)
        if floors:
            panels[1].plot(updates, np.where(updates < SWITCH, jobs[label].free_bits, 0), linewidth=1.6, **style)
    panels[0].set(ylim=(-0.08, 1.08), ylabel="KL\nweight (β)")
    if floors:
        panels[1].set(ylim=(0, None), ylabel="floor\n(nats)")
    says = []
    for axes, ((corpus, dropout), runs) in zip(panels[1 + floors :], found.items(), strict=True):
        title = described(corpus, dropout, *runs.values())
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_ylabel("KL (nats)")
        for label, style in styles(labels).items():
            says.append(f"{title}, {names[label]}: {_course(axes, runs[label], style, halves)}")
        axes.set_ylim(0, top)
    for axes in panels:
        axes.axvline(SWITCH, color=GREY, linestyle=":", linewidth=1)
        axes.set_xlim(0, len(updates))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        tidy(axes)
    panels[-1].set_xlabel(f"update (dotted: {SWITCH:,}; from there on the weight is 1)")
    handles, labels = panels[0].get_legend_handles_labels()
    title = f"thin: one seed each; thick: mean{'; dot: half is lost' * halves}"
    ncols = 2 if max(map(len, labels)) > 18 else min(3, len(labels))  # three long names would be cut
    figure.legend(handles, labels, loc="outside upper center", ncols=ncols, frameon=False, fontsize=10,
                  title=title, title_fontsize=9)  # fmt: skip
    return Chart(figure, f"KL weight and KL in training over {len(updates):,} updates; from update {SWITCH:,} on the "
                           f"weight is 1. {'. '.join(says)}.")  # fmt: skip


def _course(axes: Axes, runs: Sequence[Run], style: dict[str, str], halves: bool) -> str:
    x = over_updates(axes, runs, style)
    for run in runs:
        if halves and at(run, "kl", 0) >= COLLAPSED and (distance := half_distance(run)) < np.inf:
            update = from_dict(run["job"]).last_low() + distance
            axes.plot(update, np.interp(update, x, run["kl_curve"]), "o", color=style["color"], markersize=5)
    before, after = (mean(at_update(run, "kl", update) for run in runs) for update in (SWITCH, 12_000))
    return f"held-out KL {before:.2f} after {SWITCH:,}, {after:.2f} after 12,000"


def plot_scores(labels: Sequence[str] = SCORED) -> Chart:
    """KL against both bounds at weight 1, after 4,000 updates: how far the -ELBO lies above -log p(x)."""
    found = paired(labels)
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    says = []
    for label, runs in found.items():
        kl, upper, lower = (mean(at_update(run, m, SWITCH) for run in runs) for m in ("kl", "neg_elbo", "iw_nll"))
        axes.plot([kl, kl], [lower, upper], color=GREY, linewidth=1.5, zorder=1)
        axes.plot(kl, upper, "o", color=VERMILION, fillstyle="none", markersize=8, markeredgewidth=2)
        axes.plot(kl, lower, "o", color=BLUE, markersize=7)
        align = "right" if label in TO_THE_LEFT else "center" if label in ABOVE else "left"
        offset = {"right": (-8, -3), "center": (0, 8), "left": (8, -3)}[align]
        axes.annotate(label, (kl, upper), xytext=offset, textcoords="offset points", fontsize=9, ha=align)
        says.append(f"{label}: KL {kl:.2f}, -ELBO {upper:.2f}, -log p(x) {lower:.2f}")
    axes.plot([], [], "o", color=VERMILION, fillstyle="none", markeredgewidth=2, label="-ELBO")
    axes.plot([], [], "o", color=BLUE, label="-log p(x)")
    axes.axhline(ENTROPY, color=GREY, linestyle=":")
    axes.annotate("entropy of the language", (1, ENTROPY), xycoords=("axes fraction", "data"), xytext=(0, 4),
                  textcoords="offset points", ha="right", fontsize=9)  # fmt: skip
    axes.set(xlabel="held-out KL (nats per sentence)", ylabel="at weight 1 (nats per sentence)")
    axes.margins(x=0.1, y=0.1)
    tidy(axes)
    runs = found[labels[0]]
    title = f"toy language, {runs[0]['sentences']:,} sentences, {SWITCH:,} updates, {seeds_of(runs)}"
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=10, title=title, title_fontsize=9)
    return Chart(figure, f"KL against -ELBO and -log p(x). {title}, means. {'. '.join(says)}.")
