"""Loads a corpus by its name, or from a text file: reads, tokenises, splits and indexes."""

import hashlib
import warnings
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchtext.vocab import Vocab

from kldanneal import _checks
from kldanneal.lab.corpora import docstrings, ptb, toy
from kldanneal.lab.corpora.corpus import BOS, EOS, SPECIALS, UNK, Corpus, Sentences, tokenize, word_id
from kldanneal.lab.corpora.text import Text, has_no_spaces
from kldanneal.lab.terminal import printable

CORPORA = ("toy", "docstrings", "ptb")
#: Sentences with more words than this are left out, unless ``max_length`` says otherwise.
MAX_LENGTH = {"docstrings": 18, "ptb": 40, "file": 25}
VOCAB_SIZE = {"docstrings": 2000, "ptb": 10_000, "file": 4000}
SMALLEST = 100  # sentences; fewer cannot be split into something to learn from and something to measure on
EXAMPLE = 100  # characters of a sentence that is shown


def load_corpus(
    name: str = "docstrings",
    *,
    max_length: int | None = None,
    vocab_size: int | None = None,
    root: str | Path | None = None,
    text_column: str | int | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Corpus:
    """Loads a corpus, the same one every time: tokenised, split and indexed by rules that leave nothing to chance.

    Args:
        name (str): ``'toy'``, ``'docstrings'``, ``'ptb'``, or the path of a text file: one sentence a line, or a table
            or JSONL with ``text_column``; also as gzip. Default: ``'docstrings'``.
        max_length (int, optional): the most words a sentence may have. Default: 18 for docstrings, 40 for ptb, 25 for
            a file; the toy language takes every sentence.
        vocab_size (int, optional): how many words are kept, the most frequent ones; the others become <unk>.
            Default: 2,000 for docstrings, 10,000 for ptb, 4,000 for a file; the toy language keeps all of them.
        root (path, optional): for ptb, a folder that holds ptb.train.txt, ptb.valid.txt and ptb.test.txt.
        text_column, delimiter, encoding: for a file, see :class:`~kldanneal.lab.corpora.text.Text`.

    Warns:
        UserWarning: a file that looks like a table or JSON and is read as plain text, that has no spaces between words,
            or of which most lines are left out.

    Raises:
        TypeError, ValueError, OSError: a file that is missing, empty, not text, or too small; an option that is no
            integer, or out of range.
    """
    for option, value, least in (("max_length", max_length, 1), ("vocab_size", vocab_size, 2)):
        if value is not None:
            _checks.integer(option, value, least)
    kind = name if name in CORPORA else "file"
    for option, value in (("text_column", text_column), ("delimiter", delimiter), ("encoding", encoding)):
        if value is not None and kind != "file":
            raise ValueError(f"Expected {option} with a text file alone, but got {value!r} with the corpus {name}")
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
        sentences = Lines(docstrings.docstring_sentences(), 4, max_length)
        return _split("docstrings", sentences, vocab_size, f"docstrings of {found}")
    return _file(Path(name), max_length, vocab_size, text_column=text_column, delimiter=delimiter, encoding=encoding)


class Lines:
    """The distinct sentences among lines, as tokens with a space between them; it counts what is left out.

    Args:
        lines: read once.
        shortest, longest (int): the words that a sentence may have.
    """

    def __init__(self, lines: Iterable[str], shortest: int, longest: int) -> None:
        self.shortest, self.longest = shortest, longest
        self.read = self.kept = self.empty = self.short = self.long = self.repeated = 0
        self.first: list[str] = []  # sentences at the beginning, whatever their length
        self.distinct: set[str] = set()  # strings take less memory than lists of words
        self.examples: list[str] = []
        for words in map(tokenize, lines):
            self._add(words)

    def _add(self, words: list[str]) -> None:
        self.read += 1
        if len(self.first) < 200 and words:
            self.first.append(" ".join(words[:100]))
        if not words:
            self.empty += 1
        elif len(words) < self.shortest:
            self.short += 1
        elif len(words) > self.longest:
            self.long += 1
        else:
            sentence = " ".join(words)
            self.distinct.add(sentence)
            if len(self.distinct) == self.kept:
                self.repeated += 1
                return
            self.kept += 1
            if self.kept <= 2:
                self.examples.append(sentence)

    def counts(self, unit: str = "line", without_text: int = 0) -> str:
        """How many lines there were, and what became of them: the numbers add up."""
        parts = [
            f"{self.kept:,} kept",
            f"{self.long:,} too long (more than {self.longest} words)",
            f"{self.repeated:,} repeated",
        ]
        parts += [f"{self.short:,} too short"] if self.short else []
        parts += [f"{self.empty:,} empty"] if self.empty else []
        parts += [f"{without_text:,} without a text"] if without_text else []
        read = self.read + without_text
        return f"{read:,} {unit}{'' if read == 1 else 's'} read: {', '.join(parts)}"


def _file(path: Path, max_length: int, vocab_size: int, **form: Any) -> Corpus:
    if path.is_dir():
        raise ValueError(f"Expected the path of a text file, but {path} is a folder")
    if not path.exists():
        raise ValueError(
            f"Expected one of {', '.join(CORPORA)} or the path of a text file, but there is no file {path}"
        )
    text = Text(path, **form)
    lines = Lines(text, 1, max_length)
    counts, name = lines.counts(text.unit, text.without_text), printable(path.name)
    hints = [hint for hint in [text.looks_like()] if hint]
    if has_no_spaces(lines.first):
        hints.append(
            f"{name} has no spaces between words, so whole sentences count as words. Separate the words first, or put "
            "a space between all characters"
        )
    try:
        corpus = _split(path.name, lines, vocab_size, f"{name} ({text.form})", counts)
    except ValueError as error:
        raise ValueError(". ".join([str(error), *hints])) from None
    if 2 * lines.kept < text.read - lines.empty:
        hints.append(f"more than half of {name} is left out ({counts})")
    for hint in hints:
        warnings.warn(hint, stacklevel=3)
    shown = [printable(sentence if len(sentence) <= EXAMPLE else f"{sentence[:EXAMPLE]} ...")
             for sentence in lines.examples]  # fmt: skip
    return replace(corpus, notes=(counts, *(f"as read: {sentence}" for sentence in shown)))


def _toy() -> Corpus:
    drawn = [toy.sample(n, seed) for seed, n in enumerate((20_000, 1000, 1000))]
    splits, labels = [sentences for sentences, _ in drawn], [choices for _, choices in drawn]
    source = "a grammar of 720,000 equally likely sentences (kldanneal.lab.corpora.toy)"
    return _index("toy", splits, None, source, labels=labels, choices=tuple(toy.CHOICES), entropy=toy.ENTROPY)


def _split(name: str, lines: Lines, vocab_size: int, source: str, counts: str | None = None) -> Corpus:
    """Distinct sentences, ordered by their own hash; a tenth of them (at most 1,000) is held out, twice."""
    if lines.kept < SMALLEST:
        raise ValueError(
            f"Expected at least {SMALLEST} distinct sentences of {lines.shortest} to {lines.longest} words, one a "
            f"line, but got {lines.kept} from {printable(name)} ({counts or lines.counts()})"
        )
    ordered = list(lines.distinct)
    lines.distinct.clear()  # of a million sentences it takes as much memory as their tokens
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
