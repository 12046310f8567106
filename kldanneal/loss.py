"""The two terms of a VAE's loss, in nats per example.

The negative evidence lower bound (ELBO) of one example x0 is

    -ELBO(x0) = E_{z ~ q(z|x0)} [-log p(x0|z)]  +  KL(q(z|x0) || p(z))
                ------ reconstruction ------       ------- kl -------

with q(z|x0) = N(mu, exp(logvar)) and the prior p(z) = N(0, I). An annealed loss weights the second term:
``reconstruction + weight * kl``; see :class:`kldanneal.Annealer`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from kldanneal import _checks

__all__ = ["VAELoss", "gaussian_kl"]

RECONSTRUCTIONS = ("bce", "bce_with_logits", "cross_entropy", "mse")
REDUCTIONS = ("elbo", "mean")


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""KL divergence from the standard normal prior to a diagonal Gaussian, one value per latent dimension.

    .. math::
        KL(N(\mu, \sigma^2) \,\|\, N(0, 1)) = \tfrac{1}{2} (\mu^2 + \sigma^2 - 1 - \log \sigma^2)

    ``expm1(logvar) - logvar`` stands for :math:`\sigma^2 - 1 - \log \sigma^2`: the same number, without losing its
    digits near :math:`\sigma = 1`, which is where a vanishing KL term ends up.

    Args:
        mu (Tensor): means of q(z|x).
        logvar (Tensor): logarithms of the variances of q(z|x).

    Shape:
        - mu, logvar: :math:`(*)`, the same for both; usually (batch, latent).
        - Output: the same shape, in nats. Sum it over the latent dimensions for the KL of an example.

    Raises:
        TypeError, ValueError: an argument that is not a tensor; shapes that differ.

    Example::

        >>> gaussian_kl(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]))
        tensor([0.0000, 0.5000])

    Reference:
        Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014, appendix B.
    """
    for name, value in (("mu", mu), ("logvar", logvar)):
        _checks.instance(name, value, Tensor)
    if mu.shape != logvar.shape:
        raise ValueError(
            "Expected mu and logvar to have the same shape, "
            f"but got mu {tuple(mu.shape)} and logvar {tuple(logvar.shape)}"
        )
    return 0.5 * (mu.square() + logvar.expm1() - logvar)


