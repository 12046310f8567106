"""kldanneal.diagnostics: the numbers, against closed forms, torch.distributions, and integrals by quadrature."""

import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from kldanneal.diagnostics import Estimate, Posteriors, active_units, log_normal, mutual_information


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def sample(mu, logvar, seed=0):
    return mu + (logvar / 2).exp() * torch.randn(mu.shape, generator=seeded(seed), dtype=mu.dtype)


def collect(mu, logvar, batch_size=100, **options):
    posteriors = Posteriors(**options)
    for parts in zip(mu.split(batch_size), logvar.split(batch_size), strict=True):
        posteriors.add(*parts)
    return posteriors


def within(estimate, expected, standard_errors=4.0):
    """A standard error of nearly 0 knows nothing of events rarer than one in N, hence the 0.001."""
    return abs(estimate.value - expected) <= standard_errors * estimate.standard_error + 1e-3


# ------------------------------------------------------------------------------------------- normals and active units


def test_log_normal_equals_torch_distributions():
    z, mu, logvar = (normal(3, 5, 4, seed=i) for i in range(3))
    expected = Independent(Normal(mu, (logvar / 2).exp()), 1).log_prob(z)
    torch.testing.assert_close(log_normal(z, mu, logvar), expected)
    torch.testing.assert_close(log_normal(z), Independent(Normal(torch.zeros_like(z), 1.0), 1).log_prob(z))
    one_for_all = Independent(Normal(mu[:1, :1], (logvar[:1, :1] / 2).exp()), 1).log_prob(z)
    torch.testing.assert_close(log_normal(z, mu[:1, :1], logvar[:1, :1]), one_for_all)


def test_active_units_counts_dimensions_whose_mean_varies():
    deviations = torch.tensor([0.0, 0.05, 0.09, 0.11, 0.5, 3.0])  # the threshold 0.01 is a deviation of 0.1
    offsets = torch.tensor([7.0, 0.0, 5.0, 0.0, -5.0, 0.0])  # a mean away from 0 is no activity
    mu = torch.randn(2000, 6, generator=seeded(0)) * deviations + offsets
    posteriors = collect(mu, torch.zeros_like(mu))
    assert active_units(mu) == posteriors.active_units() == 3
    assert active_units(mu, threshold=0.1) == posteriors.active_units(threshold=0.1) == 2
    assert active_units(torch.zeros(100, 4)) == 0


# ------------------------------------------------------------------------------------------------- mutual information


def test_mutual_information_equals_torch_distributions():
    mu, logvar = 2 * normal(300, 3), normal(300, 3, seed=1)
    z = sample(mu, logvar, seed=2)
    parts = Independent(Normal(mu, (logvar / 2).exp()), 1)
    terms = parts.log_prob(z) - MixtureSameFamily(Categorical(torch.ones(300).double()), parts).log_prob(z)
    value, standard_error = mutual_information(mu, logvar, z)
    assert value == pytest.approx(terms.mean().item(), rel=1e-9)
    assert standard_error == pytest.approx(terms.std().item() / 300**0.5, rel=1e-9)


def test_an_estimate_shows_its_standard_error():
    estimate = mutual_information(normal(50, 2), normal(50, 2, seed=1), normal(50, 2, seed=2))
    assert f"{estimate.standard_error:.3f}" in str(estimate) and "standard_error=" in repr(estimate)


def test_a_collapsed_posterior_carries_no_information():
    mu = logvar = torch.zeros(500, 8, dtype=torch.float64)
    assert mutual_information(mu, logvar, sample(mu, logvar)) == pytest.approx((0, 0), abs=1e-9)
    elsewhere = torch.full_like(mu, 3.0)  # all posteriors alike, wherever they are
    assert mutual_information(elsewhere, elsewhere, sample(elsewhere, elsewhere)) == pytest.approx((0, 0), abs=1e-9)


