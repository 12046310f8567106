"""Finds each student's notebook in a folder or an archive: plain files, folders, or what Moodle or Canvas wrote.

Every file leads to a row of the table. What is no notebook is named there, with the thing to ask the student for.
"""

import datetime
import io
import json
import re
import stat
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grading import lms

BIG = 30_000_000  # bytes; no notebook of this assignment comes near it
ENDINGS = (".ipynb", ".txt", ".json", ".py", ".zip", ".html", ".pdf", ".md", ".doc", ".docx", ".gz", ".tar", ".rar")
ASK = "Ask for the file annealing.ipynb"


@dataclass
class File:
    """A file that was handed in: where it was, when it was saved, and its bytes (None if there are too many)."""

    path: PurePosixPath
    data: bytes | None
    saved: float = 0.0
    order: int = 0


@dataclass
class Student:
    """All that one student handed in."""

    key: str  # the name in folders and in the gradebook
    name: str
    system: str = ""
    id: str = ""
    back: str = ""
    late: bool = False
    saved: str = ""  # when the notebook that is graded was saved
    files: list[File] = field(default_factory=list)


def students(place: Path, keys: dict[str, str]) -> list[Student]:
    """What each student handed in, sorted by name.

    Args:
        place: a folder or a zip archive.
        keys: the names that earlier runs gave to students; new ones are added to it.
    """
    files = of_an_archive(place) if place.is_file() else list(below(place))
    if not files:
        raise SystemExit(f"Expected {place} to hold a notebook, or a folder with a notebook, for each student")
    named = [(file, lms.moodle(file.path.parts) or lms.canvas(file.path.parts)) for file in files]
    if any(name and name.system == "canvas" for _, name in named) and not all(name for _, name in named):
        named = [(file, name if name and name.system == "moodle" else None) for file, name in named]
    found: dict[tuple[str, str], Student] = {}
    for file, name in named:
        who = (name.system, f"{name.student}_{name.id}") if name else ("", plain_name(file.path, place))
        student = found.setdefault(who, Student("", name.student if name else who[1]))
        if name:
            student.system, student.id, student.late = name.system, name.id, student.late or name.late
            student.back = name.back if name.order >= max((f.order for f in student.files), default=0) else student.back
            file.order = name.order
            file.path = PurePosixPath(name.original or file.path.name)
        student.files += [] if file.path.name == EMPTY else [file]
    for (system, who), student in sorted(found.items()):
        student.key = key_of(f"{system}:{who}", who, keys)
    return sorted(found.values(), key=lambda student: student.key)


def of_an_archive(place: Path) -> list[File]:
    """The files of an archive of a class, without a folder that holds all of them; or the one file that it is."""
    if not zipfile.is_zipfile(place):
        return [File(PurePosixPath(place.name), place.read_bytes(), place.stat().st_mtime)]
    files = list(inside(place.read_bytes(), PurePosixPath()))
    if len({file.path.parts[0] for file in files}) == 1 and len({file.path.parts[:2] for file in files}) > 1:
        for file in files:
            file.path = PurePosixPath(*file.path.parts[1:])
    return files


#: Stands for a folder without files, so that its student has a row.
EMPTY = "\0nothing"


def below(folder: Path) -> Iterator[File]:
    """The files of a folder. An archive of Moodle or Canvas among them is opened; so is, later, a student's own."""
    for path in sorted(folder.rglob("*")):
        where = PurePosixPath(path.relative_to(folder).as_posix())
        if hidden(where):
            continue
        if path.is_dir():
            if len(where.parts) == 1 and not any(each.is_file() for each in path.rglob("*")):
                yield File(where / EMPTY, b"")
        elif path.is_file():
            size = path.stat().st_size
            data = path.read_bytes() if size <= BIG or path.suffix.lower() == ".zip" else None
            if data and path.suffix.lower() == ".zip" and of_a_class(data):
                yield from inside(data, PurePosixPath())
            else:
                yield File(where, data if size <= BIG else None, path.stat().st_mtime)


