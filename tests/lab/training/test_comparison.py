"""kldanneal.lab.training.comparison: runs side by side, each the run that it is alone."""

import dataclasses
import math
import random
import threading

import pytest
import torch

from kldanneal.lab.metrics import evaluate
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.schedules import parse_schedules
from kldanneal.lab.training.settings import Settings

SMALL = Settings(steps=24, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
NAMES = ["constant", "monotonic", "cyclical"]
SEEDS = [0, 1]


def schedules(names=NAMES, steps=SMALL.steps):
    return parse_schedules(names, steps=steps)


@pytest.fixture(scope="module")
def fitted(tiny_corpus):
    return Comparison(tiny_corpus, schedules(), SMALL, seeds=SEEDS).fit(progress=False)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_of_a_comparison_is_the_run_alone(tiny_corpus, fitted, name, seed):
    alone = Run(tiny_corpus, schedules()[name], SMALL, seed=seed).fit()
    together = fitted.runs[name, seed]
    assert together.history() == alone.history()
    for key, tensor in alone.model.state_dict().items():
        assert torch.equal(tensor, together.model.state_dict()[key]), key
    assert fitted.metrics[name, seed] == evaluate(alone.model, tiny_corpus.test)


def test_the_annealers_given_are_not_stepped_and_not_shared(tiny_corpus):
    given = schedules()
    comparison = Comparison(tiny_corpus, given, SMALL, seeds=SEEDS).fit(progress=False)
    assert all(annealer.current_step == 0 for annealer in given.values())
    for (name, _), run in comparison.runs.items():
        assert run.history()["kl_weight"] == given[name].schedule(SMALL.steps)


def test_histories_are_sorted_by_schedule_and_seed(fitted):
    histories = fitted.histories()
    assert list(histories) == NAMES
    for name in NAMES:
        assert histories[name] == [fitted.runs[name, seed].history() for seed in SEEDS]


class AfterSoMany(threading.Event):
    """An event that sets itself once it has been asked so many times: an interrupt that comes at a known moment."""

    def __init__(self, questions):
        super().__init__()
        self.questions, self.lock = questions, threading.Lock()

    def is_set(self):
        with self.lock:
            self.questions -= 1
        if self.questions < 0:
            self.set()
        return super().is_set()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_comparison_that_was_stopped_goes_on_bit_for_bit(tiny_corpus, fitted, tmp_path, seed):
    total, done = len(NAMES) * len(SEEDS) * SMALL.steps, 0
    for moment in random.Random(seed).sample(range(1, 60), 2):
        stopped = Comparison(tiny_corpus, schedules(), SMALL, seeds=SEEDS, checkpoints=tmp_path)
        assert sum(run.step for run in stopped.runs.values()) == done
        stopped.fit(stop=AfterSoMany(moment), progress=False)
        assert not stopped.finished()
        steps = [run.step for run in stopped.runs.values()]
        assert done < sum(steps) < total
        assert len(list(tmp_path.glob("*.pt"))) == len(stopped.runs), "a run was not saved"
        done = sum(steps)
    resumed = Comparison(tiny_corpus, schedules(), SMALL, seeds=SEEDS, checkpoints=tmp_path).fit(progress=False)
    assert resumed.finished()
    assert resumed.histories() == fitted.histories()
    assert resumed.metrics == fitted.metrics
    for key, run in resumed.runs.items():
        for name, tensor in fitted.runs[key].model.state_dict().items():
            assert torch.equal(tensor, run.model.state_dict()[name]), (key, name)


@pytest.mark.parametrize("saved", [True, False])
def test_an_error_in_one_run_stops_the_others_and_is_raised(tiny_corpus, tmp_path, saved):
    settings = dataclasses.replace(SMALL, steps=10**6)  # without an end of their own
    names = ["monotonic", "constant"]
    comparison = Comparison(
        tiny_corpus, schedules(names, 10**6), settings, seeds=[0], checkpoints=tmp_path if saved else None
    )
    failing, other = comparison.runs["monotonic", 0], comparison.runs["constant", 0]

    def poison(module, inputs):
        if failing.step == 12:
            torch.nn.init.constant_(module.to_mu.bias, math.nan)

    failing.model.register_forward_pre_hook(poison)
    with pytest.raises(FloatingPointError, match=r"step 12 of monotonic \(seed 0\), KL weight"):
        comparison.fit(progress=False)
    assert other.step < 10**6
    assert not comparison.finished()
    steps_saved = [torch.load(path, weights_only=True)["step"] for path in tmp_path.glob("*.pt")]
    if other.step and saved:
        assert steps_saved == [other.step]  # the failing run has nothing good to save
    else:
        assert not any(steps_saved)


def test_checkpoints_of_another_comparison_are_refused(tiny_corpus, tmp_path):
    Comparison(tiny_corpus, schedules(["constant"]), SMALL, checkpoints=tmp_path).fit(progress=False)
    other = dataclasses.replace(SMALL, latent=5)
    with pytest.raises(ValueError, match="latent is 5 here and 4 there"):
        Comparison(tiny_corpus, schedules(["constant"]), other, checkpoints=tmp_path)


def test_schedules_that_were_written_out_have_checkpoints_of_their_own(tiny_corpus, tmp_path):
    names = ["cosine:total_steps=6:cyclical", "cosine:total_steps=6", "linear:total_steps=6:ratio=0.5"]
    Comparison(tiny_corpus, schedules(names), SMALL, checkpoints=tmp_path).fit(progress=False)
    assert len(list(tmp_path.glob("*.pt"))) == 3
    resumed = Comparison(tiny_corpus, schedules(names), SMALL, checkpoints=tmp_path)
    assert [run.step for run in resumed.runs.values()] == [SMALL.steps] * 3


def test_there_is_a_row_for_each_run_with_all_of_its_measures(fitted):
    rows = fitted.rows()
    assert [(row["schedule"], row["seed"]) for row in rows] == [(name, seed) for name in NAMES for seed in SEEDS]
    for row in rows:
        run, metrics = fitted.runs[row["schedule"], row["seed"]], fitted.metrics[row["schedule"], row["seed"]]
        for column, value in dataclasses.asdict(metrics).items():
            assert row[column] == value, column
        assert row["seconds"] == run.seconds > 0
        assert row["sentences_per_second"] == pytest.approx(3 * 240 / run.seconds)  # 24 updates are 3 epochs


@pytest.mark.parametrize("words", ["no seed", "no schedule"])
def test_nothing_to_compare_is_refused(tiny_corpus, words):
    seeds, names = ([], NAMES) if words == "no seed" else (SEEDS, [])
    with pytest.raises(ValueError, match="at least one"):
        Comparison(tiny_corpus, schedules(names), SMALL, seeds=seeds)
