"""The Penn Treebank (Mikolov's preprocessing), downloaded by torchtext, checked, and cached."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torchtext.utils
from platformdirs import user_cache_path
from torchtext.datasets import PennTreebank

#: The three files and their MD5 sums, as torchtext's later releases publish them.
MD5 = {
    "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
    "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
}

PATIENCE = 30  # seconds in which a server says nothing, after which it is given up


def read(root: str | Path | None = None) -> list[list[str]]:
    """The lines of the training, validation and test files.

    Args:
        root (path, optional): a folder that already holds the three files. Default: the user's cache, where the
            files are downloaded to when they are not there.

    Raises:
        OSError: no download, or a file that is not what it should be; the message says how to place the files by hand.
    """
    folder = Path(root) if root is not None else user_cache_path("kldanneal") / "penn-treebank"
    missing = [name for name in MD5 if not (folder / name).is_file()]
    if missing and root is not None:
        raise FileNotFoundError(f"Expected {', '.join(MD5)} in {folder}, but {', '.join(missing)} is not there")
    if missing:
        _download(folder)
    for name in MD5:
        _check(folder / name)
    return [(folder / name).read_text(encoding="utf-8").splitlines() for name in MD5]


def _download(folder: Path) -> None:
    """All three files or nothing: they arrive beside the folder, are checked, and only then take its name."""
    arriving = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(dir=folder.parent, prefix="penn-treebank-"))
        with _patient():
            arrived = Path(PennTreebank.download(str(arriving)))
        for name in MD5:
            if (found := _md5(arrived / name)) != MD5[name]:
                raise OSError(f"{name} arrived with the MD5 sum {found} instead of {MD5[name]}")
        shutil.rmtree(folder, ignore_errors=True)
        arrived.rename(folder)
    except Exception as error:  # requests has its own errors, and torchtext saves an error page as if it were the file
        raise ConnectionError(
            f"The Penn Treebank could not be downloaded ({type(error).__name__}: {str(error)[:200]}). "
            f"By hand: put {', '.join(MD5)} from {PennTreebank.urls[0].rsplit('/', 1)[0]} into {folder}, or name "
            "their folder with root= (--root). Without a network, --corpus docstrings is real text too."
        ) from error
    finally:
        if arriving:
            shutil.rmtree(arriving, ignore_errors=True)


@contextmanager
def _patient() -> Iterator[None]:
    """Within it, torchtext gives up a server that is silent, or has no such file; by itself it would wait for ever."""

    requests = torchtext.utils.requests

    def get(*arguments: Any, **options: Any) -> Any:
        response = requests.get(*arguments, timeout=PATIENCE, **options)
        response.raise_for_status()
        return response

    torchtext.utils.requests = SimpleNamespace(get=get)
    try:
        yield
    finally:
        torchtext.utils.requests = requests


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _check(path: Path) -> None:
    if (found := _md5(path)) != MD5[path.name]:
        raise OSError(f"Expected {path} to have the MD5 sum {MD5[path.name]}, but got {found}: delete it and try again")
