"""Sentences as HTML: lists, and a reconstruction whose surviving words are marked."""

import html
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

import torch

from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.model import LSTMVAE


def listed(corpus: Corpus, batch: Iterable) -> str:
    """Sentences of token ids as a list."""
    items = "".join(f"<li>{html.escape(corpus.decode(ids)) or '(nothing)'}</li>" for ids in batch)
    return f"<ul style='margin: 0; padding-left: 1.2em'>{items}</ul>"


def kept(original: str, written: str, without: str = "") -> str:
    """What was written, with the words marked that the original has too, in the same order.

    Words of ``without``, the sentence that the model writes from z = 0, are not marked: z did not bring them across.

    Example::

        >>> kept("the red cat", "the blue cat", without="the old dog")
        "the blue <span class='kl-kept'>cat</span>"
    """
    known = set(without.split())
    words = written.split()
    return _marked(words, {i for i in _in_both(original.split(), words) if words[i] not in known})


def changed_words(before: str, now: str) -> str:
    """A sentence with the words marked that the sentence before does not have at this place.

    Example::

        >>> changed_words("the red cat", "the blue cat")
        "the <span class='kl-kept'>blue</span> cat"
    """
    words = now.split()
    return _marked(words, set(range(len(words))) - _in_both(before.split(), words))


def _in_both(before: list[str], now: list[str]) -> set[int]:
    """The places in ``now`` of words that both have, in the same order."""
    matches = SequenceMatcher(None, before, now, autojunk=False).get_matching_blocks()
    return {match.b + i for match in matches for i in range(match.size)}


def _marked(words: list[str], at: set[int]) -> str:
    marked = [f"<span class='kl-kept'>{html.escape(word)}</span>" if i in at else html.escape(word)
              for i, word in enumerate(words)]  # fmt: skip
    return " ".join(marked) or "(nothing)"


@torch.no_grad()
def from_models(models: Mapping[str, LSTMVAE], corpus: Corpus, number: int) -> str:
    """What models write: a held-out sentence from its mu, and three sentences from z of the prior, the same for all."""
    ids = corpus.test[number]
    parts = [f"<p>Held-out sentence: <i>{html.escape(corpus.decode(ids))}</i></p>"]
    for name, model in models.items():
        model.eval()
        device = next(model.parameters()).device
        z = torch.randn(3, model.to_mu.out_features, generator=torch.Generator().manual_seed(0)).to(device)
        parts.append(f"<p><b>{html.escape(name)}</b> reconstructs it as</p>")
        parts.append(listed(corpus, model.reconstruct(ids[None].to(device))))
        parts.append(f"<p>and writes from three z of the prior</p>{listed(corpus, model.generate(z))}")
    return "".join(parts)