class VAELoss(torch.nn.Module):
    r"""The two terms of the negative ELBO, reconstruction and KL, each one number that can be differentiated.

    .. math::
        \text{bce} = \frac{1}{B} \sum_{b=1}^{B} \sum_i -\log p(x0_{b,i} | z_b), \qquad
        \text{kld} = \frac{1}{B} \sum_{b=1}^{B} \sum_j KL(N(\mu_{b,j}, e^{\text{logvar}_{b,j}}) \,\|\, N(0, 1))

    Both are summed over an example and averaged over the batch, so both are in nats per example (for text: nats per
    sentence) and ``bce + kld`` is the negative ELBO. For float16 and bfloat16 inputs both are computed in float32.

    .. warning::
        ``reduction='mean'`` averages the reconstruction over its elements while the KL stays a sum over latent
        dimensions. Many published training loops do this. It multiplies the KL by the number of elements of an
        example relative to the ELBO, a hidden KL weight far above 1, and by itself makes the KL term vanish.

    Args:
        reconstruction (str): what x holds, and with it the distribution p(x0|z). Default: ``'bce'``.

            - ``'bce'``: probabilities in [0, 1]; binary cross-entropy against x0 in [0, 1].
            - ``'bce_with_logits'``: the same from logits, which is stable for large ones.
            - ``'cross_entropy'``: logits over classes; x0 holds class indices (token ids).
            - ``'mse'``: predicted values; summed squared differences, which is -log N(x0; x, 1/2) less a constant
              (log(pi) / 2 per element).
        reduction (str): ``'elbo'`` (above) or ``'mean'`` (see the warning). Default: ``'elbo'``.
        ignore_index (int): the target that does not count, for ``'cross_entropy'``: padding. Default: -100.

    Shape:
        - x: (batch, *), or (batch, time, classes) for ``'cross_entropy'``. Where padding was dropped already, x may
          also be (tokens, classes): the tokens of the whole batch, one after another.
        - x0: as x, or (batch, time) or (tokens,) of integers for ``'cross_entropy'``.
        - mu, logvar: (batch, latent) or (batch, *).
        - Output: two tensors of shape ().

    Raises:
        ValueError: an option that is not one of the choices; shapes that disagree; an empty batch; probabilities or
            targets out of range; nothing but padding.
        TypeError: an argument that is not a tensor of the right kind.

    Example::

        >>> criterion = VAELoss()
        >>> x0 = torch.tensor([[0.0, 1.0], [1.0, 1.0]])           # two examples of two binary elements
        >>> x = torch.full((2, 2), 0.5)                           # a reconstruction that knows nothing
        >>> mu, logvar = torch.ones(2, 3), torch.zeros(2, 3)
        >>> bce, kld = criterion(x, x0, mu, logvar)
        >>> bce, kld                                              # 2 log 2 and 3 / 2 nats per example
        (tensor(1.3863), tensor(1.5000))

    Reference:
        Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014.
    """

    def __init__(self, reconstruction: str = "bce", reduction: str = "elbo", ignore_index: int = -100) -> None:
        super().__init__()
        self.reconstruction = _checks.one_of("reconstruction", reconstruction, RECONSTRUCTIONS)
        self.reduction = _checks.one_of("reduction", reduction, REDUCTIONS)
        self.ignore_index = _checks.integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)

    def extra_repr(self) -> str:
        return f"reconstruction={self.reconstruction!r}, reduction={self.reduction!r}, ignore_index={self.ignore_index}"

    def forward(self, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        self._check(x, x0, mu, logvar)
        x, mu, logvar = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, mu, logvar))
        batch = mu.shape[0]
        if self.reconstruction == "cross_entropy":
            total = F.cross_entropy(
                x.reshape(-1, x.shape[-1]), x0.reshape(-1).long(), ignore_index=self.ignore_index, reduction="sum"
            )
            elements = (x0.long() != self.ignore_index).sum()
        else:
            terms = {
                "bce": F.binary_cross_entropy,
                "bce_with_logits": F.binary_cross_entropy_with_logits,
                "mse": F.mse_loss,
            }
            total = terms[self.reconstruction](x, x0.to(x.dtype), reduction="sum")
            elements = x.numel()
        bce = total / (batch if self.reduction == "elbo" else elements)
        kld = gaussian_kl(mu, logvar).sum() / batch
        return bce, kld

    def _check(self, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> None:
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
        if self.reconstruction == "cross_entropy":
            self._check_classes(x, x0, mu)
        else:
            self._check_elements(x, x0, mu)

    def _check_classes(self, x: Tensor, x0: Tensor, mu: Tensor) -> None:
        packed = x.dim() == 2  # (tokens, classes): padding was dropped, the batch size is mu's
        if x.dim() not in (2, 3) or x0.shape != x.shape[:-1] or not (packed or x.shape[0] == mu.shape[0]):
            raise ValueError(
                "Expected x (batch, time, classes), x0 (batch, time) and mu (batch, latent), or x (tokens, classes) "
                f"and x0 (tokens,), but got x {tuple(x.shape)}, x0 {tuple(x0.shape)} and mu {tuple(mu.shape)}"
            )
        if x0.is_floating_point() or x0.is_complex() or x0.dtype == torch.bool:
            raise TypeError(f"Expected x0 to hold integer class indices, but got {x0.dtype}")
        x0 = x0.long()  # in uint8, -100 would be 156
        counted = x0[x0 != self.ignore_index]
        if counted.numel() == 0:
            raise ValueError(
                f"Expected a target to reconstruct, but all of x0 is padding (ignore_index={self.ignore_index})"
            )
        _in_range("targets x0", counted, 0, x.shape[-1] - 1)

    def _check_elements(self, x: Tensor, x0: Tensor, mu: Tensor) -> None:
        if x.shape != x0.shape or x.shape[0] != mu.shape[0]:
            raise ValueError(
                "Expected x and x0 to have the same shape and mu the same batch size, "
                f"but got x {tuple(x.shape)}, x0 {tuple(x0.shape)} and mu {tuple(mu.shape)}"
            )
        if self.reconstruction == "bce":
            _in_range("probabilities x", x, 0, 1, hint="; for logits, use reconstruction='bce_with_logits'")
        if self.reconstruction in ("bce", "bce_with_logits"):
            _in_range("targets x0", x0, 0, 1)


def _in_range(name: str, values: Tensor, low: int, high: int, hint: str = "") -> None:
    smallest, largest = values.detach().aminmax()
    if not (smallest >= low and largest <= high):  # written so that nan is out of range as well
        raise ValueError(
            f"Expected {name} to be in [{low}, {high}], "
            f"but got values from {smallest.item():g} to {largest.item():g}{hint}"
        )
