"""The checks of VAELoss. Kinds and shapes are always checked, values only where they can be read."""

import math

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from kldanneal import _checks

ROUNDING = 1e-3  # a probability that leaves [0, 1] by less than this is no logit

# Before torch 2.3 nothing public says whether torch.compile is at work: there, pass validate=False to compile the loss.
is_compiling = getattr(getattr(torch, "compiler", None), "is_compiling", lambda: False)


def values_can_be_read(*tensors: Tensor) -> bool:
    """Whether the program may look at the numbers in the tensors, as ``if x.max() > 1`` does."""
    if is_compiling():  # torch.compile and torch.export run this code once, for all values to come
        return False
    if torch._C._are_functorch_transforms_active():  # in torch.func.vmap a tensor stands for a batch of tensors
        return False
    if torch._C._len_torch_dispatch_stack():  # a mode such as make_fx's records each operation, or replaces it
        return False
    return not any(tensor.is_meta or isinstance(tensor, FakeTensor) for tensor in tensors)  # shapes without numbers


def kinds_and_shapes(reconstruction: str, reduction: str, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> None:
    for name, value in (("x", x), ("x0", x0), ("mu", mu), ("logvar", logvar)):
        _checks.instance(name, value, Tensor)
        if name != "x0" and not value.is_floating_point():
            raise TypeError(f"Expected {name} to be a floating point tensor, but got {value.dtype}")
    if mu.shape != logvar.shape or mu.dim() < 2:
        raise ValueError(
            "Expected mu and logvar to have the same shape (batch, latent), "
            f"but got mu {tuple(mu.shape)} and logvar {tuple(logvar.shape)}"
        )
    if mu.numel() == 0 or x.numel() == 0:
        raise ValueError(
            f"Expected at least one example, but got an empty batch: x {tuple(x.shape)}, mu {tuple(mu.shape)}"
        )
    if reconstruction == "cross_entropy":
        _classes(reduction, x, x0, mu)
    elif x.shape != x0.shape or x.shape[0] != mu.shape[0]:
        raise ValueError(
            "Expected x and x0 to have the same shape and mu the same batch size, "
            f"but got x {tuple(x.shape)}, x0 {tuple(x0.shape)} and mu {tuple(mu.shape)}"
        )


def _classes(reduction: str, x: Tensor, x0: Tensor, mu: Tensor) -> None:
    packed = x.dim() == 2  # (tokens, classes): padding was dropped, the batch size is mu's
    if x.dim() not in (2, 3) or x0.shape != x.shape[:-1] or not (packed or x.shape[0] == mu.shape[0]):
        classes_second = x.dim() == 3 and tuple(x0.shape) == (x.shape[0], x.shape[2])
        hint = "; x looks like (batch, classes, time): pass x.transpose(1, 2)" if classes_second else ""
        raise ValueError(
            "Expected x (batch, time, classes), x0 (batch, time) and mu (batch, latent), or x (tokens, classes) "
            f"and x0 (tokens,), but got x {tuple(x.shape)}, x0 {tuple(x0.shape)} and mu {tuple(mu.shape)}{hint}"
        )
    if packed and reduction == "none":
        raise ValueError(
            "Expected x to be (batch, time, classes) for reduction='none', because (tokens, classes) does not say "
            f"which example a token belongs to, but got x {tuple(x.shape)}"
        )
    if x0.is_floating_point() or x0.is_complex() or x0.dtype == torch.bool:
        raise TypeError(f"Expected x0 to hold integer class indices, but got {x0.dtype}")


def finite_kl(kld: Tensor, mu: Tensor, logvar: Tensor) -> None:
    """Names logvar or mu if the KL is infinite or nan, since weight 0 times such a KL is a loss of nan."""
    if all(map(math.isfinite, kld.detach().flatten().tolist())):
        return
    largest = torch.finfo(kld.dtype).max
    if not (logvar.expm1() - logvar).sum().isfinite():
        name, values, top, power, limit = "logvar", logvar, logvar.max(), "exp(logvar)", math.log(largest)
    else:
        name, values, top, power, limit = "mu", mu, mu.abs().max(), "mu**2", math.sqrt(largest)
    hint = ""
    if top > limit:
        hint = (
            f"; {power} overflows {kld.dtype} beyond {limit:.3g}. A KL weight of 0 does not keep {name} small: "
            f"clamp {name}, lower the learning rate, or start with a KL weight above 0"
        )
    raise ValueError(f"Expected {name} to give a finite KL, but {_found(values)}{hint}")


def ranges(reconstruction: str, ignore_index: int, x: Tensor, x0: Tensor) -> None:
    if reconstruction == "cross_entropy":
        x0 = x0.long()  # in uint8, -100 would be 156
        counted = x0[x0 != ignore_index]
        if counted.numel() == 0:
            raise ValueError(
                f"Expected a target to reconstruct, but all of x0 is padding (ignore_index={ignore_index})"
            )
        _in_range("targets x0", counted, 0, x.shape[-1] - 1)
    if reconstruction == "bce":
        _in_range("probabilities x", x, 0, 1)
    if reconstruction in ("bce", "bce_with_logits"):
        _in_range("targets x0", x0, 0, 1)


def _in_range(name: str, values: Tensor, low: int, high: int) -> None:
    smallest, largest = (bound.item() for bound in values.detach().aminmax())
    if low <= smallest and largest <= high:  # never true for nan
        return
    hint = ""
    if name == "probabilities x" and not math.isnan(smallest):
        rounding = low - ROUNDING < smallest and largest < high + ROUNDING
        hint = "; a rounding error? x.clamp(0, 1)" if rounding else "; for logits, use reconstruction='bce_with_logits'"
    raise ValueError(f"Expected {name} to be in [{low}, {high}], but {_found(values)}{hint}")


def _found(values: Tensor) -> str:
    """The range of the values, with every digit, or how many of them are nan."""
    nans = int(values.isnan().sum())
    if nans:
        return f"{nans} of {values.numel()} values are nan"
    smallest, largest = (bound.item() for bound in values.detach().aminmax())
    return f"got values from {smallest} to {largest}"
