"""Grades a folder of submissions with nbgrader: collect, autograde, feedback, and a table of grades.

    python notebooks/coursework/grade.py FOLDER

FOLDER holds one notebook per student (anna.ipynb), or one folder per student with a notebook in it (anna/...ipynb).
It may be run again, with late or new submissions: what is graded already and did not change keeps its grades.
"""

import csv
import json
import os
import re
import shutil
import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parent
ASSIGNMENT = "annealing"
NOTEBOOK = f"{ASSIGNMENT}.ipynb"
WRITTEN = "q7-3"  # the cell that a person marks
#: How a cell is stopped from outside, by limits.py or nbgrader, and what the table says about it.
STOPPED = {"TimeoutError": "ran too long", "CellTimeoutError": "ran too long", "KeyboardInterrupt": "ran too long",
           "MemoryError": "needed too much memory"}  # fmt: skip


def main(folder: Path) -> int:
    found, troubles = submissions(folder)
    course = nbgrader()
    generated = course.generate_assignment(ASSIGNMENT)  # what to grade by; release/ stays as it is
    if not generated["success"]:
        raise SystemExit(said(generated))
    release = json.loads((COURSE / "release" / ASSIGNMENT / NOTEBOOK).read_text(encoding="utf-8"))
    for student, path in found.items():
        try:
            notebook, troubles[student] = mended(json.loads(path.read_text(encoding="utf-8-sig")), release)
            submit(student, notebook)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            troubles[student] = [f"{path.name} cannot be read as a notebook: {error!r}"]
    print(f"grading {len(found)} submissions, some seconds each ...", flush=True)
    log = said(course.autograde(ASSIGNMENT, "*", force=False)) + said(course.generate_feedback(ASSIGNMENT))
    (COURSE / "grade.log").write_text(log, encoding="utf-8")
    name_checks()
    rows = [row(student, troubles[student]) for student in sorted(troubles)]
    with (COURSE / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    show(rows)
    return 0


def submissions(folder: Path) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """The notebook of each student, and what is wrong with those that have none, or several."""
    found, troubles = {}, {}
    for entry in sorted(folder.iterdir()):
        notebooks = [entry] if entry.is_file() else sorted(entry.rglob("*.ipynb"))
        notebooks = [path for path in notebooks if path.suffix == ".ipynb" and ".ipynb_checkpoints" not in path.parts]
        if entry.name.startswith(".") or (entry.is_file() and not notebooks):
            continue
        student = re.sub(r"[^\w.-]+", "_", entry.stem if entry.is_file() else entry.name)  # nbgrader makes paths of it
        exact = [path for path in notebooks if path.name == NOTEBOOK]
        if student in troubles:
            raise SystemExit(f"Two submissions would be called {student}: rename one of them in {folder}")
        troubles[student] = []
        if len(notebooks) == 1 or len(exact) == 1:
            found[student] = (exact or notebooks)[0]
        else:
            troubles[student] = [f"expected one notebook, but found {len(notebooks)}"]
    if not troubles:
        raise SystemExit(f"Expected {folder} to hold a notebook, or a folder with a notebook, for each student")
    return found, troubles


def mended(submitted: dict, release: dict) -> tuple[dict, list[str]]:
    """The submission in the order of the release: its answers and its own cells, and every other cell as handed out."""
    names = [cell_name(cell) for cell in release["cells"]]
    theirs, own, above = {}, {None: []}, None  # what they made of the release's cells; their own, by the one above them
    for number, cell in enumerate(submitted["cells"]):
        name = cell["metadata"].get("nbgrader", {}).get("grade_id") or cell.get("id")
        if name in names and name not in theirs:
            theirs[name], above = "".join(cell["source"]), name
            own[above] = []
        else:
            code = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
            kept = {"cell_type": cell["cell_type"], "source": "".join(cell["source"])}
            own[above].append({"id": f"own-{number}", "metadata": {}, **kept, **code})
    if not theirs:
        raise ValueError("it has none of the assignment's cells")
    cells, waiting, troubles = [], own[None], []
    for name, cell in zip(names, release["cells"], strict=True):
        locked = cell["metadata"]["nbgrader"]["locked"]
        if name not in theirs:  # before their own cells, which may hold what was in it
            cells.append(cell)
            troubles.append(f"{name} was missing and was put back")
            continue
        if locked and cell["cell_type"] == "code" and theirs[name] != "".join(cell["source"]):
            troubles.append(f"{name} was changed and was put back")
        cells += [*waiting, cell if locked else {**cell, "source": theirs[name]}]
        waiting = own[name]
    return {**release, "cells": [*cells, *waiting]}, troubles


def cell_name(cell: dict) -> str:
    return cell["metadata"]["nbgrader"]["grade_id"]


def submit(student: str, notebook: dict) -> None:
    """Puts a notebook where nbgrader looks for it; a changed one is graded anew."""
    path = COURSE / "submitted" / student / ASSIGNMENT / NOTEBOOK
    text = json.dumps(notebook, indent=1)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    shutil.rmtree(COURSE / "autograded" / student / ASSIGNMENT, ignore_errors=True)


def nbgrader():
    """nbgrader's commands as functions, with the settings of this course only. Loading nbgrader takes seconds."""
    try:
        from nbgrader.apps import NbGraderAPI
    except ModuleNotFoundError:
        raise SystemExit('Grading needs nbgrader: pip install -e ".[coursework]"') from None
    from traitlets.config import PyFileConfigLoader

    path = [str(Path(sys.executable).parent), os.environ["PATH"]]  # where nbgrader looks for alembic
    os.environ["PATH"] = os.pathsep.join(path)
    return NbGraderAPI(config=PyFileConfigLoader("nbgrader_config.py", path=str(COURSE)).load_config())


def said(result: dict[str, object]) -> str:
    """What a command of nbgrader said, and how it failed."""
    return f"{result.get('log', '')}{result.get('error', '')}"


def row(student: str, troubles: list[str]) -> dict[str, object]:
    """A line of the table: points by question, whether the written answer is to be marked, and what went wrong."""
    from nbgrader.api import Gradebook

    graded = COURSE / "autograded" / student / ASSIGNMENT / NOTEBOOK
    points, written = {}, ""
    with Gradebook(f"sqlite:///{COURSE / 'gradebook.db'}", "kldanneal") as gradebook:
        for cell in gradebook.find_notebook(ASSIGNMENT, ASSIGNMENT).grade_cells:
            points[cell.name[:2]] = ""
        if graded.is_file():
            points = dict.fromkeys(points, 0.0)
            for grade in gradebook.find_submission_notebook(ASSIGNMENT, ASSIGNMENT, student).grades:
                points[grade.name[:2]] += grade.score
                if grade.name == WRITTEN and grade.needs_manual_grade:
                    written = "to be marked"
            troubles = troubles + stopped_cells(graded)
        elif not troubles:
            troubles = ["no grade: its kernel died, or could not be stopped; see grade.log"]
    total = sum(points.values()) if graded.is_file() else ""
    points = dict(sorted(points.items()))
    return {"student": student, "points": total, **points, "written": written, "notes": "; ".join(troubles)}


def name_checks() -> None:
    """At the top of each feedback page, calls the checks what the notebook does; to nbgrader each is a "Test cell"."""
    for page in (COURSE / "feedback").glob(f"*/{ASSIGNMENT}/{ASSIGNMENT}.html"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'(<a href="#q(\d)-(\d)">)Test cell</a>', r"\1Check \2.\3</a>", text)
        page.write_text(text, encoding="utf-8")


def stopped_cells(graded: Path) -> list[str]:
    """Which cells ran too long or needed too much memory."""
    stopped = {}
    for cell in json.loads(graded.read_text(encoding="utf-8"))["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "a cell of their own")
        for reason in {STOPPED.get(output.get("ename")) for output in cell.get("outputs", [])} - {None}:
            stopped.setdefault(reason, []).append(name)
    return [f"{', '.join(names)} {reason}" for reason, names in stopped.items()]


def show(rows: list[dict[str, object]]) -> None:
    lines = [list(rows[0])]
    lines += [[f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print(f"\nwritten to {COURSE}: grades.csv, feedback/STUDENT/{ASSIGNMENT}/{ASSIGNMENT}.html, grade.log")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("Expected the folder of the submissions: make grade SUBMISSIONS=folder")
    sys.exit(main(Path(sys.argv[1])))
