"""The two terms of the loss against torch.distributions, torch.nn.functional and closed forms."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from kldanneal import VAELoss, gaussian_kl

RECONSTRUCTIONS = ("bce", "bce_with_logits", "cross_entropy", "mse")
BATCH, TIME, CLASSES, LATENT = 3, 4, 5, 2


def torch_is_at_least(*version):
    return tuple(map(int, torch.__version__.split(".")[:2])) >= version


def example(reconstruction, dtype=torch.float64, seed=0):
    """A batch (x, x0, mu, logvar) for that reconstruction, drawn from ``seed``."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    mu, logvar = normal(BATCH, LATENT), normal(BATCH, LATENT)
    if reconstruction == "cross_entropy":
        return normal(BATCH, TIME, CLASSES), torch.randint(CLASSES, (BATCH, TIME), generator=generator), mu, logvar
    x = normal(BATCH, TIME, 2)
    x0 = normal(BATCH, TIME, 2) if reconstruction == "mse" else (normal(BATCH, TIME, 2) > 0).to(dtype)
    return x.sigmoid() if reconstruction == "bce" else x, x0, mu, logvar


def with_gradients(*tensors):
    return [tensor.clone().requires_grad_() for tensor in tensors]


# ------------------------------------------------------------------------------------------------ the KL divergence


def test_gaussian_kl_is_the_kl_divergence_of_torch_distributions():
    _, _, mu, logvar = example("mse")
    mu, logvar = 3 * mu, 3 * logvar
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected)


def test_gaussian_kl_has_the_gradients_of_the_closed_form():
    mu, logvar = with_gradients(*example("mse")[2:])
    gaussian_kl(mu, logvar).sum().backward()
    torch.testing.assert_close(mu.grad, mu.detach())
    torch.testing.assert_close(logvar.grad, (logvar.detach().exp() - 1) / 2)


def test_gaussian_kl_keeps_its_digits_in_float32_near_the_prior():
    # exp(logvar) - 1 - logvar is wrong by about 1e-7 here; expm1(logvar) - logvar by at most one rounding of logvar
    sizes = torch.logspace(-12, -1, 10_001)
    logvar = torch.cat([-sizes, sizes])
    mu = torch.zeros_like(logvar)
    exact = gaussian_kl(mu.double(), logvar.double())
    series = logvar.double() ** 2 / 4 + logvar.double() ** 3 / 12 + logvar.double() ** 4 / 48  # to order 5
    assert torch.all((exact - series).abs() <= logvar.double().abs() ** 5 / 100 + 1e-16 * logvar.abs())
    error = (gaussian_kl(mu, logvar).double() - exact).abs()
    assert torch.all(error <= 2**-23 * logvar.double().abs())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1e-8, 1e-4, 1e-2, 1.0, 30.0])
def test_gaussian_kl_is_never_negative_and_zero_at_the_prior(dtype, size):
    logvar = torch.cat([torch.zeros(1, dtype=dtype), size * torch.linspace(-1, 1, 100_001, dtype=dtype)])
    kl = gaussian_kl(torch.zeros_like(logvar), logvar)
    assert kl.isfinite().all()
    assert kl.min() >= 0
    assert kl[0] == 0


# ---------------------------------------------------------------------------------------------- both terms together


def negative_log_likelihood(reconstruction, x, x0):
    """-log p(x0|z) of each element or token, by torch.distributions."""
    if reconstruction == "bce":
        return -Bernoulli(probs=x).log_prob(x0)
    if reconstruction == "bce_with_logits":
        return -Bernoulli(logits=x).log_prob(x0)
    if reconstruction == "cross_entropy":
        return -Categorical(logits=x).log_prob(x0)
    return -Normal(x, math.sqrt(0.5)).log_prob(x0) - math.log(math.pi) / 2


