"""kldanneal.lab.results.jobs: where a job is measured, what a switch does, and that a stopped job goes on."""

import json
from dataclasses import asdict

import pytest

from kldanneal import VAELoss
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.results.jobs import EVERY, STORED, Job, from_dict, train
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

TINY = {"embedding": 8, "hidden": 12, "latent": 4, "word_dropout": 0.2}
CYCLES = {"total_steps": 20, "cyclical": True, "ratio": 0.5, "cycles": 2}


def job(annealer, updates=60, **options):
    return Job("toy", "a label", annealer, updates, 3, TINY, **options)


@pytest.mark.parametrize(
    "annealer, options, expected",
    [
        ({"total_steps": 0}, {}, 0),  # a constant weight of 1
        ({"total_steps": 10}, {}, 10),  # the updates 1 to 10 use the weights 0.0 to 0.9
        (CYCLES, {}, 30),  # the ramp of the second cycle takes the updates 21 to 30
        ({"total_steps": 0, "max_weight": 0.5}, {}, 60),
        ({"total_steps": 0, "max_weight": 0.5}, {"then_one": 25}, 25),
        ({"total_steps": 0}, {"then_one": 25, "free_bits": 0.1}, 25),  # the floor counts as low, at any weight
    ],
)
def test_the_last_low_update(annealer, options, expected):
    assert job(annealer, **options).last_low() == expected


def test_a_job_is_measured_at_distances_and_totals_within_the_run():
    found = job(CYCLES, distances=(0, 5, 1000), totals=(40, 60, 2000)).marks()
    assert found == [30, 35, 40, 60]


def test_measures_and_curves_are_those_of_the_run(tiny_corpus, tmp_path):
    result = train(job(CYCLES, distances=(0, 10)), tiny_corpus, tmp_path / "a.pt")
    run = Run(tiny_corpus, job(CYCLES).schedule(), Settings(steps=60, **TINY), seed=3, device="cpu")
    for mark, row in zip((30, 40, 60), result["measured"], strict=True):
        metrics = evaluate(run.fit(until=mark).model, tiny_corpus.test)
        assert (row["update"], row["distance"]) == (mark, mark - 30)
        assert {name: row[name] for name in STORED} == {name: round(getattr(metrics, name), 4) for name in STORED}
    kl = run.history()["kl"]
    assert result["kl_curve"] == [round(sum(kl[:EVERY]) / EVERY, 3)]
    assert result["discount"] == pytest.approx(sum(1 - weight for weight in run.history()["kl_weight"]), abs=0.01)
    assert result["best"]["neg_elbo"] == min(row["neg_elbo"] for row in result["measured"])
    assert result["digest"] == tiny_corpus.digest


def test_after_the_switch_the_weight_is_one_and_the_floor_is_gone(tiny_corpus, tmp_path, monkeypatch):
    floors, forward = [], VAELoss.forward

    def spy(self, *tensors):
        floors.append(self.free_bits)
        return forward(self, *tensors)

    monkeypatch.setattr(VAELoss, "forward", spy)
    short = job({"total_steps": 0, "max_weight": 0.75}, 12, then_one=8, free_bits=0.25)
    train(short, tiny_corpus, tmp_path / "a.pt")
    assert floors == [0.25] * 8 + [0.0] * 4
    assert short.weights() == [0.75] * 8 + [1.0] * 4


@pytest.mark.parametrize("stopped_at", [5, 26, 45])
def test_a_stopped_job_goes_on_bit_for_bit(stopped_at, tiny_corpus, tmp_path, monkeypatch):
    def without_seconds(result):
        return {name: value for name, value in result.items() if name != "seconds"}

    options = {"then_one": 25, "free_bits": 0.1, "distances": (0, 10), "totals": (10,)}
    whole = train(job(CYCLES, **options), tiny_corpus, tmp_path / "whole.pt")
    update = Run.update

    def interrupted(self):
        if self.step == stopped_at:
            self.save(tmp_path / "a.pt")
            raise KeyboardInterrupt
        update(self)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Run, "update", interrupted)
        train(job(CYCLES, **options), tiny_corpus, tmp_path / "a.pt")
    assert without_seconds(train(job(CYCLES, **options), tiny_corpus, tmp_path / "a.pt")) == without_seconds(whole)


def test_a_job_is_the_same_after_json():
    one = job(CYCLES, then_one=4, totals=(3, 5))
    other = from_dict(json.loads(json.dumps(asdict(one))))
    assert other == one and other.key() == one.key()
    assert job(CYCLES).key() != one.key()
