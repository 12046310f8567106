"""Callbacks for training libraries. Each module imports its library, so import only the one that you use:

    from kldanneal.integrations.lightning import AnnealerCallback        # lightning, or pytorch_lightning
    from kldanneal.integrations.transformers import AnnealerCallback     # transformers.Trainer

Both callbacks step the annealer once per optimizer update, resume it exactly from a checkpoint, log the weight that
each update used, and warn at the start if the run ends before the ramp does.
"""

import math
from typing import Any

from kldanneal.annealing import Annealer


def the_annealer(annealer: Annealer | None, model: Any) -> Annealer:
    """The annealer that was given to a callback, or else the attribute ``annealer`` of the model."""
    found = getattr(model, "annealer", None) if annealer is None else annealer
    if not isinstance(found, Annealer):
        name = f"{type(model).__name__}.annealer"
        raise TypeError(f"Expected an Annealer, as the callback's argument or as {name}, but got {found!r}")
    return found


def unfinished_ramp(annealer: Annealer, done: int, planned: float) -> str | None:
    """A warning if the weight is still on its first ramp when the run ends; None if all is well.

    Args:
        annealer (Annealer): the annealer, where the run starts.
        done (int): updates before this start, above 0 when a run is resumed.
        planned (float): updates of the whole run, with those; infinite where no end is planned.
    """
    ramp = math.ceil(annealer.delay + annealer.ratio * annealer.total_steps - 1e-9)
    position = max(annealer.delay + annealer.current_step, done)
    end = position + planned - done
    if annealer.disable or annealer.baseline == annealer.max_weight or end >= ramp:
        return None
    return (
        f"The run ends after {end:,.0f} updates, before the KL weight is at its top (update {ramp:,}): "
        "the model never trains on the whole objective. Train for longer, or make total_steps smaller"
    )


def monitored(names: list[str]) -> str:
    """A reminder for runs that select a model, or stop early, by the quantities ``names``."""
    return (
        f"The KL weight changes, and this run selects or stops by {', '.join(names)}. This must be -ELBO at weight 1, "
        "bce + kld, and not the annealed loss, bce + annealer(kld): the annealed loss is lowest where the weight is low"
    )


def scale(scaler: Any) -> float:
    """The scale of a gradient scaler, or 0 without one. It falls when an update is skipped, and at no other time.

    The other sign, that ``optimizer.step()`` was not called, fails for fused optimizers: they skip by themselves.
    """
    return 0.0 if scaler is None else float(scaler.get_scale())
