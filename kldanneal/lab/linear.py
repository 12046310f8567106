r"""The linear VAE: posterior collapse (KL vanishing) that can be computed, not only observed.

    encoder   q(z|x) = N(mu, diag(exp(logvar)))    mu is linear in x; logvar is the same for every x
    decoder   p(x|z) = N(W z + b, variance * I)    variance is sigma squared, and it is fixed
    loss      reconstruction + beta * KL

The covariance of the data has an eigenvalue for each principal direction: the variance of the data along it. With KL
weight beta, the minimum of the loss treats each direction on its own:

    threshold = beta * variance
    used:     eigenvalue > threshold     w² = eigenvalue - threshold,  posterior variance = threshold / eigenvalue,
                                         KL = log(eigenvalue / threshold) / 2,  reconstruction = beta / 2
    not used: eigenvalue <= threshold    w² = 0,  posterior variance = 1,
                                         KL = 0,  reconstruction = eigenvalue / (2 variance)

Reconstruction and KL are in nats per example. The reconstruction above leaves out the constant
d log(2 pi variance) / 2, where d is the number of elements of x.

**Why.** Given W, the best logvar and the best mu follow from setting derivatives to 0: exp(logvar_j) =
threshold / (|W_j|² + threshold) for column W_j, and mu = (WᵀW + threshold I)⁻¹ Wᵀ (x - mean). Dividing the loss by
beta gives the loss of a VAE at weight 1 whose variance is beta * variance, apart from constants. If the columns of W
are orthogonal, this q(z|x) is the exact posterior. The loss is then the negative log-likelihood of probabilistic PCA
with the noise variance beta * variance. Tipping and Bishop (1999) give its minimum, and show that no other stationary
point is a minimum. Lucas et al. (2019) show that the ELBO adds no further local minimum. So the schedule of the KL
weight cannot change where training ends; only the last weight can.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from kldanneal import Annealer, VAELoss, _checks, gaussian_kl
from kldanneal.lab.plots import History
from kldanneal.lab.threads import one_thread


@dataclass(frozen=True)
class LinearOptimum:
    """The linear VAE at the minimum of its loss. Arrays have an entry for each direction, in the order given.

    - used: whether the model uses the direction.
    - w_squared: the squared singular values of the decoder's W; 0 if not used.
    - posterior_variance: exp(logvar) of the direction's latent dimension; 1 if not used.
    - kl, reconstruction: in nats per example; the reconstruction leaves out ``constant``.
    - constant: d log(2 pi variance) / 2, the part of -log p(x|z) that no parameter changes.
    - objective: constant + reconstruction + beta * KL, the minimum.
    - neg_elbo: constant + reconstruction + KL, the same model scored at weight 1.
    - nll: -log p(x) of the same model; never above neg_elbo, and equal to it if beta is 1.
    """

    eigenvalues: np.ndarray
    beta: float
    variance: float
    used: np.ndarray
    w_squared: np.ndarray
    posterior_variance: np.ndarray
    kl: np.ndarray
    reconstruction: np.ndarray
    constant: float
    objective: float
    neg_elbo: float
    nll: float


def linear_optimum(
    eigenvalues: Sequence[float] | np.ndarray, beta: float = 1.0, variance: float = 1.0, latent: int | None = None
) -> LinearOptimum:
    """The closed form of the linear VAE; see the top of this module.

    Args:
        eigenvalues: of the covariance of the data, positive or 0, as many as x has elements.
        beta (float): the KL weight at the end of training, above 0. Default: 1.0.
        variance (float): sigma squared, of p(x|z). Default: 1.0.
        latent (int, optional): the latent dimensions. With fewer than directions above the threshold, the largest
            eigenvalues take them. Default: one for each direction.

    Example::

        >>> optimum = linear_optimum([4.0, 2.0, 0.5], beta=2.0, variance=0.5)    # the threshold is 1
        >>> optimum.used.tolist(), optimum.w_squared.tolist(), optimum.posterior_variance.tolist()
        ([True, True, False], [3.0, 1.0, 0.0], [0.25, 0.5, 1.0])
        >>> optimum.kl.round(3).tolist()
        [0.693, 0.347, 0.0]

    Reference:
        Tipping and Bishop, Probabilistic Principal Component Analysis, JRSS B 1999. Lucas, Tucker, Grosse and Norouzi,
        Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse, NeurIPS 2019.
    """
    lam = np.array([_checks.number("an eigenvalue", float(value), "[0, inf)") for value in eigenvalues])
    beta, variance = _checks.number("beta", beta, "(0, inf)"), _checks.number("variance", variance, "(0, inf)")
    if not len(lam):
        raise ValueError("Expected at least one eigenvalue, but got none")
    latent = len(lam) if latent is None else _checks.integer("latent", latent, 1)
    threshold = beta * variance
    used = np.zeros(len(lam), dtype=bool)
    used[np.argsort(-lam, kind="stable")[:latent]] = True
    used &= lam > threshold
    of_used = np.where(used, lam, threshold)  # so that the formulas below give 0, 1 and 0 for the others
    w_squared = of_used - threshold
    kl = 0.5 * np.log(of_used / threshold)
    reconstruction = np.where(used, beta / 2, lam / (2 * variance))
    constant = len(lam) * math.log(2 * math.pi * variance) / 2
    marginal = w_squared + variance  # the variance of p(x) along each direction
    return LinearOptimum(
        eigenvalues=lam,
        beta=beta,
        variance=variance,
        used=used,
        w_squared=w_squared,
        posterior_variance=threshold / of_used,
        kl=kl,
        reconstruction=reconstruction,
        constant=constant,
        objective=float(constant + reconstruction.sum() + beta * kl.sum()),
        neg_elbo=float(constant + reconstruction.sum() + kl.sum()),
        nll=float(np.sum(np.log(2 * np.pi * marginal) + lam / marginal) / 2),
    )


def rotated_data(eigenvalues: Sequence[float], n: int = 64, *, seed: int = 0) -> Tensor:
    """Data (n, d) whose covariance has exactly these eigenvalues, along directions drawn at random.

    The covariance divides by n, not by n - 1. The mean is not 0.

    Example::

        >>> principal_variances(rotated_data([4.0, 1.0, 0.25])).round(6).tolist()
        [4.0, 1.0, 0.25]
    """
    d = len(eigenvalues)
    n = _checks.integer("n", n, d + 1)
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, generator=generator, dtype=torch.float64)
    white = torch.linalg.qr(points - points.mean(dim=0))[0] * n**0.5  # (n, d), mean 0, covariance I
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))[0]
    mean = torch.randn(d, generator=generator, dtype=torch.float64)
    return white * torch.tensor(eigenvalues, dtype=torch.float64).sqrt() @ rotation.T + mean


def principal_variances(x: Tensor) -> np.ndarray:
    """The eigenvalues of the covariance of data x (n, d), the largest first: what :func:`linear_optimum` needs."""
    return np.linalg.eigvalsh(np.cov(x.numpy().T, bias=True).reshape(x.shape[1], -1))[::-1].clip(min=0)


class LinearVAE(nn.Module):
    r"""A VAE whose encoder and decoder are linear, in float64.

    In place of random samples, z takes the 2L points :math:`\mu \pm \sqrt{L} \, e^{\text{logvar}_j / 2} e_j`, where
    :math:`e_j` is the j-th unit vector. The mean of a quadratic function over these points equals its mean under
    q(z|x). The squared error is quadratic in z, because the decoder is linear. So the loss is exact, and training has
    no sampling noise.

    Args:
        size (int): d, the elements of x.
        latent (int): L, the dimensions of z.
        generator (torch.Generator, optional): draws the initial weights.

    Shape:
        - forward: x (B, d) -> reconstructions (2LB, d), x repeated (2LB, d), mu (2LB, L), logvar (2LB, L): an example
          counts 2L times in both terms, so their means over the batch are right. They go straight into
          ``VAELoss('mse', variance=variance)``.

    Example::

        >>> model = LinearVAE(3, 2, torch.Generator().manual_seed(0))
        >>> reconstruction, kl = VAELoss("mse", variance=0.5)(*model(rotated_data([4.0, 2.0, 0.5])))
        >>> reconstruction.shape, kl.shape                                    # nats per example, without a constant
        (torch.Size([]), torch.Size([]))
    """

    def __init__(self, size: int, latent: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.to_mu = nn.Linear(size, latent, dtype=torch.float64)
        self.logvar = nn.Parameter(torch.zeros(latent, dtype=torch.float64))
        self.decoder = nn.Linear(latent, size, dtype=torch.float64)
        for layer in (self.to_mu, self.decoder):
            nn.init.normal_(layer.weight, std=0.1, generator=generator)
            nn.init.zeros_(layer.bias)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) = N(mu, exp(logvar)) of x (B, d): mu (B, L) and logvar (B, L)."""
        mu = self.to_mu(x)
        return mu, self.logvar.expand_as(mu)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        distances = torch.diag(len(self.logvar) ** 0.5 * torch.exp(self.logvar / 2))  # (L, L)
        z = mu + torch.cat([distances, -distances])[:, None]  # (2L, B, L)
        x0, mu, logvar = (t.expand(len(z), *t.shape).flatten(0, 1) for t in (x, mu, logvar))
        return self.decoder(z.flatten(0, 1)), x0, mu, logvar

    @torch.no_grad()
    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """The mean KL of each latent dimension, (L,), in nats."""
        return gaussian_kl(*self.encode(x)).mean(dim=0)

    @torch.no_grad()
    def singular_values(self) -> Tensor:
        """Of the decoder's W, the largest first."""
        return torch.linalg.svdvals(self.decoder.weight)


