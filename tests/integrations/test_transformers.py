"""The callback for transformers.Trainer, against runs that were not interrupted and counts made by hand."""

import json
import logging
import warnings

import pytest
import torch
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from kldanneal import Annealer, VAELoss
from kldanneal.integrations import unfinished_ramp
from kldanneal.integrations.transformers import AnnealerCallback

pytestmark = pytest.mark.filterwarnings("ignore:.*(pin_memory|tokenizer|lr_scheduler|state_dict).*")


class VAE(PreTrainedModel):
    """A tiny model that notes the weight of each batch."""

    config_class = PretrainedConfig

    def __init__(self, annealer, spoil=()):
        super().__init__(PretrainedConfig())
        self.encoder, self.decoder = torch.nn.Linear(6, 4), torch.nn.Linear(2, 6)
        self.criterion, self.annealer = VAELoss("mse"), annealer
        self.seen, self.before, self.spoil = [], [], spoil

    def forward(self, x, return_loss=True):  # the Trainer looks for this name before it computes eval_loss
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        bce, kld = self.criterion(self.decoder(mu), x, mu, logvar)
        if not self.training:
            return {"loss": bce + kld}
        bad = float("nan") if len(self.seen) in self.spoil else 1.0
        self.seen.append(self.annealer.weight)
        self.before.append([p.detach().clone() for p in self.parameters()])
        return {"loss": (bce + self.annealer(kld)) * bad}


def data():
    return [{"x": x} for x in torch.rand(48, 6, generator=torch.Generator().manual_seed(0))]


def trainer(model, folder, callbacks=None, **options):
    quiet = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "logging_strategy": "no"}
    options = {
        **quiet,
        "per_device_train_batch_size": 8,
        "num_train_epochs": 2,
        "remove_unused_columns": False,
        **options,
    }
    arguments = TrainingArguments(str(folder), **options)
    callbacks = [AnnealerCallback()] if callbacks is None else callbacks
    return Trainer(model, arguments, train_dataset=data(), eval_dataset=data(), callbacks=callbacks)


def test_each_update_has_the_weight_of_the_schedule(tmp_path):
    model = VAE(Annealer(5, cyclical=True, ratio=0.5))
    trainer(model, tmp_path).train()
    assert model.seen == Annealer(5, cyclical=True, ratio=0.5).schedule(12)


def test_accumulated_batches_are_one_update(tmp_path):
    model = VAE(Annealer(10))
    run = trainer(model, tmp_path, gradient_accumulation_steps=4)
    with pytest.warns(UserWarning, match="ends after 4 updates"):
        run.train()
    assert model.seen == [0.0] * 4 + [0.1] * 2 + [0.2] * 4 + [0.3] * 2  # 6 batches in an epoch
    assert run.state.global_step == model.annealer.current_step == 4


@pytest.mark.parametrize("restore", [False, True])
def test_a_run_resumed_inside_an_epoch_uses_the_weights_of_an_uninterrupted_run(tmp_path, restore):
    whole = VAE(Annealer(5, "cosine", cyclical=True))
    trainer(whole, tmp_path, save_strategy="steps", save_steps=4).train()
    for done in (4, 8):
        again = VAE(Annealer(5, "cosine", cyclical=True))
        run = trainer(again, tmp_path / "again", restore_callback_states_from_checkpoint=restore)
        run.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{done}"))
        assert again.seen == whole.seen[done:]


def test_a_checkpoint_from_before_the_callback_gives_its_global_step(tmp_path):
    trainer(VAE(Annealer(10)), tmp_path, [], save_strategy="steps", save_steps=4).train()
    again = VAE(Annealer(10))
    trainer(again, tmp_path).train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert again.seen == Annealer(10).schedule(12)[4:]


def test_training_again_goes_on(tmp_path):
    model = VAE(Annealer(30, baseline=0.1))
    run = trainer(model, tmp_path, num_train_epochs=5)
    run.train()
    run.train()
    assert model.seen == Annealer(30, baseline=0.1).schedule(60)


