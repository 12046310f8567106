"""What is said of a finished comparison: its table, its verdict, its picture, its samples, and its files."""

import math
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import torch

from kldanneal.lab import tables
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.results.statistics import mean_and_spread
from kldanneal.lab.results.verdict import Rows, by_schedule, verdict
from kldanneal.lab.terminal import printable
from kldanneal.lab.training.comparison import Comparison

if TYPE_CHECKING:  # matplotlib is imported where it draws
    from matplotlib.figure import Figure

__all__ = ["Rows", "by_schedule", "cells", "note", "plot", "samples", "table", "verdict", "write"]


def cells(rows: Rows) -> list[list[str]]:
    """Mean and standard deviation over the seeds, a row for each schedule, below a heading."""
    found = [["schedule", *(measure.heading for measure in MEASURES.values())]]
    for name, runs in by_schedule(rows).items():
        values = (mean_and_spread([run[key] for run in runs], m.digits) for key, m in MEASURES.items())
        found.append([name, *values])
    return found


def note(rows: Rows) -> str:
    """What the cells are."""
    seeds, sentences = len({row["seed"] for row in rows}), rows[0]["sentences"]
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    return (
        f"({spread}; nats per sentence at KL weight 1 on {sentences:,} held-out sentences; -log p(x) from "
        f"{rows[0]['iw_samples']} importance samples; I(x; z) is at most log {sentences:,} = {math.log(sentences):.2f})"
    )


def table(rows: Rows, plus_minus: str = "±") -> str:
    """Mean and standard deviation over the seeds, a line for each schedule.

    Args:
        rows: as of :meth:`~kldanneal.lab.training.comparison.Comparison.rows`.
        plus_minus (str): ``'+/-'`` for a terminal that has no ``±``. Default: ``'±'``.
    """
    shown = [[cell.replace("±", plus_minus) for cell in row] for row in cells(rows)]
    return f"{tables.table(shown)}\n{note(rows).replace('±', plus_minus)}"


def plot(comparison: Comparison, *, dark: bool = False) -> "Figure":
    """KL weight, KL and reconstruction over the updates; in the legend, the KL on held-out text."""
    from kldanneal.lab.plots import plot_comparison

    final = after = None
    name, seeds = printable(comparison.corpus.name), len(comparison.seeds)
    title = f"{name}, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    if comparison.finished():
        final = mean_kl(comparison.rows())
        after = mean_kl(comparison.rows(after_tail=True))
        title += "; KL below: on held-out text"
    end = comparison.settings.steps if comparison.tail else None
    return plot_comparison(comparison.histories(), final, title, kl_after_tail=after, end=end, dark=dark)


def mean_kl(rows: Rows) -> dict[str, float]:
    return {name: mean(run["kl"] for run in runs) for name, runs in by_schedule(rows).items()}


@torch.no_grad()
def samples(comparison: Comparison, n: int = 5) -> str:
    """What each schedule's first run writes: reconstructions, a sentence each from the prior, an interpolation."""
    test = comparison.corpus.test

    def decode(ids: torch.Tensor) -> str:
        return printable(comparison.corpus.decode(ids))

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
    """All files of :mod:`kldanneal.lab.results.written`, each whole or not at all; then raises the first error."""
    from kldanneal.lab.results.written import Written

    written = Written(comparison, Path(folder))
    written.numbers()
    written.pages()
    for error in written.failed.values():
        raise error