@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_elbo_sums_each_example_and_averages_over_the_batch(reconstruction):
    x, x0, mu, logvar = example(reconstruction)
    bce, kld = VAELoss(reconstruction)(x, x0, mu, logvar)
    examples = [negative_log_likelihood(reconstruction, x[b], x0[b]).sum().item() for b in range(BATCH)]
    kls = [kl_divergence(Normal(mu[b], (logvar[b] / 2).exp()), Normal(0.0, 1.0)).sum().item() for b in range(BATCH)]
    assert bce.shape == kld.shape == ()
    assert bce.item() == pytest.approx(sum(examples) / BATCH, rel=1e-9)
    assert kld.item() == pytest.approx(sum(kls) / BATCH, rel=1e-9)


@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_mean_is_the_mean_of_torch_nn_functional_and_leaves_the_kl_a_sum(reconstruction):
    x, x0, mu, logvar = example(reconstruction)
    expected = {
        "bce": lambda: F.binary_cross_entropy(x, x0),
        "bce_with_logits": lambda: F.binary_cross_entropy_with_logits(x, x0),
        "cross_entropy": lambda: F.cross_entropy(x.transpose(1, 2), x0),
        "mse": lambda: F.mse_loss(x, x0),
    }[reconstruction]()
    bce, kld = VAELoss(reconstruction, reduction="mean")(x, x0, mu, logvar)
    torch.testing.assert_close(bce, expected)
    torch.testing.assert_close(kld, VAELoss(reconstruction)(x, x0, mu, logvar)[1])


@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_mean_is_a_hidden_kl_weight_the_number_of_elements_of_an_example(reconstruction):
    x, x0, mu, logvar = example(reconstruction)
    elbo, _ = VAELoss(reconstruction)(x, x0, mu, logvar)
    mean, _ = VAELoss(reconstruction, reduction="mean")(x, x0, mu, logvar)
    torch.testing.assert_close(mean * x0[0].numel(), elbo)


@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_none_gives_both_terms_of_each_example(reconstruction):
    x, x0, mu, logvar = example(reconstruction)
    bce, kld = VAELoss(reconstruction, "none")(x, x0, mu, logvar)
    examples = [negative_log_likelihood(reconstruction, x[b], x0[b]).sum() for b in range(BATCH)]
    kls = [kl_divergence(Normal(mu[b], (logvar[b] / 2).exp()), Normal(0.0, 1.0)).sum() for b in range(BATCH)]
    torch.testing.assert_close(bce, torch.stack(examples))
    torch.testing.assert_close(kld, torch.stack(kls))


def test_none_takes_one_value_per_example_and_latents_of_any_shape():
    x, x0 = torch.tensor([0.25, 0.5]), torch.tensor([1.0, 1.0])
    mu = torch.arange(12.0).reshape(2, 3, 2)
    bce, kld = VAELoss(reduction="none")(x, x0, mu, torch.zeros(2, 3, 2))
    assert bce.tolist() == pytest.approx([math.log(4), math.log(2)])
    assert kld.tolist() == [sum(m**2 for m in range(6)) / 2, sum(m**2 for m in range(6, 12)) / 2]


