"""kldanneal.lab's corpora: the toy language, docstrings, Penn Treebank, and a text file of one's own."""

import hashlib
import itertools
import math
import random
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
import torch
import torchtext.data.dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from kldanneal.lab.corpora import docstrings, ptb, toy
from kldanneal.lab.corpora.corpus import BOS, EOS, PAD, SPECIALS, UNK, Sentences
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


# ---------------------------------------------------------------------------------------------------- toy language


@pytest.fixture(scope="module")
def toy_corpus():
    return load_corpus("toy")


def test_toy_different_choices_give_different_sentences_and_so_the_entropy_is_exact(toy_corpus):
    every_choice = itertools.product(*map(range, toy.CHOICES.values()))
    different = len({toy.sentence(list(choices)) for choices in every_choice})
    assert different == math.prod(toy.CHOICES.values()) == 720_000
    assert math.isclose(toy.ENTROPY, math.log(different), rel_tol=1e-12)
    assert toy_corpus.entropy == toy.ENTROPY
    assert f"{math.log(different):.3f} nats" in toy_corpus.describe()


def test_toy_labels_regenerate_their_sentences(toy_corpus):
    assert toy_corpus.choices == tuple(toy.CHOICES)
    for split in (toy_corpus.train, toy_corpus.valid, toy_corpus.test):
        assert split.labels.shape == (len(split), len(toy.CHOICES))
        assert [toy_corpus.decode(ids) for ids in split] == [toy.sentence(row) for row in split.labels.tolist()]


@pytest.mark.parametrize(
    "choices, expected",
    [
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "the old cook boiled the soup in the kitchen yesterday"),
        ([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1], "the old cook did not taste the soup in the kitchen last week"),
        ([1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0], "the young sailor paints the boat in the harbour today"),
        ([1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0], "the young sailors paint the boat today in the harbour"),
        ([1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0], "the young sailor does not paint the boat in the harbour today"),
        ([1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0], "the young sailors do not paint the boat in the harbour today"),
        ([2, 2, 1, 0, 0, 2, 4, 4, 4, 3, 2], "the happy writers will explain the book in the college some day"),
        ([2, 2, 0, 1, 1, 3, 4, 4, 4, 3, 2], "the quiet writer will not explain the book some day in the college"),
    ],
)
def test_toy_grammar_of_tense_number_negation_and_order(choices, expected):
    assert toy.sentence(choices) == expected


def test_toy_choices_are_drawn_uniformly(toy_corpus):
    n = len(toy_corpus.train)
    for column, options in zip(toy_corpus.train.labels.T, toy.CHOICES.values(), strict=True):
        counts = torch.bincount(column, minlength=options)
        deviation = math.sqrt(n * (1 / options) * (1 - 1 / options))
        assert len(counts) == options
        assert ((counts - n / options).abs() < 5 * deviation).all()


def test_toy_splits_are_drawn_independently(toy_corpus):
    """Draws that share their generator would agree in more than the share of chance."""
    for one, other in itertools.combinations((toy_corpus.train, toy_corpus.valid, toy_corpus.test), 2):
        n = min(len(one), len(other))
        agree = (one.labels[:n] == other.labels[:n]).double().mean(dim=0)
        for share, options in zip(agree.tolist(), toy.CHOICES.values(), strict=True):
            assert share == pytest.approx(1 / options, abs=5 * math.sqrt((1 / options) * (1 - 1 / options) / n))


def test_toy_vocabulary_holds_every_word_and_no_word_is_unknown(toy_corpus):
    words = {word for line in toy.sample(50_000, seed=77)[0] for word in line.split()}
    assert set(toy_corpus.vocab.itos) == words | set(SPECIALS)
    for split in (toy_corpus.train, toy_corpus.valid, toy_corpus.test):
        assert not (split.tokens == UNK).any()
    assert "0.0% unknown" in toy_corpus.describe()


def test_toy_is_the_same_at_every_load(toy_corpus):
    torch.manual_seed(123)  # nothing global decides it
    before = torch.get_rng_state()
    again = load_corpus("toy")
    assert identical(again, toy_corpus)
    assert again.vocab.itos == toy_corpus.vocab.itos
    assert torch.equal(again.train.labels, toy_corpus.train.labels)
    assert torch.equal(torch.get_rng_state(), before)
    assert toy_corpus.digest in toy_corpus.describe()


