"""kldanneal.lab.corpora.toy: the language, its entropy, its labels."""

import itertools
import math

import pytest
import torch

from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.corpus import SPECIALS, UNK
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


def test_toy_choices_are_read_from_the_words():
    sentences, labels = toy.sample(2000, seed=5)
    for text, values in zip(sentences, labels.tolist(), strict=True):
        assert toy.read(text) == dict(zip(toy.CHOICES, values, strict=True)) and toy.contains(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"negation": 0}),
        ("the old captains did not", {"adjective": 0, "topic": 1, "number": 1, "subject": 1, "negation": 1}),
        ("the soup in the barn next week", {"negation": 0, "object": 0, "place": 1, "tense": 2, "time": 1, "order": 0}),
        ("the old cooks the young sailor", {"adjective": 0, "topic": 0, "number": 1, "subject": 0, "negation": 0}),
        ("the week today in the", {"negation": 0, "tense": 1, "time": 0, "order": 1}),
    ],
)
def test_toy_words_that_tell_no_choice_are_passed_over(text, expected):
    assert toy.read(text) == expected and not toy.contains(text)


@pytest.mark.parametrize(
    "text",
    [
        "the old cook painted the soup in the kitchen yesterday",  # a verb of the harbour
        "the old cooks boils the soup in the kitchen today",
        "the old cook will not boil the soup in the kitchen last week",
        "the old cook boiled the soup in the kitchen yesterday yesterday",
    ],
)
def test_toy_a_sentence_with_a_wrong_word_is_not_in_the_language(text):
    assert not toy.contains(text)


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
