"""Optimum or path: stored runs of one seed that went two ways, then trained at weight 1 for the same updates.

``cyclical`` has 4 cycles before, ``constant`` has weight 1 from the start. They *meet* if their KLs differ by less than
a collapsed KL.
"""

from statistics import mean

from matplotlib.figure import Figure

from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.plots import styles, tidy
from kldanneal.lab.results.fair import higher, pairs, stored_texts, where
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.parts import TOTALS
from kldanneal.lab.results.statistics import with_interval
from kldanneal.lab.results.tail import at_update, durable
from kldanneal.lab.results.tail_pictures import over_updates
from kldanneal.lab.tables import table

WAYS = ("cyclical", "constant")
END = TOTALS[-1]


def apart(corpus: str, word_dropout: float) -> list[bool]:
    """For each seed, whether the two ways still differ in their KL at the end."""
    return [abs(d) >= COLLAPSED for d in pairs(corpus, word_dropout, "constant", "kl", update=END)]


def updates_at_one(corpus: str, word_dropout: float) -> int:
    """How many updates at weight 1 the runs of ``cyclical`` end with."""
    return min(END - from_dict(run["job"]).last_low() for run in durable(corpus, "cyclical", word_dropout))


def verdict(corpus: str, word_dropout: float) -> str:
    """Whether the two ways met, and which has the lower -ELBO if the interval of the difference does not contain 0."""
    differ = apart(corpus, word_dropout)
    met = "still apart" if all(differ) else "undecided" if any(differ) else "met"
    lower = higher([-d for d in pairs(corpus, word_dropout, "constant", "neg_elbo", update=END)], *WAYS)
    return f"{met}; `{lower}` has the lower -ELBO" if lower in WAYS else met


def against_the_hypothesis() -> str:
    """In Markdown: where the two ways meet; without word dropout they should."""
    lines = []
    for corpus, dropout in stored_texts():
        differ = apart(corpus, dropout)
        says = "not as expected, or not yet" if any(differ) and not dropout else "as expected"
        after = f"after {updates_at_one(corpus, dropout):,} updates at weight 1"
        many = f"{sum(differ)} of {len(differ)} seeds"
        lines.append(f"- {where(corpus, dropout)}, {after}: the KLs differ in {many}, **{says}**.")
    return "\n".join(lines)


def table_of_paths() -> str:
    """In Markdown: the KL at the end of each way, in how many seeds they are apart, the bounds, and a verdict.

    The KL is a mean, with its range over the seeds.
    """
    bounds = ("neg_elbo", "iw_nll")
    rows = [["text, word dropout", *(f"KL after `{way}` (range)" for way in WAYS), "apart",
             *(f"{MEASURES[bound].heading}: `cyclical` minus `constant`" for bound in bounds), "verdict"]]  # fmt: skip
    for corpus, dropout in stored_texts():
        kl = [[at_update(run, "kl", END) for run in durable(corpus, way, dropout)] for way in WAYS]
        differ = apart(corpus, dropout)
        differences = [pairs(corpus, dropout, "constant", bound, update=END) for bound in bounds]
        ends = [f"{mean(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in kl]
        rows.append([f"{corpus}, {dropout:g}", *ends,
                     f"{sum(differ)} of {len(differ)} seeds", *map(with_interval, differences),
                     verdict(corpus, dropout)])  # fmt: skip
    return table(rows, "markdown")


def plot_paths(corpus: str = "toy") -> Diagram:
    """KL weight, and the KL in training of both ways without and with word dropout, each point a mean of 50 updates."""
    texts = [text for text in stored_texts() if text[0] == corpus]
    figure = Figure(figsize=(WIDTH, 1.6 + 1.9 * len(texts)), layout="constrained")
    weight, *panels = figure.subplots(1 + len(texts), sharex=True, height_ratios=(0.7, *[1] * len(texts)))
    says = []
    for way, style in styles(WAYS).items():
        job = from_dict(durable(corpus, way, texts[0][1])[0]["job"])
        weight.plot(job.weights(), label=way, **style)
    for axes, (name, dropout) in zip(panels, texts, strict=True):
        ends = []
        for way, style in styles(WAYS).items():
            runs = durable(name, way, dropout)
            over_updates(axes, runs, style)
            ends.append(f"{way} at {mean(run['kl_curve'][-1] for run in runs):.2f}")
        axes.set(ylim=(0, 3), ylabel="KL (nats)")
        axes.set_title(where(name, dropout), fontsize=10, loc="left")
        says.append(f"{where(name, dropout)}: {', '.join(ends)}")
    for axes in (weight, *panels):
        tidy(axes)
    weight.set(ylabel="KL weight (β)", ylim=(-0.05, 1.1), xlim=(0, END))
    panels[-1].set_xlabel("update")
    figure.align_ylabels()
    figure.legend(*weight.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=10,
                  title="thin: one seed each; thick: mean", title_fontsize=9)  # fmt: skip
    return Diagram(figure, f"KL weight and KL in training over {END:,} updates. The mean KL ends, "
                           f"{'; '.join(says)}.")  # fmt: skip