def inside(data: bytes, where: PurePosixPath) -> Iterator[File]:
    """The files of a zip archive, and of those in it. Links and paths that lead out of it are only names here."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"cannot be opened as a zip archive: {error}") from None
    for member in members[:2000]:
        parts = [part for part in PurePosixPath(member.filename).parts if part not in ("/", "..")]
        path = where / PurePosixPath(*parts)
        if member.is_dir() or hidden(path) or stat.S_ISLNK(member.external_attr >> 16):
            continue
        saved = saved_at(member)
        try:
            content = archive.read(member) if member.file_size <= BIG else None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError):
            content = None  # damaged, or with a password
        yield File(path, content, saved)


def saved_at(member: zipfile.ZipInfo) -> float:
    """When a member was saved, in seconds; 0 if the archive does not say."""
    try:
        return datetime.datetime(*member.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def of_a_class(data: bytes) -> bool:
    """Whether an archive is one of Moodle or Canvas, with a whole class in it."""
    try:
        names = [PurePosixPath(name).parts for name in zipfile.ZipFile(io.BytesIO(data)).namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    names = [parts for parts in names if parts and not hidden(PurePosixPath(*parts))]
    return any(map(lms.moodle, names)) or (bool(names) and all(map(lms.canvas, names)))


def hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part in ("__MACOSX", "__pycache__", "Thumbs.db") for part in path.parts)


def plain_name(path: PurePosixPath, place: Path) -> str:
    """The student's name: that of the folder, or of the file without its ending."""
    name = path.parts[0]
    while len(path.parts) == 1 and any(name.lower().endswith(ending) for ending in ENDINGS):
        name = name[: name.rindex(".")]
    return name or place.stem


def key_of(whole: str, name: str, keys: dict[str, str]) -> str:
    """A name that can be a folder's, different from those of all other students, and the same in every run."""
    whole = readable(whole)
    if whole not in keys:
        key = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", readable(name))).strip("._-")[:80] or "student"
        taken = {other.casefold() for other in keys.values()}
        while key.casefold() in taken:
            key = f"{key}-{zlib.crc32(whole.encode()) % 10000:04}"
        keys[whole] = key
    return keys[whole]


def readable(text: str) -> str:
    """Text that every program can read: without half characters and control characters."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(sign if sign in "\n\t" or unicodedata.category(sign) != "Cc" else "\ufffd" for sign in text)


def notebook(student: Student) -> tuple[dict[str, Any] | None, list[str], str]:
    """The student's notebook, notes on how it was found, and a digest of the files that it comes from.

    Of several notebooks it is the one that was saved last. If there is none, the notes say what was handed in.
    """
    files, notes = [], []
    for file in student.files:
        if file.data is not None and file.data[:4] == b"PK\x03\x04":
            try:
                files += inside(file.data, file.path)
            except ValueError as error:
                notes.append(f"{file.path.name} {error}")
        else:
            files.append(file)
    notebooks, scripts = [], []
    for file in files:
        name = file.path.name.lower()
        if file.data is None:
            notes.append(f"{file.path.name} is too large, damaged or locked")
        elif ".ipynb" in name or name.endswith(".json") or file.data.lstrip()[:1] == b"{":
            try:
                notebooks.append((file.order, file.saved, file.path.name, parsed(file.data)))
            except ValueError as error:
                notes.append(f"{file.path.name} cannot be read as a notebook: {error}")
        elif name.endswith(".py"):
            scripts.append((file.order, file.saved, file.path.name, script(file.data)))
    chosen = notebooks or scripts
    if not chosen:
        handed_in = ", ".join(sorted(readable(file.path.name) for file in files or student.files)) or "nothing"
        return None, [*map(readable, notes), f"handed in: {handed_in}. {ASK}"], ""
    _, saved, name, content = max(chosen, key=lambda each: each[:3])
    student.saved = datetime.datetime.fromtimestamp(saved).isoformat(" ", "minutes") if saved else ""
    notes = [note for note in notes if not note.startswith(name)]
    if len(chosen) > 1:
        notes.append(f"{len(chosen)} notebooks were handed in; {name}, saved last, is graded")
    elif chosen is scripts:
        notes.append(f"{name} is a script, and was graded as one")
    return content, [readable(note) for note in notes], name


def parsed(data: bytes) -> dict[str, Any]:
    """A notebook from its bytes: UTF-8 or UTF-16, of any version of the format, with readable text in it."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if encoding != "utf-16" and data[:64].count(0) > 8:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        content = json.loads(data.decode(encoding, "replace"), object_pairs_hook=lambda pairs: dict(pairs))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected an object with cells, but got a {type(content).__name__}")
    if "worksheets" in content:
        from nbformat import convert, from_dict

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # cells without ids, which older formats do not have
                content = convert(from_dict(content), 4)
        except Exception as error:
            raise ValueError(f"its format is older than 4, and cannot be brought to 4: {error!r}") from None
    if not isinstance(content.get("cells"), list):
        raise ValueError("it has no list of cells")
    return content


def script(data: bytes) -> dict[str, Any]:
    """A script as a notebook: a cell for each part, as Jupyter and editors mark them, or one cell."""
    parts = re.split(r"(?m)^# (?:In\[[^\]]*\]:?|%%.*)$", data.decode("utf-8-sig", "replace"))
    return {"cells": [{"cell_type": "code", "source": part.strip("\n")} for part in parts if part.strip()]}
