"""kldanneal.lab.prices: hidden choices by name, and what a decoder of known behaviour has from z."""

import math
from dataclasses import replace

import pytest
import torch

from kldanneal.diagnostics import Estimate
from kldanneal.lab import CHOICES, LSTMVAE, load_corpus
from kldanneal.lab.corpora import toy
from kldanneal.lab.prices import named, option_names, plot_told, table_of_prices, told

TENSE = list(CHOICES).index("tense")


class Telling(LSTMVAE):
    """Its code is the tense itself, and its decoder believes it with the odds of ``factor`` to 1 against each other."""

    def __init__(self, corpus, factor, lie=False):
        super().__init__(len(corpus.vocab), embedding=4, hidden=4, latent=1)
        self.tense_of = {
            corpus.vocab.stoi[phrase.split()[0]]: tense
            for tense, phrases in enumerate(toy.TENSES.values())
            for phrase in phrases
        }
        self.log_odds, self.lie = math.log(factor), lie

    def tense(self, x):
        """By the first word of the time: "last week" is past, "next week" is future."""
        return torch.tensor([next(self.tense_of[int(i)] for i in row if int(i) in self.tense_of) for row in x])

    def encode(self, x):
        mu = self.tense(x).float()[:, None]
        return mu, torch.full_like(mu, -50.0)

    def log_likelihood(self, x, z):
        agrees = self.tense(x) == (z[:, 0].round().long() + self.lie) % 3
        return agrees * self.log_odds


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("toy")


def test_names_are_those_of_the_words(corpus):
    for i in range(50):
        choices = named(corpus.test.labels[i])
        text = corpus.decode(corpus.test[i])
        assert list(choices) == list(CHOICES)
        for name in ("adjective", "subject", "object", "place", "time"):
            assert choices[name] in text
        assert (choices["number"] == "plural") == (f"{choices['subject']}s" in text)
        assert (choices["negation"] == "yes") == (" not " in text)
        assert (choices["tense"] == "future") == (" will " in text)
        assert choices["time"] in toy.TENSES[choices["tense"]]
        in_the_end = text.endswith(choices["place"])
        assert choices["order"] == ("time first" if in_the_end else "place first")


def test_every_choice_has_a_name_for_each_option():
    for topic in range(CHOICES["topic"]):
        for tense in range(CHOICES["tense"]):
            names = option_names(topic, tense)
            assert {choice: len(options) for choice, options in names.items()} == CHOICES


def test_the_prices_add_up_to_the_entropy():
    rows = [line.split("|")[1:-1] for line in table_of_prices().splitlines()[2:]]
    assert [row[0].strip() for row in rows] == list(CHOICES)
    assert sum(float(row[2].split("=")[1]) for row in rows) == pytest.approx(toy.ENTROPY, abs=0.01)
    assert "past, present, future" in table_of_prices() and "(topic: kitchen)" in table_of_prices()


@pytest.mark.parametrize("factor", [1.0, 4.0, 1e6])
def test_what_is_told_is_the_log_of_the_share_of_the_right_option(corpus, factor):
    model = Telling(corpus, factor)
    x = corpus.test.batch(torch.arange(100))
    right = (model.tense(x) == corpus.test.labels[:100, TENSE]).double().mean().item()
    assert right == 1  # the premise: the time says the tense
    found = told(model, corpus, sentences=100)
    assert list(found) == list(CHOICES)
    assert found["tense"].value == pytest.approx(math.log(3 * factor / (factor + 2)), abs=1e-3)
    assert all(found[name].value == pytest.approx(0, abs=1e-6) for name in CHOICES if name != "tense")


def test_a_decoder_that_is_sure_and_wrong_is_below_0(corpus):
    assert told(Telling(corpus, 100.0, lie=True), corpus, sentences=50)["tense"].value < -2


def test_an_untrained_model_is_told_little_and_keeps_its_mode(corpus):
    model = LSTMVAE(len(corpus.vocab), embedding=8, hidden=8, generator=torch.Generator().manual_seed(0)).train()
    found, again = (told(model, corpus, sentences=40, seed=1) for _ in range(2))
    assert model.training and found == again
    assert all(estimate.value < 0.3 for estimate in found.values())


def test_a_corpus_without_choices_is_refused(corpus):
    with pytest.raises(ValueError, match="toy language"):
        told(Telling(corpus, 2.0), replace(corpus, choices=(), name="mine"))


def test_the_picture_has_prices_and_what_is_told():
    estimates, wider = (
        {choice: Estimate(0.1 * i, error) for i, choice in enumerate(CHOICES)} for error in (0.01, 0.02)
    )
    figure, alt = plot_told({"β = 1": estimates, "β = 0.25": wider}, "toy language, 3 updates, seed 0")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CHOICES)
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([math.log(count) for count in CHOICES.values()])
    for number, drawn in enumerate(axes.containers[1:]):
        half = [(line[1, 0] - line[0, 0]) / 2 for line in drawn.lines[2][0].get_segments()]
        assert half == pytest.approx([2 * 0.01 * (number + 1)] * len(CHOICES))
    assert "tense 0.10 of 1.10" in alt and alt.count("topic 0.00 of 1.61") == 2 and "seed 0" in alt


@pytest.mark.parametrize("count", [0, 3])
def test_the_picture_takes_one_or_two_models(count):
    with pytest.raises(ValueError, match=f"one or two models, but got {count}"):
        plot_told({str(i): {} for i in range(count)})