def test_an_update_that_the_gradient_scaler_skips_is_none(tmp_path):
    def run(model, **options):
        made = trainer(model, tmp_path, max_grad_norm=0.0, **options)
        made.accelerator.scaler = torch.amp.GradScaler(
            "cpu", init_scale=64.0, growth_interval=3
        )  # as fp16=True on a GPU
        return made

    model = VAE(Annealer(10), spoil=(0, 5, 6))
    made = run(model, save_strategy="steps", save_steps=7)
    made.train()
    pairs = zip(model.before, model.before[1:], strict=False)
    moved = [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs]
    assert [update for update, has_moved in enumerate(moved) if not has_moved] == [0, 5, 6]
    assert made.state.global_step == 12
    assert model.seen == [sum(moved[:update]) / 10 for update in range(12)]
    again = VAE(Annealer(10))
    run(again).train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))
    assert again.seen == model.seen[7:]


def test_the_logged_weight_is_the_one_that_the_update_used(tmp_path):
    class Reporter(TrainerCallback):
        def __init__(self):
            self.weights = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.weights += [logs["beta"]] if "beta" in logs else []

    model, reporter, late = VAE(Annealer(6)), Reporter(), Reporter()
    run = trainer(model, tmp_path, [reporter], logging_strategy="steps", logging_steps=1, eval_strategy="epoch")
    run.callback_handler.callbacks.insert(0, AnnealerCallback(name="beta"))
    run.add_callback(late)
    run.train()
    found = [(log["step"], log["beta"]) for log in run.state.log_history if "loss" in log]
    assert found == list(enumerate(model.seen, start=1))
    assert reporter.weights == late.weights == model.seen
    assert not any("beta" in log for log in run.state.log_history if "eval_loss" in log)


def test_two_annealers_with_two_names(tmp_path):
    def callbacks(capacity):
        return [AnnealerCallback(), AnnealerCallback(capacity, "capacity")]

    model, capacity = VAE(Annealer(5)), Annealer(12, baseline=0.5)
    trainer(model, tmp_path, callbacks(capacity), save_strategy="steps", save_steps=8).train()
    saved = json.loads((tmp_path / "checkpoint-8" / "trainer_state.json").read_text())["stateful_callbacks"]
    assert (saved["kl_weight"]["annealer"]["current_step"], saved["capacity"]["annealer"]["current_step"]) == (5, 8)
    again = Annealer(12, baseline=0.5)
    run = trainer(VAE(Annealer(5)), tmp_path, callbacks(again))
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
    assert again == capacity


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"total_steps": 13}, True),
        ({"total_steps": 12}, False),
        ({"total_steps": 20, "ratio": 0.55, "delay": 1}, False),
        ({"total_steps": 20, "ratio": 0.55, "delay": 2}, True),
        ({"total_steps": 5, "cyclical": True}, False),
        ({"total_steps": 13, "cyclical": True}, True),
        ({"total_steps": 99, "disable": True}, False),
        ({"total_steps": 99, "baseline": 1.0}, False),
    ],
    ids=str,
)
def test_a_run_that_ends_before_its_ramp_is_warned_about_at_the_start(tmp_path, settings, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(VAE(Annealer(**settings)), tmp_path).train()
    found = [str(warning.message) for warning in caught if "KL weight" in str(warning.message)]
    assert len(found) == warned
    if warned:
        assert "after 12 updates" in found[0] and "(update 13)" in found[0]


@pytest.mark.parametrize("planned", [54, 55, 56])
def test_rounding_makes_no_ramp_longer(planned):
    assert 0.55 * 100 > 55
    assert (unfinished_ramp(Annealer(100, ratio=0.55), 0, planned) is None) == (planned >= 55)


def test_it_says_what_the_best_model_should_be_chosen_by(tmp_path, caplog):
    options = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    with caplog.at_level(logging.INFO):
        trainer(VAE(Annealer(6)), tmp_path, **options).train()
        assert "ELBO" not in caplog.text
        trainer(VAE(Annealer(6)), tmp_path, load_best_model_at_end=True, **options).train()
    (said,) = [message for message in caplog.messages if "-ELBO at weight 1" in message]
    assert "'loss'" in said


def test_a_model_without_an_annealer_is_refused_before_it_trains(tmp_path):
    model = VAE(None)
    with pytest.raises(TypeError, match=r"as VAE\.annealer, but got None"):
        trainer(model, tmp_path).train()
    assert model.seen == []
