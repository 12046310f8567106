"""kldanneal.lab's corpora: the toy language, docstrings, Penn Treebank, and a text file of one's own."""

import hashlib
import random
import tracemalloc
from collections import Counter

import pytest
import torch

from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.corpus import BOS, EOS, PAD, SPECIALS, UNK
from kldanneal.lab.corpora.load import load_corpus

DRAWN = zip(*toy.sample(8000, seed=9), strict=True)
#: 300 distinct sentences about future kitchens, of 11 to 13 words; all words are frequent.
SENTENCES = list(dict.fromkeys(line for line, labels in DRAWN if labels[:2].tolist() == [0, 2]))[:300]


def text(lines, newline="\n"):
    return newline.join([*lines, ""]).encode()


def write(path, lines, newline="\n"):
    path.write_bytes(text(lines, newline))
    return path


def splits(corpus):
    """The words of every sentence of the three splits."""
    return [[corpus.decode(ids) for ids in split] for split in (corpus.train, corpus.valid, corpus.test)]


def identical(one, other):
    return one.digest == other.digest and all(
        torch.equal(getattr(getattr(one, split), part), getattr(getattr(other, split), part))
        for split in ("train", "valid", "test")
        for part in ("tokens", "lengths")
    )


# ------------------------------------------------------------------------------------------------ a file of one's own


def test_file_splits_are_disjoint_and_complete(tmp_path):
    corpus = load_corpus(str(write(tmp_path / "my.txt", SENTENCES)))
    train, valid, test = splits(corpus)
    assert (len(train), len(valid), len(test)) == (240, 30, 30)
    assert set(train) | set(valid) | set(test) == set(SENTENCES)
    assert len(set(train) | set(valid) | set(test)) == 300
    assert corpus.name == "my.txt" and "240 sentences to train on, 30 + 30 held out" in corpus.describe()


def test_file_holds_out_at_most_a_thousand_twice(tmp_path):
    lines = toy.sample(11_000, seed=5)[0]
    corpus = load_corpus(write(tmp_path / "large.txt", lines))
    assert (len(corpus.valid), len(corpus.test)) == (1000, 1000)
    assert len(corpus.train) == len(set(lines)) - 2000


def test_file_corpus_does_not_depend_on_the_order_of_lines(tmp_path):
    shuffled = random.Random(1).sample(SENTENCES, len(SENTENCES))
    corpus = load_corpus(write(tmp_path / "a.txt", SENTENCES))
    assert identical(load_corpus(write(tmp_path / "b.txt", shuffled)), corpus)
    held_out = " ".join(splits(corpus)[1])
    assert not all(sentence in held_out for sentence in SENTENCES[:30])  # the split is not by position


@pytest.mark.parametrize(
    "content",
    [
        text(SENTENCES, "\r\n"),
        text(SENTENCES, "\r"),
        b"\xef\xbb\xbf" + text(SENTENCES),  # a byte order mark, as Windows editors write it
        text([*SENTENCES, *SENTENCES[:50]]),  # duplicates
        text(line for sentence in SENTENCES for line in (f"  {sentence}  ", "", "\t")),
        text(sentence.capitalize() for sentence in SENTENCES),
        text(SENTENCES).rstrip(b"\n"),
    ],
    ids=["CRLF", "CR", "BOM", "duplicates", "blank lines", "capitals", "no newline at the end"],
)
def test_file_corpus_does_not_depend_on_how_the_text_is_stored(tmp_path, content):
    (tmp_path / "other.txt").write_bytes(content)
    assert identical(load_corpus(tmp_path / "other.txt"), load_corpus(write(tmp_path / "plain.txt", SENTENCES)))


