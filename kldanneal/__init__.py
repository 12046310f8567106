"""kldanneal: watch posterior collapse (KL vanishing) in a text VAE, and anneal the KL weight to bring the KL back.

For a training loop of your own, three lines:

    criterion, annealer = VAELoss(), Annealer(total_steps=10_000, cyclical=True, ratio=0.5)
    bce, kld = criterion(x, x0, mu, logvar);  loss = bce + annealer(kld)
    annealer.step()                                                          # after each optimizer.step()

Modules, in reading order:

    loss        VAELoss, gaussian_kl: the two terms of the negative ELBO, in nats per example
    annealing   Annealer: the weight of the KL term, a pure function of the step and a counter
    shapes      the curves along which the weight rises
    diagnostics  Posteriors: has the posterior of my model collapsed?
    integrations  callbacks for Lightning and transformers; import the one that you use
    guides      pages with examples: training loops, other libraries' schedules, coming from vae-annealing
    lab         what the notebooks train, measure and draw; needs the extra: pip install "kldanneal[notebooks]"
"""

from kldanneal.annealing import Annealer
from kldanneal.loss import VAELoss, gaussian_kl

__all__ = ["Annealer", "VAELoss", "gaussian_kl"]
__version__ = "0.2.0"
