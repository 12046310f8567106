"""kldanneal.lab.training: the loop, its seeds, its checkpoints, and what it says when something is wrong."""

import dataclasses
import math
import random
import threading
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from conftest import same
from torch.distributions import Normal, kl_divergence

from kldanneal import Annealer
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training import run as training
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

SMALL = Settings(
    steps=24, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4
)  # 8 batches an epoch on the tiny corpus
NOISY = dataclasses.replace(SMALL, word_dropout=0.3, dropout=0.2, lr_schedule="cosine-restarts", lr_cycles=3)
ALWAYS_ONE = {"total_steps": 1, "disable": True}
CYCLES = {"total_steps": 6, "cyclical": True, "ratio": 0.5}


def state(run):
    return deepcopy(run.state_dict())


def recorded_batches(run):
    batches = []
    run.model.register_forward_pre_hook(lambda module, inputs: batches.append(inputs[0].clone()))
    return batches


def stop_after(run, step, **fit):
    """Trains up to a step of the run by the means a user has: the event."""
    stop = threading.Event()
    if run.step >= step:
        stop.set()
    return run.fit(stop=stop, on_update=lambda: stop.set() if run.step >= step else None, **fit)


# --- one seed, one run ------------------------------------------------------------------------------------------------


def test_two_runs_with_one_seed_are_equal_bit_for_bit(tiny_corpus):
    torch.manual_seed(1)
    first = Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).fit()
    torch.manual_seed(2)  # the global generator decides nothing
    second = Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).fit()
    assert first.history() == second.history()
    assert same(state(first), state(second))


def test_a_run_is_the_same_while_another_one_trains_beside_it(tiny_corpus):
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # which must not matter either
    try:
        alone = Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).fit()
        stop, training = threading.Event(), threading.Event()
        other = Run(tiny_corpus, Annealer(5), dataclasses.replace(NOISY, steps=10**6), seed=4)
        thread = threading.Thread(target=other.fit, kwargs={"stop": stop, "on_update": training.set})
        thread.start()
        try:
            assert training.wait(60)
            other_before = other.step
            beside = Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).fit()
            assert other.step > other_before, "nothing ran beside it"
        finally:
            stop.set()
            thread.join()
    finally:
        torch.set_num_threads(before)
    assert beside.history() == alone.history()
    assert same(state(beside), state(alone))


@pytest.mark.parametrize("schedule", [CYCLES, {"total_steps": 10}, {"total_steps": 10, "baseline": 0.3}])
def test_schedules_of_one_seed_share_initial_weights_batches_and_noise(tiny_corpus, schedule):
    runs = [Run(tiny_corpus, Annealer(**how), NOISY, seed=5) for how in (ALWAYS_ONE, schedule)]
    assert same(runs[0].model.state_dict(), runs[1].model.state_dict())
    batches = [recorded_batches(run) for run in runs]
    constant, annealed = (run.fit().history() for run in runs)
    assert same(*batches)
    assert torch.equal(runs[0].noise.get_state(), runs[1].noise.get_state())
    # before the first update they do the same, whatever the weight; from then on the weight tells them apart
    assert constant["reconstruction"][0] == annealed["reconstruction"][0]
    assert constant["kl"][0] == annealed["kl"][0]
    assert constant["kl_weight"][0] != annealed["kl_weight"][0]
    assert constant["reconstruction"][1] != annealed["reconstruction"][1]


def test_seeds_differ_in_initial_weights_batches_and_noise(tiny_corpus):
    runs = [Run(tiny_corpus, Annealer(**ALWAYS_ONE), SMALL, seed=seed) for seed in (0, 1)]
    batches = [recorded_batches(run) for run in runs]
    for name, tensor in runs[0].model.state_dict().items():
        assert not torch.equal(tensor, runs[1].model.state_dict()[name]), name
    assert not torch.equal(runs[0].noise.get_state(), runs[1].noise.get_state())
    assert runs[0].fit().history()["reconstruction"] != runs[1].fit().history()["reconstruction"]
    assert not same(*batches)


