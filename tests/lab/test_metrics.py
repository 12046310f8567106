"""kldanneal.lab.metrics: against torch.distributions, integrals by quadrature, and a model that ignores z."""

import math
import threading

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from kldanneal import gaussian_kl
from kldanneal.diagnostics import active_units
from kldanneal.lab.corpora.corpus import Sentences
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.model import LSTMVAE


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# ----------------------------------------------------------------------------------------------------------- evaluate


@pytest.fixture(scope="module")
def sentences():
    test = load_corpus("toy").test
    return Sentences(test.tokens[: int(test.lengths[:60].sum())], test.lengths[:60])


def make(latent=3, scale=3.0, **options):
    """A small model; its weights are enlarged, so that z matters and the KL is far from 0."""
    model = LSTMVAE(197, embedding=8, hidden=8, latent=latent, generator=seeded(0), **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


def posteriors(model, sentences):
    with torch.no_grad():
        return model.encode(sentences.batch(torch.arange(len(sentences))))


def test_kl_equals_torch_distributions(sentences):
    model = make()
    mu, logvar = posteriors(model, sentences)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).mean(dim=0)
    metrics = evaluate(model, sentences)
    assert metrics.kl == pytest.approx(expected.sum().item(), rel=1e-5) and metrics.kl > 0.1
    assert metrics.kl_per_dimension == pytest.approx(expected.tolist(), rel=1e-5)
    assert metrics.active_units == active_units(mu) > 0


def test_definitions(sentences):
    metrics = evaluate(make(), sentences, iw_samples=7)
    assert metrics.neg_elbo == pytest.approx(metrics.reconstruction + metrics.kl, rel=1e-9)
    words = (sentences.lengths - 1).sum().item()  # <eos> is a word, <bos> is not
    assert metrics.perplexity == pytest.approx(math.exp(metrics.neg_elbo * len(sentences) / words), rel=1e-9)
    assert (metrics.sentences, metrics.iw_samples) == (60, 7)
    assert 0 < metrics.mutual_information <= math.log(60)


def test_reconstruction_is_the_mean_over_the_posterior(sentences):
    """Over many seeds, the draws of z average out to the expectation under q: here a sum over a grid of z."""
    model = make(latent=1)
    model.eval()
    x = sentences.batch(torch.arange(60))
    mu, logvar = posteriors(model, sentences)
    noise = torch.linspace(-5, 5, 101)
    weights = Normal(0.0, 1.0).log_prob(noise).softmax(dim=0)
    with torch.no_grad():
        log_p = torch.stack([model.log_likelihood(x, mu + (logvar / 2).exp() * e) for e in noise], dim=1)
    per_sentence = -(log_p * weights).sum(dim=1)
    spread = (log_p.square() * weights).sum(dim=1) - per_sentence.square()
    found = [evaluate(model, sentences, iw_samples=1, seed=seed).reconstruction for seed in range(30)]
    allowed = 5 * (spread.sum() / 60**2 / len(found)).sqrt().item()
    assert sum(found) / len(found) == pytest.approx(per_sentence.mean().item(), abs=allowed + 1e-4)


def test_standard_error_is_that_of_the_mean_over_sentences(sentences):
    model = ignoring_z(make())
    metrics = evaluate(model, sentences)
    nll = exact_nll(model, sentences)
    assert metrics.standard_error == pytest.approx((nll.std() / 60**0.5).item(), rel=1e-4)


def test_standard_error_is_that_of_reconstruction_and_kl_together(sentences):
    model = make().eval()
    (together,) = sentences.buckets(len(sentences))
    x = sentences.batch(together)
    with torch.no_grad():
        model.to_mu.weight.mul_(10)  # so that the KL differs between sentences
        mu, logvar = model.encode(x)
        kl = gaussian_kl(mu, logvar).sum(dim=1)
        losses = kl - model.log_likelihood(x, model.reparameterize(mu, logvar, seeded(0)))
    assert kl.std() > 1
    found = evaluate(model, sentences, seed=0).standard_error
    assert found == pytest.approx((losses.double().std() / len(x) ** 0.5).item(), rel=1e-4)


def ignoring_z(model):
    """Makes every posterior the prior, and the decoder blind to z: then p(x|z) is p(x) itself."""
    with torch.no_grad():
        for layer in (model.to_mu, model.to_logvar):
            layer.weight.zero_()
            layer.bias.zero_()
        model.z_to_state.weight.zero_()
        model.decoder_lstm.weight_ih_l0[:, -model.to_mu.out_features :] = 0
    return model.eval()


