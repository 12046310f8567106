"""The inputs and options that VAELoss refuses, and the words that it uses."""

import math

import pytest
import torch
from test_loss import RECONSTRUCTIONS, example, with_gradients

from kldanneal import VAELoss


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"reconstruction": "BCE"}, ValueError, ["reconstruction", "'BCE'", *map(repr, RECONSTRUCTIONS)]),
        ({"reconstruction": None}, ValueError, ["reconstruction", "None", "'bce'"]),
        ({"reduction": "sum"}, ValueError, ["reduction", "'sum'", "'elbo'", "'mean'", "'none'"]),
        ({"ignore_index": 0.5}, TypeError, ["ignore_index", "integer", "0.5"]),
        ({"ignore_index": True}, TypeError, ["ignore_index", "integer", "True"]),
        ({"reconstruction": "mse", "variance": 0}, ValueError, ["variance", "positive finite", "0"]),
        ({"reconstruction": "mse", "variance": math.nan}, ValueError, ["variance", "positive finite", "nan"]),
        ({"reconstruction": "mse", "variance": "1"}, TypeError, ["variance", "number", "'1'"]),
        ({"reconstruction": "bce", "variance": 1.0}, ValueError, ["variance", "'mse'", "'bce'"]),
        ({"free_bits": -0.1}, ValueError, ["free_bits", "[0, inf)", "-0.1"]),
        ({"free_bits": math.inf}, ValueError, ["free_bits", "[0, inf)", "inf"]),
        ({"free_bits": 0.1, "reduction": "none"}, ValueError, ["free_bits", "'none'", "0.1"]),
        ({"validate": 1}, TypeError, ["validate", "True or False", "1"]),
    ],
)
def test_a_wrong_option_is_refused_at_construction(arguments, error, words):
    with pytest.raises(error) as caught:
        VAELoss(**arguments)
    assert [word for word in words if word not in str(caught.value)] == []