def test_every_epoch_sees_every_sentence_once_in_another_order(tiny_corpus):
    run = Run(tiny_corpus, Annealer(**ALWAYS_ONE), SMALL)
    batches = recorded_batches(run)
    run.fit()
    epochs = [batches[i : i + 8] for i in (0, 8, 16)]
    everything = sorted(tuple(tiny_corpus.train[i].tolist()) for i in range(len(tiny_corpus.train)))
    for epoch in epochs:
        unpadded = (tuple(token for token in row if token != 1) for batch in epoch for row in batch.tolist())
        assert sorted(unpadded) == everything
    assert not same(epochs[0], epochs[1]) and not same(epochs[1], epochs[2])
    assert run.sentences == 3 * len(tiny_corpus.train)


# --- what an update does ----------------------------------------------------------------------------------------------


def test_the_loss_falls(tiny_corpus):
    run = Run(tiny_corpus, Annealer(**ALWAYS_ONE), dataclasses.replace(SMALL, steps=60, lr=0.01)).fit()
    history = run.history()
    loss = [reconstruction + kl for reconstruction, kl in zip(history["reconstruction"], history["kl"], strict=True)]
    assert sum(loss[-8:]) < 0.8 * sum(loss[:8])


@pytest.mark.parametrize(
    "schedule",
    [
        {"total_steps": 10},
        {"total_steps": 6, "cyclical": True},
        {"total_steps": 7, "cyclical": True, "ratio": 0.5, "shape": "cosine", "baseline": 0.1},
        {"total_steps": 100, "shape": "logistic"},
    ],
)
def test_the_weight_is_annealed_once_per_update(tiny_corpus, schedule):
    run = Run(tiny_corpus, Annealer(**schedule), SMALL).fit()
    assert run.history()["kl_weight"] == Annealer(**schedule).schedule(SMALL.steps)
    assert run.history()["step"] == list(range(SMALL.steps))


def test_disable_is_a_weight_of_one_throughout(tiny_corpus):
    run = Run(tiny_corpus, Annealer(10, disable=True), SMALL).fit()
    assert run.history()["kl_weight"] == [1.0] * SMALL.steps


