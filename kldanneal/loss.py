"""The two terms of a VAE's loss, in nats per example.

The negative evidence lower bound (ELBO) of one example x0 is

    -ELBO(x0) = E_{z ~ q(z|x0)} [-log p(x0|z)]  +  KL(q(z|x0) || p(z))
                ------ reconstruction ------       ------- kl -------

with q(z|x0) = N(mu, exp(logvar)) and the prior p(z) = N(0, I). An annealed loss weights the second term:
``reconstruction + weight * kl``; see :class:`kldanneal.Annealer`.
"""

from typing import Literal, SupportsIndex, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from kldanneal import _checks, _loss_checks

__all__ = ["VAELoss", "gaussian_kl"]

Reconstruction = Literal["bce", "bce_with_logits", "cross_entropy", "mse"]
Reduction = Literal["elbo", "mean", "none"]


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
    r"""The two terms of the negative ELBO, reconstruction and KL, as tensors that can be differentiated.

    .. math::
        \text{bce} = \frac{1}{B} \sum_{b=1}^{B} \sum_i -\log p(x0_{b,i} | z_b), \qquad
        \text{kld} = \frac{1}{B} \sum_{b=1}^{B} \sum_j KL(N(\mu_{b,j}, e^{\text{logvar}_{b,j}}) \,\|\, N(0, 1))

    Both are summed over an example and averaged over the batch, so both are in nats per example (for text: nats per
    sentence) and ``bce + kld`` is the negative ELBO.

    .. warning::
        ``reduction='mean'`` averages the reconstruction over its elements while the KL stays a sum over latent
        dimensions. Many published training loops do this. It multiplies the KL by the number of elements of an
        example relative to the ELBO, a hidden KL weight far above 1, and by itself makes the KL term vanish.

    Both terms are computed in float32 for float16 and bfloat16 inputs, under autocast too. The loss works in
    ``torch.compile(fullgraph=True)``, ``torch.export`` and ``torch.func``. Compile the model and this loss, and call
    the annealer outside of the compiled function: its weight changes at every step, and each new weight would compile
    the function again.

    Args:
        reconstruction (str): what x holds, and with it the distribution p(x0|z). Default: ``'bce'``.

            - ``'bce'``: probabilities in [0, 1]; binary cross-entropy against x0 in [0, 1].
            - ``'bce_with_logits'``: the same from logits, which is stable for large ones. Choose it under autocast:
              bfloat16 rounds the probability of a logit of 7 to 1.
            - ``'cross_entropy'``: logits over classes; x0 holds class indices (token ids).
            - ``'mse'``: predicted values; the squared differences over 2 variance, which is
              -log N(x0; x, variance) less a constant (log(2 pi variance) / 2 per element).
        reduction (str): ``'elbo'`` (above), ``'mean'`` (see the warning) or ``'none'``: both terms of each example,
            not averaged over the batch. Default: ``'elbo'``.
        ignore_index (int): the target that does not count, for ``'cross_entropy'``: padding. Default: -100.
        variance (float): the variance of p(x0|z), for ``'mse'`` alone. The default sums the squared differences as
            they are; 1 halves them. Default: 0.5.
        free_bits (float): a floor for the KL of each latent dimension, in nats: kld becomes
            :math:`\sum_j \max(\text{free\_bits}, \frac{1}{B} \sum_b KL_{b,j})`. A dimension whose batch mean is
            below the floor gets no gradient from kld; above it, the usual one. With a floor above 0, kld is no longer
            the KL; :func:`gaussian_kl` still gives it. Default: 0.0.
        validate (bool): whether to check values: probabilities and targets out of range, nothing but padding, an
            infinite KL. On a GPU each check waits for the device. Kinds and shapes are always checked; values never
            are in compiled or exported code, inside ``torch.func``, or in tensors without data. Default: True.

    Shape:
        - x: (batch, *), or (batch, time, classes) for ``'cross_entropy'``: classes come last, where
          :func:`torch.nn.functional.cross_entropy` has them second; if classes and time are equal, the mistake cannot
          be seen. Where padding was dropped already, x may also be (tokens, classes): the tokens of the whole batch,
          one after another, except with ``reduction='none'``.
        - x0: as x, or (batch, time) or (tokens,) of integers for ``'cross_entropy'``.
        - mu, logvar: (batch, latent) or (batch, *). With several samples of z per example, repeat both, once per
          sample. This matters most for (tokens, classes), which does not show the number of samples: without the
          repetition, bce is multiplied by it.
        - Output: two tensors of shape (), or (batch,) with ``reduction='none'``.

    Raises:
        ValueError: an option that is not one of the choices, or that the other options would ignore; shapes that
            disagree; an empty batch; probabilities or targets out of range; nothing but padding; a logvar or mu whose
            KL is infinite or nan.
        TypeError: an argument that is not a tensor of the right kind.

    Example::

        >>> criterion = VAELoss()
        >>> x0 = torch.tensor([[0.0, 1.0], [1.0, 1.0]])           # two examples of two binary elements
        >>> x = torch.full((2, 2), 0.5)                           # a reconstruction that knows nothing
        >>> mu, logvar = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.zeros(2, 2)
        >>> bce, kld = criterion(x, x0, mu, logvar)
        >>> bce, kld                                              # 2 log 2 and (1/2 + 9/2) / 2 nats per example
        (tensor(1.3863), tensor(2.5000))
        >>> VAELoss(reduction="none")(x, x0, mu, logvar)[1]       # the KL of each example
        tensor([0.5000, 4.5000])
        >>> VAELoss(free_bits=0.25)(x, x0, mu, logvar)[1]         # the second dimension, with a KL of 0, counts 0.25
        tensor(2.7500)
        >>> torch.tensor(7.0).bfloat16().sigmoid()                # why logits are better in half precision
        tensor(1., dtype=torch.bfloat16)

    Reference:
        Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014. Free bits: Kingma et al., Improving Variational
        Inference with Inverse Autoregressive Flow, NeurIPS 2016, appendix C.8.
    """

    def __init__(
        self,
        reconstruction: Reconstruction = "bce",
        reduction: Reduction = "elbo",
        ignore_index: SupportsIndex = -100,
        *,
        variance: float = 0.5,
        free_bits: float = 0.0,
        validate: bool = True,
    ) -> None:
        super().__init__()
        self.reconstruction = _checks.one_of("reconstruction", reconstruction, get_args(Reconstruction))
        self.reduction = _checks.one_of("reduction", reduction, get_args(Reduction))
        self.ignore_index = _checks.integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)
        self.variance = _checks.number("variance", variance, "(0, inf)")
        self.free_bits = _checks.number("free_bits", free_bits, "[0, inf)")
        self.validate = _checks.boolean("validate", validate)
        if self.variance != 0.5 and reconstruction != "mse":
            raise ValueError(f"Expected variance with reconstruction='mse' alone, but got it with {reconstruction!r}")
        if self.free_bits and reduction == "none":
            raise ValueError(
                "Expected free_bits to be 0 with reduction='none', because free bits hold for the mean of the batch, "
                f"but got {free_bits!r}"
            )

    def extra_repr(self) -> str:
        shown = ["reconstruction", "reduction", "ignore_index"]
        defaults = {"variance": 0.5, "free_bits": 0.0, "validate": True}
        shown += [name for name, default in defaults.items() if getattr(self, name) != default]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)

    def __call__(self, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (bce, kld). Without this method, editors and type checkers would not know arguments and result."""
        terms: tuple[Tensor, Tensor] = super().__call__(x, x0, mu, logvar)
        return terms

    def forward(self, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        _loss_checks.kinds_and_shapes(self.reconstruction, self.reduction, x, x0, mu, logvar)
        device = x.device.type
        if _autocast_is_on(device):  # on CUDA, autocast refuses F.binary_cross_entropy
            with torch.autocast(device, enabled=False):
                return self._terms(x, x0, mu, logvar)
        return self._terms(x, x0, mu, logvar)

    def _terms(self, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        x, mu, logvar = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, mu, logvar))
        kld = self._kl(mu, logvar)
        if _loss_checks.values_can_be_read(x, x0, mu, logvar) and self.validate:
            _loss_checks.finite_kl(kld, mu, logvar)
            _loss_checks.ranges(self.reconstruction, self.ignore_index, x, x0)
        return self._reconstruction(x, x0, mu.shape[0]), kld

    def _kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        kl, batch = gaussian_kl(mu, logvar), mu.shape[0]
        if self.reduction == "none":
            return kl.reshape(batch, -1).sum(1)
        if self.free_bits:
            return kl.mean(0).clamp(min=self.free_bits).sum()
        return kl.sum() / batch

    def _reconstruction(self, x: Tensor, x0: Tensor, batch: int) -> Tensor:
        reduction = "none" if self.reduction == "none" else "sum"
        if self.reconstruction == "cross_entropy":
            logits, targets = x.reshape(-1, x.shape[-1]), x0.reshape(-1).long()
            loss = F.cross_entropy(logits, targets, ignore_index=self.ignore_index, reduction=reduction)
        elif self.reconstruction == "mse":
            loss = F.mse_loss(x, x0.to(x.dtype), reduction=reduction) / (2 * self.variance)
        elif self.reconstruction == "bce":
            loss = F.binary_cross_entropy(x, x0.to(x.dtype), reduction=reduction)
        else:
            loss = F.binary_cross_entropy_with_logits(x, x0.to(x.dtype), reduction=reduction)
        if self.reduction == "none":
            return loss.reshape(batch, -1).sum(1)
        if self.reduction == "elbo":
            return loss / batch
        counted = (x0.long() != self.ignore_index).sum() if self.reconstruction == "cross_entropy" else x.numel()
        return loss / counted


def _autocast_is_on(device: str) -> bool:
    if not hasattr(torch.amp, "is_autocast_available"):  # torch before 2.4
        return torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled()
    # not by is_autocast_available, which torch 2.4 cannot compile
    return device not in ("meta", "lazy", "vulkan") and torch.is_autocast_enabled(device)
