"""VAELoss for any shapes and values, against torch.distributions and closed forms. Annealer: test_annealing.py."""

import math
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from kldanneal import Annealer, VAELoss

EXAMPLES = int(os.environ.get("KLDANNEAL_EXAMPLES", 30))  # make soak sets more
SIZES = st.integers(1, 6)
SPREAD = st.sampled_from([1e-3, 1.0, 10.0])  # standard deviation of what is drawn


@st.composite
def batches(draw):
    """Any reconstruction with its inputs, in float64, and the -log p(x0|z) of each example by torch.distributions."""
    kind = draw(st.sampled_from(["bce", "bce_with_logits", "cross_entropy", "mse"]))
    batch, latent = draw(SIZES), draw(SIZES)
    dims = draw(st.lists(SIZES, min_size=1, max_size=3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    spread = draw(SPREAD)

    def normal(*shape):
        return spread * torch.randn(*shape, generator=generator, dtype=torch.float64)

    mu, logvar = normal(batch, latent), normal(batch, latent).clamp(-20, 20)
    if kind == "cross_entropy":
        time, classes = dims[0], draw(st.integers(2, 7))
        x = normal(batch, time, classes)
        x0 = torch.randint(classes, (batch, time), generator=generator)
        terms, padding = -Categorical(logits=x).log_prob(x0), draw(st.integers(0, batch * time - 1))
        hidden = torch.randperm(batch * time, generator=generator)[:padding]
        x0.view(-1)[hidden], terms.view(-1)[hidden] = -100, 0
        elements = batch * time - padding
    else:
        x = normal(batch, *dims)
        x0 = normal(batch, *dims) if kind == "mse" else (normal(batch, *dims) > 0).double()
        elements = x.numel()
        if kind == "mse":  # -log N(x0; x, 1/2) less log(pi) / 2 for each element
            terms = -Normal(x, math.sqrt(0.5)).log_prob(x0) - math.log(math.pi) / 2
        else:
            terms = -Bernoulli(logits=x, validate_args=False).log_prob(x0)
        if kind == "bce":
            x = x.sigmoid().clamp(1e-9, 1 - 1e-9)
            terms = -(x0 * x.log() + (1 - x0) * (1 - x).log())
    return kind, (x, x0, mu, logvar), terms.flatten(1).sum(1), elements


@settings(max_examples=EXAMPLES)
@given(batches(), st.sampled_from(["elbo", "mean"]), st.floats(0, 1))
def test_both_terms_are_those_of_torch_distributions(example, reduction, weight):
    kind, (x, x0, mu, logvar), per_example, elements = example
    mu, logvar = mu.requires_grad_(), logvar.requires_grad_()
    bce, kld = VAELoss(kind, reduction)(x, x0, mu, logvar)
    assert bce.shape == kld.shape == ()
    expected = per_example.mean() if reduction == "elbo" else per_example.sum() / elements
    torch.testing.assert_close(bce, expected, rtol=1e-9, atol=1e-9)
    reference = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kld, reference, rtol=1e-9, atol=1e-9)
    assert kld >= 0
    # what is annealed has the closed form's gradients, times the weight
    Annealer(1, baseline=weight)(kld).backward()
    torch.testing.assert_close(mu.grad, weight * mu.detach() / len(mu), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(logvar.grad, weight * logvar.detach().expm1() / 2 / len(mu), rtol=1e-9, atol=1e-12)


@settings(max_examples=EXAMPLES)
@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_the_examples_does_not_matter(example, random):
    kind, inputs, *_ = example
    order = list(range(len(inputs[0])))
    random.shuffle(order)
    before, after = VAELoss(kind)(*inputs), VAELoss(kind)(*(tensor[order] for tensor in inputs))
    assert torch.stack(after).tolist() == pytest.approx(torch.stack(before).tolist(), rel=1e-12, abs=1e-12)