@pytest.mark.parametrize("clip", [0.5, 100.0])  # one that shortens every gradient here, and one that shortens none
def test_updates_equal_plain_steps_written_by_hand(tiny_corpus, clip):
    settings = dataclasses.replace(SMALL, clip=clip, lr=1e-3)
    run = Run(tiny_corpus, Annealer(8, baseline=0.25), settings)
    model, noise = deepcopy(run.model), torch.Generator()
    noise.set_state(run.noise.get_state())
    batches = recorded_batches(run)
    for _ in range(3):
        run.update()

    parameters = list(model.parameters())
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    losses = []
    for step, x in enumerate(batches):
        logits, targets, mu, logvar = model(x, noise)
        reconstruction = F.cross_entropy(logits, targets, reduction="sum") / len(x)
        kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum() / len(x)
        weight = 0.25 + 0.75 * step / 8
        gradients = torch.autograd.grad(reconstruction + weight * kl, parameters)
        norm = sum(gradient.square().sum() for gradient in gradients).sqrt().item()
        assert (norm > clip) == (clip == 0.5)
        with torch.no_grad():
            for p, gradient, (m, v) in zip(parameters, gradients, moments, strict=True):
                gradient = gradient * min(1.0, clip / norm)
                m.mul_(0.9).add_(0.1 * gradient)  # Kingma and Ba, Adam, algorithm 1
                v.mul_(0.999).add_(0.001 * gradient.square())
                p -= 1e-3 * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
        losses.append((reconstruction.item(), kl.item()))

    history = run.history()
    for step, (reconstruction, kl) in enumerate(losses):
        assert history["reconstruction"][step] == pytest.approx(reconstruction, rel=1e-5)
        assert history["kl"][step] == pytest.approx(kl, rel=1e-4, abs=1e-6)
    for (name, mine), theirs in zip(run.model.named_parameters(), parameters, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("steps, cycles", [(24, 3), (24, 1), (10, 4), (5, 5)])
def test_cosine_restarts_follow_the_closed_form(tiny_corpus, steps, cycles):
    settings = dataclasses.replace(SMALL, steps=steps, lr=0.01, lr_schedule="cosine-restarts", lr_cycles=cycles)
    run = Run(tiny_corpus, Annealer(**ALWAYS_ONE), settings)
    rates = []
    for _ in range(steps):
        rates.append(run.optimizer.param_groups[0]["lr"])
        run.update()
    length = math.ceil(steps / cycles)
    expected = [0.01 * (1 + math.cos(math.pi * (step % length) / length)) / 2 for step in range(steps)]
    assert rates == pytest.approx(expected, rel=1e-9)
    assert rates.count(0.01) == math.ceil(steps / length)  # back at the top once per cycle


def test_a_constant_learning_rate_stays(tiny_corpus):
    run = Run(tiny_corpus, Annealer(**ALWAYS_ONE), SMALL).fit()
    assert run.optimizer.param_groups[0]["lr"] == SMALL.lr


# --- stopping and going on --------------------------------------------------------------------------------------------


def test_the_stop_event_is_obeyed_at_the_next_update(tiny_corpus):
    run = stop_after(Run(tiny_corpus, Annealer(**CYCLES), SMALL), 7)
    assert run.step == 7 and len(run.history()["step"]) == 7
    assert stop_after(run, 7).step == 7  # set before it begins: no update at all


def test_the_stop_event_is_obeyed_from_another_thread(tiny_corpus):
    stop, reached = threading.Event(), threading.Event()
    run = Run(tiny_corpus, Annealer(**CYCLES), dataclasses.replace(SMALL, steps=10**6))
    steps_at_stop = []

    def stop_it():
        reached.wait(60)
        stop.set()
        steps_at_stop.append(run.step)

    thread = threading.Thread(target=stop_it)
    thread.start()
    run.fit(stop=stop, on_update=lambda: reached.set() if run.step == 5 else None)
    thread.join()
    assert 5 <= run.step <= steps_at_stop[0] + 1


def test_on_update_is_called_after_every_update(tiny_corpus):
    calls = []
    Run(tiny_corpus, Annealer(**CYCLES), SMALL).fit(on_update=lambda: calls.append(1))
    assert calls == [1] * SMALL.steps


@pytest.fixture(scope="module")
def uninterrupted(tiny_corpus):
    return state(Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).fit())


# an epoch has 8 batches: before the first update, at the end of an epoch, in the middle, and wherever
@pytest.mark.parametrize(
    "stops",
    [(0,), (8,), (16, 17), (1, 2, 3), (23,), *(sorted(random.Random(i).sample(range(24), 3)) for i in range(4))],
)
def test_an_interrupted_run_goes_on_bit_for_bit(tiny_corpus, tmp_path, uninterrupted, stops):
    checkpoint = tmp_path / "run.pt"
    for stop in stops:
        run = Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3)
        if checkpoint.exists():
            run.load(checkpoint)
        stop_after(run, stop, checkpoint=checkpoint)
        assert run.step == stop
    run = Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).load(checkpoint)
    assert run.step == stops[-1]
    run.fit(checkpoint)
    assert same(state(run), uninterrupted)  # history, weights, optimizer, annealer, generators, counters
    assert same(state(Run(tiny_corpus, Annealer(**CYCLES), NOISY, seed=3).load(checkpoint)), uninterrupted)


def test_checkpoints_are_written_every_so_many_updates(tiny_corpus, tmp_path):
    checkpoint, saved = tmp_path / "run.pt", []
    run = Run(tiny_corpus, Annealer(**CYCLES), SMALL)

    def look():
        if checkpoint.exists():
            saved.append(torch.load(checkpoint, weights_only=True)["step"])

    run.fit(checkpoint, every_updates=10, every_seconds=math.inf, on_update=look)
    assert saved == [10] * 10 + [20] * 4
    assert torch.load(checkpoint, weights_only=True)["step"] == 24


def test_checkpoints_are_written_every_so_many_seconds(tiny_corpus, tmp_path):
    checkpoint, missing = tmp_path / "run.pt", []
    run = Run(tiny_corpus, Annealer(**CYCLES), SMALL)
    run.fit(
        checkpoint, every_updates=10**6, every_seconds=0.0, on_update=lambda: missing.append(not checkpoint.exists())
    )
    assert missing == [True] + [False] * 23


