"""The folder of a comparison: claimed by one process at a time, and taken up again with ``--resume``."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kldanneal.lab.cli.parser import DEFAULTS, LATER
from kldanneal.lab.corpora.load import CORPORA
from kldanneal.lab.files import replacing, write_atomically
from kldanneal.lab.results import stored

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

STDIN = "stdin.txt"  # the copy of what was read once and cannot be read again
GROWING = ("seeds", "tail")  # with --resume there may be more of them


def is_new(out: Path) -> bool:
    """Whether a comparison may begin in the folder: there is none, or nothing of anyone's is in it."""
    if not out.exists():
        return True
    if not out.is_dir():
        return False
    begun = out / "checkpoints"  # of a comparison that was killed before it wrote anything
    return all(path == begun and path.is_dir() and not any(path.iterdir()) for path in out.iterdir())


def refuse_unless_new(out: Path) -> None:
    if not is_new(out):
        raise ValueError(f"Expected --out to be a new folder, but {out} is not empty: add --resume, or name another")


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Makes the folder; within it, no other process on this machine can claim it."""
    out.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    folder = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"Another kldanneal compare is at work in {out}: wait for it, or name another") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(folder)  # which ends the claim; so does the end of the process, however it ends


def begin(out: Path, config: Mapping[str, Any], name: str, digest: str, copy: Path | None = None) -> dict[str, Any]:
    """Writes config.json first, so that a run that is stopped later can be resumed. Returns what it says.

    Args:
        out (Path): claimed.
        config: the options.
        name, digest (str): of the corpus.
        copy (Path, optional): a text that cannot be read a second time; it is kept in the folder.
    """
    refuse_unless_new(out)
    (out / "checkpoints").mkdir(exist_ok=fcntl is not None)  # where there is no lock, the first to make it has it
    if copy:
        with copy.open("rb") as source, replacing(out / STDIN) as target:
            shutil.copyfileobj(source, target)
    about = {"options": dict(config), "corpus_name": name, "corpus_digest": digest, **stored.provenance()}
    save(out, about)
    return about


def save(out: Path, about: Mapping[str, Any]) -> None:
    write_atomically(out / "config.json", (json.dumps(about, indent=2) + "\n").encode())


def resumed(out: Path, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the comparison in ``out``, with what may be given anew, and all that its config.json says.

    Given again, an option must agree. There may be more seeds and a longer tail, and the corpus may be elsewhere: its
    digest decides.
    """
    try:
        about = json.loads((out / "config.json").read_text(encoding="utf-8"))
        config = LATER | about["options"]
        if config.keys() != DEFAULTS.keys():
            raise KeyError(*(config.keys() ^ DEFAULTS.keys()))
    except FileNotFoundError:
        raise ValueError(f"Expected --resume with the folder of a comparison, but {out} has no config.json") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # ValueError: no JSON, no UTF-8
        raise ValueError(f"The configuration {out / 'config.json'} cannot be read: {error!r}") from None
    differ = []
    for name, value in given.items():
        grows = name in GROWING and isinstance(config[name], int) and value > config[name]
        if value != config[name] and not grows and name not in ("corpus", "root"):
            differ.append(f"{_option(name)} is {config[name]!r} there and {value!r} here")
    if differ:
        raise ValueError(f"{out} holds a comparison of another configuration: {'; '.join(differ)}")
    return config | dict(given), about


def same_text(out: Path, about: Mapping[str, Any], corpus: str, digest: str) -> str:
    """The corpus' name in the comparison, if the text is the one that was trained on."""
    saved = about.get("corpus_digest")
    if saved != digest:
        was = about["options"]["corpus"]
        named = f"--corpus is {was!r} there and {corpus!r} here; " if was != corpus else ""
        raise ValueError(
            f"{out} was trained on another text: {named}its digest is {saved} there and {digest} here. A text has the "
            "same digest under any path"
        )
    name = about.get("corpus_name")
    return name if isinstance(name, str) else Path(about["options"]["corpus"]).name  # version 0.2.0 had no name there


def absolute(config: dict[str, Any]) -> dict[str, Any]:
    """The options with paths that hold from every folder."""
    paths = {"root": config["root"], "corpus": None if config["corpus"] in (*CORPORA, "-") else config["corpus"]}
    return config | {name: os.path.abspath(path) for name, path in paths.items() if path}


def read_once(corpus: str, folder: Path) -> Path | None:
    """A copy of a text that can be read only once, standard input or a pipe, made in a folder; None for any other."""
    path = Path(corpus)
    if corpus == "-":
        if sys.stdin is None:
            raise ValueError("Expected a text on standard input (--corpus -), but it is closed")
        source, name = sys.stdin.buffer, "stdin"
    elif corpus not in CORPORA and path.is_fifo():
        source, name = path.open("rb"), path.name
    else:
        return None
    copy = folder / name
    with copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
