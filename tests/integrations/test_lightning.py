"""The Lightning callback in both packages, against runs that were not interrupted and counts made by hand."""

import importlib
import logging
import warnings

import pytest
import torch

from kldanneal import Annealer, VAELoss
from kldanneal.integrations.lightning import AnnealerCallback

LIBRARIES = ("pytorch_lightning", "lightning.pytorch")
NOT_OURS = (
    "num_workers|val_dataloader|ckpt_path|dataloader is not resumable|LeafSpec|Checkpoint directory|logging inter"
)
pytestmark = pytest.mark.filterwarnings(f"ignore:.*({NOT_OURS}).*")


@pytest.fixture(params=LIBRARIES)
def pl(request):
    for name in LIBRARIES:  # their messages
        logging.getLogger(name).setLevel(logging.INFO)
    return importlib.import_module(request.param)


def vae(pl, annealer):
    """A LightningModule that notes the weight each batch was trained with, and ends its loss as a VAE does."""

    class VAE(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = torch.nn.Linear(6, 4), torch.nn.Linear(2, 6)
            self.criterion, self.annealer = VAELoss("mse"), annealer
            self.seen, self.steps = [], []

        def training_step(self, batch):
            mu, logvar = self.encoder(batch).chunk(2, dim=1)
            bce, kld = self.criterion(self.decoder(mu), batch, mu, logvar)
            self.seen.append(self.annealer.weight)
            self.steps.append(self.trainer.global_step)
            return bce + self.annealer(kld)

        def validation_step(self, batch):
            self.log("loss_at_1", torch.tensor(1.0))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    return VAE()


def data():
    return torch.utils.data.DataLoader(torch.rand(48, 6, generator=torch.Generator().manual_seed(0)), batch_size=8)


def trainer(pl, callbacks, **options):
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(callbacks=callbacks, **{**quiet, "enable_checkpointing": False, **options})


def test_each_update_has_the_weight_of_the_schedule(pl):
    model, expected = vae(pl, Annealer(5, cyclical=True, ratio=0.5)), Annealer(5, cyclical=True, ratio=0.5).schedule(12)
    trainer(pl, [AnnealerCallback()], max_epochs=2).fit(model, data())
    assert model.seen == expected


def test_accumulated_batches_are_one_update(pl):
    model = vae(pl, Annealer(10))
    run = trainer(pl, [AnnealerCallback(model.annealer)], max_epochs=2, accumulate_grad_batches=4)
    with pytest.warns(UserWarning, match="ends after 4 updates"):
        run.fit(model, data())
    # 6 batches in an epoch: updates of 4 and of 2 batches
    assert model.seen == [0.0] * 4 + [0.1] * 2 + [0.2] * 4 + [0.3] * 2
    assert run.global_step == model.annealer.current_step == 4


@pytest.mark.parametrize("cyclical", [False, True])
@pytest.mark.parametrize("every", [2, 7])
def test_a_run_resumed_inside_an_epoch_uses_the_weights_of_an_uninterrupted_run(pl, tmp_path, every, cyclical):
    def settings():
        return Annealer(9, "cosine", cyclical=cyclical)

    save = pl.callbacks.ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=every, save_top_k=-1, filename="{step}")
    whole = vae(pl, settings())
    # in front of the callback, as Lightning may be told, and behind it, as Lightning sorts them
    trainer(pl, [save, AnnealerCallback()], max_steps=12, enable_checkpointing=True).fit(whole, data())
    for path in tmp_path.glob("*.ckpt"):
        done = int(path.stem.partition("=")[2])
        assert torch.load(path, weights_only=True)["global_step"] == done
        again = vae(pl, settings())
        trainer(pl, [AnnealerCallback()], max_steps=12).fit(again, data(), ckpt_path=path)
        assert again.seen == whole.seen[done:], done
    assert len(list(tmp_path.glob("*.ckpt"))) == 12 // every


def test_a_checkpoint_of_another_callback_in_the_middle_of_a_batch_is_exact_too(pl, tmp_path):
    class Save(pl.Callback):  # before AnnealerCallback, at every hook of the 5th batch
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "start.ckpt")

        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "end.ckpt")

    whole = vae(pl, Annealer(9))
    trainer(pl, [Save(), AnnealerCallback()], max_epochs=2).fit(whole, data())
    for name in ("start", "end"):
        path, again = tmp_path / f"{name}.ckpt", vae(pl, Annealer(9))
        assert torch.load(path, weights_only=True)["kldanneal"]["kl_weight"]["annealer"]["current_step"] == 5
        trainer(pl, [AnnealerCallback()], max_epochs=2).fit(again, data(), ckpt_path=path)
        assert dict(zip(again.steps, again.seen, strict=True)).items() <= dict(
            zip(whole.steps, whole.seen, strict=True)).items()  # fmt: skip
        assert again.seen[-1] == 1.0 and again.steps[0] == 5


