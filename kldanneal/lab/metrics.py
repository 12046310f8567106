"""What a trained VAE has learnt, in nats per sentence on held-out text, always at KL weight 1.

A falling training loss at a low KL weight says little. These numbers belong together: a KL of 0 with 0 active units and
no mutual information is a collapsed posterior, even if the -ELBO is good.
"""

import math
import threading
from dataclasses import dataclass
from typing import NamedTuple

import torch

from kldanneal import gaussian_kl
from kldanneal.diagnostics import active_units, log_normal, mutual_information
from kldanneal.lab.corpora.corpus import Sentences
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.threads import one_thread

COLLAPSED = 0.1  # nats per sentence: below this KL the posterior counts as collapsed


class Measure(NamedTuple):
    """How a measure is shown: its heading, its digits, and whether it is an upper bound of what is sought."""

    heading: str
    digits: int
    bound: bool = False


#: What tables and pictures show, in this order. The keys are the names in Metrics.
MEASURES = {
    "kl": Measure("KL", 3),
    "reconstruction": Measure("reconstruction", 2),
    "neg_elbo": Measure("-ELBO", 2, bound=True),
    "iw_nll": Measure("-log p(x)", 2, bound=True),
    "perplexity": Measure("perplexity", 2, bound=True),
    "active_units": Measure("active units", 1),
    "mutual_information": Measure("I(x; z)", 3),
}


@dataclass(frozen=True)
class Metrics:
    """Measures of one model on one set of sentences; in nats per sentence, except where stated.

    - reconstruction: -log p(x|z), z drawn once from q(z|x).
    - kl: KL(q(z|x) || p(z)), and kl_per_dimension, its share in each latent dimension.
    - neg_elbo: reconstruction + kl, an upper bound of -log p(x); standard_error: of its mean over the sentences.
    - perplexity: exp(neg_elbo / words), <eos> counted as a word and <bos> not: an upper bound as well.
    - active_units: latent dimensions whose posterior mean varies over sentences (Burda et al. 2016).
    - mutual_information: I(x; z) under q (Hoffman and Johnson 2016); at most log(sentences). Its standard error is
      mutual_information_error.
    - iw_nll: -log p(x) by importance weighting with iw_samples samples: an upper bound, tighter than neg_elbo.
    """

    reconstruction: float
    kl: float
    neg_elbo: float
    standard_error: float
    perplexity: float
    active_units: int
    mutual_information: float
    iw_nll: float
    kl_per_dimension: list[float]
    sentences: int
    iw_samples: int
    mutual_information_error: float


@torch.no_grad()
@one_thread()
def evaluate(
    model: LSTMVAE,
    sentences: Sentences,
    *,
    iw_samples: int = 20,
    seed: int = 0,
    batch_size: int = 100,
    stop: threading.Event | None = None,
) -> Metrics | None:
    """Measures a model on held-out sentences; the draws of z come from a generator of its own.

    It takes a second or more. ``stop`` is checked before every batch; if it is set, the result is None.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    was_training = model.training
    model.eval()
    parts = []
    for indices in sentences.buckets(batch_size):
        if stop and stop.is_set():
            model.train(was_training)
            return None
        x = sentences.batch(indices).to(device)
        mu, logvar = model.encode(x)
        zs = [model.reparameterize(mu, logvar, generator) for _ in range(iw_samples)]  # of (B, L)
        log_p_x = torch.stack([model.log_likelihood(x, z) for z in zs], dim=1)  # (B, samples): log p(x|z)
        z = torch.stack(zs, dim=1)  # (B, samples, L)
        log_w = log_p_x + log_normal(z) - log_normal(z, mu[:, None], logvar[:, None])  # (B, samples)
        parts.append((mu, logvar, z[:, 0], -log_p_x[:, 0], math.log(iw_samples) - log_w.logsumexp(dim=1)))
    model.train(was_training)
    mu, logvar, z, reconstruction, iw_nll = (torch.cat(part).cpu().double() for part in zip(*parts, strict=True))
    kl_per_dimension = gaussian_kl(mu, logvar)  # (N, L)
    neg_elbo = reconstruction + kl_per_dimension.sum(dim=1)  # (N,)
    words = (sentences.lengths - 1).double().mean()
    information = mutual_information(mu, logvar, z)
    return Metrics(
        reconstruction=reconstruction.mean().item(),
        kl=kl_per_dimension.sum(dim=1).mean().item(),
        neg_elbo=neg_elbo.mean().item(),
        standard_error=(neg_elbo.std() / len(neg_elbo) ** 0.5).item(),
        perplexity=torch.exp(neg_elbo.mean() / words).item(),
        active_units=active_units(mu),
        mutual_information=information.value,
        iw_nll=iw_nll.mean().item(),
        kl_per_dimension=kl_per_dimension.mean(dim=0).tolist(),
        sentences=len(sentences),
        iw_samples=iw_samples,
        mutual_information_error=information.standard_error,
    )
