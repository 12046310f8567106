"""kldanneal.lab.linear: training with VAELoss and Annealer lands on the closed form, whatever the schedule.

This tests the whole library at once: both terms of the loss in the same unit, the variance, and the weights of the
schedule. The references are probabilistic PCA, numerical integration with a general optimiser, and sampling.
"""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from kldanneal import Annealer, VAELoss
from kldanneal.lab.linear import (
    LinearVAE,
    linear_optimum,
    principal_variances,
    rotated_data,
    train_linear_vae,
)

EIGENVALUES = [4.0, 2.0, 0.9, 0.3]
UPDATES = 800  # of which the schedules hold their last weight for the last 500
SETTINGS = {  # beta, variance: how many directions are above beta * variance
    (1.0, 0.4): 3,
    (0.5, 1.2): 3,
    (4.0, 0.3): 2,
    (6.0, 1.0): 0,
}


def schedules(beta):
    """The last weight of each is beta, and each reaches it by update 300 and holds it from then on."""
    return {
        "constant": Annealer.constant(beta),
        "monotonic": Annealer(300, "cosine", max_weight=beta),
        "cyclical": Annealer(75, cyclical=True, cycles=4, ratio=0.5, max_weight=beta),
    }


def of_largest_first(values):
    return np.sort(np.asarray(values))[::-1]


# ------------------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize(("beta", "variance"), SETTINGS)
def test_training_lands_on_the_closed_form_whatever_the_schedule(beta, variance):
    """Within 0.001 nats and 0.005 in w; a direction that is not used ends below 0.0001 nats."""
    x = rotated_data(EIGENVALUES, n=16, seed=3)
    optimum = linear_optimum(EIGENVALUES, beta, variance)
    assert optimum.used.sum() == SETTINGS[beta, variance]
    values, vectors = np.linalg.eigh(np.cov(x.numpy().T, bias=True))
    at_the_start = {}
    for name, annealer in schedules(beta).items():
        model, history, kl = train_linear_vae(x, annealer, variance=variance, updates=UPDATES)
        at_the_start[name] = history["kl"][100]
        assert history["kl_weight"] == annealer.schedule(UPDATES) and history["kl_weight"][-1] == beta
        np.testing.assert_allclose(of_largest_first(kl[-1]), optimum.kl, atol=1e-3, err_msg=name)
        assert (of_largest_first(kl[-1])[~optimum.used] < 1e-4).all(), name
        np.testing.assert_allclose(model.singular_values(), optimum.w_squared**0.5, atol=5e-3, err_msg=name)
        w = model.decoder.weight.detach().numpy()  # and along the right directions
        expected = vectors * of_largest_first(optimum.w_squared)[::-1] @ vectors.T
        np.testing.assert_allclose(w @ w.T, expected, atol=2e-2, err_msg=name)
        posterior_variance = np.sort(model.logvar.detach().exp().numpy())
        np.testing.assert_allclose(posterior_variance, optimum.posterior_variance, atol=1e-3, err_msg=name)
        assert history["reconstruction"][-1] + history["kl"][-1] == pytest.approx(optimum.neg_elbo, abs=1e-3)
        assert history["reconstruction"][-1] + beta * history["kl"][-1] == pytest.approx(optimum.objective, abs=2e-4)
    np.testing.assert_allclose(values[::-1], EIGENVALUES)
    assert np.ptp(list(at_the_start.values())) > 0.1, "the schedules took the same path, so this test compares nothing"


def test_it_leaves_a_collapsed_state_and_a_state_that_uses_everything():
    """The end depends on the last weight alone: after 400 updates at weight 20, or at weight 0.01, it is the same."""
    x = rotated_data(EIGENVALUES, n=16, seed=1)
    optimum = linear_optimum(EIGENVALUES, 1.0, 0.5)
    for baseline, middle in ((20.0, "collapsed"), (0.01, "in use")):

        class Switch(Annealer):
            """``baseline`` for 400 updates, then 1."""

            first = baseline

            @property
            def weight(self):
                return self.first if self.current_step < 400 else 1.0

        _, history, kl = train_linear_vae(x, Switch(1000), variance=0.5, updates=1000)
        assert (history["kl"][399] < 0.01) == (middle == "collapsed")
        np.testing.assert_allclose(of_largest_first(kl[-1]), optimum.kl, atol=5e-3, err_msg=middle)


def test_with_too_few_latent_dimensions_the_largest_eigenvalues_take_them():
    x, optimum = rotated_data(EIGENVALUES, n=16), linear_optimum(EIGENVALUES, 1.0, 0.4, latent=2)
    assert optimum.used.tolist() == [True, True, False, False]
    model, _, kl = train_linear_vae(x, Annealer.constant(1.0), variance=0.4, latent=2, updates=500)
    np.testing.assert_allclose(of_largest_first(kl[-1]), optimum.kl[:2], atol=5e-3)
    np.testing.assert_allclose(model.singular_values(), optimum.w_squared[:2] ** 0.5, atol=5e-3)