def test_a_checkpoint_from_before_the_callback_gives_its_global_step(pl, tmp_path):
    run = trainer(pl, [], max_steps=5)
    run.fit(vae(pl, Annealer(10)), data())
    run.save_checkpoint(tmp_path / "old.ckpt")
    again = vae(pl, Annealer(10))
    trainer(pl, [AnnealerCallback()], max_steps=10).fit(again, data(), ckpt_path=tmp_path / "old.ckpt")
    assert again.seen == [0.5, 0.6, 0.7, 0.8, 0.9]


def test_a_checkpoint_of_other_settings_is_refused_in_training_and_not_in_validation(pl, tmp_path):
    run = trainer(pl, [AnnealerCallback()], max_steps=5)
    run.fit(vae(pl, Annealer(5)), data())
    run.save_checkpoint(tmp_path / "five.ckpt")
    other = trainer(pl, [AnnealerCallback()], max_steps=9)
    other.validate(vae(pl, Annealer(7)), data(), ckpt_path=tmp_path / "five.ckpt", verbose=False)
    with pytest.raises(ValueError, match="total_steps"):
        other.fit(vae(pl, Annealer(7)), data(), ckpt_path=tmp_path / "five.ckpt")


def test_fitting_again_goes_on_and_a_second_trainer_goes_on_too(pl):
    model, callback = vae(pl, Annealer(18)), AnnealerCallback()
    run = trainer(pl, [callback], max_epochs=3)
    run.fit(model, data())
    run.fit_loop.max_epochs = 4
    run.fit(model, data())
    trainer(pl, [callback], max_epochs=1).fit(model, data())
    assert model.seen == Annealer(18).schedule(30)


def test_a_callback_of_another_run_counts_the_updates_of_this_one(pl, tmp_path):
    old = trainer(pl, [], max_steps=5)
    old.fit(vae(pl, Annealer(10)), data())
    old.save_checkpoint(tmp_path / "old.ckpt")  # it holds no annealer, and comes from before the 8 updates below
    callback, again = AnnealerCallback(), vae(pl, Annealer(10))
    trainer(pl, [callback], max_steps=8).fit(vae(pl, Annealer(8)), data())
    trainer(pl, [callback], max_steps=10).fit(again, data(), ckpt_path=tmp_path / "old.ckpt")
    assert again.seen == [0.5, 0.6, 0.7, 0.8, 0.9]


def test_an_update_that_the_gradient_scaler_skips_is_none(pl, tmp_path):
    def mixed():  # as precision="16-mixed" makes it on a GPU
        return pl.plugins.MixedPrecision(
            "16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
        )

    def spoiled():
        model = vae(pl, Annealer(10))
        model.before = []
        loss = model.training_step

        def training_step(batch):
            model.before.append([p.detach().clone() for p in model.parameters()])
            return loss(batch) * (float("nan") if model.trainer.global_step in (0, 5, 6) else 1.0)

        model.training_step = training_step
        return model

    save = pl.callbacks.ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=3, save_top_k=-1, filename="{step}")
    model = spoiled()
    run = trainer(pl, [AnnealerCallback(), save], max_epochs=2, plugins=[mixed()], enable_checkpointing=True)
    run.fit(model, data())
    pairs = zip(model.before, model.before[1:], strict=False)
    moved = [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs]
    assert [update for update, has_moved in enumerate(moved) if not has_moved] == [0, 5, 6]
    assert run.global_step == 12  # Lightning counts what was skipped
    assert model.seen == [sum(moved[:i]) / 10 for i in range(12)]
    for done in (3, 6, 9):
        again = spoiled()
        trainer(pl, [AnnealerCallback()], max_epochs=2, plugins=[mixed()]).fit(
            again, data(), ckpt_path=tmp_path / f"step={done}.ckpt"
        )
        assert again.seen == model.seen[done:]


def test_the_logged_weight_is_the_one_that_the_update_used(pl, tmp_path):
    class Logger(pl.loggers.logger.DummyLogger):
        def __init__(self):
            super().__init__()
            self.logged = []

        def log_metrics(self, metrics, step=None):
            self.logged += [(step, metrics["beta"])] if "beta" in metrics else []

    model, logger = vae(pl, Annealer(6)), Logger()
    run = trainer(pl, [AnnealerCallback(name="beta")], max_epochs=2, logger=logger, log_every_n_steps=1)
    run.fit(model, data())
    assert [step for step, _ in logger.logged] == list(range(12))
    assert [weight for _, weight in logger.logged] == pytest.approx(model.seen)
    assert run.callback_metrics["beta"] == model.seen[-1]


