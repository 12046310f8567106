"""Text as tensors: one interface to the toy language, docstrings, Penn Treebank, and a text file of your own.

    corpus = load_corpus("toy")
    corpus.train, corpus.valid, corpus.test      Sentences: token ids and lengths
    corpus.vocab.itos, corpus.vocab.stoi         torchtext's Vocab
    print(corpus.describe())                     sizes, sources and a digest: the same digest is the same corpus

Tokens come from torchtext: its ``basic_english`` tokenizer, its ``Vocab``, its ``PennTreebank``.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab

from kldanneal.lab import docstrings, ptb, toy

SPECIALS = ["<unk>", "<pad>", "<bos>", "<eos>"]
UNK, PAD, BOS, EOS = range(4)

CORPORA = ("toy", "docstrings", "ptb")
#: Sentences with more words than this are left out, unless ``max_length`` says otherwise.
MAX_LENGTH = {"docstrings": 10, "ptb": 40, "file": 25}
VOCAB_SIZE = {"docstrings": 1500, "ptb": 10_000, "file": 4000}
SMALLEST = 100  # sentences; fewer cannot be split into something to learn from and something to measure on
LONGEST_LINE = 10_000  # words; a longer line means that the file does not hold one sentence a line


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences of token ids, end to end in one tensor: 8 bytes a token, whatever their number.

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
    names the columns of the splits' labels.
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

    def encode(self, text: str) -> Tensor:
        """The ids of a sentence typed by a person, (length,), with <bos> and <eos>."""
        return torch.tensor([BOS, *(_id(self.vocab, word) for word in tokenize(text)), EOS])

    def decode(self, ids: Iterable[int]) -> str:
        """The words of token ids, up to <eos>."""
        words = []
        for i in map(int, ids):
            if i == EOS:
                break
            if i not in (BOS, PAD):
                words.append(self.vocab.itos[i])
        return " ".join(words)

    def describe(self) -> str:
        tokens = self.train.lengths.sum().item() - 2 * len(self.train)
        unknown = (self.train.tokens == UNK).sum().item() / tokens
        lines = [
            f"{self.name}: {len(self.train):,} sentences to train on, {len(self.valid):,} + {len(self.test):,} "
            f"held out, {len(self.vocab) - len(SPECIALS):,} words, {tokens / len(self.train):.1f} words a sentence, "
            f"{unknown:.1%} unknown",
            f"source: {self.source}",
            f"digest: {self.digest}",
        ]
        if self.entropy is not None:
            lines.insert(1, f"entropy: {self.entropy:.3f} nats per sentence, exactly (no model can do better)")
        return "\n".join(lines)


tokenize = get_tokenizer("basic_english")


def load_corpus(
    name: str = "docstrings",
    *,
    max_length: int | None = None,
    vocab_size: int | None = None,
    root: str | Path | None = None,
) -> Corpus:
    """Loads a corpus, the same one every time: tokenised, split and indexed by rules that leave nothing to chance.

    Args:
        name (str): ``'toy'``, ``'docstrings'``, ``'ptb'``, or the path of a text file with one sentence a line.
            Default: ``'docstrings'``.
        max_length (int, optional): the most words a sentence may have. Default: 10 for docstrings, 40 for ptb, 25 for
            a file; the toy language takes every sentence.
        vocab_size (int, optional): how many words are kept, the most frequent ones; the others become <unk>.
            Default: 1,500 for docstrings, 10,000 for ptb, 4,000 for a file; the toy language keeps all of them.
        root (path, optional): for ptb, a folder that holds ptb.train.txt, ptb.valid.txt and ptb.test.txt.

    Raises:
        TypeError, ValueError, OSError: a file that is missing, empty, not text, or too small; an option that is no
            integer, or out of range.
    """
    for option, value, least in (("max_length", max_length, 1), ("vocab_size", vocab_size, 2)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"Expected {option} to be an integer, but got {value!r}")
        if value is not None and value < least:
            raise ValueError(f"Expected {option} to be at least {least}, but got {value}")
    kind = name if name in CORPORA else "file"
    if kind == "toy":
        return _toy()
    max_length, vocab_size = max_length or MAX_LENGTH[kind], vocab_size or VOCAB_SIZE[kind]
    if kind == "ptb":
        splits = [list(_tokenized(split, str.split, 1, max_length)) for split in ptb.read(root)]
        for split, found in zip(("training", "validation", "test"), splits, strict=True):
            if not found:
                raise ValueError(f"Expected sentences of 1 to {max_length} words, but the {split} file of ptb has none")
        return _index("ptb", splits, vocab_size, source="Penn Treebank, Mikolov's preprocessing")
    if kind == "docstrings":
        found = ", ".join(f"{package} {number}" for package, number in docstrings.sources().items())
        return _split(
            "docstrings", docstrings.docstring_sentences(), 4, max_length, vocab_size, f"docstrings of {found}"
        )
    path = Path(name)
    return _split(path.name, _lines(path), 1, max_length, vocab_size, f"{path.name} (one sentence a line)")


def _toy() -> Corpus:
    drawn = [toy.sample(n, seed) for seed, n in enumerate((20_000, 1000, 1000))]
    splits, labels = [sentences for sentences, _ in drawn], [choices for _, choices in drawn]
    source = "a grammar of 720,000 equally likely sentences (kldanneal.lab.toy)"
    return _index("toy", splits, None, source, labels=labels, choices=tuple(toy.CHOICES), entropy=toy.ENTROPY)


def _split(name: str, lines: Iterable[str], shortest: int, longest: int, vocab_size: int, source: str) -> Corpus:
    """Distinct sentences, ordered by their own hash; a tenth of them (at most 1,000) is held out, twice."""
    distinct = set(_tokenized(lines, tokenize, shortest, longest))
    if len(distinct) < SMALLEST:
        raise ValueError(
            f"Expected at least {SMALLEST} distinct sentences of {shortest} to {longest} words, one a line, "
            f"but got {len(distinct)} from {name}"
        )
    ordered = list(distinct)
    del distinct  # of a million sentences it takes as much memory as their tokens
    ordered.sort(key=lambda sentence: hashlib.sha256(sentence.encode()).digest())
    n = min(1000, len(ordered) // 10)
    return _index(name, [ordered[2 * n :], ordered[:n], ordered[n : 2 * n]], vocab_size, source)


def _tokenized(
    lines: Iterable[str], tokenizer: Callable[[str], list[str]], shortest: int, longest: int
) -> Iterator[str]:
    """Sentences of allowed length as tokens with a space between them, which takes less memory than lists."""
    for words in map(tokenizer, lines):
        if shortest <= len(words) <= longest:
            yield " ".join(words)


def _id(vocab: Vocab, word: str) -> int:
    """The id of a word; text that spells out <pad>, <bos> or <eos> is an unknown word and ends nothing."""
    i = vocab.stoi.get(word, UNK)
    return i if i >= len(SPECIALS) else UNK


def _index(
    name: str,
    splits: list[list[str]],
    vocab_size: int | None,
    source: str,
    labels: Sequence[Tensor | None] = (None, None, None),
    **known: Any,
) -> Corpus:
    counts = Counter(chain.from_iterable(map(str.split, splits[0])))
    vocab = Vocab(counts, max_size=vocab_size, min_freq=2, specials=SPECIALS)
    words = len(vocab) - len(SPECIALS)
    if words < 2:
        raise ValueError(f"Expected at least 2 different words that occur more than once, but got {words} in {name}")
    ids = {word: _id(vocab, word) for word in vocab.itos}
    digest = hashlib.sha256("\n".join(vocab.itos).encode())
    indexed = []
    for sentences, label in zip(splits, labels, strict=True):
        tokens, lengths = array("q"), array("q")  # 8 bytes a number, where a list of lists takes several times as much
        for sentence in sentences:
            row = [BOS, *(ids.get(word, UNK) for word in sentence.split()), EOS]
            tokens.extend(row)
            lengths.append(len(row))
        digest.update(tokens)
        tokens, lengths = (torch.frombuffer(numbers, dtype=torch.long) for numbers in (tokens, lengths))
        indexed.append(Sentences(tokens, lengths, label))
    return Corpus(name, vocab, *indexed, source=source, digest=digest.hexdigest()[:12], **known)


def _lines(path: Path) -> Iterator[str]:
    if path.is_dir():
        raise ValueError(f"Expected the path of a text file, but {path} is a folder")
    if not path.exists():
        raise ValueError(
            f"Expected one of {', '.join(CORPORA)} or the path of a text file, but there is no file {path}"
        )
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise ValueError(f"Expected a text file, but {path} is binary (a zero byte in line {number})")
                if line.count(" ") >= LONGEST_LINE:
                    raise ValueError(
                        f"Expected one sentence a line, but line {number} of {path} has {line.count(' ') + 1:,} words"
                    )
                yield line
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected a text file in UTF-8, but {path} is not, after line {number}: {error.reason}"
        ) from None
    if number == 0:
        raise ValueError(f"Expected one sentence a line, but {path} is empty")