@pytest.mark.parametrize("n", [2, 100, 650])
def test_separate_posteriors_name_their_example(n):
    mu = 100 * torch.arange(n, dtype=torch.float64)[:, None].expand(-1, 3)
    logvar = torch.zeros_like(mu)
    assert mutual_information(mu, logvar, sample(mu, logvar)) == pytest.approx((math.log(n), 0), abs=1e-9)


def test_two_clusters_carry_log_two():
    mu = torch.where(torch.arange(300) % 3 == 0, 50.0, -50.0).double()[:, None]  # a third and two thirds
    logvar = torch.full_like(mu, -1.0)
    entropy = -(1 / 3) * math.log(1 / 3) - (2 / 3) * math.log(2 / 3)
    assert mutual_information(mu, logvar, sample(mu, logvar)).value == pytest.approx(entropy, abs=1e-9)
    halves = torch.where(torch.arange(300) % 2 == 0, 50.0, -50.0).double()[:, None]
    assert mutual_information(halves, logvar, sample(halves, logvar)).value == pytest.approx(math.log(2), abs=1e-9)


@pytest.mark.parametrize("distance, deviation", [(0.5, 1.0), (1.0, 0.7), (2.0, 0.5)])
def test_overlapping_clusters_against_quadrature(distance, deviation):
    """I(x; z) = h(z) - h(z | x), with the entropy of the mixture as an integral; and as KL less KL(q(z) || p(z))."""
    mu = torch.where(torch.arange(2000) % 2 == 0, distance, -distance).double()[:, None]
    logvar = torch.full_like(mu, 2 * math.log(deviation))
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    left, right = (Normal(torch.tensor(side * distance, dtype=torch.float64), deviation) for side in (-1, 1))
    log_q = torch.logaddexp(left.log_prob(grid), right.log_prob(grid)) - math.log(2)
    prior = Normal(torch.zeros((), dtype=torch.float64), 1.0)
    information = torch.trapezoid(-log_q.exp() * log_q, grid) - left.entropy()
    to_prior = torch.trapezoid(log_q.exp() * (log_q - prior.log_prob(grid)), grid)
    assert information.item() == pytest.approx((kl_divergence(left, prior) - to_prior).item(), abs=1e-6)
    posteriors = collect(mu, logvar, keep=2000)
    assert within(mutual_information(mu, logvar, sample(mu, logvar)), information.item())
    assert within(posteriors.mutual_information(), information.item())
    assert within(posteriors.distance_to_prior(), to_prior.item())
    assert posteriors.information_per_dimension().item() > information.item()  # an upper bound


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 5), st.floats(0, 30), st.floats(-8, 8), st.integers(0, 10**6))
def test_bounds_of_the_mutual_information(n, latent, spread, mean_logvar, seed):
    mu = spread * normal(n, latent, seed=seed)
    logvar = mean_logvar + normal(n, latent, seed=seed + 1)
    value, error = mutual_information(mu, logvar, sample(mu, logvar, seed + 2))
    assert value <= math.log(n) + 1e-9
    assert math.isnan(error) if n == 1 else error >= 0


@pytest.mark.parametrize("information", [0.05, 0.5, 1.5])
def test_the_standard_error_is_honest(information):
    """Normal posteriors with a normal aggregate, for which I(x; z) = -log(sigma): many data sets of 200 examples."""
    variance = math.exp(-2 * information)
    estimates = []
    for seed in range(200):
        mu = (1 - variance) ** 0.5 * normal(200, 1, seed=seed)
        logvar = torch.full_like(mu, math.log(variance))
        estimates.append(mutual_information(mu, logvar, sample(mu, logvar, seed + 1000)))
    values, errors = (torch.tensor(column) for column in zip(*estimates, strict=True))
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=0.2)
    assert ((values - information).abs() < 2 * errors).double().mean() > 0.9