def tokens(*rows):
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("reconstruction", "changed", "error", "words"),
    [
        # not tensors, or not of the right kind
        ("bce", {"x": [[0.5] * 6] * 2}, TypeError, ["x ", "Tensor", "list"]),
        ("bce", {"x0": None}, TypeError, ["x0", "Tensor", "NoneType"]),
        ("bce", {"mu": 0.0}, TypeError, ["mu", "Tensor", "float"]),
        ("bce", {"logvar": (0.0,)}, TypeError, ["logvar", "Tensor", "tuple"]),
        ("bce", {"x": torch.ones(2, 6, dtype=torch.int64)}, TypeError, ["x ", "floating point", "torch.int64"]),
        ("mse", {"mu": torch.zeros(2, 4, dtype=torch.int32)}, TypeError, ["mu", "floating point", "torch.int32"]),
        ("cross_entropy", {"x0": torch.zeros(2, 3)}, TypeError, ["x0", "integer", "torch.float32"]),
        ("cross_entropy", {"x0": torch.zeros(2, 3, dtype=torch.bool)}, TypeError, ["x0", "integer", "torch.bool"]),
        # shapes that disagree
        ("bce", {"x": torch.full((2, 5), 0.5)}, ValueError, ["same shape", "(2, 5)", "(2, 6)"]),
        ("bce_with_logits", {"x0": torch.zeros(2, 1)}, ValueError, ["same shape", "(2, 6)", "(2, 1)"]),
        ("mse", {"x": torch.zeros(3, 6), "x0": torch.zeros(3, 6)}, ValueError, ["batch", "(3, 6)", "(2, 4)"]),
        ("bce", {"logvar": torch.zeros(2, 3)}, ValueError, ["mu and logvar", "same shape", "(2, 4)", "(2, 3)"]),
        ("bce", {"mu": torch.zeros(2), "logvar": torch.zeros(2)}, ValueError, ["(batch, latent)", "(2,)"]),
        ("cross_entropy", {"x0": tokens([0, 1])}, ValueError, ["(batch, time)", "(2, 3, 5)", "(1, 2)"]),
        ("cross_entropy", {"x": torch.zeros(2, 5, 3)}, ValueError, ["(batch, time, classes)", "(2, 5, 3)", "(2, 3)"]),
        ("cross_entropy", {"x": torch.zeros(2, 3, 4, 5)}, ValueError, ["(batch, time, classes)", "(2, 3, 4, 5)"]),
        (
            "cross_entropy",
            {"x": torch.zeros(4, 3, 5), "x0": tokens(*[[0] * 3] * 4)},
            ValueError,
            ["(4, 3, 5)", "(2, 4)"],
        ),
        ("cross_entropy", {"x": torch.zeros(6, 5)}, ValueError, ["(tokens, classes)", "(6, 5)", "(2, 3)"]),
        (
            "cross_entropy",
            {"x": torch.zeros(2, 5, 3)},  # as torch.nn.functional.cross_entropy takes them
            ValueError,
            ["(batch, classes, time)", "x.transpose(1, 2)"],
        ),
        # nothing to count
        ("bce", {n: torch.zeros(0, 4) for n in ("x", "x0", "mu", "logvar")}, ValueError, ["at least one", "(0, 4)"]),
        ("mse", {n: torch.zeros(2, 0) for n in ("x", "x0")}, ValueError, ["at least one", "empty", "(2, 0)"]),
        ("cross_entropy", {"x0": tokens(*[[-100] * 3] * 2)}, ValueError, ["padding", "ignore_index=-100"]),
        # out of range
        ("bce", {"x": torch.full((2, 6), 1.5)}, ValueError, ["probabilities x", "[0, 1]", "1.5", "'bce_with_logits'"]),
        ("bce", {"x": torch.full((2, 6), -0.25)}, ValueError, ["probabilities x", "[0, 1]", "-0.25"]),
        ("bce", {"x": torch.full((2, 6), math.nan)}, ValueError, ["probabilities x", "[0, 1]", "nan"]),
        ("bce", {"x0": torch.full((2, 6), 2.0)}, ValueError, ["targets x0", "[0, 1]", "2"]),
        ("bce", {"x0": torch.full((2, 6), 255, dtype=torch.uint8)}, ValueError, ["targets x0", "[0, 1]", "255"]),
        ("bce_with_logits", {"x0": torch.full((2, 6), -1.0)}, ValueError, ["targets x0", "[0, 1]", "-1"]),
        ("bce_with_logits", {"x0": torch.full((2, 6), math.nan)}, ValueError, ["targets x0", "[0, 1]", "nan"]),
        ("cross_entropy", {"x0": tokens([0, 1, 5], [0, 1, 2])}, ValueError, ["targets x0", "[0, 4]", "5"]),
        ("cross_entropy", {"x0": tokens([0, 1, -1], [0, 1, 2])}, ValueError, ["targets x0", "[0, 4]", "-1"]),
    ],
)
def test_bad_inputs_are_refused_by_name_and_value(reconstruction, changed, error, words):
    inputs = {
        "x": torch.full((2, 6), 0.5),
        "x0": torch.zeros(2, 6),
        "mu": torch.zeros(2, 4),
        "logvar": torch.zeros(2, 4),
    }
    if reconstruction == "cross_entropy":
        inputs |= {"x": torch.zeros(2, 3, 5), "x0": tokens([0, 1, 2], [3, 4, -100])}
    VAELoss(reconstruction)(**inputs)  # what is refused below is the change alone
    with pytest.raises(error) as caught:
        VAELoss(reconstruction)(**inputs | changed)
    assert [word for word in words if word not in str(caught.value)] == []


def refusal(criterion, **changed):
    """The message of the ValueError for a batch that is right but for the change."""
    right = {
        "x": torch.full((2, 6), 0.5),
        "x0": torch.zeros(2, 6),
        "mu": torch.zeros(2, 4),
        "logvar": torch.zeros(2, 4),
    }
    criterion(**right)
    with pytest.raises(ValueError) as caught:
        criterion(**right | changed)
    return str(caught.value)


