"""kldanneal.diagnostics: the report on models whose state is known, and its words."""

import functools
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kldanneal import VAELoss
from kldanneal.diagnostics import Posteriors


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def judged(mu, logvar, reconstruction=None, **options):
    posteriors = Posteriors(**options)
    for parts in zip(mu.split(100), logvar.split(100), strict=True):
        posteriors.add(*parts)
    return posteriors.report(reconstruction)


# ------------------------------------------------------------------------------------- linear VAEs, known by a formula


def linear_vae(eigenvalues, variance, weight, n=1000, decode=True):
    """The optimum of a linear VAE on data with these variances along its axes (Lucas et al. 2019, with a KL weight).

    An axis is used if and only if eigenvalue > weight * variance. Then w^2 is the difference, and the posterior has the
    variance weight * variance / eigenvalue.
    """
    eigenvalues = torch.tensor(eigenvalues, dtype=torch.float64)
    x = eigenvalues.sqrt() * normal(n, len(eigenvalues))
    w = (eigenvalues - weight * variance).clamp(min=0).sqrt()
    mu = w * x / eigenvalues
    logvar = (weight * variance / eigenvalues).clamp(max=1).log().expand_as(mu)

    def reconstruction(z, i):
        return (x[i] - w * z).square().sum(dim=1) / (2 * variance)

    return mu, logvar, reconstruction if decode else None


def trained_linear_vae(eigenvalues, variance, weight, n=500):
    """The same model, found by gradient descent from random weights on rotated data."""
    eigenvalues = torch.tensor(eigenvalues, dtype=torch.float64)
    latent = len(eigenvalues)
    rotation, _ = torch.linalg.qr(normal(latent, latent, seed=1))
    x = (eigenvalues.sqrt() * normal(n, latent)) @ rotation
    encoder, decoder = (0.3 * normal(latent, latent, seed=seed) for seed in (2, 3))
    parameters = [encoder, decoder, torch.zeros(latent, dtype=torch.float64)]
    optimizer = torch.optim.Adam([p.requires_grad_() for p in parameters], lr=0.02)
    covariance = x.T @ x / n
    for _ in range(400):  # the loss in closed form: the expectation over z is exact
        logvar, error = parameters[2], torch.eye(latent) - encoder @ decoder
        squared = (covariance @ error @ error.T).trace() + (logvar.exp() * decoder.square().sum(dim=1)).sum()
        kl = 0.5 * ((covariance @ encoder @ encoder.T).trace() + (logvar.exp() - 1 - logvar).sum())
        loss = squared / (2 * variance) + weight * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder, decoder, logvar = (p.detach() for p in parameters)

    def reconstruction(z, i):
        return (x[i] - z @ decoder).square().sum(dim=1) / (2 * variance)

    return x @ encoder, logvar.expand(n, -1), reconstruction


# ----------------------------------------------------------------------------------------------------------- toy runs


def toy_run(weight, updates=150):
    """A small VAE of four binary patterns, of which each bit is flipped with probability 0.05."""
    patterns = (torch.rand(4, 24, generator=seeded(5)) < 0.5).float()
    x0 = patterns[torch.randint(4, (600,), generator=seeded(6))]
    x0 = (x0 + (torch.rand(x0.shape, generator=seeded(7)) < 0.05)) % 2
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 4))
        decoder = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 24))
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
        criterion = VAELoss("bce_with_logits")
        for _ in range(updates):
            mu, logvar = encoder(x0).chunk(2, dim=1)
            z = mu + (logvar / 2).exp() * torch.randn_like(mu)
            bce, kld = criterion(decoder(z), x0, mu, logvar)
            optimizer.zero_grad()
            (bce + weight * kld).backward()
            optimizer.step()

    def reconstruction(z, i):
        return F.binary_cross_entropy_with_logits(decoder(z), x0[i], reduction="none").sum(dim=1)

    return *encoder(x0).detach().chunk(2, dim=1), reconstruction


# ---------------------------------------------------------------------------------------------------- encoders by hand


def constant(n, *means, logvar=0.0):
    mu = torch.tensor(means, dtype=torch.float64).expand(n, -1)
    return mu, torch.full_like(mu, logvar)