# ----------------------------------------------------------------------------------------------- posteriors in batches


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_kl_equals_torch_distributions(dtype):
    mu, logvar = normal(250, 2, 3).to(dtype), normal(250, 2, 3, seed=1).to(dtype)  # (batch, *) is flattened
    posteriors = collect(mu, logvar)
    q = Normal(mu.double(), (logvar.double() / 2).exp())
    expected = kl_divergence(q, Normal(0.0, 1.0)).mean(dim=0).flatten()
    torch.testing.assert_close(posteriors.kl_per_dimension(), expected)
    assert posteriors.kl() == pytest.approx(expected.sum().item()) and len(posteriors) == 250


def test_variances_are_those_of_all_examples_at_once():
    """A mean of 1e7 takes the digits of a sum of squares, but not of Welford's update."""
    mu, logvar = normal(1001, 3) * torch.tensor([0.2, 1.0, 5.0]) + 1e7, normal(1001, 3, seed=1)
    expected = (mu.var(dim=0) / logvar.exp().mean(dim=0)).sqrt()
    for batch_size in (1, 7, 1001):
        torch.testing.assert_close(collect(mu, logvar, batch_size).mu_over_sigma(), expected, rtol=1e-6, atol=0)


def test_normal_aggregate_posterior_in_closed_form():
    """mu ~ N(m, v) and one sigma: then q(z) = N(m, v + sigma^2), and every measure is known."""
    m, v, logvar = torch.tensor([[0.5, -1.0], [0.6, 0.3], [-1.0, -0.5]], dtype=torch.float64)
    posteriors = collect(m + v.abs().sqrt() * normal(1000, 2), logvar.expand(1000, 2))
    variance = v.abs() + logvar.exp()
    information = 0.5 * (variance.log() - logvar)
    to_prior = kl_divergence(Normal(m, variance.sqrt()), Normal(0.0, 1.0)).sum().item()
    assert within(posteriors.mutual_information(), information.sum().item())
    assert within(posteriors.distance_to_prior(), to_prior)
    torch.testing.assert_close(posteriors.information_per_dimension(), information, rtol=0.1, atol=0)
    torch.testing.assert_close(posteriors.mu_over_sigma(), (v.abs() / logvar.exp()).sqrt(), rtol=0.1, atol=0)
    total = posteriors.mutual_information().value + posteriors.distance_to_prior().value
    assert total == pytest.approx(posteriors.kl(), rel=1e-9)


@settings(max_examples=30)
@given(st.floats(0, 3), st.floats(0, 2), st.integers(0, 10**6))
def test_information_per_dimension_bounds_the_mutual_information(spread, spread_of_logvar, seed):
    mu, logvar = spread * normal(300, 3, seed=seed), spread_of_logvar * normal(300, 3, seed=seed + 1)
    posteriors = collect(mu, logvar, seed=seed)
    value, standard_error = posteriors.mutual_information()
    assert value <= posteriors.information_per_dimension().sum().item() + 4 * standard_error + 1e-9


def test_rescaling_a_dimension_changes_no_information():
    mu, logvar = normal(500, 2), normal(500, 2, seed=1)
    wide, narrow = collect(mu, logvar), collect(mu / 100, logvar - 2 * math.log(100))
    torch.testing.assert_close(narrow.information_per_dimension(), wide.information_per_dimension())
    assert narrow.mutual_information() == pytest.approx(wide.mutual_information())
    assert (wide.active_units(), narrow.active_units()) == (2, 0)  # which is why the report looks at information


def test_noise_does_not_repeat_the_data():
    """Data drawn from the seed of the posteriors: if z repeated its noise, the information would be 0.8, not 0.35."""
    for seed in (0, 1, 7):
        mu = 0.5**0.5 * normal(1000, 1, seed=seed)
        assert within(collect(mu, torch.full_like(mu, math.log(0.5)), seed=seed).mutual_information(), math.log(2) / 2)


