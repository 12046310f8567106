"""kldanneal.lab.corpora.corpus: sentences, batches and buckets."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.corpus import BOS, EOS, PAD, SPECIALS, UNK, Sentences

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
