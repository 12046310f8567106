"""The annealed loss of a stored run beside its -ELBO: which checkpoint would each of them choose?"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.plots import BLUE, GREEN, GREY, VERMILION, tidy
from kldanneal.lab.results.jobs import EVERY, from_dict
from kldanneal.lab.results.tail import Run, durable


class Course(NamedTuple):
    """A run in training, a value for each ``EVERY`` updates, each a mean over them; nats per sentence."""

    update: np.ndarray
    weight: np.ndarray
    reconstruction: np.ndarray
    kl: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        """reconstruction + weight * kl: what training minimises."""
        return self.reconstruction + self.weight * self.kl

    @property
    def neg_elbo(self) -> np.ndarray:
        """reconstruction + kl: the same at weight 1."""
        return self.reconstruction + self.kl


def course(run: Run, updates: int) -> Course:
    """The first updates of a stored run."""
    points = updates // EVERY
    weights = np.array(from_dict(run["job"]).weights()[: points * EVERY]).reshape(points, EVERY).mean(axis=1)
    reconstruction, kl = (np.array(run[f"{name}_curve"][:points]) for name in ("reconstruction", "kl"))
    return Course(EVERY * np.arange(1, points + 1), weights, reconstruction, kl)


def plot_annealed_loss(label: str = "cyclical", seed: int = 0, updates: int = 4000) -> Diagram:
    """KL weight, the two terms, and the loss beside -ELBO, of a stored run on the toy language without word dropout."""
    run = durable("toy", label, 0.0)[seed]
    shown = course(run, updates)
    figure = Figure(figsize=(WIDTH, 5.8), layout="constrained")
    weight, terms, sums = figure.subplots(3, sharex=True, height_ratios=(1, 1.5, 1.5))
    weight.plot(shown.update, shown.weight, color=GREY)
    weight.set(ylabel="KL weight (β)", ylim=(-0.05, 1.05), xlim=(0, updates))
    terms.plot(shown.update, shown.reconstruction - 12, color=GREEN, label="reconstruction - 12")
    terms.plot(shown.update, shown.kl, color=BLUE, linestyle="--", label="KL")
    terms.set(ylabel="nats", ylim=(-0.1, 3))
    sums.plot(shown.update, shown.neg_elbo, color=GREY, linestyle="--", label="-ELBO: reconstruction + KL")
    sums.plot(shown.update, shown.loss, color=VERMILION, label="loss: reconstruction + β KL")
    sums.set(ylabel="nats", ylim=(12.6, 15.4), xlabel="update")
    for axes in (weight, terms, sums):
        tidy(axes)
    for axes in (terms, sums):
        axes.legend(loc="upper right", frameon=False, fontsize=9)
    title = f"toy language, {run['sentences']:,} sentences, {updates:,} updates, seed {run['job']['seed']}: {label}"
    weight.set_title(title, fontsize=10)
    low, best = (int(values.argmin()) for values in (shown.loss, shown.neg_elbo))
    return Diagram(figure, f"KL weight, the two terms, and their sums over the updates. {title}. "
                           f"The loss is lowest at update {shown.update[low]:,}, where the weight is "
                           f"{shown.weight[low]:.2f}. The -ELBO is lowest at update {shown.update[best]:,}. "
                           "In each cycle the loss rises with the weight.")  # fmt: skip
