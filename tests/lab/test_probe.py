"""kldanneal.lab.probe: linear probes of codes made by hand, and the picture of the latent space."""

import pytest
import torch
from matplotlib.figure import Figure

from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.probe import most_frequent, plot_latent, posteriors, probe


def separable(n, values, noise, seed):
    """Codes around the corners of a polygon, a corner for each value; the third dimension says nothing."""
    generator = torch.Generator().manual_seed(seed)
    choice = torch.randint(values, (n,), generator=generator)
    angle = 2 * torch.pi * choice / values
    corner = torch.stack([angle.cos(), angle.sin(), torch.zeros(n)], dim=1)
    return corner + noise * torch.randn(n, 3, generator=generator), choice


@pytest.mark.parametrize("values", [2, 3, 5])
def test_a_choice_that_is_in_the_code_is_read(values):
    assert probe(*separable(500, values, 0.05, 0), *separable(500, values, 0.05, 1)) == 1


@pytest.mark.parametrize("values", [2, 5])
def test_noise_is_read_by_chance(values):
    (z, choice), (z_test, choice_test) = (separable(2000, values, 1000.0, seed) for seed in (0, 1))
    assert probe(z, choice, z_test, choice_test) == pytest.approx(1 / values, abs=0.05)


def test_the_scale_and_the_origin_of_the_code_do_not_matter():
    """Which is why a probe of mu is fooled by a vanished KL."""
    (z, choice), (z_test, choice_test) = (separable(500, 3, 0.5, seed) for seed in (0, 1))
    plain = probe(z, choice, z_test, choice_test)
    assert 0.5 < plain < 1
    assert probe(1e-3 * z - 7, choice, 1e-3 * z_test - 7, choice_test) == pytest.approx(plain, abs=0.01)


def test_accuracy_is_counted_on_the_held_out_examples():
    z = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    assert probe(z, torch.tensor([0, 0, 1, 1]), z, torch.tensor([1, 1, 0, 0])) == 0


def test_a_dimension_that_never_varies_does_no_harm():
    (z, choice), (z_test, choice_test) = (separable(200, 2, 0.05, seed) for seed in (0, 1))
    z[:, 2] = z_test[:, 2] = 0.0
    assert probe(z, choice, z_test, choice_test) == 1


def test_most_frequent_says_what_training_says_most():
    assert most_frequent(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 0, 0])) == 0.25


def test_posteriors_are_in_the_order_of_the_sentences(tiny_corpus):
    model = LSTMVAE(len(tiny_corpus.vocab), hidden=12, embedding=8, latent=4).eval()
    mu, logvar = posteriors(model, tiny_corpus.test, batch_size=7)
    assert mu.shape == logvar.shape == (len(tiny_corpus.test), 4)
    for i in (0, 7, len(tiny_corpus.test) - 1):
        alone = model.encode(tiny_corpus.test[i][None])
        torch.testing.assert_close((mu[i], logvar[i]), (alone[0][0], alone[1][0]))
    assert not mu.requires_grad


def test_the_picture_shows_the_two_dimensions_that_vary_most():
    z, choice = separable(60, 3, 0.01, 0)
    mu = torch.stack([0.01 * z[:, 2], 3 * z[:, 0], 0.1 * z[:, 2], 2 * z[:, 1]], dim=1)
    figure = plot_latent(mu, choice, ["a", "b", "c"], "title")
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "mu, dimension 2" and axes.get_ylabel() == "mu, dimension 4"
    for value, points in enumerate(axes.collections):
        torch.testing.assert_close(
            torch.as_tensor(points.get_offsets().data), mu[choice == value][:, [1, 3]].double(), atol=1e-6, rtol=1e-6
        )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]
    assert len({tuple(points.get_facecolor()[0]) for points in axes.collections}) == 3
