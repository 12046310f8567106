"""kldanneal.lab.results.pool: each run is stored when it ends, none is trained twice, and a cluster changes nothing."""

import os
import signal
import threading
import time

import distributed
import pytest
import torch

from kldanneal.lab.results import pool, stored
from kldanneal.lab.results.jobs import Job

TINY = {"embedding": 8, "hidden": 12, "latent": 4}


def runs(store):
    """The stored runs by seed, without what differs from one time to the next."""
    _, found = stored.load(store)
    return {run["job"]["seed"]: {name: run[name] for name in run if name not in ("seconds", "made")} for run in found}


def one_after_another(todo, folder, ptb, workers):
    """In this process, in the place of the pool's workers."""
    return ((job, pool.work(job, folder, ptb)) for job in todo)


@pytest.fixture(scope="module")
def jobs(text_file):
    """Four on 300 sentences, where nearly all the time is training."""
    return [Job(str(text_file), "ramp", {"total_steps": 10}, 200, seed, TINY, distances=(0,)) for seed in range(4)]


@pytest.fixture(scope="module")
def complete(jobs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("complete")
    pool.fit(jobs, folder / "runs.json", folder, workers=1)
    return folder / "runs.json"


def test_runs_that_are_stored_are_not_trained_again(jobs, complete, tmp_path, monkeypatch):
    about, found = stored.load(complete)
    assert len(found) == len(jobs)
    stored.save(tmp_path / "runs.json", about, found[:3])
    trained = []

    def noted(todo, folder, ptb, workers):
        trained.extend(todo)
        return one_after_another(todo, folder, ptb, workers)

    monkeypatch.setattr(pool, "_on_this_machine", noted)
    pool.fit(jobs, tmp_path / "runs.json", tmp_path)
    missing = {job.seed for job in jobs} - {run["job"]["seed"] for run in found[:3]}
    assert {job.seed for job in trained} == missing
    assert runs(tmp_path / "runs.json") == runs(complete)


def test_each_run_is_stored_when_it_ends(jobs, tmp_path, monkeypatch):
    def stops_after_two(todo, folder, ptb, workers):
        yield from one_after_another(todo[:2], folder, ptb, workers)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "_on_this_machine", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        pool.fit(jobs, tmp_path / "runs.json", tmp_path)
    about, found = stored.load(tmp_path / "runs.json")
    assert [run["job"]["seed"] for run in found] == [0, 1]
    assert about["made"][found[0]["made"]].keys() >= {"commit", "versions", "machine", "date"}


def test_a_run_is_made_here_also_where_others_were_added_later(jobs, complete, tmp_path, monkeypatch):
    found = stored.load(complete)[1]
    elsewhere = {**stored.provenance(), "machine": "elsewhere"}
    stored.save(tmp_path / "runs.json", {"made": [stored.provenance(), elsewhere]}, [found[0] | {"made": 1}])

    monkeypatch.setattr(pool, "_on_this_machine", one_after_another)
    pool.fit(jobs[:2], tmp_path / "runs.json", tmp_path)
    assert [run["made"] for run in stored.load(tmp_path / "runs.json")[1]] == [1, 0]


def test_runs_on_another_corpus_are_refused(jobs, complete, tmp_path):
    about, found = stored.load(complete)
    stored.save(tmp_path / "runs.json", about, [run | {"digest": "of another"} for run in found])
    with pytest.raises(ValueError, match=r"digest of another.*but here it has digest"):
        pool.fit(jobs, tmp_path / "runs.json", tmp_path)
    assert {run["digest"] for run in stored.load(tmp_path / "runs.json")[1]} == {"of another"}


def test_a_cluster_of_which_a_worker_is_killed_gives_the_same_runs(jobs, complete, tmp_path):
    store, modified = tmp_path / "runs.json", {}

    def kill_a_worker_after_the_first_run(pid):
        while not store.exists():
            time.sleep(0.05)
        modified.update({file: file.stat().st_mtime_ns for file in tmp_path.glob("*.pt") if finished(file)})
        os.kill(pid, signal.SIGKILL)

    def finished(checkpoint):
        ends = {run["job"]["seed"] for run in stored.load(store)[1]}
        return torch.load(checkpoint, weights_only=True)["identity"]["seed"] in ends

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            pid = next(iter(client.run(os.getpid).values()))
        killer = threading.Thread(target=kill_a_worker_after_the_first_run, args=[pid], daemon=True)
        killer.start()
        pool.fit(jobs, store, tmp_path, scheduler=cluster.scheduler_address)
        killer.join()
    assert runs(store) == runs(complete)
    assert len(stored.load(store)[1]) == len(jobs)
    assert modified and modified == {file: file.stat().st_mtime_ns for file in modified}, "a finished run ran again"
