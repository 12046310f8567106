"""The missions of a drive, ticked while it is driven."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kldanneal.lab.metrics import Metrics
from kldanneal.lab.training.score import REQUIRED_KL, score_of
from kldanneal.lab.widgets.records import Moment

UNITS, KL, UPDATES = 3, REQUIRED_KL, 500
COST = 0.1  # nats of -ELBO that may be paid for the KL
TEXTS = {
    "units": f"Get {UNITS} active units",
    "lasts": f"Keep the KL above {KL} for {UPDATES} updates at weight 1",
    "cheap": f"Keep KL at a low cost: at weight 1, a KL of at least {KL}, and a \u2011ELBO at most {COST} nats above "
    "the cyclical schedule's",
}


@dataclass
class Missions:
    """Which missions a drive has met. One that is met stays met.

    Example::

        >>> missions = Missions()
        >>> missions.met
        {}
    """

    met: dict[str, int] = field(default_factory=dict)  # the update at which it was met
    _since: int | None = None  # the update from which on the KL has been high enough at weight 1

    def look(self, update: int, metrics: Metrics, weights: Sequence[float], cyclical: Moment | None = None) -> None:
        """Takes a look at the held-out sentences into account.

        Args:
            update: after which the metrics were measured.
            weights: of every update so far.
            cyclical: the same measures of the cyclical schedule at its end, if it was trained.
        """
        if metrics.active_units >= UNITS:
            self.met.setdefault("units", update)
        low = next((i + 1 for i in range(update - 1, -1, -1) if weights[i] < 1), 0)  # updates up to the last low one
        if metrics.kl <= KL or low == update:
            self._since = None
        else:
            self._since = max(low, update if self._since is None else self._since)
            if update - self._since >= UPDATES:
                self.met.setdefault("lasts", update)
        score = score_of(metrics.kl, metrics.neg_elbo) if low < update else None  # a collapsed drive has none
        if cyclical and score is not None and score <= cyclical.metrics.neg_elbo + COST:
            self.met.setdefault("cheap", update)

    def html(self, cyclical: bool) -> str:
        """The missions as a checklist; ``cyclical``: whether the cyclical schedule was trained."""
        items = []
        for name, text in TEXTS.items():
            if name in self.met:
                items.append(f"<li class='kl-done'>\u2611 {text}: met at update {self.met[name]:,}</li>")
            else:
                first = " (train it first, below)" if name == "cheap" and not cyclical else ""
                items.append(f"<li>\u2610 {text}{first}</li>")
        return f"<b>Missions</b><ul style='list-style: none; margin: 0; padding: 0'>{''.join(items)}</ul>"
