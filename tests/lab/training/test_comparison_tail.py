"""A tail after the schedule, and free bits: kldanneal.lab.training.run and comparison."""

import dataclasses

import pytest
import torch
from conftest import same

from kldanneal import Annealer, VAELoss, gaussian_kl
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.schedules import parse_schedules
from kldanneal.lab.training.settings import Settings

SMALL = Settings(steps=12, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
NAMES = ["constant", "cyclical", "linear:total_steps=24"]


def compared(corpus, tail, folder=None, seeds=(0,), **settings):
    own = dataclasses.replace(SMALL, **settings)
    schedules = parse_schedules(NAMES, steps=own.steps, cycles=2)
    return Comparison(corpus, schedules, own, seeds=seeds, tail=tail, checkpoints=folder)


@pytest.mark.parametrize(
    "annealer, last",
    [
        (Annealer(6, cyclical=True), 5 / 6),  # the next cycle would begin at 0
        (Annealer(6, cyclical=True, ratio=0.5), 1.0),
        (Annealer(24), 11 / 24),  # it would go on to rise
        (Annealer(6, max_weight=3), 3.0),
        (Annealer(1, disable=True), 1.0),
    ],
    ids=str,
)
def test_the_tail_keeps_the_last_weight_of_the_schedule(tiny_corpus, annealer, last):
    run = Run(tiny_corpus, annealer, SMALL).fit(until=20)
    weights = run.history()["kl_weight"]
    assert weights[11] == pytest.approx(last) and weights[12:] == [weights[11]] * 8
    assert run.step == 20 and len(weights) == 20


def test_the_updates_before_the_tail_are_those_without_one(tiny_corpus):
    with_tail, without = (Run(tiny_corpus, Annealer(6, cyclical=True), SMALL).fit(until=n) for n in (20, 12))
    for column, values in without.history().items():
        assert with_tail.history()[column][:12] == values


def test_a_tail_at_weight_one_is_a_longer_run(tiny_corpus):
    long = dataclasses.replace(SMALL, steps=20)
    assert same(Run(tiny_corpus, Annealer(6), SMALL).fit(until=20).model.state_dict(),
                Run(tiny_corpus, Annealer(6), long).fit().model.state_dict())  # fmt: skip


def test_a_run_is_measured_at_both_ends(tiny_corpus):
    comparison = compared(tiny_corpus, tail=8).fit(progress=False)
    assert comparison.finished()
    for name in NAMES:
        alone = Run(tiny_corpus, parse_schedules(NAMES, steps=12, cycles=2)[name], SMALL)
        assert comparison.metrics[name, 0] == evaluate(alone.fit().model, tiny_corpus.test)
        assert comparison.after_tail[name, 0] == evaluate(alone.fit(until=20).model, tiny_corpus.test)
    rows, after = comparison.rows(), comparison.rows(after_tail=True)
    assert [row["updates"] for row in rows + after] == [12] * 3 + [20] * 3
    assert [row["kl_weight"] for row in rows] == [row["kl_weight"] for row in after]


def test_without_a_tail_nothing_is_measured_after_it(tiny_corpus):
    comparison = compared(tiny_corpus, tail=0).fit(progress=False)
    assert comparison.finished() and comparison.rows(after_tail=True) == []


@pytest.mark.parametrize("lr_schedule", ["constant", "cosine-restarts"])
def test_a_longer_tail_goes_on_bit_for_bit(tiny_corpus, tmp_path, lr_schedule):
    whole = compared(tiny_corpus, tail=9, lr_schedule=lr_schedule).fit(progress=False)
    for tail in (0, 4, 9):
        grown = compared(tiny_corpus, tail, tmp_path, lr_schedule=lr_schedule).fit(progress=False)
    assert grown.histories() == whole.histories()
    assert (grown.metrics, grown.after_tail) == (whole.metrics, whole.after_tail)
    for key, run in whole.runs.items():
        assert same(run.state_dict(), grown.runs[key].state_dict())


def test_the_measures_at_the_end_of_the_schedule_outlive_an_interruption_in_the_tail(tiny_corpus, tmp_path):
    whole = compared(tiny_corpus, tail=9).fit(progress=False)
    stopped = compared(tiny_corpus, 9, tmp_path)
    updates = iter(range(100))
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(progress=False, workers=1, on_update=lambda: stop_at(next(updates), 16))
    again = compared(tiny_corpus, 9, tmp_path).fit(progress=False)
    assert (again.metrics, again.after_tail) == (whole.metrics, whole.after_tail)


def stop_at(update, last):
    if update == last:
        raise KeyboardInterrupt


def test_more_seeds_leave_the_others_as_they_are(tiny_corpus, tmp_path):
    compared(tiny_corpus, 0, tmp_path).fit(progress=False)
    more = compared(tiny_corpus, 0, tmp_path, seeds=[0, 1])
    assert {key: run.step for key, run in more.runs.items() if run.step} == {(name, 0): 12 for name in NAMES}
    more.fit(progress=False)
    assert more.metrics == compared(tiny_corpus, 0, seeds=[0, 1]).fit(progress=False).metrics


@pytest.mark.parametrize("tail, error", [(-1, ValueError), ("long", TypeError), (10**12, ValueError)])
def test_a_tail_that_cannot_be_is_named(tiny_corpus, tail, error):
    with pytest.raises(error, match=f"tail to be .* but got '?{tail}"):
        compared(tiny_corpus, tail)


def test_a_learning_rate_that_has_decayed_to_zero_has_no_tail(tiny_corpus):
    with pytest.raises(ValueError, match="no tail with lr_schedule 'decay'"):
        compared(tiny_corpus, 3, lr_schedule="decay")


# --- free bits --------------------------------------------------------------------------------------------------------


def test_free_bits_are_in_the_loss_and_not_in_the_history(tiny_corpus):
    run, plain = (Run(tiny_corpus, Annealer(1, disable=True), SMALL, free_bits=bits) for bits in (0.5, 0.0))
    x = next(iter(tiny_corpus.train.buckets(32, torch.Generator().manual_seed(1))))
    _, _, mu, logvar = run.model(tiny_corpus.train.batch(x), torch.Generator().manual_seed(0))
    assert gaussian_kl(mu, logvar).mean(0).max() < 0.5  # at first no dimension is above the floor
    run.update()
    plain.update()
    assert run.history() == plain.history()  # the same loss terms before the first step of the optimizer
    assert run.history()["kl"][0] < 0.5
    assert not same(run.model.state_dict(), plain.model.state_dict())  # there was no penalty on z
    assert VAELoss("cross_entropy", free_bits=0.5)._kl(mu, logvar).item() == pytest.approx(0.5 * 4)


def test_free_bits_keep_the_kl_up(tiny_corpus):
    settings = dataclasses.replace(SMALL, steps=150, word_dropout=0.0)
    annealer = {"constant": Annealer(1, disable=True), "constant:free_bits=0.3": Annealer(1, disable=True)}
    compared = Comparison(tiny_corpus, annealer, settings, free_bits={"constant:free_bits=0.3": 0.3})
    compared.fit(progress=False)
    kl = {name: compared.metrics[name, 0].kl for name in annealer}
    assert kl["constant"] < 0.2 < 0.6 < kl["constant:free_bits=0.3"]


def test_a_checkpoint_with_free_bits_is_of_another_run(tiny_corpus, tmp_path):
    for bits, other in ((0.5, 0.0), (0.0, 0.5)):
        Run(tiny_corpus, Annealer(1), SMALL, free_bits=bits).save(tmp_path / "run.pt")
        with pytest.raises(ValueError, match="free_bits is"):
            Run(tiny_corpus, Annealer(1), SMALL, free_bits=other).load(tmp_path / "run.pt")