def test_examples_that_are_not_finite_are_left_out():
    mu, logvar = normal(200, 2), normal(200, 2, seed=1)
    clean = collect(mu, logvar)
    with_faults = torch.cat([torch.tensor([[torch.nan, 0.0], [0.0, 1e200]], dtype=torch.float64), mu])
    posteriors = collect(with_faults, torch.cat([torch.zeros(1, 2), torch.full((1, 2), 800.0), logvar]))
    assert len(posteriors) == 202 and posteriors.report().not_finite == 2
    torch.testing.assert_close(posteriors.kl_per_dimension(), clean.kl_per_dimension())
    assert posteriors.mutual_information() == pytest.approx(clean.mutual_information())


# ------------------------------------------------------------------------------------------------------- what is kept


def kept(posteriors):
    """The examples that exchange_cost sees: their indices, and the first dimension of their z."""
    seen = []
    posteriors.exchange_cost(lambda z, i: seen.append((i, z[:, 0])) or torch.zeros(len(i)))
    index, z = (torch.cat(column) for column in zip(*seen[1::2], strict=True))  # the second of two calls: its own z
    return index, z


def numbered(n):
    """Posteriors that tell which example they belong to."""
    mu = torch.arange(n, dtype=torch.float64)[:, None]
    return mu, torch.full_like(mu, -20.0)


@pytest.mark.skipif(torch.__version__ < "2.1", reason="torch 2.0 does not pickle a generator")
def test_memory_is_bounded_as_documented():
    posteriors = collect(normal(5000, 4), normal(5000, 4, seed=1), keep=300)
    assert len(pickle.dumps(posteriors)) < 300 * (16 * 4 + 8) + 15_000  # what pickle itself adds, and one generator
    assert posteriors.report().kept == 300 and len(posteriors) == 5000


def test_every_example_is_kept_with_the_same_probability():
    counts = torch.zeros(60)
    for seed in range(200):
        counts[kept(collect(*numbered(60), batch_size=13, keep=15, seed=seed))[0]] += 1
    chi_square = ((counts - 50).square() / 37.5).sum().item() * 59 / 60  # 200 draws of 15 out of 60: 50 each
    assert 30 < chi_square < 95  # 59 degrees of freedom: about one in a thousand at either end


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_sample_does_not_depend_on_the_batch_size(batch_size):
    mu, logvar = normal(500, 3), normal(500, 3, seed=1)
    expected, found = (collect(mu, logvar, size, keep=40) for size in (100, batch_size))
    assert found.mutual_information() == pytest.approx(expected.mutual_information(), rel=1e-12)
    assert torch.equal(kept(found)[0], kept(expected)[0])
    assert not torch.equal(kept(found)[0], kept(collect(mu, logvar, keep=40, seed=1))[0])


def test_indices_number_the_examples_as_they_were_added():
    mu, logvar = numbered(900)
    mu[[5, 6, 100]] = torch.nan  # they count, but are not kept
    index, z = kept(collect(mu, logvar, batch_size=64, keep=200))
    assert len(index.unique()) == 200 and not {5, 6, 100} & set(index.tolist()) and index.max() > 700
    torch.testing.assert_close(z, index.double(), atol=1e-3, rtol=0)


def test_nothing_touches_the_global_generator():
    before = torch.get_rng_state()
    collect(normal(300, 2), normal(300, 2, seed=1), keep=50).report(lambda z, i: z.sum(dim=1))
    assert torch.equal(torch.get_rng_state(), before)


# -------------------------------------------------------------------------------------------------------- exchanging z


def test_exchange_cost_of_a_linear_vae_in_closed_form():
    """At the optimum of x = w z + noise, an exchange costs w^2 / variance = (eigenvalue - variance) / variance."""
    eigenvalues, variance = torch.tensor([4.0, 2.0, 0.7], dtype=torch.float64), 0.5
    x, w = eigenvalues.sqrt() * normal(2000, 3), (eigenvalues - variance).sqrt()
    posteriors = collect(w * x / eigenvalues, (variance / eigenvalues).log().expand(2000, 3))
    cost = posteriors.exchange_cost(lambda z, i: -log_normal(x[i], z * w, math.log(variance)))
    assert within(cost, ((eigenvalues - variance) / variance).sum().item())
    assert 0.1 < cost.standard_error < 0.5