def test_the_seconds_to_the_next_checkpoint_count_from_the_last(tiny_corpus, tmp_path, monkeypatch):
    saved, clock = [], lambda: run.step  # each update takes a second
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=clock, perf_counter=clock))
    run = Run(tiny_corpus, Annealer(**CYCLES), SMALL)
    monkeypatch.setattr(run, "save", lambda path: saved.append(run.step))
    run.fit(tmp_path / "run.pt", every_updates=10**6, every_seconds=5.0)
    assert saved == [5, 10, 15, 20, 24] and run.seconds == 24


def test_without_a_checkpoint_nothing_is_written(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Run(tiny_corpus, Annealer(**CYCLES), SMALL).fit(every_updates=1)
    assert not list(tmp_path.iterdir())


# --- a loss that is not finite ----------------------------------------------------------------------------------------


def test_a_learning_rate_that_is_far_too_high_stops_the_run_and_says_where(tiny_corpus, tmp_path):
    checkpoint = tmp_path / "run.pt"
    settings = dataclasses.replace(SMALL, lr=1e30)
    run = Run(tiny_corpus, Annealer(10, baseline=0.125, ratio=1.0), settings, seed=7, name="my-schedule")
    with pytest.raises(FloatingPointError) as error:
        run.fit(checkpoint, every_updates=1)
    weight = Annealer(10, baseline=0.125).schedule(24)[run.step]
    for words in (f"step {run.step} ", "my-schedule", "seed 7", f"weight {weight:.3g}", "lr=1e+30", "clip=5", "logvar"):
        assert words in str(error.value)
    assert run.step < 24 and len(run.history()["step"]) == run.step
    # what is on disk is the state before the update that failed
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["step"] == run.step and saved["history"].isfinite().all()


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_weights_that_are_not_finite_stop_the_run_and_the_checkpoint_stays_good(tiny_corpus, tmp_path, poison):
    checkpoint = tmp_path / "run.pt"
    run = stop_after(Run(tiny_corpus, Annealer(**CYCLES), SMALL, name="cyclical"), 4, checkpoint=checkpoint)
    good = checkpoint.read_bytes()
    with torch.no_grad():
        run.model.to_logvar.bias[0] = poison
    with pytest.raises(FloatingPointError, match=r"step 4 of cyclical \(seed 0\), KL weight 1:"):
        run.fit(checkpoint, every_updates=1)
    assert checkpoint.read_bytes() == good
    assert Run(tiny_corpus, Annealer(**CYCLES), SMALL).load(checkpoint).fit().step == SMALL.steps


# --- threads ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_restores_the_number_of_threads(two_threads):
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 2


def test_one_thread_inside_one_thread(two_threads):
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("first_to_leave", ["this thread", "the other thread"])
def test_one_thread_with_two_overlapping_users(two_threads, first_to_leave):
    """torch keeps the number for each of Python's threads apart, so whoever leaves last cannot restore it for both."""
    inside, leave, left, seen = threading.Event(), threading.Event(), threading.Event(), []

    def other():
        with one_thread():
            seen.append(torch.get_num_threads())
            inside.set()
            leave.wait(60)
            seen.append(torch.get_num_threads())
        left.set()

    thread = threading.Thread(target=other)
    with one_thread():
        thread.start()
        assert inside.wait(60)
        if first_to_leave == "the other thread":
            leave.set()
            assert left.wait(60)
            assert torch.get_num_threads() == 1
    leave.set()
    thread.join()
    assert seen == [1, 1]
    assert torch.get_num_threads() == 2
    late = []
    newcomer = threading.Thread(target=lambda: late.append(torch.get_num_threads()))
    newcomer.start()
    newcomer.join()
    assert late == [2]


def test_fit_restores_the_number_of_threads(tiny_corpus, two_threads):
    used = []
    Run(tiny_corpus, Annealer(**CYCLES), SMALL).fit(on_update=lambda: used.append(torch.get_num_threads()))
    assert used == [1] * SMALL.steps
    assert torch.get_num_threads() == 2
