"""Pictures of what z knows: what can be read, a direction of mu beside noise, and the line between two sentences."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.plots import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, tidy
from kldanneal.lab.probe import MARKERS
from kldanneal.lab.threads import one_thread

MODELS = (BLUE, VERMILION, GREEN, PURPLE)  # as in the widgets that compare models


def plot_readable(
    shares: Mapping[str, Mapping[str, float]], always_the_same: Mapping[str, float], title: str = ""
) -> Diagram:
    """For each hidden choice, the shares of sentences in which it is read correctly, as marks in a row.

    Args:
        shares: for each series (a model, or a way to read; at most four) the share of each choice.
        always_the_same: the accuracy of always naming the most frequent value, for each choice; a grey bar.
        title (str): corpus, sentences, updates and seed.
    """
    choices = list(always_the_same)
    figure = Figure(figsize=(WIDTH, 0.3 * len(choices) + 1.3), dpi=150, layout="constrained")
    axes = figure.subplots()
    rows = range(len(choices))
    axes.barh(rows, list(always_the_same.values()), height=0.7, color="#DDDDDD", label="always the same")
    for i, (name, of_choice) in enumerate(shares.items()):
        values = [of_choice[choice] for choice in choices]
        axes.plot(values, rows, linestyle="", marker=MARKERS[i], color=MODELS[i], label=name)
    axes.set(xlim=(0, 1.03), xlabel="share of held-out sentences", yticks=rows, yticklabels=choices)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10)
    tidy(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    parts = [
        f"{choice}: always the same {always_the_same[choice]:.2f}, "
        + ", ".join(f"{name} {shares[name][choice]:.2f}" for name in shares)
        for choice in choices
    ]
    return Diagram(figure, f"Hidden choices that are read correctly. {_in_a_line(title)}. {'; '.join(parts)}.")


def direction(mu: Tensor, choice: Tensor) -> Tensor:
    """The direction of unit length that tells a choice of two values best: Fisher's linear discriminant, (L,)."""
    zero, one = (mu[choice == value].double() for value in (0, 1))
    within = torch.cat([part - part.mean(dim=0) for part in (zero, one)])
    scatter = within.T @ within
    ridge = 1e-6 * scatter.diagonal().mean() * torch.eye(len(scatter), dtype=scatter.dtype)
    found = torch.linalg.solve(scatter + ridge, one.mean(dim=0) - zero.mean(dim=0))
    return found / found.norm()


def plot_direction(
    mu: Tensor, z: Tensor, choice: Tensor, names: Sequence[str], along: Tensor, title: str = ""
) -> Diagram:
    """mu and z along one direction, for the two values of a choice. Each panel has a scale of its own."""
    figure = Figure(figsize=(WIDTH, 2.9), dpi=150, layout="constrained")
    said = []
    for axes, codes, what in zip(figure.subplots(1, 2), (mu, z), ("mu", "z"), strict=True):
        values = (codes.double() @ along).numpy()
        bins = np.linspace(values.min(), values.max(), 25)
        for value, (name, color) in enumerate(zip(names, (BLUE, ORANGE), strict=True)):
            own = values[(choice == value).numpy()]
            axes.hist(own, bins, color=color, alpha=0.6, label=name if what == "mu" else None)
            said.append(f"{what}, {name}: mean {own.mean():+.3f}, deviation {own.std():.3f}")
        axes.set(xlabel=f"{what} along this direction", yticks=[])
        axes.locator_params(axis="x", nbins=4)
        axes.set_title("what a probe of mu sees" if what == "mu" else "what the decoder receives", fontsize=10)
        tidy(axes)
    figure.suptitle(title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return Diagram(
        figure,
        f"Two histograms along the direction that tells the choice best. {_in_a_line(title)}. {'; '.join(said)}.",
    )


@torch.no_grad()
@one_thread()
def walk(model: LSTMVAE, corpus: Corpus, x_from: Tensor, x_to: Tensor, n: int = 101) -> tuple[list[str], Tensor]:
    """n points on the line between the posterior means of two sentences: what is written, and the nats of both.

    Returns:
        The greedy sentence at each point, and -log p(x|z) of the two sentences at each point, (n, 2).
    """
    model.eval()
    device = next(model.parameters()).device
    ends = [x.to(device) for x in (x_from, x_to)]
    mu_from, mu_to = (model.encode(x[None])[0] for x in ends)
    z = torch.lerp(mu_from, mu_to, torch.linspace(0, 1, n, device=device)[:, None])
    nats = [-model.log_likelihood(x.expand(n, -1), z) for x in ends]
    return [corpus.decode(ids) for ids in model.generate(z)], torch.stack(nats, dim=1).cpu()


def jumps(sentences: Sequence[str]) -> list[int]:
    """Where a sentence differs from the one before.

    Example::

        >>> jumps(["a", "a", "b", "a"])
        [2, 3]
    """
    return [i for i in range(1, len(sentences)) if sentences[i] != sentences[i - 1]]


def plot_walks(walks: Mapping[str, tuple[list[str], Tensor]], title: str = "") -> Diagram:
    """-log p(x|z) of the two end sentences along the line; dotted where the greedy sentence changes.

    Args:
        walks: for each model what :func:`walk` returns.
        title (str): corpus, sentences, updates and seed.
    """
    figure = Figure(figsize=(WIDTH, 3.1), dpi=150, layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, len(walks), sharey=True, squeeze=False)[0]
    said = []
    for axes, (name, (sentences, nats)) in zip(panels, walks.items(), strict=True):
        places = np.linspace(0, 1, len(sentences))
        for column, (color, line) in enumerate(((BLUE, "-"), (ORANGE, "--"))):
            label = ("the first sentence", "the second sentence")[column] if axes is panels[0] else None
            axes.plot(places, nats[:, column], color=color, linestyle=line, label=label)
        for i in jumps(sentences):
            axes.axvline((places[i - 1] + places[i]) / 2, color=GREY, linestyle=":")
        axes.set_title(name, fontsize=10, color=BLACK)
        axes.set(xlabel="share of the way")
        tidy(axes)
        ends = ", ".join(f"{start:.1f} to {end:.1f}" for start, end in nats[[0, -1]].T.tolist())
        said.append(f"{name}: {len(jumps(sentences))} jumps, nats of the two sentences {ends}")
    panels[0].set_ylabel("-log p(x|z), nats")
    figure.suptitle(title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return Diagram(
        figure, f"The nats of two sentences along the line between them. {_in_a_line(title)}. {'; '.join(said)}."
    )


def _in_a_line(title: str) -> str:
    return " ".join(title.split())