@pytest.mark.parametrize("variance", [0.01, 0.5, 1, 3.0])
def test_variance_is_that_of_the_normal_distribution(variance):
    x, x0, mu, logvar = example("mse")
    constant = math.log(2 * math.pi * variance) / 2
    terms = -Normal(x, math.sqrt(variance)).log_prob(x0) - constant
    for reduction, expected in (
        ("elbo", terms.sum() / BATCH),
        ("mean", terms.mean()),
        ("none", terms.flatten(1).sum(1)),
    ):
        bce, _ = VAELoss("mse", reduction, variance=variance)(x, x0, mu, logvar)
        torch.testing.assert_close(bce, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_default_variance_gives_the_plain_sum_of_squares_to_the_last_bit(dtype):
    x, x0, mu, logvar = example("mse", dtype)
    bce, _ = VAELoss("mse")(x, x0, mu, logvar)
    assert torch.equal(bce, F.mse_loss(x, x0, reduction="sum") / BATCH)


@pytest.mark.parametrize("free_bits", [0.1, 0.5, 20.0])
@pytest.mark.parametrize("reduction", ["elbo", "mean"])
def test_free_bits_are_a_floor_under_the_batch_mean_of_each_dimension(free_bits, reduction):
    x, x0, mu, logvar = example("mse")
    mu, logvar = mu * torch.tensor([1.5, 0.1]), logvar * torch.tensor([1.0, 0.1])  # KL far from 0, and near it
    mu, logvar = with_gradients(mu, logvar)
    _, kld = VAELoss("mse", reduction, free_bits=free_bits)(x, x0, mu, logvar)
    kld.backward()
    expected, above = 0.0, []
    for j in range(LATENT):
        posterior = Normal(mu[:, j].detach(), (logvar[:, j].detach() / 2).exp())
        mean = kl_divergence(posterior, Normal(0.0, 1.0)).mean().item()
        expected += max(free_bits, mean)
        above.append(mean > free_bits)
    assert kld.item() == pytest.approx(expected, rel=1e-12)
    assert above == [free_bits < 20, False]  # the floor holds one dimension, or both
    gradient_flows = torch.tensor(above)  # below the floor there is no gradient
    torch.testing.assert_close(mu.grad, gradient_flows * mu.detach() / BATCH)
    torch.testing.assert_close(logvar.grad, gradient_flows * logvar.detach().expm1() / 2 / BATCH)


def test_free_bits_look_at_the_batch_and_not_at_each_example():
    mu = torch.tensor([[0.0], [2.0]])  # a KL of 0 and of 2 nats, 1 on average
    x = x0 = torch.zeros(2, 1)
    kl = {floor: VAELoss("mse", free_bits=floor)(x, x0, mu, torch.zeros(2, 1))[1].item() for floor in (0.5, 1.5)}
    assert kl == {0.5: 1.0, 1.5: 1.5}


def test_defaults_are_binary_cross_entropy_and_the_elbo():
    batch = example("bce")
    torch.testing.assert_close(VAELoss()(*batch), VAELoss("bce", "elbo")(*batch), rtol=0, atol=0)


@pytest.mark.parametrize("targets", [torch.float32, torch.bool, torch.int64, torch.uint8], ids=str)
def test_binary_targets_may_be_of_any_kind(targets):
    x, x0, mu, logvar = example("bce", torch.float32)
    torch.testing.assert_close(VAELoss()(x, x0.to(targets), mu, logvar), VAELoss()(x, x0, mu, logvar))


def test_soft_binary_targets():
    x, _, mu, logvar = example("bce")
    x0 = torch.rand(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    expected = F.binary_cross_entropy(x, x0, reduction="sum") / BATCH
    torch.testing.assert_close(VAELoss()(x, x0, mu, logvar)[0], expected)
    torch.testing.assert_close(VAELoss("bce_with_logits")(x.logit(), x0, mu, logvar)[0], expected)


def test_x_is_the_prediction_and_x0_the_target():
    # a prediction of 1/4 for a 1: log 4. Swapped, a prediction of 1 for a 1/4: 0.75 * 100, where torch clamps log(0)
    x, x0, prior = torch.tensor([[0.25]]), torch.tensor([[1.0]]), torch.zeros(1, 1)
    bce, kld = VAELoss()(x=x, x0=x0, mu=prior, logvar=prior)
    assert bce.item() == pytest.approx(math.log(4))
    assert kld.item() == 0
    token_logits = torch.tensor([[[0.25, 0.75]]]).log()
    bce, _ = VAELoss("cross_entropy")(x=token_logits, x0=torch.tensor([[0]]), mu=prior, logvar=prior)
    assert bce.item() == pytest.approx(math.log(4))


def test_certain_predictions_stay_finite_with_logits():
    x, x0, prior = torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 0.0]]), torch.zeros(1, 1)
    assert VAELoss("bce_with_logits")(x, x0, prior, prior)[0].item() == pytest.approx(1e4)