# ------------------------------------------------------------------------------------------ sentences and batches


def sentences_of(lengths):
    """Sentences of these lengths with words that are all different."""
    rows = [[BOS, *(100 * i + j + len(SPECIALS) for j in range(length - 2)), EOS] for i, length in enumerate(lengths)]
    return Sentences(torch.tensor([token for row in rows for token in row]), torch.tensor(lengths)), rows


@settings(max_examples=50, deadline=None)
@given(st.data(), st.lists(st.integers(2, 12), min_size=1, max_size=20))
def test_batch_pads_exactly_to_its_longest_sentence(data, lengths):
    sentences, rows = sentences_of(lengths)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    batch = sentences.batch(torch.tensor(chosen))
    longest = max(lengths[i] for i in chosen)
    assert batch.tolist() == [rows[i] + [PAD] * (longest - lengths[i]) for i in chosen]


def test_sentences_by_index():
    sentences, rows = sentences_of([4, 2, 7])
    assert len(sentences) == 3
    assert [sentences[i].tolist() for i in range(3)] == rows


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=60), st.integers(1, 7), st.none() | st.integers(0, 5))
def test_buckets_cover_every_sentence_exactly_once(lengths, batch_size, seed):
    sentences, _ = sentences_of(lengths)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    batches = sentences.buckets(batch_size, generator)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert len(batches) == math.ceil(len(lengths) / batch_size)


def test_buckets_leave_little_padding():
    lengths = torch.randint(2, 41, (5000,), generator=torch.Generator().manual_seed(0))
    sentences = Sentences(torch.zeros(int(lengths.sum()), dtype=torch.long), lengths)

    def padding(batches):
        padded = sum(len(batch) * lengths[batch].max() for batch in batches)
        return 1 - lengths.sum().item() / padded.item()

    at_random = padding(torch.randperm(5000, generator=torch.Generator().manual_seed(1)).split(32))
    assert at_random > 0.4
    assert padding(sentences.buckets(32, torch.Generator().manual_seed(1))) < 0.05
    assert padding(sentences.buckets(32)) < 0.05


def test_buckets_are_decided_by_their_generator_alone():
    sentences, _ = sentences_of([2 + i % 7 for i in range(500)])

    def drawn(seed, epochs=2):
        generator = torch.Generator().manual_seed(seed)
        return [[batch.tolist() for batch in sentences.buckets(16, generator)] for _ in range(epochs)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    first, second = drawn(3)
    assert first != second
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))  # other batches, not only another order of them
    lengths = [int(sentences.lengths[batch[0]]) for batch in first]
    assert lengths != sorted(lengths)  # short and long batches come mixed


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(sorted({word for line in SENTENCES for word in line.split()})), max_size=12))
def test_encode_and_decode_are_each_others_inverse(toy_corpus, words):
    ids = toy_corpus.encode(" ".join(words))
    assert ids.dtype == torch.long
    assert ids[0] == BOS and ids[-1] == EOS and len(ids) == len(words) + 2
    assert toy_corpus.decode(ids) == " ".join(words)


def test_decode_stops_at_eos_and_leaves_out_padding(toy_corpus):
    the, old = toy_corpus.vocab.stoi["the"], toy_corpus.vocab.stoi["old"]
    assert toy_corpus.decode(torch.tensor([BOS, the, old, EOS, PAD, the])) == "the old"
    assert toy_corpus.decode([the, PAD, UNK]) == "the <unk>"


def test_encode_takes_what_a_person_types(toy_corpus):
    assert torch.equal(toy_corpus.encode("  The OLD cook "), toy_corpus.encode("the old cook"))
    words_known = len(toy_corpus.vocab.stoi)
    assert toy_corpus.encode("the zebra").tolist()[2] == UNK
    assert len(toy_corpus.vocab.stoi) == words_known, "asking for an unknown word must not add it to the vocabulary"


# ------------------------------------------------------------------------------------------------------ docstrings