class LinearTraining(NamedTuple):
    """A trained model, the history of its run, and the KL of each latent dimension at each update, (updates, L).

    In the history, reconstruction holds the constant of the Gaussian: reconstruction + kl is the exact -ELBO.
    """

    model: LinearVAE
    history: History
    kl_per_dimension: np.ndarray


@one_thread()
def train_linear_vae(
    x: Tensor,
    annealer: Annealer,
    *,
    variance: float = 1.0,
    latent: int | None = None,
    updates: int = 2000,
    learning_rate: float = 0.05,
    seed: int = 0,
) -> LinearTraining:
    """Trains a linear VAE on all of x at every update, with Adam at a constant learning rate.

    The variant AMSGrad is used: its steps do not grow again when the gradient fades. Under plain Adam the loss jumps
    now and then, long after it has reached its minimum. The KL of all dimensions together settles sooner than the share
    of each dimension.

    Args:
        x (Tensor): the data, (n, d), converted to float64.
        annealer (Annealer): weights the KL. A copy of it is used, so it stays where it is. Let it hold its last weight
            for some hundreds of updates: that weight is the beta of :func:`linear_optimum`.
        variance (float): sigma squared, of p(x|z). Default: 1.0.
        latent (int, optional): L, the dimensions of z. Default: d.
        updates (int): how many; 1,000 take about half a second. Default: 2000. More are needed if an eigenvalue is near
            beta * variance, if two eigenvalues are near each other, or if beta * variance is small.
        learning_rate (float): of Adam. Default: 0.05.
        seed (int): of the initial weights, the only randomness. Default: 0.
    """
    if x.dim() != 2 or len(x) < 2:
        raise ValueError(f"Expected x to have the shape (examples, elements) with 2 examples or more, but got "
                         f"{tuple(x.shape)}")  # fmt: skip
    x, annealer = x.double(), copy.deepcopy(annealer)
    latent = x.shape[1] if latent is None else _checks.integer("latent", latent, 1)
    updates = _checks.integer("updates", updates, 1)
    criterion = VAELoss("mse", variance=variance)
    constant = x.shape[1] * math.log(2 * math.pi * variance) / 2
    model = LinearVAE(x.shape[1], latent, torch.Generator().manual_seed(seed))
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, amsgrad=True)
    history: dict[str, list[float]] = {"step": [], "kl_weight": [], "reconstruction": [], "kl": []}
    kl_per_dimension = []
    for step in range(updates):
        optimizer.zero_grad()
        reconstruction, kl = criterion(*model(x))
        loss = reconstruction + annealer(kl)
        loss.backward()
        for name, value in zip(
            history, (step, annealer.weight, reconstruction.item() + constant, kl.item()), strict=True
        ):
            history[name].append(value)
        kl_per_dimension.append(model.kl_per_dimension(x).numpy())
        optimizer.step()
        annealer.step()
    return LinearTraining(model, history, np.stack(kl_per_dimension))