# ------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("reduction", ["elbo", "mean", "none"])
@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_gradcheck(reconstruction, reduction):
    x, x0, mu, logvar = example(reconstruction)
    x, x0 = x[:, :2], x0[:, :2]  # a small one, as it goes through every element
    if reconstruction == "cross_entropy":
        x0[0, 1:] = -100
    criterion = VAELoss(reconstruction, reduction)
    assert torch.autograd.gradcheck(lambda x, mu, logvar: criterion(x, x0, mu, logvar), with_gradients(x, mu, logvar))


def test_the_two_terms_can_be_summed_and_backpropagated():
    x, x0, mu, logvar = example("bce_with_logits")
    x, mu, logvar = with_gradients(x, mu, logvar)
    bce, kld = VAELoss("bce_with_logits")(x, x0, mu, logvar)
    (bce + kld).backward()
    torch.testing.assert_close(x.grad, (x.detach().sigmoid() - x0) / BATCH)
    torch.testing.assert_close(mu.grad, mu.detach() / BATCH)
    torch.testing.assert_close(logvar.grad, (logvar.detach().exp() - 1) / 2 / BATCH)


# ------------------------------------------------------------------------------------------------- floating points


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_float32_and_float64_stay_what_they_are(reconstruction, dtype):
    losses = VAELoss(reconstruction)(*example(reconstruction, dtype))
    for loss, expected in zip(losses, VAELoss(reconstruction)(*example(reconstruction)), strict=True):
        assert loss.dtype == dtype
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_half_precision_is_computed_in_float32(reconstruction, dtype):
    if dtype == torch.float16 and not torch_is_at_least(2, 1):
        pytest.skip("torch 2.0 does not compute in float16 on a CPU")
    x, x0, mu, logvar = example(reconstruction, dtype)
    x, mu, logvar = with_gradients(x, mu, logvar)
    losses = VAELoss(reconstruction)(x, x0, mu, logvar)
    rounded = [t.detach().double() for t in (x, mu, logvar)]  # the same numbers, so only the arithmetic may differ
    target = x0 if reconstruction == "cross_entropy" else x0.double()
    expected = VAELoss(reconstruction)(rounded[0], target, *rounded[1:])
    for loss, reference, unrounded in zip(
        losses, expected, VAELoss(reconstruction)(*example(reconstruction)), strict=True
    ):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.double(), reference, rtol=1e-5, atol=0)
        torch.testing.assert_close(loss.double(), unrounded, rtol=2e-2, atol=0)
    sum(losses).backward()
    for tensor in (x, mu, logvar):
        assert tensor.grad.dtype == dtype
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().sum() > 0


# --------------------------------------------------------------------------------------------- padding and tokens


def padded(ignore_index):
    """Sentences of 4, 2 and 3 tokens, none of them token 0, the rest padding."""
    x, x0, mu, logvar = example("cross_entropy")
    x0 = x0.clamp(min=1)
    for row, length in enumerate((4, 2, 3)):
        x0[row, length:] = ignore_index
    return x, x0, mu, logvar


@pytest.mark.parametrize("ignore_index", [-100, 0])
def test_padding_never_counts(ignore_index):
    x, x0, mu, logvar = padded(ignore_index)
    total = sum(-x[b, t].log_softmax(0)[x0[b, t]].item() for b, n in enumerate((4, 2, 3)) for t in range(n))
    elbo, _ = VAELoss("cross_entropy", ignore_index=ignore_index)(x, x0, mu, logvar)
    mean, _ = VAELoss("cross_entropy", "mean", ignore_index)(x, x0, mu, logvar)
    assert elbo.item() == pytest.approx(total / BATCH, rel=1e-9)
    assert mean.item() == pytest.approx(total / (4 + 2 + 3), rel=1e-9)