@pytest.mark.parametrize(
    "docstring, expected",
    [
        ("Clear the cache, setting it to its initial state.", "Clear the cache, setting it to its initial state."),
        ("Return the absolute value", "Return the absolute value."),  # no full stop: it gets one
        ("Do this first. Then do that.", "Do this first."),  # several sentences: the first
        ("Return the value.\nAnd the rest.", "Return the value."),
        ("Summary over two\n    lines of text.\n\n    Details (left out).", "Summary over two lines of text."),
        ("\n\n   Leading blank lines are fine.  ", "Leading blank lines are fine."),
        ("Return `x` in ``order``.", "Return x in order."),  # the words of code stay, its marks go
        ("Don't touch this value.", None),  # the first word is letters only
        ("Return a well-known set's size.", "Return a well-known set's size."),
        ("Compute f(x) for x.", None),  # code
        ("x.__add__(y) <==> x+y", None),
        ("Return 3 values.", None),
        ("Return the value:", None),
        ("lower case at the start.", None),
        ("Word", None),  # one word is no sentence
        ("Wait for it...", None),
        ("", None),
        ("  \n\t ", None),
    ],
)
def test_summary_sentence(docstring, expected):
    assert docstrings.summary_sentence(docstring) == expected


@pytest.mark.parametrize(
    "docstring",
    [
        "A" + "a" * 2000 + "!",
        "Aa " + "a-'" * 700 + "!",
        "Aa" + ", a" * 700 + "!",
        "Aa" + " aa" * 700 + " (",
    ],
    ids=["letters", "marks", "commas", "words"],
)
def test_summary_sentence_does_not_backtrack_for_ever(docstring):
    """An earlier pattern took time exponential in the length of such text: with it this test never ended."""
    assert docstrings.summary_sentence(docstring) is None


NOUNS = ["apple", "bridge", "castle", "door", "engine", "flower", "garden", "house", "island", "jacket"]
VERBS = ["Open", "Close", "Paint", "Move", "Count", "Find", "Hide", "Lift", "Sort", "Check"]


@pytest.fixture
def stdlib(tmp_path, monkeypatch):
    """A small folder in the place of the standard library, and an empty cache."""
    source = tmp_path / "stdlib"
    (source / "package").mkdir(parents=True)
    for verb in VERBS:
        functions = (
            f'def f{i}{j}():\n    """{verb} the {noun} and the {other}.\n\n    Details."""\n'
            for i, noun in enumerate(NOUNS)
            for j, other in enumerate(NOUNS[:5])
        )
        (source / "package" / f"{verb}.py").write_text("\n".join(functions))
    monkeypatch.setattr(docstrings, "PACKAGES", ())
    monkeypatch.setattr(docstrings, "user_cache_path", lambda *_: tmp_path / "cache")
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda *_: str(source))
    return source


def test_docstrings_of_modules_classes_and_functions_are_read_once_each(stdlib):
    for file in (stdlib / "package").iterdir():
        file.unlink()
    (stdlib / "module.py").write_text(
        '"""Sort the apple by size."""\n'
        'class C:\n    """Open the door of it."""\n'
        '    def method(self):\n        """Close the door again."""\n'
        'def again():\n    """Close the door again"""\n'
        'def code():\n    """Return f(x)."""\n'
    )
    (stdlib / "template.py").write_text("def {{name}}: this is no Python")
    (stdlib / "binary.py").write_bytes(b"\x00\xff\xfe")
    (stdlib / "notes.txt").write_text('"""Not a Python file."""')
    for skipped in ("tests", "test", "site-packages"):
        (stdlib / skipped).mkdir()
        (stdlib / skipped / "a.py").write_text('"""Skip this whole folder."""')
    assert sorted(docstrings.docstring_sentences()) == [
        "Close the door again.", "Open the door of it.", "Sort the apple by size.",
    ]  # fmt: skip


def test_docstrings_of_async_functions_are_read_as_well(stdlib):
    (stdlib / "asynchronous.py").write_text('async def wait(self):\n    """Wait for the door."""\n')
    assert "Wait for the door." in docstrings.docstring_sentences()


