"""Diagrams that explain: the model with its two paths, the ELBO as a message in two parts, the KL of one dimension.

Every function returns a :class:`~kldanneal.lab.drawing.Diagram`: a matplotlib Figure, and alternative text made from
the same numbers. Blue is z and what z costs (KL); vermilion is the path from the words; green is the reconstruction.
``dark=True`` draws the same on a dark page.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure

from kldanneal import _checks, gaussian_kl
from kldanneal.lab.drawing import DARK, LIGHT, WIDTH, Diagram, canvas, in_nats, of_bars, on_page

SENTENCE = ("<bos>", "the", "dog", "sleeps", "<eos>")


def plot_model(sentence: Sequence[str] = SENTENCE, *, beta: str | float = "β", dark: bool = False) -> Diagram:
    """The LSTM VAE and its loss, with both paths into the decoder: from z, and from the true words (teacher forcing).

    Args:
        sentence: the tokens of the example, 3 to 6, from <bos> to <eos>.
        beta: how the KL weight is written in the loss, for instance 0.25. Default: ``'β'``.
        dark (bool): for a dark page. Default: ``False``.
    """
    tokens, theme = list(sentence), DARK if dark else LIGHT
    if not 3 <= len(tokens) <= 6:
        raise ValueError(f"Expected sentence to have 3 to 6 tokens, but got {len(tokens)}: {tokens}")
    figure, draw = canvas(height=128, theme=theme)
    centers = np.linspace(11, 89, len(tokens))
    steps = np.linspace(31, 89, len(tokens) - 1)
    step_width = min(17, 0.86 * (steps[1] - steps[0]))

    draw.text(2, 125, "sentence $x$", bold=True)
    draw.text(98, 125, "(B, T)", color=theme.faint, align="right")
    for center, token in zip(centers, tokens, strict=True):
        draw.box(center, 118, min(17, 0.86 * (centers[1] - centers[0])), 7, token, theme.ink)

    draw.line([(centers[1] - 7, 112.5), (centers[-1] + 7, 112.5)], theme.z)  # what the encoder reads
    draw.arrow((27, 112.5), (27, 105.5), theme.z)
    draw.box(27, 100, 46, 10, "encoder LSTM", theme.ink, shape="(B, T-1, H), pooled: (B, H)")
    for x, name in ((14, "mu"), (40, "logvar")):
        draw.arrow((x, 95), (x, 88.5), theme.z)
        draw.box(x, 83.5, 20, 9, name, theme.z, shape="(B, L)")
        draw.arrow((x, 79), (27 + (x - 27) * 0.5, 72.5), theme.z)
    draw.box(27, 67, 46, 10, "$z$ = mu + noise · exp(logvar / 2)", theme.z, shape="(B, L)", size=9)

    draw.line([(centers[0] - 7, 110), (centers[-2] + 7, 110)], theme.words)  # the words before
    draw.line([(76, 110), (76, 58)], theme.words, width=3)
    draw.text(78.5, 98, "path from\nthe words", color=theme.words, bold=True)
    draw.text(78.5, 86.5, "teacher forcing:\nthe true words\nbefore each word", size=9)
    draw.line([(steps[0], 58), (steps[-1], 58)], theme.words, width=3)

    rail = 44.5
    draw.text(11.5, 52, "path\nfrom $z$", color=theme.z, bold=True)
    draw.line([(9, 62), (9, rail), (steps[-1] - 4, rail)], theme.z, width=3)
    draw.line([(9, rail), (9, 36)], theme.z, width=3)
    draw.arrow((9, 36), (steps[0] - step_width / 2, 36), theme.z)  # z sets the first state
    for center, word, following in zip(steps, tokens[:-1], tokens[1:], strict=True):
        draw.arrow((center, 58), (center, 54), theme.words)
        draw.box(center, 51, step_width, 6, word, theme.words, size=9)
        draw.arrow((center + 3, 48), (center + 3, 39.5), theme.words)
        draw.arrow((center - 4, rail), (center - 4, 39.5), theme.z)
        draw.box(center, 36, step_width, 7, "LSTM", theme.ink, size=9)
        draw.arrow((center, 32.5), (center, 27.5), theme.reconstruction)
        draw.box(center, 24, step_width, 7, following, theme.reconstruction, size=9)
    for left, right in pairwise(steps):
        draw.arrow((left + step_width / 2, 36), (right - step_width / 2, 36), theme.ink)
    draw.text(3, 30, "decoder\n(B, T-1, H)", size=9)
    draw.text(3, 21, "logits of the\nnext words\n(B, T-1, V)", size=9)

    draw.line([(30, 83.5), (24, 83.5)], theme.z, style=":")
    draw.line([(4, 83.5), (1, 83.5), (1, 14.5), (33, 14.5)], theme.z, style=":")
    draw.arrow((33, 14.5), (33, 12), theme.z)
    draw.line([(steps[0], 20.5), (steps[0], 17.5), (steps[-1], 17.5), (steps[-1], 20.5)], theme.reconstruction)
    draw.arrow((76, 17.5), (76, 12), theme.reconstruction)
    draw.text(2, 7.5, "loss =", bold=True)
    draw.text(20, 7.5, f"{beta} ×", bold=True, size=12, align="right")
    draw.text(20, 2.5, "KL weight", size=9, color=theme.faint, align="right")
    draw.box(34, 6.5, 25, 11, "KL term", theme.z, shape="KL(q(z|x) || p(z))")
    draw.text(51.2, 6.5, "+", bold=True, size=12, align="center")
    draw.box(76, 6.5, 44, 11, "reconstruction term", theme.reconstruction, shape="-log p(x|z)")
    pairs = ", ".join(f"{word} to predict {following}" for word, following in pairwise(tokens))
    alt = (
        f"The LSTM VAE, from top to bottom. The sentence x is {' '.join(tokens)}. On the left, the encoder LSTM reads "
        "its words and gives mu and logvar, and z = mu + noise times exp(logvar / 2). The decoder LSTM predicts one "
        f"word at each of {len(tokens) - 1} steps. Two paths lead into every step. The first path comes from z, which "
        "also sets the first state. The second path comes from the words: the true word before (teacher forcing), "
        f"namely {pairs}. The loss is {beta} times the KL term, KL(q(z|x) || p(z)), which comes from mu and logvar, "
        "plus the reconstruction term, -log p(x|z), which comes from the logits. Shapes: x (B, T); states (B, T-1, H); "
        "mu, logvar and z (B, L); logits (B, T-1, V). B sentences, T tokens, H hidden size, L latent dimensions, V "
        "words."
    )
    return Diagram(figure, alt)


def plot_message(cases: Mapping[str, tuple[float, float]], *, dark: bool = False) -> Diagram:
    """-ELBO as a message in two parts: z costs the KL, then the sentence given z costs the reconstruction.

    Args:
        cases: for each name, KL and reconstruction in nats per sentence, of the same sentences at KL weight 1.
        dark (bool): for a dark page. Default: ``False``.
    """
    theme = DARK if dark else LIGHT
    if not cases:
        raise ValueError("Expected at least one case, but got none")
    for name, (kl, reconstruction) in cases.items():
        _checks.number(f"the KL of {name}", kl, "[0, inf)")
        _checks.number(f"the reconstruction of {name}", reconstruction, "[0, inf)")
    figure = Figure(figsize=(WIDTH, 1.4 + 1.05 * len(cases)), dpi=150, facecolor=theme.page, layout="constrained")
    axes = figure.subplots()
    longest = max(sum(parts) for parts in cases.values())
    style = {"height": 0.4, "edgecolor": theme.page, "linewidth": 0}
    alt = "-ELBO as a message in two parts, in nats per sentence: first z, then the sentence given z."
    for row, (name, (kl, reconstruction)) in enumerate(cases.items()):
        first = axes.barh(row, kl, color=theme.z, **style)
        second = axes.barh(row, reconstruction, left=kl, color=theme.reconstruction, hatch="//", **style)
        axes.text(0, row - 0.24, name, color=theme.ink, size=11, weight="bold", va="bottom")
        shown = {
            0: f"KL {in_nats(kl)}",
            0.25: f"+ reconstruction {in_nats(reconstruction, 'reconstruction')}",
            0.7: f"= -ELBO {in_nats(kl + reconstruction, 'neg_elbo')}",
        }
        alt += f" {name}: {' '.join(shown.values())}."
        for x, text in shown.items():
            axes.text(x * longest, row + 0.24, text, color=theme.ink, size=10, va="top")
    axes.set(xlim=(0, 1.02 * longest), ylim=(len(cases) - 0.45, -0.6), yticks=[], xlabel="nats per sentence")
    on_page(axes, theme)
    of_bars(axes)
    figure.legend(
        [first[0], second[0]],
        ["first z: its cost is the KL", "then the sentence, given z: the reconstruction"],
        loc="outside upper left",
        frameon=False,
        fontsize=10,
        labelcolor=theme.ink,
    )
    return Diagram(figure, alt)


def plot_gaussian_kl(mu: float, logvar: float, *, dark: bool = False) -> Diagram:
    """The KL of one latent dimension: the densities of prior and posterior, and the two parts of the KL.

    Args:
        mu (float): the mean of q(z|x) in this dimension.
        logvar (float): the logarithm of its variance, from -20 to 20.
        dark (bool): for a dark page. Default: ``False``.

    Example::

        >>> figure, alt = plot_gaussian_kl(mu=1.0, logvar=0.0)
        >>> alt[:80]
        'The KL of one latent dimension. The prior is N(0, 1). The posterior has mu = 1.0'
    """
    theme = DARK if dark else LIGHT
    mu, logvar = _checks.number("mu", mu, "(-inf, inf)"), _checks.number("logvar", logvar, "[-20, 20]")
    deviation = float(np.exp(logvar / 2))
    parts = {
        "mean": gaussian_kl(torch.tensor(mu), torch.tensor(0.0)).item(),
        "width": gaussian_kl(torch.tensor(0.0), torch.tensor(logvar)).item(),
    }
    kl = sum(parts.values())
    figure = Figure(figsize=(WIDTH, 4.9), dpi=150, facecolor=theme.page, layout="constrained")
    densities, bars = figure.subplots(2, height_ratios=(3, 1))
    reach = 1.2 * max(3.0, abs(mu) + 2.5 * deviation)
    z = np.unique(np.concatenate([np.linspace(-reach, reach, 400), mu + deviation * np.linspace(-4, 4, 400)]))
    peak = 0.4 / min(1.0, deviation)
    for mean, width, color, line, alpha in ((0, 1, theme.faint, "--", 0.15), (mu, deviation, theme.z, "-", 0.3)):
        density = np.exp(-(((z - mean) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        densities.plot(z, density, color=color, linestyle=line, linewidth=2)
        densities.fill_between(z, density, color=color, alpha=alpha, linewidth=0)
    arrow = {"arrowstyle": "<->", "color": theme.ink, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    behind = {"facecolor": theme.page, "alpha": 0.75, "linewidth": 0, "pad": 1}
    for start, end, height, text in (
        (0, mu, 1.07 * peak, f"mu = {mu:.2f}"),
        (mu - deviation, mu + deviation, 0.24 / deviation, f"± exp(logvar / 2) = ± {deviation:.2f}"),
    ):
        densities.annotate("", (end, height), (start, height), arrowprops=arrow)
        above = height + 0.04 * peak
        densities.text((start + end) / 2, above, text, color=theme.ink, size=10, ha="center", bbox=behind)
    densities.set(xlim=(-reach, reach), ylim=(0, 1.24 * peak), yticks=[], xlabel="one dimension of $z$")
    names = ["prior p(z): mean 0, variance 1", f"posterior q(z|x): mu = {mu:.2f}, logvar = {logvar:.2f}"]
    figure.legend(densities.lines, names, loc="outside upper left", frameon=False, fontsize=10, labelcolor=theme.ink)
    style = {"height": 0.4, "edgecolor": theme.page, "linewidth": 0, "color": theme.z}
    bars.barh(0, parts["mean"], **style)
    bars.barh(0, parts["width"], left=parts["mean"], hatch="//", **style)
    formula = f"KL = ½ (mu² + exp(logvar) - 1 - logvar) = {in_nats(kl)} nats"
    bars.text(0, -0.26, formula, color=theme.ink, size=11, weight="bold", va="bottom")
    longest = max(2.0, 1.02 * kl)
    bars.text(0, 0.26, f"½ mu² = {in_nats(parts['mean'])}", color=theme.ink, size=10, va="top")
    of_width = f"+ ½ (exp(logvar) - 1 - logvar) = {in_nats(parts['width'])}"
    bars.text(0.3 * longest, 0.26, of_width, color=theme.ink, size=10, va="top")
    bars.set(xlim=(0, longest), ylim=(0.6, -0.65), yticks=[], xlabel="nats")
    on_page(densities, theme)
    on_page(bars, theme)
    of_bars(bars)
    alt = (
        f"The KL of one latent dimension. The prior is N(0, 1). The posterior has mu = {mu:.2f} and logvar = "
        f"{logvar:.2f}, so its standard deviation is {deviation:.2f}. KL = 1/2 (mu² + exp(logvar) - 1 - logvar) = "
        f"{in_nats(kl)} nats: {in_nats(parts['mean'])} for the mean, mu² / 2, and {in_nats(parts['width'])} for the "
        "width, (exp(logvar) - 1 - logvar) / 2."
    )
    return Diagram(figure, alt)
