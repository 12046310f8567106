"""What several test files share: two corpora, and one intra-op thread (two of them, on a busy machine, mostly wait)."""

import gc
import itertools
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import hypothesis
import pytest
import torch

from kldanneal.lab.cli import main
from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.results import stored
from kldanneal.lab.results.jobs import Job, train
from kldanneal.lab.results.parts import fair_map
from kldanneal.lab.results.written import Written

gc.disable()  # while the tests are imported, of which garbage collection would be a third
torch.set_num_threads(1)
# A shell that starts the tests in the background, or nohup, has them ignore signals that some send to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
hypothesis.settings.register_profile("kldanneal", deadline=None, derandomize=True)  # no verdict by the clock or by luck
hypothesis.settings.load_profile("kldanneal")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """nbval gives a cell that has ended 5 seconds to hand over its output, which a busy machine may exceed."""
    for item in items:
        if hasattr(item, "output_timeout"):  # a cell of a notebook
            item.output_timeout = 600


def pytest_collection_finish() -> None:
    """What the imports made stays, so no collection looks through it again; Trainer asks for one after each run."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def the_environment_stays():
    """No test sets variables for the next one: Dask's has every later process give freed memory back at once."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 sentences of the toy language, one a line."""
    path = tmp_path_factory.mktemp("text") / "sentences.txt"
    sentences, _ = toy.sample(300, seed=0)
    path.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_corpus(text_file: Path) -> Corpus:
    """Those sentences as a corpus: 240 to train on, 30 + 30 held out."""
    return load_corpus(str(text_file))


@pytest.fixture(scope="session")
def toy_corpus() -> Corpus:
    return load_corpus("toy")


@pytest.fixture(scope="session")
def small_map(tiny_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The map and the remedies in small: tiny models on few sentences, stored as the large ones are."""
    folder, parts = tmp_path_factory.mktemp("map"), {"map": [], "remedies": []}
    for seed, dropout in itertools.product((0, 1), (0.0, 0.2)):
        settings = {"embedding": 4, "hidden": 4, "latent": 2, "batch_size": 4, "word_dropout": dropout}
        more = {"seed": seed, "settings": settings, "distances": (0, 25, 50)}
        for shape, steps in itertools.product(("linear", "cosine"), (10, 50)):
            once = {"total_steps": steps, "shape": shape}
            parts["map"].append(Job("toy", "once", once, steps + 50, **more))
            cycles = {**once, "total_steps": steps, "cyclical": True, "ratio": 0.5, "cycles": 2}
            parts["map"].append(Job("toy", "in cycles", cycles, 2 * steps + 50, **more))
        half = {"total_steps": 0, "max_weight": 0.5}
        parts["map"].append(Job("toy", "constant 0.5", half, 100, then_one=50, **more))
        parts["map"].append(Job("toy", "constant 1", {"total_steps": 0}, 50, **more))
        if not dropout:
            more["settings"] = {name: settings[name] for name in ("embedding", "hidden", "latent", "batch_size")}
            free = Job("toy", "free bits 0.1", {"total_steps": 0}, 100, then_one=50, free_bits=0.1, **more)
            parts["remedies"].append(free)
    for name, jobs in parts.items():
        runs = [{"job": asdict(job), **train(job, tiny_corpus, folder / f"{name}{i}.pt"), "made": 0}
                for i, job in enumerate(jobs)]  # fmt: skip
        stored.save(folder / f"{name}.json", {"made": [stored.provenance()]}, runs)
    return folder / "map.json", folder / "remedies.json"


@pytest.fixture
def no_pictures(monkeypatch):
    """The command draws none: each takes half a second, and drawing has its own tests."""
    monkeypatch.setattr(Written, "_picture", lambda self, dark: b"\x89PNG")


@pytest.fixture
def command(capsys):
    """Runs the command in this process: its exit status, standard output and standard error."""

    def run(*arguments):
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            status = error.code
        return status, *capsys.readouterr()

    return run


def same(a, b):
    """Whether two states are equal bit for bit, through dicts and lists; the time spent is not part of it."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a if key != "seconds")
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@contextmanager
def full_disk(room=0):
    """No file may grow beyond `room` bytes meanwhile; not even pytest's own log, so it ends within the test."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def wait_for(condition, seconds=60):
    """Waits until something is true; the limit is only for a test that fails."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def our_threads():
    """The threads that train, or that a comparison trains in."""
    names = ("kldanneal", "ThreadPoolExecutor")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


def made_up_map(sizes=(62, 500, 2000), seeds=(0, 1), distances=(0, 500, 4000)):
    """A small map of schedules whose jobs are real and whose numbers are made up: longer ramps keep more KL."""
    runs = []
    for job in fair_map():
        length = job.annealer["total_steps"]
        if job.seed not in seeds or (length and length not in sizes):
            continue
        kept = (length or 2000 * (1 - job.annealer.get("max_weight", 1.0))) / 1000 * (2 if "cycles" in job.label else 1)
        low, measured = job.last_low(), []
        for distance in distances:
            kl = round(kept * (1 - distance / 10_000) + 0.01 * job.seed, 4)
            values = {"kl": kl, "reconstruction": 14 - kl, "neg_elbo": 14.0, "iw_nll": 13.9, "active_units": 3}
            measured.append({"update": low + distance, "distance": distance, **values, "mutual_information": -0.0001})
        end = job.updates - low  # measured as well, and no distance that was asked for
        measured += [{**measured[-1], "update": job.updates, "distance": end}] if end not in distances else []
        curve = [kept] * (job.updates // 50)
        runs.append(
            {
                "job": {**asdict(job), "distances": list(distances)},
                "measured": measured,
                "kl_curve": curve,
                "reconstruction_curve": curve,
            }
        )
    return runs