def exact_nll(model, sentences):
    x = sentences.batch(torch.arange(len(sentences)))
    with torch.no_grad():
        return -model.log_likelihood(x, torch.zeros(len(x), model.to_mu.out_features))


def test_a_model_that_ignores_z_has_no_gap(sentences):
    model = ignoring_z(make())
    exact = exact_nll(model, sentences).mean().item()
    metrics = evaluate(model, sentences, iw_samples=5)
    assert metrics.kl == pytest.approx(0, abs=1e-9)
    assert metrics.kl_per_dimension == pytest.approx([0, 0, 0], abs=1e-9)
    assert metrics.active_units == 0
    assert metrics.mutual_information == pytest.approx(0, abs=1e-9)
    for bound in (metrics.reconstruction, metrics.neg_elbo, metrics.iw_nll):
        assert bound == pytest.approx(exact, rel=1e-5)


def test_importance_weighting_approaches_the_integral_over_z(sentences):
    """log p(x) = log of the integral of p(x|z) p(z), by quadrature over a latent space of one dimension."""
    model = make(latent=1)
    model.eval()
    x = sentences.batch(torch.arange(60))
    grid = torch.linspace(-7, 7, 281)
    with torch.no_grad():
        log_p = torch.stack([model.log_likelihood(x, z.expand(60, 1)) for z in grid], dim=1).double()
    joint = log_p + Normal(0.0, 1.0).log_prob(grid).double()
    exact = -(joint.logsumexp(dim=1) + math.log(grid[1] - grid[0])).mean().item()
    metrics = evaluate(model, sentences, iw_samples=300)
    assert metrics.iw_nll == pytest.approx(exact, abs=0.02)
    assert exact < metrics.neg_elbo - 0.1  # here the bound has a gap for importance weighting to close


def test_importance_weighting_tightens_with_more_samples(sentences):
    model = make()

    def mean_bound(iw_samples, seeds):
        return sum(evaluate(model, sentences, iw_samples=iw_samples, seed=seed).iw_nll for seed in seeds) / len(seeds)

    one, five, fifty = mean_bound(1, range(20)), mean_bound(5, range(8)), mean_bound(50, range(2))
    assert one > five > fifty
    metrics = evaluate(model, sentences, iw_samples=20)
    assert metrics.iw_nll <= metrics.neg_elbo + 0.01
    assert one == pytest.approx(metrics.neg_elbo, abs=3 * metrics.standard_error)  # one sample: the -ELBO, in the mean


def test_evaluate_leaves_the_model_and_the_generators_as_found(sentences):
    model = make(dropout=0.5, word_dropout=0.5)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    in_training = evaluate(model.train(), sentences, iw_samples=2)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert evaluate(model.eval(), sentences, iw_samples=2) == in_training  # no dropout in what is measured
    assert not model.training
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_that_is_stopped_leaves_the_model_as_found(sentences, training):
    model, stop, batches = make().train(training), threading.Event(), []

    def encoded(*_):
        batches.append(len(batches))
        stop.set()

    model.to_mu.register_forward_hook(encoded)
    assert evaluate(model, sentences, iw_samples=1, batch_size=20, stop=stop) is None
    assert batches == [0] and model.training is training


def test_evaluate_is_decided_by_its_seed(sentences):
    model = make()
    torch.manual_seed(1)
    one = evaluate(model, sentences, iw_samples=2, seed=3)
    torch.manual_seed(2)
    assert evaluate(model, sentences, iw_samples=2, seed=3) == one
    other = evaluate(model, sentences, iw_samples=2, seed=4)
    assert other.kl == one.kl and other.active_units == one.active_units
    assert other.reconstruction != one.reconstruction and other.iw_nll != one.iw_nll


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_evaluate_does_not_depend_on_the_batch_size(sentences, batch_size):
    whole, parts = (evaluate(make(), sentences, iw_samples=4, batch_size=size) for size in (60, batch_size))
    assert parts.kl == pytest.approx(whole.kl, rel=1e-5)
    assert parts.kl_per_dimension == pytest.approx(whole.kl_per_dimension, rel=1e-4)
    assert parts.active_units == whole.active_units
    assert parts.sentences == 60
    blind = ignoring_z(make())  # nothing is left to chance
    assert evaluate(blind, sentences, iw_samples=1, batch_size=batch_size).iw_nll == pytest.approx(
        exact_nll(blind, sentences).mean().item(), rel=1e-5
    )