def test_file_tokens_and_digest_are_as_written_out_plainly(tmp_path):
    """Stored runs name their corpus by its digest: whatever way the ids are made, they and it must stay the same."""
    lines = [f"once{i} <eos> {sentence}" for i, sentence in enumerate(SENTENCES)]
    corpus = load_corpus(write(tmp_path / "my.txt", lines), vocab_size=30)
    ordered = sorted(set(lines), key=lambda line: hashlib.sha256(line.encode()).hexdigest())
    counts = Counter(" ".join(ordered[60:]).split())
    del counts["<eos>"]
    repeated = sorted(word for word in counts if counts[word] > 1)
    itos = [*SPECIALS, *sorted(repeated, key=lambda word: -counts[word])[:30]]
    digest = hashlib.sha256("\n".join(itos).encode())
    for split, part in [(corpus.train, ordered[60:]), (corpus.valid, ordered[:30]), (corpus.test, ordered[30:60])]:
        rows = [[itos.index(w) if w in itos[4:] else UNK for w in line.split()] for line in part]
        assert [ids.tolist() for ids in split] == [[BOS, *row, EOS] for row in rows]
        digest.update(b"".join(i.to_bytes(8, "little") for row in rows for i in (BOS, *row, EOS)))
    assert corpus.digest == digest.hexdigest()[:12]