def test_two_annealers_with_two_names(pl, tmp_path):
    model, capacity = vae(pl, Annealer(4)), Annealer(6, baseline=0.5)
    callbacks = [AnnealerCallback(), AnnealerCallback(capacity, "capacity")]
    run = trainer(pl, callbacks, max_steps=6, max_epochs=2)
    run.fit(model, data())
    run.save_checkpoint(tmp_path / "two.ckpt")
    assert (model.annealer.current_step, capacity.current_step) == (4, 6)
    states = torch.load(tmp_path / "two.ckpt", weights_only=True)["kldanneal"]
    assert {name: state["annealer"]["current_step"] for name, state in states.items()} == {
        "kl_weight": 4,
        "capacity": 6,
    }


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"total_steps": 13}, True),
        ({"total_steps": 12}, False),
        ({"total_steps": 24, "ratio": 0.5}, False),
        ({"total_steps": 25, "ratio": 0.5}, True),
        ({"total_steps": 5, "cyclical": True}, False),
        ({"total_steps": 13, "cyclical": True}, True),
        ({"total_steps": 99, "disable": True}, False),
    ],
    ids=str,
)
def test_a_run_that_ends_before_its_ramp_is_warned_about_at_the_start(pl, settings, warned):
    annealer = Annealer(**settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(pl, [AnnealerCallback(annealer)], max_epochs=2).fit(vae(pl, annealer), data())
    found = [str(warning.message) for warning in caught if "KL weight" in str(warning.message)]
    assert len(found) == warned
    if warned:
        assert "after 12 updates" in found[0] and "(update 13)" in found[0]


@pytest.mark.parametrize(
    "options", [{"max_epochs": -1, "max_steps": 12}, {"max_epochs": 2, "accumulate_grad_batches": 3}]
)
def test_the_end_of_the_run_is_known_however_it_is_given(pl, options):
    with pytest.warns(UserWarning, match=f"after {12 if 'max_steps' in options else 4} updates"):
        trainer(pl, [AnnealerCallback()], **options).fit(vae(pl, Annealer(13)), data())


def test_a_ramp_that_another_run_began_needs_the_rest_of_it_alone(pl, recwarn):
    annealer = Annealer(18)
    for _ in range(6):
        annealer.step()
    trainer(pl, [AnnealerCallback()], max_epochs=2).fit(vae(pl, annealer), data())
    assert not [warning for warning in recwarn if "KL weight" in str(warning.message)]
    assert annealer.weight == 1.0


def test_with_manual_optimization_the_steps_of_all_optimizers_count(pl):
    model = vae(pl, Annealer(12))
    model.automatic_optimization = False
    model.configure_optimizers = lambda: [
        torch.optim.SGD(part.parameters(), lr=1e-3) for part in (model.encoder, model.decoder)
    ]
    loss = model.training_step

    def training_step(batch):
        model.manual_backward(loss(batch))
        for optimizer in model.optimizers():
            optimizer.step()
            optimizer.zero_grad()

    model.training_step = training_step
    run = trainer(pl, [AnnealerCallback()], max_epochs=1)
    run.fit(model, data())
    assert run.global_step == 12
    assert model.seen == Annealer(12).schedule(12)[::2] and model.annealer.weight == 1.0


def test_it_says_what_early_stopping_should_look_at(pl, caplog):
    stop = pl.callbacks.EarlyStopping("loss_at_1")
    with caplog.at_level(logging.INFO):
        trainer(pl, [stop, AnnealerCallback()], max_epochs=1).fit(vae(pl, Annealer(6)), data(), data())
    (said,) = [message for message in caplog.messages if "-ELBO at weight 1" in message]
    assert "'loss_at_1' (EarlyStopping)" in said
    caplog.clear()
    with caplog.at_level(logging.INFO):
        trainer(pl, [AnnealerCallback()], max_epochs=1).fit(vae(pl, Annealer(6)), data(), data())
    assert not [message for message in caplog.messages if "ELBO" in message]


def test_a_model_without_an_annealer_is_refused_before_it_trains(pl):
    model = vae(pl, None)
    with pytest.raises(TypeError, match=r"as VAE\.annealer, but got None"):
        trainer(pl, [AnnealerCallback()], max_epochs=1).fit(model, data())
    assert model.seen == []
