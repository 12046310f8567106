"""What is said of a finished comparison: functions of its rows, and the files that ``kldanneal compare`` writes."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from matplotlib.figure import Figure

from kldanneal.lab import tables
from kldanneal.lab.files import write_atomically
from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.plots import plot_comparison
from kldanneal.lab.results.statistics import mean_and_spread
from kldanneal.lab.training.comparison import Comparison

Rows = Sequence[Mapping[str, Any]]  #: as of Comparison.rows()

HISTORY_COLUMNS = ("schedule", "seed", "step", "kl_weight", "reconstruction", "kl")
SUMMARY_COLUMNS = (
    "schedule", "seed", "reconstruction", "kl", "neg_elbo", "perplexity", "active_units", "mutual_information",
    "iw_nll", "seconds", "sentences_per_second",
)  # fmt: skip


def by_schedule(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each schedule, in their order."""
    return {
        name: [row for row in rows if row["schedule"] == name] for name in dict.fromkeys(r["schedule"] for r in rows)
    }


def table(rows: Rows) -> str:
    """Mean and standard deviation over the seeds, a line for each schedule."""
    cells = [["schedule", *(measure.heading for measure in MEASURES.values())]]
    for name, runs in by_schedule(rows).items():
        values = (mean_and_spread([run[key] for run in runs], m.digits) for key, m in MEASURES.items())
        cells.append([name, *values])
    seeds, sentences = len({row["seed"] for row in rows}), rows[0]["sentences"]
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    note = (
        f"({spread}; nats per sentence at KL weight 1 on {sentences:,} held-out sentences; -log p(x) from "
        f"{rows[0]['iw_samples']} importance samples; I(x; z) is at most log {sentences:,} = {math.log(sentences):.2f})"
    )
    return f"{tables.table(cells)}\n{note}"


def verdict(rows: Rows, entropy: float | None = None) -> str:
    """What the numbers say, in words: which posteriors collapsed, and how the last schedule compares to the others.

    Args:
        rows: as of :meth:`~kldanneal.lab.training.comparison.Comparison.rows`.
        entropy (float, optional): of the language, in nats per sentence, where it is known.
    """
    groups = by_schedule(rows)
    lines = [_collapse(name, runs) for name, runs in groups.items()]
    *others, last = groups
    lines += [_paired(last, groups[last], other, groups[other]) for other in others]
    if entropy is not None:
        lines.append(_against_entropy(rows, entropy))
    if len(groups[last]) == 1:
        lines.append("One seed: nothing here says how much of a difference is chance.")
    return "\n".join(lines)


def plot(comparison: Comparison) -> Figure:
    """KL weight, KL and reconstruction over the updates; in the legend, the KL on held-out text."""
    final, title = None, f"{comparison.corpus.name}, {_plural(len(comparison.seeds), 'seed')}"
    if comparison.finished():
        final = {name: mean(row["kl"] for row in rows) for name, rows in by_schedule(comparison.rows()).items()}
        title += "; KL below: on held-out text"
    return plot_comparison(comparison.histories(), final, title)


@torch.no_grad()
def samples(comparison: Comparison, n: int = 5) -> str:
    """What each schedule's first run writes: reconstructions, a sentence each from the prior, an interpolation."""
    test, decode = comparison.corpus.test, comparison.corpus.decode
    blocks = []
    for name in comparison.schedules:
        run = comparison.runs[name, comparison.seeds[0]]
        model = run.model.eval()
        x = test.batch(torch.arange(n)).to(run.device)
        generator = torch.Generator(run.device).manual_seed(0)
        z = torch.randn(n, comparison.settings.latent, generator=generator, device=run.device)
        lines = [
            f"== {name} (seed {comparison.seeds[0]}) ==",
            "",
            "sentence -> greedy reconstruction from its posterior mean",
        ]
        lines += [f"  {decode(ids)}\n    -> {decode(out)}" for ids, out in zip(x, model.reconstruct(x), strict=True)]
        lines += ["", "sampled from the prior: z ~ N(0, I), each word ~ p(word | words before, z)"]
        lines += [f"  {decode(out)}" for out in model.generate(z, sample=True, generator=generator)]
        lines += ["", "greedy, between the posterior means of the first two sentences"]
        ends = test[0].to(run.device), test[1].to(run.device)
        lines += [f"  {decode(out)}" for out in model.interpolate(*ends)]
        blocks.append("\n".join(lines))
    return "\n\n\n".join(blocks) + "\n"


def write(comparison: Comparison, folder: str | Path) -> None:
    """history.csv, summary.csv, comparison.png and samples.txt, each whole or not at all."""
    folder = Path(folder)
    history = [
        {"schedule": name, "seed": seed, **dict(zip(columns, values, strict=True))}
        for name, histories in comparison.histories().items()
        for seed, columns in zip(comparison.seeds, histories, strict=True)
        for values in zip(*columns.values(), strict=True)
    ]
    write_atomically(folder / "history.csv", _csv(HISTORY_COLUMNS, history))
    write_atomically(folder / "samples.txt", samples(comparison).encode())
    picture = io.BytesIO()
    plot(comparison).savefig(picture, format="png", dpi=150)
    write_atomically(folder / "comparison.png", picture.getvalue())
    write_atomically(folder / "summary.csv", _csv(SUMMARY_COLUMNS, comparison.rows()))


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _count(hits: int, n: int) -> str:
    if n == 1:
        return "on its one seed"
    return f"in every one of {n} seeds" if hits == n else f"in {hits} of {n} seeds"


def _collapse(name: str, runs: Rows) -> str:
    n, kl = len(runs), mean(run["kl"] for run in runs)
    collapsed = sum(run["kl"] < COLLAPSED for run in runs)
    units, latent = mean(run["active_units"] for run in runs), len(runs[0]["kl_per_dimension"])
    if collapsed == n:
        says = f"the posterior collapsed (KL below {COLLAPSED} nats {_count(n, n)})"
    elif collapsed:
        says = f"the posterior collapsed {_count(collapsed, n)}, and did not in the others"
    else:
        says = f"the posterior did not collapse (KL of {COLLAPSED} nats or more {_count(n, n)})"
    return f"{name}: KL {kl:.3f}, {units:g} of {latent} units active: {says}."


def _paired(name: str, runs: Rows, other: str, others: Rows) -> str:
    kl, bound = ([a[key] - b[key] for a, b in zip(runs, others, strict=True)] for key in ("kl", "neg_elbo"))
    return (
        f"{name} against {other}: KL {mean(kl):+.3f} nats ({_direction(kl, 'higher', 'lower')}), "
        f"-ELBO {mean(bound):+.3f} nats ({_direction(bound, 'worse', 'better')})."
    )


def _direction(differences: Sequence[float], above: str, below: str) -> str:
    if not any(differences):
        return "no difference"
    sign, word = (1, above) if mean(differences) > 0 else (-1, below)
    return f"{word} {_count(sum(sign * d > 0 for d in differences), len(differences))}"


def _against_entropy(rows: Rows, entropy: float) -> str:
    gaps = [row["neg_elbo"] - entropy for row in rows]
    too_low = sum(gap < -2 * row["standard_error"] for gap, row in zip(gaps, rows, strict=True))
    says = (
        "none is below it by more than the sampling error"
        if not too_low
        else f"{_plural(too_low, 'run')} below it by more than the sampling error, which no sound estimate can be"
    )
    return f"-ELBO is {min(gaps):.2f} to {max(gaps):.2f} nats above the language's entropy of {entropy:.3f}; {says}."
