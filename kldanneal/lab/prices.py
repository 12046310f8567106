"""The hidden choices of the toy language by name: what each costs, and how much of it the decoder learns from z.

named(corpus.test.labels[0])["tense"]        # 'past'
told(model, corpus)["tense"].value           # at most log 3 = 1.099 nats
"""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kldanneal.diagnostics import Estimate
from kldanneal.lab.corpora.corpus import PAD, Corpus
from kldanneal.lab.corpora.toy import ADJECTIVES, CHOICES, TENSES, TOPICS, sentence
from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.plots import BLUE, GREY, VERMILION, tidy
from kldanneal.lab.tables import table
from kldanneal.lab.threads import one_thread

COLOURS, MARKERS = (BLUE, VERMILION), ("o", "s")


def option_names(topic: int = 0, tense: int = 0) -> dict[str, Sequence[str]]:
    """The options of each choice by name, in sentences of this topic and tense: the words depend on both."""
    subjects, verbs, objects, places = (words.split() for words in list(TOPICS.values())[topic])
    times = list(TENSES.values())[tense]
    always = (list(TOPICS), list(TENSES), ("singular", "plural"), ("no", "yes"), ("place first", "time first"))
    return dict(zip(CHOICES, (*always, ADJECTIVES, subjects, verbs, objects, places, times), strict=True))


def named(choices: Sequence[int] | Tensor) -> dict[str, str]:
    """The hidden choices of a sentence, by name.

    Example::

        >>> named([3, 0, 1, 0, 1, 1, 2, 0, 0, 2, 0])["tense"]
        'past'
    """
    values = [int(value) for value in choices]
    names = option_names(*values[:2])
    return {choice: names[choice][value] for choice, value in zip(CHOICES, values, strict=True)}


def table_of_prices() -> str:
    """What each choice costs, as Markdown; options that depend on topic or tense are given for one example."""
    examples = {"subject": "topic", "verb": "topic", "object": "topic", "place": "topic", "time": "tense"}
    rows = [["choice", "options", "price in nats"]]
    for choice, names in option_names().items():
        given = f" ({examples[choice]}: {option_names()[examples[choice]][0]})" if choice in examples else ""
        rows.append([choice, ", ".join(names) + given, f"log {len(names)} = {math.log(len(names)):.3f}"])
    return table(rows, "markdown")


@torch.no_grad()
@one_thread()
def told(model: LSTMVAE, corpus: Corpus, sentences: int = 300, seed: int = 0) -> dict[str, Estimate]:
    r"""How many nats about each hidden choice the decoder has from z, on the first held-out sentences.

    .. math:: \log K + \mathrm{E}\left[\log \frac{p(x | z)}{\sum_k p(x_k | z)}\right], \quad z \sim q(z | x)

    x_1 ... x_K are the sentences that differ from x in this choice alone; one of them is x. So all other choices are
    taken as known. It is log K if the decoder is sure of the right option. It is 0 if all options are alike to it, and
    below 0 if it prefers wrong ones. On average it is at most the information that z has about the choice.

    Raises:
        ValueError: the sentences of the corpus have no hidden choices.
    """
    labels = corpus.test.labels
    if labels is None or corpus.choices != tuple(CHOICES):
        raise ValueError(f"Expected the toy language, but {corpus.name!r} has no hidden choices")
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    first = torch.arange(min(sentences, len(labels)))
    mu, logvar = model.encode(corpus.test.batch(first).to(device))
    z = model.reparameterize(mu, logvar, torch.Generator(device).manual_seed(seed))
    found = {}
    for column, (choice, count) in enumerate(CHOICES.items()):
        log_p = []
        for value in range(count):
            changed = labels[first].clone()
            changed[:, column] = value
            ids = [corpus.encode(sentence(row)) for row in changed.tolist()]
            x = pad_sequence(ids, batch_first=True, padding_value=PAD).to(device)
            log_p.append(model.log_likelihood(x, z))
        shares = torch.stack(log_p, dim=1).double().log_softmax(dim=1).cpu()  # (sentences, K)
        found[choice] = Estimate.of(shares[first, labels[first, column]], plus=math.log(count))
    model.train(was_training)
    return found


def plot_told(models: Mapping[str, Mapping[str, Estimate]], title: str = "") -> Diagram:
    """The price of each hidden choice, and what z tells of it in one or two models.

    Args:
        models: for the name of each model what :func:`told` returns.
        title (str): says how the models were trained.
    """
    if not 1 <= len(models) <= len(COLOURS):
        raise ValueError(f"Expected one or two models, but got {len(models)}")
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    axes = figure.subplots()
    prices = {choice: math.log(count) for choice, count in CHOICES.items()}
    axes.barh(range(len(prices)), list(prices.values()), height=0.7, color=GREY, alpha=0.35, label="price")
    for number, (name, estimates) in enumerate(models.items()):
        rows = [row + 0.28 * (number - (len(models) - 1) / 2) for row in range(len(prices))]  # one below the other
        values = [estimates[choice].value for choice in prices]
        errors = [2 * estimates[choice].standard_error for choice in prices]
        axes.errorbar(values, rows, xerr=errors, fmt=MARKERS[number], color=COLOURS[number], markersize=6,
                      linewidth=1.5, label=f"z tells, {name}")  # fmt: skip
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(prices)), list(prices))
    axes.set(xlabel="nats per sentence (lines: ± 2 standard errors)", ylim=(len(prices) - 0.5, -0.5))
    axes.tick_params(labelsize=10)
    tidy(axes)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10, title=title, title_fontsize=9,
                  columnspacing=1.2)  # fmt: skip
    says = [
        f"{name}: " + ", ".join(f"{choice} {estimates[choice].value:.2f} of {price:.2f}"
                                for choice, price in prices.items())
        for name, estimates in models.items()
    ]  # fmt: skip
    return Diagram(figure, f"What z tells of each hidden choice, in nats, beside its price. {title}. "
                           + ". ".join(says) + ".")  # fmt: skip
