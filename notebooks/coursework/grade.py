"""Grades a folder or an archive of submissions with nbgrader: collect, execute, record, feedback, a table of grades.

    python notebooks/coursework/grade.py SUBMISSIONS [--course FOLDER] [--workers N]

SUBMISSIONS holds a notebook or a folder for each student, or is what Moodle or Canvas gives out, zipped or unpacked.
It may be run again, with late or new submissions: what is graded already and did not change is not run again.
"""

import argparse
import asyncio
import csv
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from grading import collect, lms, mend  # noqa: E402

STOPPED = {"TimeoutError": "ran too long", "KeyboardInterrupt": "ran too long", "MemoryError": "needed too much memory",
           "KernelEnded": "ended the kernel"}  # fmt: skip


def main(place: Path, course: Path, workers: int | None) -> int:
    try:
        from grading import feedback, record, run
        from grading.sandbox import Sandbox
    except ModuleNotFoundError as error:
        raise SystemExit(f'Grading needs nbgrader: pip install -e ".[coursework]" ({error.name} is missing)') from None
    book = record.Book(course)
    handed_in = collect.students(place, book.state["names"])
    notebooks, problems = {}, {}
    for student in handed_in:
        known = book.state["students"].setdefault(student.key, {"attempt": 0, "notes": []})
        known |= {name: getattr(student, name) for name in ("name", "system", "id", "back", "late")}
        read(student, book, notebooks, problems)
    waiting = {key: pair for key, pair in notebooks.items() if not book.is_graded(key, pair[0])}
    print(f"{len(handed_in)} students; {len(waiting)} submissions are new or changed and are run now", flush=True)
    if waiting:
        from tqdm import tqdm

        with Sandbox(course, place) as sandbox, tqdm(total=len(waiting), unit="submission", file=sys.stdout) as bar:
            if sandbox.warning:
                tqdm.write(sandbox.warning)

            async def finished(key: str, executed: Any) -> None:
                notebook, notes = waiting[key]
                known = book.state["students"][key]
                problem = book.record(key, notebook, executed)
                known["attempt"] += known.get("handed in") != record.digest_of(notebook)
                known["handed in"] = record.digest_of(notebook)
                known["notes"] = [*notes, *stopped(executed)] + [problem] * bool(problem)
                known["digest"] = book.digest(notebook)
                book.save()
                bar.update()

            of_each = [(key, with_tests(notebook, book.source)) for key, (notebook, _) in waiting.items()]
            try:
                asyncio.run(run.several(of_each, sandbox, workers or run.cores(), finished))
            except KeyboardInterrupt:
                raise SystemExit("Stopped. What is graded is kept: the same command goes on from here.") from None
    rows = tables(handed_in, problems, book, feedback)
    book.save()
    (course / "grade.log").write_text("".join(book.log), encoding="utf-8")
    of = maxima(book.source)
    of["points"] = sum(of.values())
    write(course / "grades.csv", [{f"{k} (of {of[k]:g})" if k in of else k: v for k, v in row.items()} for row in rows])
    show(rows, course)
    give_back(handed_in, rows, book, course)
    return 0


def read(student: collect.Student, book: Any, notebooks: dict[str, Any], problems: dict[str, list[str]]) -> None:
    """Reads what a student handed in: a mended notebook with notes, or a problem in words."""
    content, notes, name = collect.notebook(student)
    if content is None:
        problems[student.key] = notes
        return
    try:
        notebook, changed = mend.mended(content, book.release, book.source)
        notebooks[student.key] = notebook, [*notes, *changed]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problems[student.key] = [*notes, collect.readable(f"{name} cannot be graded: {error}. {collect.ASK}")]


