"""Loads a corpus by its name, or from a text file: reads, tokenises, splits and indexes."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchtext.vocab import Vocab

from kldanneal import _checks
from kldanneal.lab.corpora import docstrings, ptb, toy
from kldanneal.lab.corpora.corpus import BOS, EOS, SPECIALS, UNK, Corpus, Sentences, tokenize, word_id

CORPORA = ("toy", "docstrings", "ptb")
#: Sentences with more words than this are left out, unless ``max_length`` says otherwise.
MAX_LENGTH = {"docstrings": 18, "ptb": 40, "file": 25}
VOCAB_SIZE = {"docstrings": 2000, "ptb": 10_000, "file": 4000}
SMALLEST = 100  # sentences; fewer cannot be split into something to learn from and something to measure on
LONGEST_LINE = 10_000  # words; a longer line means that the file does not hold one sentence a line


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
        max_length (int, optional): the most words a sentence may have. Default: 18 for docstrings, 40 for ptb, 25 for
            a file; the toy language takes every sentence.
        vocab_size (int, optional): how many words are kept, the most frequent ones; the others become <unk>.
            Default: 2,000 for docstrings, 10,000 for ptb, 4,000 for a file; the toy language keeps all of them.
        root (path, optional): for ptb, a folder that holds ptb.train.txt, ptb.valid.txt and ptb.test.txt.

    Raises:
        TypeError, ValueError, OSError: a file that is missing, empty, not text, or too small; an option that is no
            integer, or out of range.
    """
    for option, value, least in (("max_length", max_length, 1), ("vocab_size", vocab_size, 2)):
        if value is not None:
            _checks.integer(option, value, least)
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
    source = "a grammar of 720,000 equally likely sentences (kldanneal.lab.corpora.toy)"
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
    ids = {word: word_id(vocab, word) for word in vocab.itos}
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