def one_example_apart():
    """Active units count this dimension, since the variance of mu is 0.9; it can say 0.008 nats."""
    mu = torch.zeros(1000, 1, dtype=torch.float64)
    mu[17] = 30.0
    return mu, torch.zeros_like(mu)


def decoder_ignores_z():
    mu, logvar, _ = linear_vae([4.0, 4.0], 0.1, 1.0)
    return mu, logvar, lambda z, i: 10 + i.double() % 7


def with_nan():
    mu, logvar, _ = linear_vae([4.0, 4.0], 0.1, 1.0)
    mu[3, 1] = torch.nan
    return mu, logvar


def one_used_others_shifted():
    mu = 2 * normal(1000, 8) * torch.tensor([1.0] + [0.0] * 7) + torch.tensor([0.0] + [1.5] * 7)
    return mu, torch.tensor([-2.0] + [0.0] * 7).expand_as(mu).double()


def sigma_alone_varies():
    mu = torch.zeros(1000, 2, dtype=torch.float64)
    return mu, torch.where(torch.arange(1000) % 2 == 0, -8.0, 0.0)[:, None].expand_as(mu).double()


def two_clusters():
    mu = torch.where(torch.arange(500) % 2 == 0, 0.99, -0.99)[:, None].double()
    return mu, torch.full_like(mu, -4.0)


CASES = {
    "linear, all 4 axes used": (lambda: linear_vae([4.0, 2, 1, 0.5], 0.1, 1), "in use"),
    "linear, weight 15: 2 of 4": (lambda: linear_vae([4.0, 2, 1, 0.5], 0.1, 15), "in use"),
    "linear, weight 30: 1 of 4": (lambda: linear_vae([4.0, 2, 1, 0.5], 0.1, 30), "partly collapsed"),
    "linear, weight 50: none": (lambda: linear_vae([4.0, 2, 1, 0.5], 0.1, 50), "collapsed"),
    "linear, decoder variance 5: none": (lambda: linear_vae([4.0, 2, 1, 0.5], 5.0, 1), "collapsed"),
    "linear, 1 of 8": (lambda: linear_vae([6.0] + [0.5] * 7, 1.0, 1, decode=False), "partly collapsed"),
    "linear, 1 of 1, KL 0.35": (lambda: linear_vae([2.0], 1.0, 1, decode=False), "in use"),
    "linear, weight 15: 2 of 5": (lambda: linear_vae([4.0, 2, 1, 0.5, 0.5], 0.1, 15), "partly collapsed"),
    "linear, 20 of 64": (lambda: linear_vae([20.0] * 20 + [0.5] * 44, 1.0, 1, n=500), "partly collapsed"),
    "linear, trained, weight 1": (lambda: trained_linear_vae([4.0, 2, 1, 0.5], 0.3, 1), "in use"),
    "linear, trained, weight 9": (lambda: trained_linear_vae([4.0, 2, 1, 0.5], 0.3, 9), "partly collapsed"),
    "linear, trained, weight 20": (lambda: trained_linear_vae([4.0, 2, 1, 0.5], 0.3, 20), "collapsed"),
    "toy run, weight 1": (lambda: toy_run(1.0), "in use"),
    "toy run, weight 30": (lambda: toy_run(30.0), "collapsed"),
    "constant, the prior": (lambda: constant(500, *[0.0] * 8), "collapsed"),
    "constant, mu 3": (lambda: constant(500, *[3.0] * 8), "collapsed"),
    "constant, narrow": (lambda: constant(500, 1.0, -2.0, logvar=-6.0), "collapsed"),
    "constant, with rounding errors": (lambda: (3 + 1e-4 * normal(500, 8), 1e-4 * normal(500, 8)), "collapsed"),
    "one example apart": (one_example_apart, "collapsed"),
    "wide posteriors": (lambda: (0.2 * normal(1000, 4), torch.full((1000, 4), 3.0)), "collapsed"),
    "small scale": (lambda: (0.05 * normal(1000, 4), torch.full((1000, 4), -9.0)), "in use"),
    "sigma alone varies": (sigma_alone_varies, "in use"),
    "two clusters": (two_clusters, "in use"),
    "1 of 8, others away from the prior": (one_used_others_shifted, "partly collapsed"),
    "the decoder ignores z": (decoder_ignores_z, "collapsed"),
    "ten examples": (lambda: linear_vae([4.0, 4.0], 0.1, 1, n=10), "cannot tell"),
    "one NaN": (with_nan, "cannot tell"),
}