def with_tests(notebook: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the checks as the teacher has them."""
    given = {cell["id"]: cell for cell in source["cells"] if cell["metadata"]["nbgrader"]["locked"]}
    return {**notebook, "cells": [given.get(cell["id"], cell) for cell in notebook["cells"]]}


def stopped(executed: Any) -> list[str]:
    """Which cells ran too long, needed too much memory or ended the kernel."""
    found: dict[str, list[str]] = {}
    for cell in executed.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "a cell of their own")
        for reason in {STOPPED.get(output.get("ename")) for output in cell.get("outputs", [])} - {None}:
            found.setdefault(reason, []).append(name)
    return [f"{', '.join(names)} {reason}" for reason, names in found.items()]


def tables(handed_in: list[collect.Student], problems: dict[str, list[str]], book: Any, feedback: Any) -> list[dict]:
    """A row for each student; writes the feedback of those whose result or marks have changed."""
    has_grade = [s.key for s in handed_in if s.key not in problems and book.graded(s.key).is_file()]
    earlier = [s.key for s in handed_in if s.key in problems and book.graded(s.key).is_file()]
    grades = book.grades(has_grade + earlier)
    maximum = maxima(book.source)
    rows = []
    for student in handed_in:
        key, known = student.key, book.state["students"][student.key]
        notes = problems.get(key, known["notes"])
        if key in earlier:
            points = sum(grade["score"] for grade in grades[key])
            notes = [*notes, f"not graded; an earlier attempt had {points:g} points, which are not in this row"]
        row: dict[str, Any] = {"student": key, "name": student.name, "system": student.system, "id": student.id,
                               "attempt": known["attempt"] or "", "saved": student.saved,
                               "late": "late" if student.late else ""}  # fmt: skip
        row |= dict.fromkeys(["points", *maximum], "")
        row |= {"written": "", "to mark": "", "notes": "; ".join(notes)}
        if key in has_grade:
            row |= dict.fromkeys(maximum, 0.0)
            for grade in grades[key]:
                row["written" if grade["by hand"] else grade["name"][:2]] += grade["score"]
            row["points"] = sum(grade["score"] for grade in grades[key])
            row["to mark"] = ", ".join(grade["name"] for grade in grades[key] if grade["to mark"])
        rows.append(row)
        shown = [str(known.get("digest")), str(grades.get(key)), str(notes), student.name]
        if known.get("shown") != shown or not book.page(key).is_file():
            text = (
                feedback.page(student.name, load(book, key), grades[key], notes)
                if key in has_grade else feedback.nothing(student.name, notes)
            )  # fmt: skip
            book.page(key).parent.mkdir(parents=True, exist_ok=True)
            book.page(key).write_text(text, encoding="utf-8")
            known["shown"] = shown
    return rows


def load(book: Any, key: str) -> dict[str, Any]:
    from grading.record import load

    return load(book.graded(key))


def maxima(source: dict[str, Any]) -> dict[str, float]:
    """The points of each question that checks give, and of the written answers."""
    points: dict[str, float] = {}
    for cell in source["cells"]:
        marks = cell["metadata"]["nbgrader"]
        if marks["grade"]:
            column = "written" if marks["solution"] else mend.name_of(cell)[:2]
            points[column] = points.get(column, 0.0) + marks["points"]
    return dict(sorted(points.items(), key=lambda pair: (pair[0] == "written", pair[0])))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """A table that Excel opens: with a byte order mark, and no cell that it would compute."""
    with path.open("w", newline="", encoding="utf-8-sig", errors="replace") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            computed = [name for name, cell in row.items() if str(cell)[:1] in tuple("=+-@\t")]
            writer.writerow(row | {name: f"'{row[name]}" for name in computed})


def show(rows: list[dict[str, Any]], course: Path) -> None:
    hidden = {name for name in ("name", "system", "id", "attempt", "late") if not any(row[name] for row in rows)}
    hidden |= {"name", "attempt", "saved"}
    lines = [[name for name in rows[0] if name not in hidden]]
    for row in rows:
        cells = [row[name] for name in lines[0]]
        lines.append([f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        print(text.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8"))
    print(f"\nwritten to {course}: grades.csv, feedback/STUDENT/annealing/annealing.html, grade.log")


def give_back(handed_in: list[collect.Student], rows: list[dict[str, Any]], book: Any, course: Path) -> None:
    """Writes what Moodle and Canvas take back."""
    pages = [(student.system, student.back, book.page(student.key)) for student in handed_in]
    written = lms.give_back(pages, course)
    if worksheet := lms.moodle_worksheet(rows):
        write(course / "grades-moodle.csv", worksheet)
        written.append(course / "grades-moodle.csv")
    if written:
        print(f"to be uploaded: {', '.join(path.name for path in written)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("submissions", type=Path, help="a folder, or a zip archive")
    parser.add_argument("--course", type=Path, default=HERE, help="the folder with the source (default: this one)")
    parser.add_argument("--workers", type=int, help="submissions at a time (default: one for each core)")
    given = parser.parse_args()
    if not given.submissions.exists():
        raise SystemExit(f"There is no {given.submissions}. Expected the submissions: make grade SUBMISSIONS=folder")
    sys.exit(main(given.submissions, given.course.resolve(), given.workers))
