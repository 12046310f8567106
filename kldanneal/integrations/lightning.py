"""A callback for Lightning, for the package ``lightning`` as well as for ``pytorch_lightning``."""

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

from kldanneal.annealing import Annealer
from kldanneal.integrations import monitored, scale, the_annealer, unfinished_ramp

__all__ = ["AnnealerCallback"]

LIBRARIES = ("lightning.pytorch", "pytorch_lightning")  # the same code under two names, with classes of their own


def _library() -> Any:
    """The library that is imported already, as the user's Trainer comes from it; else one that is installed."""
    for name in sorted(LIBRARIES, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in (name, name.partition(".")[0]):
                raise
    raise ModuleNotFoundError('Expected lightning or pytorch_lightning: pip install "kldanneal[lightning]"')


_pl = _library()
if TYPE_CHECKING:  # a type checker accepts the callback in the Trainer of either library
    Callback = Any
else:
    Callback = _pl.Callback


class AnnealerCallback(Callback):  # type: ignore[misc]
    """Steps an annealer once per optimizer update of a Lightning Trainer.

    The model uses the annealer in ``training_step``, ``loss = bce + self.annealer(kld)``, and never calls ``step()``.

    - *Updates.* With ``accumulate_grad_batches=3``, three batches are one update. An update that the gradient scaler
      of ``precision='16-mixed'`` skips is none. With manual optimization and several optimizers each of their steps
      counts, as in Lightning's ``max_steps``.
    - *Checkpoints* hold the annealer's state, also those that are written inside an epoch. The resumed run uses the
      weights that the uninterrupted run would have used. A checkpoint from before the callback was added holds no
      state: then the annealer steps as often as the checkpoint's ``global_step`` says.
    - *Logging.* ``name`` is the weight that the update uses, at each logged step.
    - *At the start* it warns if the run ends before the ramp does. If the run stops early or selects a model by a
      monitored quantity, it says that this should be -ELBO at weight 1, ``bce + kld``.

    Args:
        annealer (Annealer, optional): the annealer that the model uses. Default: the attribute ``annealer`` of the
            LightningModule.
        name (str): the name of the logged weight. Two callbacks of one Trainer need two names.
            Default: ``'kl_weight'``.

    Raises:
        TypeError: no Annealer is given, and the LightningModule has none either, when training starts.

    Example::

        >>> from kldanneal import Annealer
        >>> from kldanneal.integrations.lightning import AnnealerCallback
        >>> callback = AnnealerCallback(Annealer(total_steps=1000))   # Trainer(callbacks=[callback])
    """

    def __init__(self, annealer: Annealer | None = None, name: str = "kl_weight") -> None:
        super().__init__()
        self.annealer = annealer
        self.name = name
        self._counted = 0  # updates of the Trainer that were looked at, skipped ones as well
        self._scale = 0.0  # of the gradient scaler, before the update

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._counted = trainer.global_step
            the_annealer(self.annealer, pl_module)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._follow(trainer, pl_module)
        annealer = the_annealer(self.annealer, pl_module)
        warning = unfinished_ramp(annealer, trainer.global_step, trainer.estimated_stepping_batches)
        if warning and trainer.is_global_zero:
            warnings.warn(warning, stacklevel=2)
        found = [(type(other).__name__, getattr(other, "monitor", None)) for other in trainer.callbacks]
        names = [f"{monitor!r} ({kind})" for kind, monitor in found if monitor]
        if names and not annealer.disable:
            _pl.utilities.rank_zero.rank_zero_info(monitored(names))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        pl_module.log(
            self.name, the_annealer(self.annealer, pl_module).weight, on_step=True, on_epoch=False, batch_size=1
        )

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self._follow(trainer, pl_module)
        self._scale = scale(_scaler(trainer))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._follow(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._follow(trainer, pl_module)
        state = {"annealer": the_annealer(self.annealer, pl_module).state_dict(), "counted": self._counted}
        checkpoint.setdefault("kldanneal", {})[self.name] = state

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit":  # to test a checkpoint, the annealer is not needed
            state = checkpoint.get("kldanneal", {}).get(self.name)
            if state:
                the_annealer(self.annealer, pl_module).load_state_dict(state["annealer"])
                self._counted = state["counted"]

    def _follow(self, trainer: Any, pl_module: Any) -> None:
        """Steps the annealer for each update since the last call; a scale that fell says that one was skipped."""
        updates = trainer.global_step - self._counted
        if updates:
            skipped = scale(_scaler(trainer)) < self._scale
            for _ in range(updates - skipped):
                the_annealer(self.annealer, pl_module).step()
            self._counted = trainer.global_step


def _scaler(trainer: Any) -> Any:
    return getattr(trainer.precision_plugin, "scaler", None)