@functools.cache
def report_of(case):
    return judged(*CASES[case][0]())


@pytest.mark.parametrize("case", CASES)
def test_labelled_cases(case):
    assert report_of(case).verdict == CASES[case][1]


def test_at_most_two_cases_are_undecided():
    assert len(CASES) >= 12 and [label for _, label in CASES.values()].count("cannot tell") <= 2


# --------------------------------------------------------------------------------------------------- doubt, confidence


@pytest.mark.parametrize("n", [1, 2, 29])
def test_few_examples_get_no_verdict(n):
    assert judged(*constant(n, 0.0)).verdict == "cannot tell"
    assert f"only {n} example" in judged(*constant(n, 0.0)).reason
    assert judged(*constant(30, 0.0)).verdict == "collapsed"


def test_information_near_the_threshold_is_decided_by_more_examples():
    """A linear VAE with KL 0.1 nats: 0.05 above the threshold."""
    mu, logvar, _ = linear_vae([2 * math.exp(0.2)], 2.0, 1.0, n=4000)
    few, many = judged(mu[:100], logvar[:100]), judged(mu, logvar, keep=4000)
    assert (few.verdict, few.sure) == ("cannot tell", "not sure") and "Measure more" in few.check_next[0]
    assert (many.verdict, many.sure) == ("in use", "sure")


def test_the_threshold_can_be_chosen():
    mu, logvar, _ = linear_vae([2.0], 1.0, 1.0)  # 0.35 nats
    posteriors = Posteriors()
    posteriors.add(mu, logvar)
    assert posteriors.report(threshold=0.2).verdict == "in use"
    assert posteriors.report(threshold=0.5).verdict == "collapsed"
    with pytest.raises(ValueError, match="threshold"):
        posteriors.report(threshold=0.0)


def test_only_nan():
    report = judged(torch.full((50, 3), torch.nan), torch.zeros(50, 3))
    assert report.verdict == "cannot tell" and math.isnan(report.kl) and "50 of 50" in report.reason
    assert "50 of 50" in str(report)


def test_a_sigma_that_is_too_small_to_compute_with():
    report = judged(normal(50, 2), torch.full((50, 2), -800.0))
    assert report.verdict == "cannot tell" and "smallest logvar" in report.check_next[0]


def test_dimensions_at_the_threshold_make_it_less_sure():
    """One dimension is clearly used; the verdict depends on the second of four, which carries 0.052 nats."""
    variance = torch.tensor([9.0, math.expm1(2 * 0.052), 0.0, 0.0], dtype=torch.float64)
    noise = normal(600, 4)
    mu = (noise - noise.mean(dim=0)) / noise.std(dim=0) * variance.sqrt()
    close, clear = (judged(mu * torch.tensor([1.0, scale, 1.0, 1.0]), torch.zeros_like(mu)) for scale in (1.0, 3.0))
    assert (close.verdict, close.sure) == ("in use", "fairly sure")
    assert (clear.verdict, clear.sure) == ("in use", "sure")


def test_noise_in_the_reconstruction_does_not_hide_a_collapse():
    """For images the cost of exchanging z may have a standard error of many nats."""
    noise = 200 * normal(2, 500)
    calls = []

    def reconstruction(z, i):
        calls.append(i)
        return noise[len(calls) % 2][i]

    report = judged(*constant(500, 0.0, 0.0), reconstruction)
    assert report.exchange_cost.standard_error > 5
    assert (report.verdict, report.sure) == ("collapsed", "sure")


def test_a_cost_of_two_to_five_standard_errors_does_not_contradict_a_collapse():
    noise, calls = 200 * normal(2, 500), []

    def reconstruction(z, i):
        calls.append(i)
        exchanged = len(calls) % 2 == 1
        return noise[int(exchanged)][i] - noise[int(exchanged)].mean() + 45.0 * exchanged

    report = judged(*constant(500, 0.0, 0.0), reconstruction)
    assert 2 < report.exchange_cost.value / report.exchange_cost.standard_error < 5
    assert report.verdict == "collapsed"