def test_training_is_decided_by_its_seed_and_leaves_the_annealer_alone():
    x, annealer = rotated_data(EIGENVALUES), Annealer(30)
    one, again, other = (train_linear_vae(x, annealer, updates=40, seed=seed) for seed in (0, 0, 1))
    assert one.history == again.history != other.history
    assert annealer == Annealer(30)
    assert one.history["step"] == list(range(40)) and one.kl_per_dimension.shape == (40, 4)
    np.testing.assert_allclose(one.kl_per_dimension.sum(axis=1), one.history["kl"])


# --------------------------------------------------------------------------------------------------------- references


@pytest.mark.parametrize("latent", [1, 2, 4])
def test_at_beta_1_the_elbo_of_the_optimum_is_the_likelihood_of_probabilistic_pca(latent):
    """Tipping and Bishop (1999) with a given variance: their W, their covariance, and scipy's density of all of x."""
    variance, x = 0.4, rotated_data(EIGENVALUES, seed=5).numpy()
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    w = vectors[:, ::-1][:, :latent] * np.sqrt(np.clip(values[::-1][:latent] - variance, 0, None))
    density = multivariate_normal(x.mean(axis=0), w @ w.T + variance * np.eye(4))
    optimum = linear_optimum(EIGENVALUES, 1.0, variance, latent)
    assert optimum.neg_elbo == pytest.approx(-density.logpdf(x).mean(), abs=1e-10)
    assert optimum.neg_elbo == pytest.approx(optimum.nll, abs=1e-10)  # the bound is tight
    assert optimum.neg_elbo == pytest.approx(optimum.objective, abs=1e-10)