def test_file_takes_memory_in_proportion_to_its_lines(tmp_path):
    """About 250 bytes a line; lists of ids took 450. See tests/benchmarks/growth.py for a million lines."""
    lines = toy.sample(6000, seed=3)[0]
    peaks = []
    for n in (3000, 6000):
        path = write(tmp_path / "large.txt", lines[:n])
        tracemalloc.start()
        load_corpus(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6000 * 340
    assert peaks[1] - peaks[0] < 3000 * 340


def test_file_digest_changes_with_the_content(tmp_path):
    path = tmp_path / "my.txt"
    digests = {
        load_corpus(write(path, lines), **options).digest
        for lines, options in [
            (SENTENCES, {}),
            (SENTENCES[:-1], {}),
            ([*SENTENCES[:-1], "one other word"], {}),
            (SENTENCES, {"vocab_size": 20}),
            (SENTENCES, {"max_length": 12}),
        ]
    }
    assert len(digests) == 5


def test_file_max_length_leaves_out_longer_sentences(tmp_path):
    path = write(tmp_path / "my.txt", SENTENCES)
    short_enough = [sentence for sentence in SENTENCES if len(sentence.split()) <= 12]
    assert 100 < len(short_enough) < 300
    found = load_corpus(path, max_length=12)
    assert sorted(sentence for split in splits(found) for sentence in split) == sorted(short_enough)
    assert max(split.lengths.max() for split in (found.train, found.valid, found.test)) == 12 + 2  # <bos>, <eos>


def test_file_vocab_size_keeps_the_most_frequent_words(tmp_path):
    path = write(tmp_path / "my.txt", SENTENCES)
    whole, cut = load_corpus(path), load_corpus(path, vocab_size=20)
    assert len(cut.vocab) == 20 + len(SPECIALS) < len(whole.vocab)
    counts = Counter(word for sentence in splits(whole)[0] for word in sentence.split())
    kept = cut.vocab.itos[len(SPECIALS) :]
    left_out = set(whole.vocab.itos) - set(cut.vocab.itos)
    assert min(counts[word] for word in kept) >= max(counts[word] for word in left_out)
    for full, replaced in zip(splits(whole)[2], splits(cut)[2], strict=True):
        assert [word if word in kept else "<unk>" for word in full.split()] == replaced.split()


def test_file_vocabulary_holds_what_training_repeats(tmp_path):
    """Words of held-out sentences only, and words that occur once, are unknown."""
    lines = [f"twice{i} twice{i} once{i} {sentence}" for i, sentence in enumerate(SENTENCES)]
    train, valid, test = splits(load_corpus(write(tmp_path / "my.txt", lines)))
    assert all(sentence.startswith("twice") and sentence.split()[2] == "<unk>" for sentence in train)
    assert all(sentence.startswith("<unk> <unk> <unk> ") for sentence in valid + test)
    assert "<unk>" not in " ".join(sentence.split(maxsplit=3)[3] for sentence in train + valid + test)


def test_file_words_that_spell_special_tokens_are_words_not_tokens(tmp_path):
    """Text with a literal <eos> or <pad> must not end or pad a sentence in its middle."""
    lines = [f"the <pad> <eos> <bos> <unk> {sentence}" for sentence in SENTENCES]
    corpus = load_corpus(write(tmp_path / "my.txt", lines))
    for split in (corpus.train, corpus.valid, corpus.test):
        for ids in split:
            assert ids[0] == BOS and ids[-1] == EOS
            assert not torch.isin(ids[1:-1], torch.tensor([BOS, EOS, PAD])).any()
    typed = corpus.encode("the <pad> <eos>")
    assert not torch.isin(typed[1:-1], torch.tensor([BOS, EOS, PAD])).any()


ONE_WORD = text(f"again again unique{i}" for i in range(150))  # all other words occur once

#: Content of the file (None: no file; a folder), options, and what the message must say.
BAD_FILES = {
    "missing": (None, {}, ["one of toy, docstrings, ptb or the path of a text file", "no file", "bad.txt"]),
    "folder": ("folder", {}, ["path of a text file", "bad.txt", "is a folder"]),
    "empty": (b"", {}, ["one sentence a line", "bad.txt", "is empty"]),
    "BOM only": (b"\xef\xbb\xbf", {}, ["one sentence a line", "bad.txt", "is empty"]),
    "blank lines": (b"\n \n\n", {}, ["at least 100 distinct sentences", "got 0", "bad.txt"]),
    "three lines": (b"one line\ntwo lines\nthree lines\n", {}, ["at least 100 distinct sentences", "got 3", "bad.txt"]),
    "duplicates": (b"the same line\n" * 500, {}, ["at least 100 distinct sentences", "got 1", "bad.txt"]),
    "zero byte": (text(SENTENCES[:5]) + b"\0\1\2\n", {}, ["text file", "bad.txt", "is binary", "zero byte in line 6"]),
    "latin-1": (text(SENTENCES) + "le café\n".encode("latin-1"), {}, ["UTF-8", "bad.txt", "is not"]),
    "UTF-16": ("\n".join(SENTENCES).encode("utf-16"), {}, ["UTF-8", "bad.txt", "is not"]),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, {}, ["bad.txt", "is"]),
    "a million words": (b"word " * 1_000_000, {}, ["one sentence a line", "line 1 of", "bad.txt", "1,000,001 words"]),
    "a long fifth line": (
        text(SENTENCES[:4]) + b"a b " * 6000,
        {},
        ["one sentence a line", "line 5 of", "12,001 words"],
    ),
    "one-word vocabulary": (ONE_WORD, {}, ["at least 2 different words", "got 1", "bad.txt"]),
    "all words once": (text(f"word{i}" for i in range(200)), {}, ["at least 2 different words", "got 0", "bad.txt"]),
    "too long for max_length": (text(SENTENCES), {"max_length": 8}, ["sentences of 1 to 8 words", "got 0", "bad.txt"]),
    "max_length zero": (text(SENTENCES), {"max_length": 0}, ["max_length to be at least 1", "got 0"]),
    "max_length negative": (text(SENTENCES), {"max_length": -5}, ["max_length to be at least 1", "got -5"]),
    "vocab_size zero": (text(SENTENCES), {"vocab_size": 0}, ["vocab_size to be at least 2", "got 0"]),
    "vocab_size one": (text(SENTENCES), {"vocab_size": 1}, ["vocab_size to be at least 2", "got 1"]),
    "vocab_size negative": (text(SENTENCES), {"vocab_size": -4000}, ["vocab_size to be at least 2", "got -4000"]),
}


@pytest.mark.parametrize("content, options, expected", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_and_options_are_named(tmp_path, content, options, expected):
    path = tmp_path / "bad.txt"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        load_corpus(str(path), **options)
    for words in expected:
        assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["toy", "docstrings", "ptb"])
def test_bad_options_are_named_for_every_corpus(name):
    with pytest.raises(ValueError, match="max_length to be at least 1, but got 0"):
        load_corpus(name, max_length=0)
    with pytest.raises(ValueError, match="vocab_size to be at least 2, but got 1"):
        load_corpus(name, vocab_size=1)
