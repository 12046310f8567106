"""What z has learnt of the toy language: can a linear classifier read the hidden choices from it?

    mu, logvar = posteriors(model, corpus.test)
    z = model.reparameterize(mu, logvar)
    probe(z_train, choice_train, z, choice_test)               # the share of choices that is read correctly

Probe z, which is what the decoder receives. A probe rescales its input. So it reads a choice even from a mu that
varies by a hundredth between sentences, while z has a standard deviation of 1 around it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from kldanneal.lab.corpora.corpus import Corpus, Sentences
from kldanneal.lab.corpora.toy import read
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.plots import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY
from kldanneal.lab.threads import one_thread

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BLACK, SKY)
MARKERS = ("o", "^", "s", "x", "+", "D")


@torch.no_grad()
@one_thread()
def posteriors(model: LSTMVAE, sentences: Sentences, batch_size: int = 500) -> tuple[Tensor, Tensor]:
    """mu and logvar of every sentence in its order, (N, L) each."""
    device = next(model.parameters()).device
    parts = [model.encode(sentences.batch(i).to(device)) for i in torch.arange(len(sentences)).split(batch_size)]
    mu, logvar = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    return mu, logvar


@one_thread()
def probe(z: Tensor, choice: Tensor, z_test: Tensor, choice_test: Tensor) -> float:
    """The share of held-out examples whose choice a linear classifier reads from their codes.

    The classifier is a multinomial logistic regression, fitted by L-BFGS to minimise the cross-entropy, with a small
    penalty on its weights. The codes are standardised first, by what the training codes say.

    Args:
        z (Tensor): codes to fit on, (N, L).
        choice (Tensor): what is to be read, integers from 0, (N,).
        z_test, choice_test (Tensor): the same for held-out examples.

    Example::

        >>> z = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
        >>> probe(z, torch.tensor([0, 0, 1, 1]), z, torch.tensor([0, 0, 1, 0]))
        0.75
    """
    mean, std = z.mean(dim=0), z.std(dim=0).clamp(min=1e-12)
    x, x_test = (z - mean) / std, (z_test - mean) / std
    weight = torch.zeros(int(choice.max()) + 1, z.shape[1], dtype=z.dtype, requires_grad=True)
    bias = torch.zeros(len(weight), dtype=z.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight.T + bias, choice) + 1e-4 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return ((x_test @ weight.T + bias).argmax(dim=1) == choice_test).double().mean().item()


def most_frequent(choice: Tensor, choice_test: Tensor) -> float:
    """Accuracy of always predicting the value that is most frequent in training: a probe should beat it."""
    return (choice_test == choice.mode().values).double().mean().item()


def probe_choices(codes: Tensor, codes_test: Tensor, corpus: Corpus) -> dict[str, float]:
    """For each hidden choice, the accuracy of a probe on the held-out sentences.

    Args:
        codes (Tensor): of the sentences ``corpus.valid``, to fit on, (N, L).
        codes_test (Tensor): of the sentences ``corpus.test``.
        corpus (Corpus): the toy language.
    """
    labels = zip(corpus.choices, corpus.valid.labels.T, corpus.test.labels.T, strict=True)
    return {choice: probe(codes, own, codes_test, own_test) for choice, own, own_test in labels}


def always_the_same(corpus: Corpus) -> dict[str, float]:
    """For each hidden choice, what :func:`most_frequent` gives for the sentences of :func:`probe_choices`."""
    labels = zip(corpus.choices, corpus.valid.labels.T, corpus.test.labels.T, strict=True)
    return {choice: most_frequent(own, own_test) for choice, own, own_test in labels}


@torch.no_grad()
@one_thread()
def survives(model: LSTMVAE, corpus: Corpus) -> dict[str, float]:
    """For each hidden choice, the share of held-out sentences whose reconstruction has the same value.

    A reconstruction is written greedily from mu, in eval mode. A choice that its words do not tell counts as wrong.

    Args:
        model (LSTMVAE): trained on ``corpus``.
        corpus (Corpus): the toy language.
    """
    model.eval()
    mu, _ = posteriors(model, corpus.test)
    written = [read(corpus.decode(ids)) for ids in model.generate(mu.to(next(model.parameters()).device))]
    labels = corpus.test.labels.T.tolist()
    return {
        choice: sum(said.get(choice) == value for said, value in zip(written, column, strict=True)) / len(written)
        for choice, column in zip(corpus.choices, labels, strict=True)
    }


def plot_latent(mu: Tensor, choice: Tensor, names: Sequence[str], title: str = "") -> Figure:
    """Posterior means in the two dimensions where they vary most, with a colour and a marker for each value."""
    first, second = mu.var(dim=0).argsort(descending=True)[:2].tolist()
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for value, name in enumerate(names):
        at = mu[choice == value]
        style = {"color": COLOURS[value % len(COLOURS)], "marker": MARKERS[value % len(MARKERS)]}
        axes.scatter(at[:, first], at[:, second], s=14, alpha=0.7, linewidth=0.8, label=name, **style)
    axes.set(xlabel=f"mu, dimension {first + 1}", ylabel=f"mu, dimension {second + 1}", title=title)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False)
    return figure