def test_exchange_cost_is_zero_where_z_says_nothing():
    mu, logvar = normal(300, 2), normal(300, 2, seed=1)
    assert collect(mu, logvar).exchange_cost(lambda z, i: i.double()) == (0, 0)  # a decoder that ignores z
    alike = collect(torch.ones(2000, 2), torch.zeros(2000, 2))
    assert within(alike.exchange_cost(lambda z, i: z[:, 0] * (i % 5)), 0.0)


def test_no_example_is_exchanged_with_itself():
    calls = []
    collect(*numbered(250)).exchange_cost(lambda z, i: calls.append((z[:, 0].round().long(), i)) or torch.zeros(len(i)))
    exchanged, own = calls[::2], calls[1::2]
    assert all((z != i).all() for z, i in exchanged) and all((z == i).all() for z, i in own)
    assert torch.cat([z for z, _ in exchanged]).unique().tolist() == list(range(250))  # each is used once


@pytest.mark.parametrize("given, handed", [(torch.float64,) * 2, (torch.float32,) * 2, (torch.bfloat16, torch.float32)])
def test_z_has_the_type_that_a_model_expects(given, handed):
    types = set()
    posteriors = collect(normal(40, 2).to(given), torch.zeros(40, 2, dtype=given))
    posteriors.exchange_cost(lambda z, i: types.add((z.dtype, torch.is_grad_enabled())) or z.sum(dim=1))
    assert types == {(handed, False)}


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda p: p.add([[0.0]], torch.zeros(1, 1)), TypeError, "mu to be of type Tensor"),
        (lambda p: p.add(torch.zeros(3), torch.zeros(3)), ValueError, r"mu to have the shape \(batch, latent\)"),
        (lambda p: p.add(torch.zeros(3, 2), torch.zeros(3, 1)), ValueError, r"mu \(3, 2\), logvar \(3, 1\)"),
        (lambda p: p.add(torch.zeros(3, 4), torch.zeros(3, 4)), ValueError, "2 latent dimensions.*got 4"),
        (lambda p: p.exchange_cost(lambda z, i: z), ValueError, r"shape \(50,\), but got \(50, 2\)"),
        (lambda p: p.exchange_cost(lambda z, i: 1.0), TypeError, "reconstruction returns to be of type Tensor"),
        (lambda p: mutual_information(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(2, 2)), ValueError, "z"),
        (lambda p: Posteriors(keep=1), ValueError, "keep to be at least 2"),
        (lambda p: Posteriors(seed=0.5), TypeError, "seed to be an integer"),
        (lambda p: Posteriors().kl(), ValueError, "at least one example"),
        (lambda p: Posteriors().report(), ValueError, "at least one example"),
        (lambda p: Posteriors().mutual_information(), ValueError, "at least one example"),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call(collect(torch.zeros(50, 2), torch.zeros(50, 2)))


def test_an_empty_batch_changes_nothing():
    posteriors = Posteriors()
    posteriors.add(torch.zeros(0, 2), torch.zeros(0, 2))
    posteriors.add(torch.ones(40, 2), torch.zeros(40, 2))
    posteriors.add(torch.zeros(0, 2), torch.zeros(0, 2))
    assert (len(posteriors), posteriors.kl()) == (40, 1.0)


def test_one_example_has_no_standard_error():
    posteriors = collect(torch.ones(1, 2), torch.zeros(1, 2))
    assert posteriors.mutual_information().value == 0 and math.isnan(posteriors.mutual_information().standard_error)
    assert isinstance(posteriors.mutual_information(), Estimate) and posteriors.active_units() == 0
