"""kldanneal.lab.results.bounds: more importance samples on a run that is finished."""

import pytest

from kldanneal.lab.results import bounds, pool
from kldanneal.lab.results.jobs import Job


def test_the_runs_that_are_checked_use_z_on_both_corpora():
    assert [(job.corpus, job.label) for job in bounds.checked()] == [("toy", "cyclical"), ("docstrings", "cyclical")]


def test_more_samples_lower_the_bound_of_a_run_that_uses_z(tmp_path, monkeypatch):
    tiny = {"embedding": 8, "hidden": 12, "latent": 4, "lr": 0.02, "word_dropout": 0.2}
    job = Job("toy", "weight 0.1", {"total_steps": 0, "max_weight": 0.1}, 150, 0, tiny, distances=())
    monkeypatch.setattr(bounds, "checked", lambda: [job])
    monkeypatch.setattr(bounds, "PATH", tmp_path / "bounds.json")
    assert bounds.in_words() == ""  # nothing was measured
    result = pool.work(job, str(tmp_path), None)
    bounds.measure(tmp_path)
    last = result["measured"][-1]
    cells = [cell.strip() for cell in bounds.in_words().splitlines()[2].strip("|").split("|")]
    assert cells[0] == "toy, `weight 0.1`, word dropout 0.2, seed 0"
    assert cells[1:3] == [f"{last['neg_elbo']:.2f}", f"{last['iw_nll']:.2f}"]
    assert float(cells[3]) == pytest.approx(last["iw_nll"], abs=0.5)
    assert float(cells[3]) < last["iw_nll"] < last["neg_elbo"]