@pytest.mark.parametrize("nans", [1, 12])
def test_nan_is_called_nan_and_not_a_logit(nans):
    x = torch.full((2, 6), 0.5)
    x.view(-1)[12 - nans :] = math.nan
    message = refusal(VAELoss(), x=x)
    assert f"probabilities x to be in [0, 1], but {nans} of 12 values are nan" in message
    assert "logits" not in message
    assert f"targets x0 to be in [0, 1], but {nans} of 12 values are nan" in refusal(VAELoss(), x0=x)


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [(1.0000001, torch.float32, "1.00000011920928"), (1 + 2**-52, torch.float64, "1.0000000000000002")],
)
def test_a_value_just_out_of_range_is_printed_with_the_digits_that_show_it(value, dtype, shown):
    message = refusal(VAELoss(), x=torch.full((2, 6), value, dtype=dtype))
    assert f"from {shown}" in message
    assert "clamp(0, 1)" in message
    assert "logits" not in message


def test_values_far_out_of_range_may_be_logits():
    message = refusal(VAELoss(), x=torch.linspace(-2, 2, 12).reshape(2, 6))
    assert "from -2.0 to 2.0" in message
    assert "reconstruction='bce_with_logits'" in message


@pytest.mark.parametrize("reduction", ["elbo", "mean", "none"])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"logvar": 89.0}, ["logvar", "to 89.0", "exp(logvar) overflows torch.float32 beyond 88.7", "KL weight of 0"]),
        ({"logvar": math.inf}, ["logvar", "to inf", "beyond 88.7"]),
        ({"logvar": -math.inf}, ["logvar", "from -inf"]),
        ({"logvar": math.nan}, ["logvar", "1 of 8 values are nan"]),
        ({"mu": 2e19}, ["mu", "to 1.9999999", "mu**2 overflows torch.float32 beyond 1.84e+19"]),
        ({"mu": -math.inf}, ["mu", "from -inf", "beyond 1.84e+19"]),
        ({"mu": math.nan}, ["mu", "1 of 8 values are nan"]),
    ],
)
def test_what_makes_the_kl_infinite_is_named(changed, words, reduction):
    ((name, value),) = changed.items()
    values = torch.zeros(2, 4)
    values[1, 2] = value
    message = refusal(VAELoss(reduction=reduction), **{name: values})
    assert [word for word in words if word not in message] == []


def test_an_exploding_logvar_is_named_before_the_loss_is_nan():
    # the decoder is nan as well, since z is infinite; at weight 0 the loss would be 0 * inf
    message = refusal(VAELoss(), x=torch.full((2, 6), math.nan), logvar=torch.full((2, 4), 200.0))
    assert message.startswith("Expected logvar")


def test_none_refuses_packed_tokens():
    x, x0, mu, logvar = example("cross_entropy")
    with pytest.raises(ValueError, match=r"\(batch, time, classes\) for reduction='none'.*\(12, 5\)"):
        VAELoss("cross_entropy", "none")(x.flatten(0, 1), x0.flatten(), mu, logvar)


# -------------------------------------------------------------------------------------------------------- validate


@pytest.mark.parametrize("reconstruction", RECONSTRUCTIONS)
def test_validate_changes_no_bit_of_losses_and_gradients(reconstruction):
    found = []
    for validate in (True, False):
        x, x0, mu, logvar = example(reconstruction, torch.float32)
        x, mu, logvar = with_gradients(x, mu, logvar)
        losses = VAELoss(reconstruction, validate=validate)(x, x0, mu, logvar)
        sum(losses).backward()
        found.append([*losses, x.grad, mu.grad, logvar.grad])
    assert all(map(torch.equal, *found))


def test_without_validate_values_are_not_checked_but_shapes_are():
    x, x0, prior = torch.tensor([[3.0]]), torch.tensor([[2.0]]), torch.zeros(1, 1)
    criterion = VAELoss("bce_with_logits")
    with pytest.raises(ValueError, match="targets x0"):
        criterion(x, x0, prior, prior)
    criterion.validate = False
    assert criterion(x, x0, prior, prior)[0].item() == pytest.approx(math.log(1 + math.exp(3)) - 2 * 3)
    assert criterion(x, x0, prior, prior + 1000)[1].item() == math.inf
    with pytest.raises(ValueError, match=r"\(1, 1\).*\(1, 2\)"):
        criterion(x, torch.ones(1, 2), prior, prior)
    padding = torch.tensor([[-100]])
    bce, _ = VAELoss("cross_entropy", validate=False)(torch.zeros(1, 1, 2), padding, prior, prior)
    assert bce.item() == 0