def test_docstrings_come_from_the_cache_the_second_time(stdlib, tmp_path):
    first = docstrings.docstring_sentences()
    assert len(first) == len(set(first)) == 500
    for file in (stdlib / "package").iterdir():
        file.unlink()
    assert docstrings.docstring_sentences() == first
    assert len(list((tmp_path / "cache").iterdir())) == 1  # and nothing temporary beside it


def test_docstrings_of_other_versions_are_read_again(stdlib, monkeypatch):
    docstrings.docstring_sentences()
    (stdlib / "new.py").write_text('"""Something new is here."""')
    monkeypatch.setattr(docstrings.platform, "python_version", lambda: "3.99.0")
    assert "Something new is here." in docstrings.docstring_sentences()


def test_docstrings_without_a_cache_warn_and_are_still_there(stdlib, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be cached"):
        assert len(docstrings.docstring_sentences()) == 500


def test_docstrings_that_could_not_be_cached_leave_nothing_behind(stdlib, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(docstrings.os, "replace", full_disk)
    with pytest.warns(UserWarning, match="No space left"):
        assert len(docstrings.docstring_sentences()) == 500
    assert list((tmp_path / "cache").iterdir()) == []


def test_docstrings_as_a_corpus(stdlib):
    corpus = load_corpus("docstrings")
    train, valid, test = splits(corpus)
    assert sorted(train + valid + test) == sorted(
        f"{verb} the {noun} and the {other} .".lower() for verb in VERBS for noun in NOUNS for other in NOUNS[:5]
    )
    assert corpus.entropy is None and corpus.train.labels is None
    assert corpus.source.startswith("docstrings of python 3.")
    assert identical(load_corpus("docstrings"), corpus)
    shorter = load_corpus("docstrings", vocab_size=5)
    assert len(shorter.vocab) == 5 + len(SPECIALS)
    with pytest.raises(ValueError, match=r"at least 100 distinct sentences of 4 to 6 words.*got 0 from docstrings"):
        load_corpus("docstrings", max_length=6)  # all have seven, the full stop included


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


# ------------------------------------------------------------------------------------------------------ Penn Treebank

PTB_FILES = {
    "ptb.train.txt": text([f" {line} <unk> N " for line in SENTENCES[:200]]),
    "ptb.valid.txt": text([f" {line} " for line in SENTENCES[200:250]]),
    "ptb.test.txt": text([f" {line} " for line in SENTENCES[250:]]),
}


@pytest.fixture
def treebank(tmp_path, monkeypatch):
    """Small files in the place of the Penn Treebank: their sums, a folder with them, and an empty cache."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in PTB_FILES.items()}
    monkeypatch.setattr(ptb, "MD5", sums)
    monkeypatch.setattr(ptb, "user_cache_path", lambda *_: tmp_path / "cache")
    folder = tmp_path / "by hand"
    folder.mkdir()
    for name, content in PTB_FILES.items():
        (folder / name).write_bytes(content)
    return folder


def serve(monkeypatch, content_of):
    """Lets torchtext download what ``content_of(file name)`` returns; returns the list of names asked for."""
    asked = []

    def download_from_url(url, path):
        asked.append(Path(path).name)
        content = content_of(asked[-1])
        Path(path).write_bytes(content)

    monkeypatch.setattr(torchtext.data.dataset, "download_from_url", download_from_url)
    return asked


def test_ptb_sums_are_torchtexts_file_names():
    assert [url.rsplit("/", 1)[1] for url in ptb.PennTreebank.urls] == list(ptb.MD5)


def test_ptb_from_a_folder(treebank):
    corpus = load_corpus("ptb", root=treebank)
    train, valid, test = splits(corpus)
    assert train == [f"{line} <unk> N" for line in SENTENCES[:200]]  # its own splits, its own <unk> and capitals
    assert [len(valid), len(test)] == [50, 50]
    assert corpus.train[0].tolist()[-3] == UNK
    assert identical(load_corpus("ptb", root=str(treebank)), corpus)
    assert 0 < len(load_corpus("ptb", root=treebank, max_length=14).train) < 200


def test_ptb_downloads_once_and_keeps_the_files(treebank, tmp_path, monkeypatch):
    asked = serve(monkeypatch, PTB_FILES.get)
    first = ptb.read()
    assert sorted(asked) == sorted(PTB_FILES)
    assert first == ptb.read() == ptb.read(treebank)
    assert len(asked) == 3
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["penn-treebank"]
    assert sorted(path.name for path in (tmp_path / "cache" / "penn-treebank").iterdir()) == sorted(PTB_FILES)


def test_ptb_completes_a_cache_that_lacks_a_file(treebank, tmp_path, monkeypatch):
    cached = tmp_path / "cache" / "penn-treebank"
    cached.mkdir(parents=True)
    (cached / "ptb.train.txt").write_bytes(PTB_FILES["ptb.train.txt"])
    serve(monkeypatch, PTB_FILES.get)
    assert ptb.read() == ptb.read(treebank)


def no_network(name):
    raise OSError("Network is unreachable")


def library_error(name):
    raise RuntimeError("the library's own error, with a page of text: " + "x" * 10_000)


@pytest.mark.parametrize(
    "content_of, reason",
    [
        (no_network, "Network is unreachable"),
        (library_error, "RuntimeError"),
        (lambda name: PTB_FILES[name][:-100], "MD5"),  # cut short
        (lambda name: b"404: Not Found", "MD5"),
        (lambda name: b"", "MD5"),
        (lambda name: PTB_FILES[name] if "train" in name else no_network(name), "Network is unreachable"),
    ],
    ids=["no network", "library error", "truncated", "error page", "empty", "one of three"],
)
def test_ptb_download_that_fails_says_what_to_do(treebank, tmp_path, monkeypatch, content_of, reason):
    asked = serve(monkeypatch, content_of)
    with pytest.raises(ConnectionError) as error:
        load_corpus("ptb")
    message = str(error.value)
    instructions = ["By hand", *PTB_FILES, str(tmp_path / "cache" / "penn-treebank"), "--root", "--corpus docstrings"]
    for words in ["Penn Treebank could not be downloaded", reason, *instructions]:
        assert words in message
    assert len(message) < 1500 and "\n" not in message
    assert asked and list((tmp_path / "cache").iterdir()) == []  # nothing half-written
    serve(monkeypatch, PTB_FILES.get)
    assert ptb.read() == ptb.read(treebank)  # the next attempt is not harmed


def test_ptb_download_that_is_interrupted_leaves_nothing(treebank, tmp_path, monkeypatch):
    def interrupt(name):
        raise KeyboardInterrupt

    serve(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        ptb.read()
    assert list((tmp_path / "cache").iterdir()) == []


def test_ptb_without_a_place_for_the_cache_says_what_to_do(treebank, tmp_path, monkeypatch):
    asked = serve(monkeypatch, PTB_FILES.get)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="By hand") as error:
        ptb.read()
    assert str(tmp_path / "cache") in str(error.value) and not asked


def test_ptb_missing_files_are_named(treebank):
    (treebank / "ptb.valid.txt").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load_corpus("ptb", root=treebank)
    assert str(treebank) in str(error.value) and "but ptb.valid.txt is not there" in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"but ptb.train.txt, ptb.valid.txt, ptb.test.txt is not there"):
        load_corpus("ptb", root=treebank / "nowhere")


def test_ptb_changed_file_is_named(treebank):
    path = treebank / "ptb.test.txt"
    path.write_bytes(b"something else\n")
    with pytest.raises(OSError) as error:
        load_corpus("ptb", root=treebank)
    found = hashlib.md5(b"something else\n").hexdigest()
    for words in (str(path), ptb.MD5["ptb.test.txt"], found):
        assert words in str(error.value)


def test_ptb_split_without_a_sentence_short_enough_is_named(treebank, monkeypatch):
    long_lines = text([f" {'word ' * 30}"] * 5)
    (treebank / "ptb.test.txt").write_bytes(long_lines)
    monkeypatch.setitem(ptb.MD5, "ptb.test.txt", hashlib.md5(long_lines).hexdigest())
    with pytest.raises(ValueError) as error:
        load_corpus("ptb", root=treebank, max_length=20)
    for words in ("20 words", "test"):
        assert words in str(error.value)