@pytest.mark.parametrize(("beta", "variance"), [(1.0, 0.4), (0.5, 1.2), (4.0, 0.3)])
def test_likelihood_of_the_trained_model(beta, variance):
    """-log p(x) from scipy's density: never above -ELBO, equal to it at beta 1, and lowest there."""
    x, annealer = rotated_data(EIGENVALUES, n=16, seed=5), Annealer.constant(beta)
    model, history, _ = train_linear_vae(x, annealer, variance=variance, updates=500)
    w, mean = model.decoder.weight.detach().numpy(), model.decoder.bias.detach().numpy()
    nll = -multivariate_normal(mean, w @ w.T + variance * np.eye(4)).logpdf(x.numpy()).mean()
    neg_elbo = history["reconstruction"][-1] + history["kl"][-1]
    optimum = linear_optimum(EIGENVALUES, beta, variance)
    assert nll == pytest.approx(optimum.nll, abs=2e-3)
    gap = optimum.neg_elbo - optimum.nll
    assert neg_elbo - nll == pytest.approx(gap, abs=5e-3)
    assert gap == pytest.approx(0, abs=1e-10) if beta == 1 else gap > 0.01
    if beta != 1:
        assert optimum.nll > linear_optimum(EIGENVALUES, 1.0, variance).nll + 0.01


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("eigenvalue", "variance"), [(4.0, 0.5), (1.0, 0.9), (0.3, 0.7)])
def test_one_direction_by_numerical_integration_and_a_general_optimiser(eigenvalue, beta, variance):
    """No formula of the module: both expectations of the loss are integrals over x and z (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()

    def terms(parameters):
        w, a, log_s = parameters
        x = math.sqrt(eigenvalue) * nodes[:, None]
        z = a * x + math.exp(log_s / 2) * nodes
        p = weights[:, None] * weights
        log_q = -0.5 * (math.log(2 * math.pi) + log_s + (z - a * x) ** 2 / math.exp(log_s))
        log_prior = -0.5 * (math.log(2 * math.pi) + z**2)
        log_p = -0.5 * (math.log(2 * math.pi * variance) + (x - w * z) ** 2 / variance)
        return -(p * log_p).sum(), (p * (log_q - log_prior)).sum()

    def loss(parameters):
        reconstruction, kl = terms(parameters)
        return reconstruction + beta * kl

    starts = ([0.5, 0.5, -0.5], [2.0, 0.1, 0.0], [-0.3, 0.4, -2.0])
    found = min(
        (scipy.optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-8}) for start in starts),
        key=lambda result: result.fun,
    )
    optimum = linear_optimum([eigenvalue], beta, variance)
    reconstruction, kl = terms(found.x)
    assert found.fun == pytest.approx(optimum.objective, abs=1e-6)
    assert kl == pytest.approx(optimum.kl[0], abs=1e-3)
    assert reconstruction + kl == pytest.approx(optimum.neg_elbo, abs=1e-3)
    assert found.x[0] ** 2 == pytest.approx(optimum.w_squared[0], abs=5e-3)
    assert math.exp(found.x[2]) == pytest.approx(optimum.posterior_variance[0], abs=5e-3)


def test_the_loss_is_the_exact_expectation_over_z():
    """Against -log N(x; W z + b, variance) averaged over samples of z, and against the exact formula with a trace."""
    variance, generator = 0.7, torch.Generator().manual_seed(0)
    model, x = LinearVAE(4, 3, generator), rotated_data(EIGENVALUES, n=20)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        reconstruction, kl = VAELoss("mse", variance=variance)(*model(x))
        mu, logvar = model.encode(x)
        q = torch.distributions.Normal(mu, (logvar / 2).exp())
        prior = torch.distributions.Normal(torch.zeros_like(mu), 1.0)
        torch.testing.assert_close(kl, torch.distributions.kl_divergence(q, prior).sum(dim=1).mean())

        constant = 4 * math.log(2 * math.pi * variance) / 2
        w = model.decoder.weight
        exact = (x - model.decoder(mu)).square().sum(dim=1).mean() + torch.trace(w * model.logvar.exp() @ w.T)
        torch.testing.assert_close(reconstruction, exact / (2 * variance))

        z = mu + (logvar / 2).exp() * torch.randn(5000, *mu.shape, generator=generator, dtype=torch.float64)
        sampled = -torch.distributions.Normal(model.decoder(z), variance**0.5).log_prob(x).sum(dim=2)  # (5000, 20)
        error = sampled.mean(dim=1).std().item() / 5000**0.5
        assert sampled.mean().item() == pytest.approx(reconstruction.item() + constant, abs=5 * error)


# -------------------------------------------------------------------------------------------------------- closed form

spectra = st.lists(st.floats(0, 20), min_size=1, max_size=6)
positive = st.floats(0.05, 5)


@given(spectra, positive, positive)
def test_a_direction_is_used_if_and_only_if_it_is_above_the_threshold(eigenvalues, beta, variance):
    optimum = linear_optimum(eigenvalues, beta, variance)
    for i, eigenvalue in enumerate(eigenvalues):
        assert optimum.used[i] == (eigenvalue > beta * variance) == (optimum.w_squared[i] > 0)
        assert optimum.used[i] or (optimum.kl[i], optimum.posterior_variance[i]) == (0, 1)
    assert optimum.nll <= optimum.neg_elbo + 1e-9


@given(spectra, positive, positive, st.floats(-0.5, 0.5), st.integers(0, 2**16))
def test_no_other_model_has_a_lower_loss(eigenvalues, beta, variance, by, seed):
    """The loss of the module's own model, at the optimum and near it, in the coordinates of the directions."""
    optimum, d = linear_optimum(eigenvalues, beta, variance), len(eigenvalues)
    model = LinearVAE(d, d)
    corners = torch.tensor(eigenvalues, dtype=torch.float64).sqrt() * d**0.5
    x = torch.cat([torch.diag(corners), -torch.diag(corners)])  # its covariance is the diagonal matrix
    w = torch.tensor(optimum.w_squared).sqrt()
    with torch.no_grad():
        model.decoder.weight.copy_(torch.diag(w))
        model.to_mu.weight.copy_(torch.diag(w / (w**2 + beta * variance)))
        model.logvar.copy_(torch.tensor(optimum.posterior_variance).log())

        def loss():
            reconstruction, kl = VAELoss("mse", variance=variance)(*model(x))
            return (reconstruction + beta * kl).item() + optimum.constant

        assert loss() == pytest.approx(optimum.objective, abs=1e-8)
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        assert loss() >= optimum.objective - 1e-8


def test_an_eigenvalue_at_the_threshold_is_not_used():
    optimum = linear_optimum([1.0, np.nextafter(1.0, 2)], beta=2.0, variance=0.5)
    assert optimum.used.tolist() == [False, True]
    assert optimum.kl[0] == 0


def test_data_have_the_eigenvalues_asked_for_along_directions_that_are_no_axes():
    x = rotated_data(EIGENVALUES, n=7, seed=4)
    np.testing.assert_allclose(principal_variances(x), EIGENVALUES)
    assert np.abs(np.corrcoef(x.numpy().T) - np.eye(4)).max() > 0.1
    assert x.mean(dim=0).abs().max() > 0.1
    np.testing.assert_allclose(principal_variances(rotated_data([2.0])), [2.0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([],), "at least one eigenvalue"),
        (([1.0, -0.5],), "-0.5"),
        (([1.0], 0.0), "beta"),
        (([1.0], 1.0, 0.0), "variance"),
        (([1.0], 1.0, 1.0, 0), "latent"),
        (([math.nan],), "nan"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        linear_optimum(*arguments)


def test_data_that_make_no_sense_are_named():
    with pytest.raises(ValueError, match=r"\(5,\)"):
        train_linear_vae(torch.zeros(5), Annealer(10))
    with pytest.raises(ValueError, match="n"):
        rotated_data(EIGENVALUES, n=4)
