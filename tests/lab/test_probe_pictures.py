"""kldanneal.lab.probe_pictures, and what is read from reconstructions: on codes made by hand and small models."""

import pytest
import torch

from kldanneal.lab.corpora import toy
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.probe import always_the_same, most_frequent, probe, probe_choices, survives
from kldanneal.lab.probe_pictures import direction, jumps, plot_direction, plot_readable, plot_walks, walk


@pytest.fixture(scope="module")
def model(toy_corpus):
    generator = torch.Generator().manual_seed(0)
    return LSTMVAE(len(toy_corpus.vocab), hidden=12, embedding=8, latent=3, generator=generator)


def test_the_choices_of_a_corpus_are_probed_one_by_one(toy_corpus):
    generator = torch.Generator().manual_seed(0)
    parts = (toy_corpus.valid, toy_corpus.test)
    codes, codes_test = (
        part.labels[:, [1, 3]] + 0.05 * torch.randn(len(part), 2, generator=generator) for part in parts
    )
    read = probe_choices(codes, codes_test, toy_corpus)
    assert list(read) == list(toy.CHOICES) and read["tense"] == read["negation"] == 1
    topics = [part.labels[:, 0] for part in parts]
    assert read["topic"] == probe(codes, topics[0], codes_test, topics[1])
    assert always_the_same(toy_corpus)["topic"] == most_frequent(*topics)


def test_a_choice_survives_where_the_words_of_the_reconstruction_tell_it(toy_corpus, model, monkeypatch):
    """A decoder that writes half of the sentences right, and nothing for the others."""
    x = toy_corpus.test.batch(torch.arange(len(toy_corpus.test)))[:, 1:]
    half = x.clone()
    half[::2] = 3  # every second one ends at once
    monkeypatch.setattr(model, "generate", lambda z: half)
    assert toy_corpus.decode(half[0]) == "" and toy_corpus.decode(half[1]) == toy_corpus.decode(toy_corpus.test[1])
    shares = survives(model, toy_corpus)
    negated = toy_corpus.test.labels[::2, 3].double().mean().item() / 2
    assert shares["topic"] == shares["time"] == 0.5 and shares["negation"] == pytest.approx(1 - negated)
    monkeypatch.setattr(model, "generate", lambda z: x)
    assert set(survives(model, toy_corpus).values()) == {1.0}


def test_the_direction_that_tells_a_choice_is_not_the_one_that_varies_most():
    generator = torch.Generator().manual_seed(0)
    choice = torch.arange(400) % 2
    mu = torch.randn(400, 3, generator=generator) * torch.tensor([1.0, 0.001, 1.0]) - 7
    mu[:, 1] += 0.01 * choice
    found = direction(mu, choice)
    assert found.norm().item() == pytest.approx(1) and found[1] > 0.99
    along = mu.double() @ found
    assert along[choice == 1].min() > along[choice == 0].max()


def test_mu_and_z_have_scales_of_their_own():
    generator = torch.Generator().manual_seed(0)
    choice = torch.arange(400) % 2
    mu = 0.01 * (choice[:, None] + 0.1 * torch.randn(400, 2, generator=generator))
    z = mu + torch.randn(400, 2, generator=generator)
    figure, alt = plot_direction(mu, z, choice, ["no", "yes"], torch.tensor([1.0, 0.0]).double(), "toy, seed 0")
    of_mu, of_z = figure.axes
    assert of_mu.get_xlim()[1] < 0.1 < 1 < of_z.get_xlim()[1]
    assert sum(patch.get_height() for patch in of_z.patches) == 400
    assert "mu, yes: mean +0.010, deviation 0.001" in alt and "toy, seed 0" in alt


def test_a_row_of_marks_for_each_choice():
    shares = {"one": {"topic": 0.2, "tense": 0.9}, "two": {"topic": 0.3, "tense": 0.4}}
    figure, alt = plot_readable(shares, {"topic": 0.25, "tense": 0.5}, "toy, seed 0")
    (axes,) = figure.axes
    marks = {line.get_label(): list(line.get_xdata()) for line in axes.lines if line.get_label() in shares}
    assert marks == {"one": [0.2, 0.9], "two": [0.3, 0.4]}
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.5]
    assert "topic: always the same 0.25, one 0.20, two 0.30; tense:" in alt


def test_a_walk_begins_and_ends_at_the_two_means(toy_corpus, model):
    x_from, x_to = toy_corpus.test[0], toy_corpus.test[1]
    sentences, nats = walk(model, toy_corpus, x_from, x_to, n=5)
    assert len(sentences) == 5 and nats.shape == (5, 2)
    for place, own in ((0, x_from), (4, x_to)):
        mu, _ = model.eval().encode(own[None])
        assert sentences[place] == toy_corpus.decode(model.generate(mu)[0])
        for column, x in enumerate((x_from, x_to)):
            torch.testing.assert_close(nats[place, column], -model.log_likelihood(x[None], mu)[0].detach())


def test_a_line_stands_at_each_jump():
    assert jumps(["a", "a", "b", "a"]) == [2, 3] and jumps(["a"]) == []
    nats = torch.tensor([[1.0, 4.0], [2.0, 3.0], [3.0, 2.0]])
    figure, alt = plot_walks({"one": (["a", "a", "b"], nats), "two": (["a", "a", "a"], nats)}, "toy, seed 0")
    one, two = figure.axes
    assert len(one.lines) == 3 and len(two.lines) == 2
    assert list(one.lines[2].get_xdata()) == [0.75, 0.75] and list(one.lines[0].get_ydata()) == [1, 2, 3]
    assert "one: 1 jumps, nats of the two sentences 1.0 to 3.0, 4.0 to 2.0; two: 0 jumps" in alt
