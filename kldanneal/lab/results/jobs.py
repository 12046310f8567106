"""One run behind the results, written down as data: what is trained, and at which updates it is measured.

A job trains a model under a schedule, then goes on at KL weight 1: the tail. An update is *low* if its KL weight is
below 1, or if it has free bits. The *distance* of a measurement is the number of updates since the last low one. Under
a constant weight of 1 it is the number of updates since the start. Models are compared at equal distance.

    job = Job("toy", "cyclical", {"total_steps": 1000, "cyclical": True, "ratio": 0.5, "cycles": 4}, updates=12_000)
    train(job, load_corpus("toy"), "checkpoint.pt")["measured"]       # at each distance, and at each total
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.files import write_atomically
from kldanneal.lab.metrics import MEASURES, evaluate
from kldanneal.lab.plots import smooth
from kldanneal.lab.training.run import KLWeight, Run
from kldanneal.lab.training.schedules import Then
from kldanneal.lab.training.settings import Settings

DISTANCES = (0, 250, 500, 1000, 2000, 4000, 8000)
EVERY = 50  # updates between two points of a stored curve, each a mean over that many
#: What is stored of each measurement.
STORED = (*(name for name in MEASURES if name != "perplexity"), "mutual_information_error")


@dataclass(frozen=True)
class Job:
    """A run by its corpus, schedule, settings and seed.

    Args:
        corpus (str): ``'toy'``, ``'docstrings'`` or ``'ptb'``.
        label (str): what tables and pictures call the schedule.
        annealer (dict): the arguments of the schedule's Annealer.
        updates (int): optimizer updates in all, the tail included.
        seed (int): Default: 0.
        settings (dict): what differs from ``Settings()``. Default: nothing.
        then_one (int, optional): after so many updates the weight is 1 and there are no free bits. Default: never.
        free_bits (float): the floor of the KL of each dimension until then, in nats. Default: 0.0.
        distances (tuple of int): where the run is measured, in updates since the last low one.
        totals (tuple of int): where it is measured as well, in updates since the start.
    """

    corpus: str
    label: str
    annealer: dict[str, Any]
    updates: int
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    then_one: int | None = None
    free_bits: float = 0.0
    distances: tuple[int, ...] = DISTANCES
    totals: tuple[int, ...] = ()

    def key(self) -> str:
        """What tells this job from every other, in one line."""
        return repr(sorted(asdict(self).items()))

    def schedule(self) -> KLWeight:
        annealer = Annealer(**self.annealer)
        return annealer if self.then_one is None else Then(annealer, self.then_one)

    def weights(self) -> list[float]:
        """The KL weight of every update."""
        schedule, weights = self.schedule(), []
        for _ in range(self.updates):
            weights.append(schedule.weight)
            schedule.step()
        return weights

    def last_low(self) -> int:
        """The number of updates until the last one with a weight below 1 or with free bits, this one included."""
        low = last_low(self.weights())
        return max(low, self.then_one or 0) if self.free_bits else low

    def marks(self) -> list[int]:
        """The updates after which the run is measured."""
        low = self.last_low()
        wanted = {low + distance for distance in self.distances} | set(self.totals) | {self.updates}
        return sorted(mark for mark in wanted if 0 < mark <= self.updates)


def last_low(weights: Sequence[float]) -> int:
    """The number of updates until the last weight below 1, this one included; 0: there is none.

    Example::

        >>> last_low([0.5, 0.75, 1.0, 1.0])
        2
    """
    return max((update for update, weight in enumerate(weights, start=1) if weight < 1), default=0)


def from_dict(state: dict[str, Any]) -> Job:
    """The job that ``asdict`` made, perhaps by way of JSON."""
    own = {item.name: state[item.name] for item in fields(Job)}
    return Job(**own | {"distances": tuple(own["distances"]), "totals": tuple(own["totals"])})


def train(job: Job, corpus: Corpus, checkpoint: str | Path) -> dict[str, Any]:
    """Trains a job from its checkpoint on, if there is one, and measures it on the test set.

    The measurements so far are kept beside the checkpoint. So a run that was stopped goes on as if it had not been.

    Returns:
        ``measured``: for each mark a dictionary with ``update``, ``distance`` and the measures; ``best``: the lowest
        -ELBO among them and its update; ``kl_curve``, ``reconstruction_curve``: means of training over each ``EVERY``
        updates; ``discount``: the sum of 1 - weight; ``digest`` of the corpus; ``seconds`` of training.
    """
    checkpoint = Path(checkpoint)
    run = Run(corpus, job.schedule(), Settings(**{"steps": job.updates} | job.settings), seed=job.seed, device="cpu")
    measured: dict[int, dict[str, Any]] = {}
    marks, low = job.marks(), job.last_low()
    so_far = checkpoint.with_suffix(".json")
    if checkpoint.exists():
        run.load(checkpoint)
        measured = {row["update"]: row for row in json.loads(so_far.read_text())} if so_far.exists() else {}
    switch = job.updates if job.then_one is None else job.then_one
    for mark in sorted({*marks, switch}):
        if mark in measured or mark < run.step:
            continue
        run.criterion.free_bits = job.free_bits if run.step < switch else 0.0
        run.fit(checkpoint, until=mark, every_updates=job.updates, every_seconds=60)
        if mark in marks:
            metrics = evaluate(run.model, corpus.test)
            values = {name: round(getattr(metrics, name), 4) for name in STORED}
            measured[mark] = {"update": mark, "distance": mark - low, **values}
            write_atomically(so_far, json.dumps(list(measured.values())).encode())
    rows = [measured[mark] for mark in marks]
    best = min(rows, key=lambda row: row["neg_elbo"])
    history = run.history()
    return {
        "measured": rows,
        "best": {"update": best["update"], "neg_elbo": best["neg_elbo"]},
        "discount": round(sum(1 - weight for weight in history["kl_weight"]), 2),
        "kl_curve": curve(history["kl"]),
        "reconstruction_curve": curve(history["reconstruction"]),
        "digest": corpus.digest,
        "sentences": len(corpus.train),
        "seconds": round(run.seconds, 1),
    }


def curve(values: list[float], every: int = EVERY, digits: int = 3) -> list[float]:
    """A column of a run's history as it is stored: a point for so many updates, each a mean over them."""
    return [round(float(value), digits) for value in smooth(values, every)[every - 1 :: every]]
