"""The names that Moodle and Canvas give to the files of a class, and the archives that they take back."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<kind>file|onlinetext)(?:_(?P<original>.*))?")
CANVAS = re.compile(
    r"(?:(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)|(?P<late2>LATE_)?anon_(?P<anon>[A-Za-z0-9]+))"
    r"_(?:(?P<file>\d+)_(?P<original>.+)|(?P<kind>text|link)\.html)"
)
TEAM = re.compile(r"Group_\d+_")


@dataclass(frozen=True)
class Name:
    """What a file's name tells: of which system, of whom, and how to call what is given back."""

    system: str
    student: str
    id: str
    original: str  # the name that the student gave to the file; empty if there is none in it
    back: str  # Moodle: the folder for the feedback; Canvas: how the feedback's name begins; empty: cannot go back
    late: bool = False
    order: int = 0  # Canvas: a later attempt has a higher number


def moodle(parts: tuple[str, ...]) -> Name | None:
    """Reads the path of a file in an archive of Moodle, zipped or unpacked, with or without folders."""
    for number, part in enumerate(parts):
        if found := MOODLE.fullmatch(part):
            if TEAM.match(part):
                raise SystemExit(
                    f"{part} is a team's submission. Moodle takes no feedback for teams from an archive. Rename the "
                    "folders to the students' names, and grade them as plain folders."
                )
            rest = "/".join(parts[number + 1 :]) or found["original"] or ""
            back = part if not found["original"] else part.removesuffix(f"_{found['original']}")
            return Name("moodle", found["name"], found["id"], rest, back.rstrip("_"))
    return None


def canvas(parts: tuple[str, ...]) -> Name | None:
    """Reads the name of a file in an archive of Canvas, zipped or unpacked."""
    found = CANVAS.fullmatch(parts[-1])
    if not found:
        return None
    late, back = bool(found["late"] or found["late2"]), ""
    if found["file"]:
        back = parts[-1].removesuffix(found["original"])
    original = found["original"] or f"{found['kind']}.html"
    student = found["name"] or f"anon_{found['anon']}"
    return Name("canvas", student, found["id"] or found["anon"], original, back, late, int(found["file"] or 0))


def give_back(pages: list[tuple[str, str, Path]], folder: Path) -> list[Path]:
    """Writes an archive of feedback for each system, to be uploaded there. Returns the archives.

    Args:
        pages: for each student the system, the name to give it back under, and the page.
        folder: where the archives are written.
    """
    written = []
    for system in ("moodle", "canvas"):
        of_system = [(back, page) for where, back, page in pages if where == system and back and page.is_file()]
        path = folder / f"feedback-{system}.zip"
        path.unlink(missing_ok=True)
        if of_system:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for back, page in of_system:
                    archive.write(page, f"{back}/feedback.html" if system == "moodle" else f"{back}feedback.html")
            written.append(path)
    return written


def moodle_worksheet(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """The rows of Moodle's grading worksheet, for those of its students who have a grade and no open mark."""
    return [
        {"Identifier": f"Participant {row['id']}", "Full name": row["name"], "Grade": row["points"],
         "Last modified (grade)": "-"}
        for row in rows
        if row["system"] == "moodle" and row["points"] != "" and not row["to mark"]
    ]  # fmt: skip
