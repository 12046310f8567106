"""The score of a drive: the -ELBO at weight 1 after a tail at weight 1, for drives that keep a required KL.

    score_drive(driver.drive(), load_corpus("toy"))     # of DriveTheWeight: 2,000 updates by hand, then the tail

Every drive is replayed on one seed with one budget of updates. So a hand can be compared with any schedule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kldanneal import _checks
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.metrics import Metrics, evaluate
from kldanneal.lab.training.hand import Replay
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import QUICK, Settings

REQUIRED_KL = 0.5  # nats per sentence that have to be left after the tail
TAIL = 500  # updates at weight 1 after the drive


def score_of(kl: float, neg_elbo: float) -> float | None:
    """The -ELBO, lower is better; None if less than the required KL is left."""
    return neg_elbo if kl >= REQUIRED_KL else None


@dataclass(frozen=True)
class Score:
    """The measures of a drive on held-out sentences, at weight 1.

    - at_end: after the last update of the drive.
    - after_tail: after the tail at weight 1. These decide.
    - history: of the drive and the tail, as :meth:`~kldanneal.lab.training.run.Run.history` gives it.
    """

    at_end: Metrics
    after_tail: Metrics
    history: dict[str, list[float]]

    @property
    def value(self) -> float | None:
        """The -ELBO after the tail, lower is better; None if less than the required KL is left."""
        return score_of(self.after_tail.kl, self.after_tail.neg_elbo)

    def __str__(self) -> str:
        kl = f"KL {self.after_tail.kl:.2f} after the tail"
        if self.value is None:
            return f"no score: {kl}, at least {REQUIRED_KL} is required"
        return f"score {self.value:.2f} ({kl})"


def score_drive(
    weights: Sequence[float],
    corpus: Corpus,
    settings: Settings = QUICK,
    *,
    tail: int = TAIL,
    seed: int = 0,
    device: str = "auto",
    iw_samples: int = 20,
) -> Score:
    """Replays a drive from the first update on, trains on at weight 1, and measures it on held-out sentences.

    Args:
        weights (sequence of float): a KL weight for each update, as many as the budget ``settings.steps``.
        corpus (Corpus): what is learnt; the measures are of ``corpus.test``.
        settings (Settings): of the run, with a constant learning rate. Default: ``QUICK``, 2,000 updates.
        tail (int): updates at weight 1 after the drive. Default: 500.
        seed (int): of the run. Default: 0, as in ``DriveTheWeight``.
        device (str): ``'auto'``, ``'cpu'`` or ``'cuda'``. Default: ``'auto'``.
        iw_samples (int): of the estimate of -log p(x). Other draws of z change the -ELBO by some hundredths of a nat,
            so scores with another number of samples are not compared. Default: 20, as in the stored scores.
    """
    weights, tail = list(weights), _checks.integer("tail", tail, 1)
    if len(weights) != settings.steps:
        raise ValueError(
            f"Expected a weight for each of the {settings.steps:,} updates of the budget, but got {len(weights):,}. "
            "A drive by hand is scored when it is finished"
        )
    _checks.one_of("lr_schedule", settings.lr_schedule, ("constant",))
    longer = replace(settings, steps=settings.steps + tail)
    run = Run(corpus, Replay([*weights, 1.0]), longer, seed=seed, name="drive", device=device)
    run.fit(until=settings.steps)
    at_end = evaluate(run.model, corpus.test, iw_samples=iw_samples)
    run.fit()
    after_tail = evaluate(run.model, corpus.test, iw_samples=iw_samples)
    return Score(at_end, after_tail, run.history())
