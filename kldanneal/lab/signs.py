"""The signs of posterior collapse (KL vanishing), measured on held-out sentences for several models side by side."""

from collections.abc import Mapping

import torch

from kldanneal.diagnostics import Posteriors
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.tables import table
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training.run import Run


@torch.no_grad()
@one_thread()
def signs(model: LSTMVAE, corpus: Corpus, seed: int = 0) -> dict[str, str]:
    """Six signs by name, each as it is shown; numbers are in nats per sentence, ± one standard error.

    Sentences are written with the most likely word at each step, so they differ only if z makes them differ.
    """
    device, was_training = next(model.parameters()).device, model.training
    metrics = evaluate(model, corpus.test, iw_samples=1, seed=seed)
    if metrics is None:  # only if it was asked to stop
        raise RuntimeError("The evaluation was stopped")
    model.eval()
    x = corpus.test.batch(torch.arange(len(corpus.test))).to(device)
    mu, logvar = model.encode(x)
    posteriors = Posteriors(seed=seed)
    posteriors.add(mu, logvar)
    cost = posteriors.exchange_cost(lambda z, i: -model.log_likelihood(x[i], z))
    prior = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed)).to(device)
    different = [len({corpus.decode(ids) for ids in model.generate(z)}) for z in (mu, prior)]
    model.train(was_training)
    return {
        "KL": f"{metrics.kl:.3f}",
        "active units": f"{metrics.active_units} of {mu.shape[1]}",
        "mutual information I(x; z)": f"{metrics.mutual_information:.3f} ± {metrics.mutual_information_error:.3f}",
        "cost of exchanging z": f"{cost.value:.3f} ± {cost.standard_error:.3f}",
        f"different sentences from {len(mu):,} mu": f"{different[0]:,}",
        f"different sentences from {len(mu):,} z of the prior": f"{different[1]:,}",
    }


def table_of_signs(runs: Mapping[str, Run]) -> str:
    """The signs of trained runs as Markdown, a column for each run."""
    found = {name: signs(run.model, run.corpus) for name, run in runs.items()}
    rows = [[sign, *(of_run[sign] for of_run in found.values())] for sign in next(iter(found.values()))]
    return table([["sign (± standard error)", *found], *rows], "markdown")