def test_padding_counts_for_no_example():
    x, x0, mu, logvar = padded(-100)
    x0[1] = -100  # an example of padding alone
    bce, _ = VAELoss("cross_entropy", "none")(x, x0, mu, logvar)
    expected = [sum(-x[b, t].log_softmax(0)[x0[b, t]].item() for t in range(n)) for b, n in ((0, 4), (1, 0), (2, 3))]
    assert bce.tolist() == pytest.approx(expected, rel=1e-9)


def test_ignore_index_may_come_from_numpy():
    batch = padded(0)
    expected = VAELoss("cross_entropy", ignore_index=0)(*batch)
    for kind in (np.int64, np.uint8):
        losses = VAELoss("cross_entropy", ignore_index=kind(0))(*batch)
        torch.testing.assert_close(losses, expected, rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ["elbo", "mean"])
@pytest.mark.parametrize("ignore_index", [-100, 0])
@pytest.mark.parametrize("garbage", [0.0, 1e4, -1e30])
def test_padding_further_changes_neither_loss_nor_gradient(ignore_index, reduction, garbage):
    x, x0, mu, logvar = padded(ignore_index)
    criterion = VAELoss("cross_entropy", reduction, ignore_index)
    places = x0 != ignore_index
    longer = torch.cat([x, torch.zeros(BATCH, 4, CLASSES, dtype=x.dtype)], dim=1)
    longer_x0 = torch.cat([x0, torch.full((BATCH, 4), ignore_index)], dim=1)
    longer_places = longer_x0 != ignore_index
    longer[~longer_places] = garbage * torch.linspace(-1, 1, CLASSES, dtype=x.dtype)
    x, longer = with_gradients(x, longer)
    loss, longer_loss = criterion(x, x0, mu, logvar)[0], criterion(longer, longer_x0, mu, logvar)[0]
    (loss + longer_loss).backward()
    torch.testing.assert_close(longer_loss, loss)
    torch.testing.assert_close(longer.grad[longer_places], x.grad[places])
    assert torch.all(longer.grad[~longer_places] == 0)


@pytest.mark.parametrize("reduction", ["elbo", "mean"])
@pytest.mark.parametrize("ignore_index", [-100, 0])
def test_packed_tokens_equal_the_padded_batch(ignore_index, reduction):
    x, x0, mu, logvar = padded(ignore_index)
    criterion, places = VAELoss("cross_entropy", reduction, ignore_index), x0 != ignore_index
    torch.testing.assert_close(criterion(x[places], x0[places], mu, logvar), criterion(x, x0, mu, logvar))


@pytest.mark.parametrize("reduction", ["elbo", "mean"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32], ids=str)
def test_token_ids_of_any_integer_type(dtype, reduction):
    # compared as uint8, the token 156 would be equal to the padding -100
    generator = torch.Generator().manual_seed(0)
    x, x0 = torch.randn(BATCH, TIME, 200, generator=generator), torch.tensor([[156, 1, 199, 156]] * BATCH)
    mu = logvar = torch.zeros(BATCH, LATENT)
    criterion = VAELoss("cross_entropy", reduction)
    torch.testing.assert_close(criterion(x, x0.to(dtype), mu, logvar), criterion(x, x0, mu, logvar))


def test_the_loss_is_a_module_that_shows_its_options():
    model = torch.nn.ModuleDict({"criterion": VAELoss("cross_entropy", "mean", ignore_index=1)})
    assert "VAELoss(reconstruction='cross_entropy', reduction='mean', ignore_index=1)" in repr(model)
    tuned = VAELoss("mse", variance=1, free_bits=0.25, validate=False)
    assert repr(tuned).endswith("ignore_index=-100, variance=1.0, free_bits=0.25, validate=False)")
