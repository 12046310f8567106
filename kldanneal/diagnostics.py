"""Has my posterior collapsed? Measures of q(z|x) = N(mu, exp(logvar)) for any VAE with the prior N(0, I).

    posteriors = Posteriors()
    for x0 in loader:                                          # held-out data; the model in eval mode
        posteriors.add(*model.encode(x0))                      # mu and logvar
    print(posteriors.report())                                 # collapsed, partly collapsed, in use, or cannot tell

The mean KL is a sum of two parts (Hoffman and Johnson 2016). The first part is the mutual information I(x; z): it is
what z says about x. The second part is KL(q(z) || p(z)), the distance of the aggregate posterior q(z) from the prior:
it says nothing about x. So a large KL does not prove that z is used. A KL of 0 proves that it is not.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from kldanneal import _checks
from kldanneal._report import REMEDIES, Estimate, Report
from kldanneal._streaming import Moments, Reservoir, generator
from kldanneal.loss import gaussian_kl

__all__ = ["REMEDIES", "Estimate", "Posteriors", "Report", "active_units", "log_normal", "mutual_information"]

Reconstruction = Callable[[Tensor, Tensor], Tensor]  # (z, indices) -> nats of each example


class Posteriors:
    r"""Collects the posteriors of a data set batch by batch, then measures and judges them.

    The KL, the variances and the active units are exact for all examples that were added: running sums hold them. The
    mutual information, the distance to the prior and the cost of exchanging z come from a random sample of at most
    ``keep`` examples (Vitter 1985), with one z drawn for each. The same examples in the same order give the same
    numbers for the same ``seed``, whatever the batch size. Examples whose KL is NaN or infinite are only counted.

    Memory: ``keep * (16 * latent + 8)`` bytes on the CPU, in float64: 1 MB for 32 latent dimensions and the default.
    The mutual information takes time in proportion to ``keep ** 2 * latent``: about half a second for these sizes.

    Args:
        keep (int): the largest number of posteriors that are kept. Default: 2000.
        seed (int): decides which posteriors are kept, and draws z. Default: 0.

    Example::

        >>> posteriors = Posteriors()
        >>> mu = torch.linspace(-2, 2, 400).repeat(3, 1).T            # 400 examples, 3 latent dimensions
        >>> posteriors.add(mu * torch.tensor([1.0, 0.0, 0.0]), torch.tensor([-2.0, 0.0, 0.0]).expand(400, 3))
        >>> posteriors.active_units(), len(posteriors)
        (1, 400)
        >>> posteriors.report().verdict                               # two of three dimensions are unused
        'partly collapsed'

    Reference:
        Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, ICLR 2016 (active units).
        Hoffman and Johnson, ELBO surgery, NIPS workshop on approximate inference 2016 (the two parts of the KL).
    """

    def __init__(self, *, keep: int = 2000, seed: int = 0) -> None:
        self.keep = _checks.integer("keep", keep, 2)
        self.seed = _checks.integer("seed", seed)
        self._added = 0

    def __len__(self) -> int:
        return self._added

    @torch.no_grad()
    def add(self, mu: Tensor, logvar: Tensor) -> None:
        """Adds the posteriors of one batch.

        Args:
            mu (Tensor): means of q(z|x), on any device and of any floating point type.
            logvar (Tensor): logarithms of the variances of q(z|x).

        Shape:
            - mu, logvar: (batch, latent), or (batch, *), which is flattened. All batches have the same latent size.

        Raises:
            TypeError, ValueError: an argument that is not a tensor; shapes that differ.
        """
        _checks.same_shape(mu=mu, logvar=logvar)
        if self._added == 0:
            self._start(mu)
        mu, logvar = (t.flatten(1).cpu().double() for t in (mu, logvar))
        latent = self._moments.mean().shape[1]
        if mu.shape[1] != latent:
            raise ValueError(f"Expected {latent} latent dimensions, as in the first batch, but got {mu.shape[1]}")
        rows = torch.stack([mu, logvar, logvar.exp(), gaussian_kl(mu, logvar)], dim=1)  # (batch, 4, latent)
        finite = rows.isfinite().flatten(1).all(dim=1)
        if finite.any():
            self._moments.update(rows[finite])
            self._reservoir.update(rows[finite, :2], self._added + finite.nonzero().squeeze(1))
        self._added += len(mu)

    def kl_per_dimension(self) -> Tensor:
        """The KL of each latent dimension in nats, averaged over all examples: (latent,)."""
        return self._checked().mean()[3]

    def kl(self) -> float:
        """KL(q(z|x) || p(z)) in nats per example, averaged over all examples."""
        return self.kl_per_dimension().sum().item()

    def active_units(self, threshold: float = 0.01) -> int:
        """The number of latent dimensions whose mu varies over all examples; see :func:`active_units`."""
        return int((self._checked().variance()[0] > threshold).sum())

    def mu_over_sigma(self) -> Tensor:
        r"""How far mu moves between examples, compared with sigma: (latent,), over all examples.

        .. math:: \sqrt{\mathrm{Var}_x(\mu_j) \,/\, \mathrm{E}_x[\sigma_j^2]}

        At 0, mu is the same for all examples. At 1, the means spread as widely as the samples of one posterior.
        """
        return (self._checked().variance()[0] / self._moments.mean()[2]).sqrt()

    def information_per_dimension(self) -> Tensor:
        r"""The most that each dimension can say about x, in nats: (latent,), over all examples.

        .. math:: I(x; z_j) \le \tfrac{1}{2} \left(\log(\mathrm{Var}_x(\mu_j) + \mathrm{E}_x[\sigma_j^2])
            - \mathrm{E}_x[\log \sigma_j^2] \right)

        The bound holds because a normal density has the largest entropy of all densities of the same variance. It is
        exact if the aggregate posterior of the dimension is normal and sigma is the same for all x. The sum over
        dimensions is an upper bound of I(x; z). Unlike active units, it does not change if a dimension is rescaled.
        """
        mean, variance_of_mu = self._checked().mean(), self._moments.variance()[0]
        return ((variance_of_mu + mean[2]).log() - mean[1]) / 2

    def mutual_information(self) -> Estimate:
        """I(x; z) in nats over the kept examples, at most log(kept); see :func:`mutual_information`."""
        return mutual_information(*self._kept())

    def distance_to_prior(self) -> Estimate:
        """KL(q(z) || p(z)) of the aggregate posterior q(z) in nats: the KL less the mutual information, over the kept.

        The standard error is that of the mean of these differences. If the mutual information is above half of
        log(kept), it is too small, and this distance is too large.
        """
        mu, logvar, z = self._kept()
        terms = gaussian_kl(mu, logvar).sum(dim=1) - _information_terms(mu, logvar, z)
        return Estimate.of(terms, plus=-math.log(max(1, len(mu))))

    @torch.no_grad()
    def exchange_cost(self, reconstruction: Reconstruction, batch_size: int = 100) -> Estimate:
        r"""The nats that the reconstruction costs more if z comes from another example, over the kept examples.

        .. math:: \mathrm{E} \left[\log p(x_n | z_n) - \log p(x_n | z_m) \right], \quad
            z_n \sim q(z | x_n), \; z_m \sim q(z | x_m), \; m \neq n

        It is 0 if the decoder ignores z, or if all posteriors are the same. m is drawn at random for each n, without
        replacement. The standard error is that of the mean of the differences.

        Args:
            reconstruction (callable): ``reconstruction(z, indices)`` returns -log p(x|z) of each example in nats,
                (batch,). z is (batch, latent), on the device of mu, in float64 if mu was, otherwise in float32.
                ``indices`` (batch,) numbers the examples: 0 is the first that was added. No dropout: use eval mode.
            batch_size (int): the number of examples in one call. Default: 100.

        Raises:
            TypeError, ValueError: reconstruction does not return a tensor with one number for each example.

        Example::

            >>> x0 = torch.linspace(-1, 1, 200)[:, None]
            >>> posteriors = Posteriors()
            >>> posteriors.add(2 * x0, torch.full_like(x0, -2))
            >>> posteriors.exchange_cost(lambda z, i: (x0[i] - z / 2).square().sum(dim=1)).value > 0.5
            True
        """
        z, index = self._kept()[2].to(self._like), self._reservoir.sample()[1]
        own = torch.randperm(len(z), generator=generator(self.seed, "exchange"))
        costs = [torch.zeros(0)]
        for n, m in zip(*(torch.split(order, batch_size) for order in (own, own.roll(1))), strict=True):
            exchanged, own_z = (reconstruction(z[i], index[n]) for i in (m, n))
            for value in (exchanged, own_z):
                shape = tuple(_checks.instance("what reconstruction returns", value, Tensor).shape)
                if shape != (len(n),):
                    raise ValueError(f"Expected reconstruction to return the shape {(len(n),)}, but got {shape}")
            costs.append(exchanged.cpu().double() - own_z.cpu().double())
        return Estimate.of(torch.cat(costs))

    def report(self, reconstruction: Reconstruction | None = None, *, threshold: float = 0.05) -> Report:
        """Judges the posteriors: the verdict, the numbers, and what to check next. ``print()`` it, or read its fields.

        :class:`Report` says what the verdicts mean.

        Args:
            reconstruction (callable, optional): see :meth:`exchange_cost`. With it, the report also says whether the
                decoder uses z.
            threshold (float): information in nats below which z, or one of its dimensions, counts as unused.
                Default: 0.05, a fourteenth of a bit.
        """
        threshold = _checks.number("threshold", threshold, "(0, inf)")
        examples = self._checked().count
        return Report(
            examples=examples,
            kept=min(examples, self.keep),
            not_finite=self._added - examples,
            threshold=threshold,
            kl=self.kl(),
            kl_per_dimension=self.kl_per_dimension().tolist(),
            information_per_dimension=self.information_per_dimension().tolist(),
            mu_over_sigma=self.mu_over_sigma().tolist(),
            active_units=self.active_units(),
            mutual_information=self.mutual_information(),
            distance_to_prior=self.distance_to_prior(),
            exchange_cost=None if reconstruction is None else self.exchange_cost(reconstruction),
        )

    def _start(self, mu: Tensor) -> None:
        latent = mu.flatten(1).shape[1]
        self._like = torch.empty(0, dtype=torch.float64 if mu.dtype == torch.float64 else torch.float32).to(mu.device)
        self._moments = Moments((4, latent))  # of mu, logvar, sigma^2 and the KL
        self._reservoir = Reservoir(self.keep, (2, latent), self.seed)  # of mu and logvar

    def _checked(self) -> Moments:
        if self._added == 0:
            raise ValueError("Expected at least one example, but none was added")
        return self._moments

    def _kept(self) -> tuple[Tensor, Tensor, Tensor]:
        """mu, logvar, and one sample z of each kept posterior: (kept, latent) each. Every call draws the same z."""
        self._checked()
        mu, logvar = self._reservoir.sample()[0].unbind(dim=1)
        noise = torch.randn(mu.shape, generator=generator(self.seed, "z"), dtype=mu.dtype)
        return mu, logvar, mu + (logvar / 2).exp() * noise


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """The number of latent dimensions whose posterior mean has a variance over examples above the threshold.

    Args:
        mu (Tensor): posterior means, (N, latent).
        threshold (float): compared with the variance of mu. Default: 0.01.

    Example::

        >>> active_units(torch.tensor([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]))
        1

    Reference:
        Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, ICLR 2016.
    """
    return int((mu.var(dim=0) > threshold).sum())


def mutual_information(mu: Tensor, logvar: Tensor, z: Tensor) -> Estimate:
    r"""The information that z carries about which of N examples it came from, in nats, with its standard error.

    .. math::
        I(x; z) \approx \frac{1}{N} \sum_n \log q(z_n | x_n) - \log \frac{1}{N} \sum_m q(z_n | x_m)

    The true value lies between 0 and the KL; an estimate outside is a sampling error. No estimate exceeds log N, the
    information that it takes to name one of N examples. Above about half of log N the estimate is too small, by more
    than its standard error: read it as "at least". (Normal posteriors in 8 dimensions, N = 2000: 3.9 for 4 nats.)

    The standard error is the standard deviation of the N terms of the sum over n, divided by the square root of N.

    Args:
        mu, logvar (Tensor): the posteriors.
        z (Tensor): one sample of each posterior.

    Shape:
        - mu, logvar, z: (N, latent).

    Raises:
        TypeError, ValueError: an argument that is not a tensor; shapes that differ.

    Example::

        >>> mu = 100 * torch.arange(8.0)[:, None]                     # eight posteriors that do not overlap
        >>> print(mutual_information(mu, torch.zeros(8, 1), mu))      # log 8
        2.079 (standard error 0.000)

    Reference:
        Hoffman and Johnson, ELBO surgery, NIPS workshop on approximate inference 2016.
    """
    _checks.same_shape(mu=mu, logvar=logvar, z=z)
    return Estimate.of(_information_terms(mu, logvar, z), plus=math.log(max(1, len(mu))))


def log_normal(z: Tensor, mu: Tensor | float = 0.0, logvar: Tensor | float = 0.0) -> Tensor:
    """log N(z; mu, exp(logvar)), summed over the last dimension; the prior p(z) without further arguments.

    Example::

        >>> log_normal(torch.zeros(2, 3))                             # -3/2 log(2 pi)
        tensor([-2.7568, -2.7568])
    """
    mu, logvar = torch.as_tensor(mu, dtype=z.dtype), torch.as_tensor(logvar, dtype=z.dtype)
    mu, logvar = mu.to(z.device), logvar.to(z.device)
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu).square() / logvar.exp()).sum(dim=-1)


def _information_terms(mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
    """log q(z_n | x_n) - log sum_m q(z_n | x_m) of each example n: (N,). Chunks bound the memory."""
    log_q_own = log_normal(z, mu, logvar)
    rows = max(1, 2**18 // max(1, mu.numel()))
    log_q_any = [log_normal(chunk[:, None], mu, logvar).logsumexp(dim=1) for chunk in torch.split(z, rows)]
    return log_q_own - torch.cat(log_q_any)
