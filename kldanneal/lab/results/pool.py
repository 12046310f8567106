"""Trains jobs side by side, on this machine's cores or on a Dask cluster, and stores each run as soon as it ends.

    fit(PARTS["durability"](), store=stored_at("durability"), folder="runs")

Jobs that are stored already are not trained again. A job that was stopped goes on from its checkpoint in the folder.
"""

import hashlib
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.results import stored
from kldanneal.lab.results.jobs import Job, from_dict, train
from kldanneal.lab.threads import cores


def stored_at(part: str) -> Path:
    """Where the runs of a part are stored: a file of this package."""
    return Path(__file__).with_name(f"{part}.json")


def fit(
    jobs: Iterable[Job],
    store: str | Path,
    folder: str | Path,
    *,
    ptb: str | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
) -> None:
    """Trains the jobs that are not stored yet.

    Args:
        jobs (iterable of Job): each is independent of all others.
        store (path): a file of stored runs. It is written again after each run that ends.
        folder (path): where runs are saved while they train. On a cluster it is a folder of each worker, best a shared
            one: without that, a run starts again if its worker dies.
        ptb (str, optional): the folder of the Penn Treebank's files.
        scheduler (str, optional): the address of a Dask scheduler. Default: this machine. Dask has its workers give
            freed memory back at once, which can double the computing of a small model: start them with the variable
            ``MALLOC_TRIM_THRESHOLD_`` at 8000000000.
        workers (int, optional): processes on this machine. Default: as many as it has cores.

    Raises:
        ValueError: the stored runs were trained on another corpus than the one that is loaded here.
    """
    jobs, store = list(jobs), Path(store)
    about, runs = stored.load(store) if store.exists() else ({"made": []}, [])
    here = stored.provenance()
    if here not in about["made"]:
        about["made"].append(here)
    check_digests(runs, jobs, ptb)
    done = {from_dict(run["job"]).key() for run in runs}
    todo = [job for job in jobs if job.key() not in done]
    finished = _on_cluster if scheduler else _on_this_machine
    options = {"address": scheduler} if scheduler else {"workers": workers or cores()}
    total, initial = (sum(job.updates for job in some) for some in (jobs, [job for job in jobs if job.key() in done]))
    with tqdm(total=total, initial=initial, unit="update", unit_scale=True) as bar:
        for job, result in finished(todo, str(folder), ptb, **options):
            runs.append({"job": asdict(job), **result, "made": about["made"].index(here)})
            stored.save(store, about, runs)
            bar.update(job.updates)


def check_digests(runs: list[dict[str, Any]], jobs: list[Job], ptb: str | None) -> None:
    """Raises ValueError if runs were trained on another corpus than the one of that name here."""
    for name in sorted({job.corpus for job in jobs}):
        digests = {run["digest"] for run in runs if run["job"]["corpus"] == name}
        if digests and (own := corpus(name, ptb).digest) not in digests:
            raise ValueError(
                f"Expected the corpus {name} of digest {', '.join(sorted(digests))}, on which the stored runs were "
                f"trained, but here it has digest {own}: {corpus(name, ptb).source}. Runs on both cannot be compared; "
                "name another file to store them in"
            )


@cache
def corpus(name: str, ptb: str | None = None) -> Corpus:
    return load_corpus(name, root=ptb) if name == "ptb" else load_corpus(name)


def work(job: Job, folder: str, ptb: str | None) -> dict[str, Any]:
    """Trains one job, in whatever process. Its checkpoint is deleted by none but the user."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return train(job, corpus(job.corpus, ptb), Path(folder) / checkpoint(job))


def checkpoint(job: Job) -> str:
    """The name of a job's checkpoint."""
    return hashlib.sha256(job.key().encode()).hexdigest()[:16] + ".pt"


def _on_this_machine(
    jobs: list[Job], folder: str, ptb: str | None, workers: int
) -> Iterator[tuple[Job, dict[str, Any]]]:
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads in an unknown state
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(work, job, folder, ptb): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _on_cluster(jobs: list[Job], folder: str, ptb: str | None, address: str) -> Iterator[tuple[Job, dict[str, Any]]]:
    try:
        import distributed
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Dask is missing: python -m pip install 'kldanneal[cluster]'") from None

    with distributed.Client(address, set_as_default=False) as client:
        futures = {client.submit(work, job, folder, ptb, key=job.key(), retries=2): job for job in jobs}
        for future in distributed.as_completed(list(futures), loop=client.loop):
            yield futures[future], future.result()
