"""Files that are there whole or not at all: a crash or a full disk leaves the old file or the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, suffix: str = ".partial") -> Iterator[BinaryIO]:
    """A file to write to, beside ``path``, that takes its name once all is written and on the disk."""
    partial = path.with_name(path.name + suffix)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