def test_noise_in_the_reconstruction_hides_a_use():
    mu, logvar, _ = linear_vae([4.0, 4.0], 0.1, 1.0)
    noise = 200 * normal(2, 1000)
    calls = []

    def reconstruction(z, i):
        calls.append(i)
        return noise[len(calls) % 2][i]

    assert judged(mu, logvar, reconstruction).verdict == "cannot tell"
    assert judged(mu, logvar, lambda z, i: torch.full((len(i),), torch.nan)).verdict == "cannot tell"


def test_encoder_and_decoder_that_contradict_each_other():
    """z carries 0.02 nats, but the decoder is so exact that exchanging z costs 40 nats."""
    x = normal(2000, 1)

    def reconstruction(z, i):
        return ((x[i] - z) / 0.07).square().sum(dim=1) / 2

    report = judged(0.2 * x, torch.zeros_like(x), reconstruction)
    assert report.mutual_information.value < 0.05 and report.exchange_cost.value > 10
    assert report.verdict == "cannot tell" and "do not fit" in report.check_next[0]


# --------------------------------------------------------------------------------------------------------------- words


def test_a_large_kl_without_information_is_explained():
    report = judged(*constant(500, *[3.0] * 8))
    assert report.kl == pytest.approx(36) and report.mutual_information.value == pytest.approx(0, abs=1e-9)
    assert "KL of 36.000 nats is not information" in report.text
    assert "is not information" not in judged(*constant(500, *[0.0] * 8)).text


def test_unused_dimensions_are_harmless_unless_they_cost_kl():
    harmless, shifted = (report_of(case) for case in ("linear, 1 of 8", "1 of 8, others away from the prior"))
    assert "harmless" in harmless.text
    assert "The 7 others add 7.875 nats" in shifted.text and "harmless" not in shifted.text  # 7 x 1.5^2 / 2


def test_the_ceiling_and_the_bit_are_named():
    separate, weak = report_of("small scale"), report_of("linear, 1 of 1, KL 0.35")
    assert "At least" in separate.reason and "At least" not in weak.reason
    assert "less than one bit" in weak.reason and "less than one bit" not in separate.reason


def test_what_to_check_is_asked_in_order():
    mu, logvar, reconstruction = linear_vae([4.0, 2.0], 0.1, 50)
    questions = ["weight 1 now?", "ramp finished", "summed over an example", "exchanging z", "anything for z to say?"]
    text = judged(mu, logvar).text
    positions = [text.index(question, text.index("check next")) for question in questions]
    assert positions == sorted(positions)
    measured = judged(mu, logvar, reconstruction)
    assert not any("exchanging z" in check for check in measured.check_next)
    assert "cost of exchanging z             0.000 (standard error 0.000) nats" in measured.text


@pytest.mark.parametrize("case", CASES)
def test_the_text_suits_every_terminal(case):
    text = str(report_of(case))
    assert text.isascii() and text.startswith(f"Verdict: {CASES[case][1]} (")
    assert "nats" in text and "(standard error" in text


def test_the_largest_dimensions_are_listed():
    lines = report_of("linear, all 4 axes used").text.splitlines()
    start = next(number for number, line in enumerate(lines) if "dimension  KL" in line)
    assert [int(line.split()[0]) for line in lines[start + 1 : start + 5]] == [0, 1, 2, 3]  # by their KL
    text = report_of("linear, 20 of 64").text
    assert "and 56 dimensions with a smaller KL" in text and "20 of 64" in text


def test_a_program_can_read_the_numbers():
    mu, logvar, reconstruction = linear_vae([4.0, 1.0], 2.0, 1.0)
    report = judged(mu, logvar, reconstruction)
    assert (report.examples, report.kept, report.not_finite, report.dimensions_in_use) == (1000, 1000, 0, 1)
    value, standard_error = report.mutual_information
    assert value == pytest.approx(math.log(2) / 2, abs=4 * standard_error)
    assert report.kl == pytest.approx(value + report.distance_to_prior.value)
    assert len(report.kl_per_dimension) == len(report.information_per_dimension) == len(report.mu_over_sigma) == 2
    assert pickle.loads(pickle.dumps(report)) == report
