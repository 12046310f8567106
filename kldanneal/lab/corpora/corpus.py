"""A corpus in memory: three splits of tokenised sentences, and their vocabulary."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab

from kldanneal.lab.terminal import printable

SPECIALS = ["<unk>", "<pad>", "<bos>", "<eos>"]
UNK, PAD, BOS, EOS = range(4)

tokenize = get_tokenizer("basic_english")


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences of token ids, end to end in one tensor: 8 bytes a token.

    Shape:
        - tokens: (total,), each sentence as <bos> word ... word <eos>.
        - lengths: (n,), <bos> and <eos> included.
        - labels: (n, choices) for the toy language, else None.
    """

    tokens: Tensor
    lengths: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", self.lengths.cumsum(0) - self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> Tensor:
        """The ids of sentence i, (length,)."""
        start = self.starts[i]
        return self.tokens[start : start + self.lengths[i]]

    def batch(self, indices: Tensor) -> Tensor:
        """The chosen sentences as one tensor (batch, time), padded with <pad> to the longest of them."""
        lengths = self.lengths[indices]
        time = torch.arange(int(lengths.max()))
        positions = self.starts[indices, None] + time  # (batch, time), beyond the end of the short ones
        inside = time < lengths[:, None]
        return torch.where(inside, self.tokens[positions.clamp(max=len(self.tokens) - 1)], PAD)

    def buckets(self, batch_size: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Indices that cover all sentences, in batches of similar length; shuffled if a generator is given.

        Sentences are sorted by length within pools of 50 batches, so that little padding is left and every epoch
        still has other batches, in another order.
        """
        if generator is None:
            return list(self.lengths.argsort(stable=True).split(batch_size))
        shuffled = torch.randperm(len(self), generator=generator)
        batches = [
            batch
            for pool in shuffled.split(50 * batch_size)
            for batch in pool[self.lengths[pool].argsort(stable=True)].split(batch_size)
        ]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three splits of tokenised text, their vocabulary, and where they come from.

    ``entropy`` is the true entropy of the source in nats per sentence where it is known (toy), else None. ``choices``
    names the columns of the splits' labels. ``notes`` says what was read and left out, for a file.
    """

    name: str
    vocab: Vocab
    train: Sentences
    valid: Sentences
    test: Sentences
    source: str
    digest: str
    entropy: float | None = None
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def encode(self, text: str) -> Tensor:
        """The ids of a sentence typed by a person, (length,), with <bos> and <eos>."""
        return torch.tensor([BOS, *(word_id(self.vocab, word) for word in tokenize(text)), EOS])

    def decode(self, ids: Iterable[int]) -> str:
        """The words of token ids, up to <eos>."""
        words = []
        for i in map(int, ids):
            if i == EOS:
                break
            if i not in (BOS, PAD):
                words.append(self.vocab.itos[i])
        return " ".join(words)

    def word_frequencies(self, split: Sentences) -> float:
        """-log p(x) in nats per sentence of a split, if each word is drawn by its frequency in training alone."""
        counts = torch.bincount(self.train.tokens, minlength=len(self.vocab)).double()
        counts[BOS] = 0  # given, never predicted
        log_p = (counts.clamp(min=1) / counts.sum()).log()
        log_p[BOS] = 0
        return -log_p[split.tokens].sum().item() / len(split)

    def describe(self) -> str:
        tokens = self.train.lengths.sum().item() - 2 * len(self.train)
        unknown = (self.train.tokens == UNK).sum().item() / tokens
        held_out = f"{len(self.valid):,} + {len(self.test):,} held out"
        lines = [
            f"{printable(self.name)}: {len(self.train):,} sentences to train on, {held_out}, "
            f"{len(self.vocab) - len(SPECIALS):,} words, {tokens / len(self.train):.1f} words a sentence, "
            f"{unknown:.1%} unknown",
            f"source: {self.source}",
            *self.notes,
            f"digest: {self.digest}",
        ]
        if self.entropy is not None:
            lines.insert(1, f"entropy: {self.entropy:.3f} nats per sentence, exactly (no model can do better)")
        return "\n".join(lines)


def word_id(vocab: Vocab, word: str) -> int:
    """The id of a word; text that spells out <pad>, <bos> or <eos> is an unknown word and ends nothing."""
    i = vocab.stoi.get(word, UNK)
    return i if i >= len(SPECIALS) else UNK
