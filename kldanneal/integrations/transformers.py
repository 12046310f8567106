"""A callback for the Trainer of Hugging Face's transformers."""

import logging
import warnings
from typing import Any, cast

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kldanneal.annealing import Annealer
from kldanneal.integrations import monitored, scale, the_annealer, unfinished_ramp

__all__ = ["AnnealerCallback"]

logger = logging.getLogger(__name__)


class AnnealerCallback(TrainerCallback):
    """Steps an annealer once per optimizer update of a transformers Trainer.

    The model uses the annealer in ``forward``, ``loss = bce + self.annealer(kld)``, and never calls ``step()``. It
    should use it in training alone, ``bce + (self.annealer(kld) if self.training else kld)``: then ``eval_loss`` is
    -ELBO at weight 1, the quantity that selects a model or stops early. (The Trainer computes ``eval_loss`` of a model
    without labels only if ``forward`` has an argument ``return_loss=True``.)

    - *Updates.* With ``gradient_accumulation_steps=3``, three batches are one update. An update that the gradient
      scaler of ``fp16=True`` skips is none.
    - *Checkpoints* hold the annealer's state, in ``trainer_state.json``. The resumed run uses the weights that the
      uninterrupted run would have used. A checkpoint from before the callback was added holds no state: then the
      annealer steps as often as the checkpoint's ``global_step`` says.
    - *Logging.* Logs of the training loss also hold ``name``, the weight that the last update used. They are in
      ``trainer.state.log_history``. Reporters such as TensorBoard's see the weight if this callback stands before
      them: ``trainer.callback_handler.callbacks.insert(0, callback)``.
    - *At the start* it warns if the run ends before the ramp does. If the run stops early or selects a model by a
      metric, it says that this should be -ELBO at weight 1, ``bce + kld``.

    Args:
        annealer (Annealer, optional): the annealer that the model uses. Default: the attribute ``annealer`` of the
            model.
        name (str): the name of the logged weight. Two callbacks of one Trainer need two names.
            Default: ``'kl_weight'``.

    Raises:
        TypeError: no Annealer is given, and the model has none either, when training starts.

    Example::

        >>> from kldanneal import Annealer
        >>> from kldanneal.integrations.transformers import AnnealerCallback
        >>> callback = AnnealerCallback(Annealer(total_steps=1000))   # Trainer(..., callbacks=[callback])
    """

    def __init__(self, annealer: Annealer | None = None, name: str = "kl_weight") -> None:
        self.annealer = annealer
        self.name = name
        self._weight = 0.0  # that the update uses
        self._scale = 0.0  # of the gradient scaler, before the update

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        annealer = the_annealer(self.annealer, kwargs["model"])
        saved = _saved(state).get(self.name)
        if saved and saved["global_step"] == state.global_step:
            annealer.load_state_dict(saved["annealer"])
        else:  # a new run, at 0, or a checkpoint that holds no annealer
            for _ in range(state.global_step):
                annealer.step()
        warning = unfinished_ramp(annealer, state.global_step, state.max_steps)
        if warning and state.is_world_process_zero:
            warnings.warn(warning, stacklevel=2)
        if args.load_best_model_at_end and state.is_world_process_zero and not annealer.disable:
            logger.warning(monitored([repr(args.metric_for_best_model)]))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._weight = the_annealer(self.annealer, kwargs["model"]).weight
        self._scale = scale(_scaler(kwargs))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        annealer = the_annealer(self.annealer, kwargs["model"])
        if scale(_scaler(kwargs)) >= self._scale:
            annealer.step()
        _saved(state)[self.name] = {"annealer": annealer.state_dict(), "global_step": state.global_step}

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if "loss" in kwargs["logs"]:
            kwargs["logs"][self.name] = state.log_history[-1][self.name] = self._weight


def _scaler(kwargs: dict[str, Any]) -> Any:
    return getattr(kwargs.get("optimizer"), "scaler", None)


def _saved(state: TrainerState) -> dict[str, Any]:
    """What the Trainer saves of its callbacks, in trainer_state.json; annotated there as the list that it starts as."""
    saved: Any = state.stateful_callbacks
    return cast("dict[str, Any]", saved)
