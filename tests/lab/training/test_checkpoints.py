"""Checkpoints of kldanneal.lab.training.run that cannot be used or written."""

import dataclasses
import pickle
import threading
from copy import deepcopy

import pytest
import torch
from conftest import full_disk, same

from kldanneal import Annealer
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


# --- checkpoints that cannot be used ----------------------------------------------------------------------------------


def refused(run, path, *words):
    """The file is refused with words that name it and what is wrong, and the run is what it was."""
    before = state(run)
    with pytest.raises(ValueError) as error:
        run.load(path)
    for word in (str(path), *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert same(state(run), before), "the refused checkpoint has changed the run"


@pytest.fixture(scope="module")
def halfway(tiny_corpus, tmp_path_factory):
    """The checkpoint of a run after 10 of its 24 updates."""
    path = tmp_path_factory.mktemp("halfway") / "run.pt"
    stop_after(Run(tiny_corpus, Annealer(**CYCLES), SMALL, seed=3), 10, checkpoint=path)
    return path


@pytest.fixture
def run(tiny_corpus):
    """A run that has done something, and could go on from ``halfway``."""
    return stop_after(Run(tiny_corpus, Annealer(**CYCLES), SMALL, seed=3), 2)


def test_that_checkpoint_itself_is_accepted(run, halfway):
    assert run.load(halfway).step == 10


@pytest.mark.parametrize("how", ["torch.save", "pickle"])
def test_a_checkpoint_that_holds_code_is_refused_and_not_executed(run, tmp_path, how):
    marker, path = tmp_path / "executed", tmp_path / "bomb.pt"

    class Bomb:
        def __reduce__(self):
            return open, (str(marker), "w")

    bomb = {**run.state_dict(), "identity": Bomb()}
    with path.open("wb") as file:
        torch.save(bomb, file) if how == "torch.save" else pickle.dump(bomb, file, protocol=2)
    refused(run, path)
    assert not marker.exists()
    if how == "pickle":  # the bomb is a real one
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("kept", [0, 1, 64, 0.25, 0.5, 0.9, -100, -1])
def test_a_truncated_checkpoint_is_refused(run, halfway, tmp_path, kept):
    whole = halfway.read_bytes()
    path = tmp_path / "run.pt"
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    refused(run, path, "cannot be read", "truncated")


@pytest.mark.parametrize("content", [b"not a checkpoint", b"\0" * 5000, "identity,seed\n".encode("utf-16")])
def test_a_file_that_is_no_checkpoint_is_refused(run, tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    refused(run, path, "cannot be read")


@pytest.mark.parametrize("content", [[1, 2], {}, {"identity": 3}, {"identity": {}}, "text"])
def test_a_file_of_torch_that_is_no_checkpoint_is_refused(run, tmp_path, content):
    path = tmp_path / "run.pt"
    torch.save(content, path)
    refused(run, path)


@pytest.mark.parametrize(
    "part",
    ["identity", "model", "optimizer", "lr_scheduler", "annealer", "noise", "epoch_start", "epoch_batch", "step",
     "seconds", "sentences", "history"],
)  # fmt: skip
def test_a_checkpoint_that_lacks_a_part_is_refused_as_a_whole(run, halfway, tmp_path, part):
    """Whichever part it is, nothing of the others may have been taken over."""
    content = torch.load(halfway, weights_only=True)
    del content[part]
    torch.save(content, tmp_path / "run.pt")
    refused(run, tmp_path / "run.pt", part)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"seed": 4}, ["seed is 4 here and 3 there"]),
        ({"hidden": 16}, ["hidden is 16 here and 12 there"]),
        ({"latent": 5, "lr": 0.5}, ["latent is 5 here and 4 there", "lr is 0.5 here and 0.003 there"]),
        ({"batch_size": 8}, ["batch_size is 8 here and 32 there"]),
        ({"steps": 25}, ["steps is 25 here and 24 there"]),
        ({"word_dropout": 0.5}, ["word_dropout is 0.5 here and 0.0 there"]),
        ({"pooling": "last"}, ["pooling is 'last' here and 'max' there"]),
        ({"lr_schedule": "cosine-restarts"}, ["lr_schedule is 'cosine-restarts' here and 'constant' there"]),
        ({"annealer": {**CYCLES, "total_steps": 7}}, ["total_steps is 7 here and 6 in the state"]),
        ({"annealer": {**CYCLES, "shape": "cosine"}}, ["shape is 'cosine' here and 'linear' in the state"]),
        ({"annealer": {**CYCLES, "ratio": 1.0}}, ["ratio is 1.0 here and 0.5 in the state"]),
        ({"annealer": {**CYCLES, "disable": True}}, ["disable is True here and False in the state"]),
        ({"annealer": {**CYCLES, "cyclical": False}}, ["cyclical is False here and True"]),  # another schedule
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_the_difference_named(tiny_corpus, halfway, changes, words):
    changes = dict(changes)
    seed, schedule = changes.pop("seed", 3), changes.pop("annealer", CYCLES)
    run = Run(tiny_corpus, Annealer(**schedule), dataclasses.replace(SMALL, **changes), seed=seed)
    refused(stop_after(run, 2), halfway, "another run", *words)


def test_a_checkpoint_of_another_corpus_is_refused(tiny_corpus, halfway):
    corpus = dataclasses.replace(tiny_corpus, digest="0123456789ab")
    run = Run(corpus, Annealer(**CYCLES), SMALL, seed=3)
    refused(run, halfway, "corpus is", "0123456789ab", tiny_corpus.digest)


def test_a_checkpoint_that_is_not_there_is_a_missing_file(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        run.load(tmp_path / "nowhere.pt")


# --- checkpoints that cannot be written -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, raised",
    [
        (OSError(28, "No space left on device"), OSError),
        (RuntimeError("PytorchStreamWriter failed writing file"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_save_that_fails_halfway_leaves_the_old_checkpoint(run, tmp_path, monkeypatch, error, raised):
    path = tmp_path / "run.pt"
    run.save(path)
    good = path.read_bytes()
    run.update()

    def half(content, file):
        file.write(good[: len(good) // 2])
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", half)
        with pytest.raises(raised) as caught:
            run.save(path)
    if isinstance(error, RuntimeError):
        assert str(path) in str(caught.value) and "PytorchStreamWriter failed" in str(caught.value)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]
    run.save(path)  # and the next one succeeds
    assert torch.load(path, weights_only=True)["step"] == 3


@pytest.mark.parametrize("room", [0, 4096, 20_000])
def test_a_full_disk_is_an_oserror_and_leaves_the_old_checkpoint(run, tmp_path, room):
    path = tmp_path / "run.pt"
    run.save(path)
    good = path.read_bytes()
    assert len(good) > room
    run.update()
    with full_disk(room), pytest.raises(OSError):
        run.save(path)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_below_a_file_is_an_oserror(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        run.save(tmp_path / "file" / "run.pt")
