"""Puts a student's answers into the assignment as it was handed out: given cells and checks are always the original.

Answers are found by the cell's id, or else by the names that they define; cells of the student's own stay where they
were. All that was written beside the written answer becomes part of it.
"""

import ast
import re
from typing import Any

from grading.collect import readable

Cell = dict[str, Any]
Notebook = dict[str, Any]
STUB = "YOUR ANSWER HERE"
MANY = 10  # missing cells; more are counted, not named
LONG = 40  # words; a text of this length in another place is the written answer, if there is none in its own place


def name_of(cell: Cell) -> str:
    return cell["metadata"]["nbgrader"]["grade_id"]


def text_of(cell: Cell) -> str:
    return "".join(cell["source"])


def cleaned(cells: list[object]) -> list[Cell]:
    """The cells of a notebook that may be damaged: each with a kind that is known, metadata and text."""
    clean = []
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        source = cell.get("source", cell.get("input", ""))
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        kind = cell.get("cell_type") if cell.get("cell_type") in ("code", "markdown") else "raw"
        metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
        nbgrader = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
        name = nbgrader.get("grade_id") or cell.get("id")
        attachments = cell.get("attachments") if isinstance(cell.get("attachments"), dict) else {}
        clean.append({"kind": kind, "text": readable(text), "name": name if isinstance(name, str) else None,
                      "attachments": attachments})  # fmt: skip
    return clean


def mended(submitted: Notebook, release: Notebook, source: Notebook) -> tuple[Notebook, list[str]]:
    """The submission in the order of the release, and notes on what was put back."""
    handed_out = {name_of(cell): cell for cell in release["cells"]}
    texts = {" ".join(text_of(cell).split()): name for name, cell in handed_out.items() if text_of(cell).strip()}
    theirs: dict[str, Cell] = {}
    own: list[tuple[str | None, Cell]] = []  # their own cells, each with the given cell above it
    above = None
    for cell in cleaned(submitted["cells"]):
        name = cell["name"] if cell["name"] in handed_out else texts.get(" ".join(cell["text"].split()))
        if name and name not in theirs:
            theirs[name], above = cell, name
        elif cell["text"].strip():
            own.append((above, cell))
    moved = answers_elsewhere(theirs, own, handed_out, source)
    if not theirs and not moved:
        raise ValueError("it has none of the assignment's cells, and defines none of the answers")
    used = [cell for found in moved.values() for cell in found]
    replaced = {}
    for name, cell in handed_out.items():
        if cell["metadata"]["nbgrader"]["solution"] and cell["metadata"]["nbgrader"]["grade"]:
            replaced[name], of_answer = written(cell, theirs.get(name), own)
            used += of_answer
    own = [(place, cell) for place, cell in own if not any(cell is each for each in used)]
    waiting = [cell for place, cell in own if place is None]
    cells, missing, notes = [], [], []
    for name, cell in handed_out.items():
        if name in moved:
            cells += [*waiting, {**cell, "source": "# answered in a cell below"}, *moved[name]]
            waiting = []
        elif name not in theirs:  # before their own cells, which may hold what was in it
            cells.append(replaced.get(name, cell))
            missing.append(name)
        else:
            locked, mine = cell["metadata"]["nbgrader"]["locked"], theirs[name]["text"]
            if locked and cell["cell_type"] == "code" and mine.strip() != text_of(cell).strip():
                notes.append(f"{name} was changed and was put back")
            cells += [*waiting, replaced.get(name) or (cell if locked else {**cell, "source": mine})]
            waiting = [each for place, each in own if place == name]
    notes += told(missing, "missing and put back") + told(list(moved), "missing, but the answer was found elsewhere")
    return {**release, "cells": [as_cell(cell, i) for i, cell in enumerate([*cells, *waiting])]}, notes


def told(names: list[str], what: str) -> list[str]:
    """A note for each of some cells, or one for many."""
    if len(names) > MANY:
        return [f"{len(names)} cells were {what}"]
    return [f"{name} was {what}" for name in names]


def as_cell(cell: Cell, number: int) -> Cell:
    """A cell of the student's own as a notebook has it; others are that already."""
    if "kind" not in cell:
        return cell
    code = {"outputs": [], "execution_count": None} if cell["kind"] == "code" else {}
    attachments = {"attachments": cell["attachments"]} if cell["attachments"] and cell["kind"] != "code" else {}
    kept = {"cell_type": cell["kind"], "source": cell["text"]}
    return {"id": f"own-{number}", "metadata": {}, **kept, **attachments, **code}


def answers_elsewhere(
    theirs: dict[str, Cell], own: list[tuple[str | None, Cell]], handed_out: dict[str, Cell], source: Notebook
) -> dict[str, list[Cell]]:
    """For each answer whose cell is missing, the student's own cells that define it."""
    moved: dict[str, list[Cell]] = {}
    for solution in source["cells"]:
        name, marks = name_of(solution), solution["metadata"]["nbgrader"]
        if not marks["solution"] or marks["grade"] or name in theirs or name not in handed_out:
            continue
        wanted = defined(text_of(solution))
        givers = [cell for _, cell in own if cell["kind"] == "code" and wanted & defined(cell["text"])]
        if givers:
            placed = [id(cell) for found in moved.values() for cell in found]
            moved[name] = [cell for cell in givers if id(cell) not in placed]
    return moved


def defined(code: str) -> set[str]:
    """The functions, classes and variables that a cell defines; none if it is no Python."""
    try:
        lines = ["pass" if re.match(r"\s*[%!]", line) else line for line in code.splitlines()]
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names |= {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return names


def written(cell: Cell, mine: Cell | None, own: list[tuple[str | None, Cell]]) -> tuple[Cell, list[Cell]]:
    """The cell of the written answer, with all that the student wrote in it, beside it, or else in another place.

    Also the student's own cells that are in it now.
    """
    name = name_of(cell)
    parts = [mine] if mine and mine["text"].strip() not in ("", STUB) else []
    beside = [each for place, each in own if place in (name, f"{name}-text") and is_prose(each)]
    if not parts and not beside:
        beside = [each for _, each in own if is_prose(each) and len(each["text"].split()) >= LONG]
    parts += beside
    if not parts:
        return cell, []
    texts, attachments = [], {}
    for number, part in enumerate(parts):
        text = part["text"].replace(STUB, "").strip()
        for key, picture in part["attachments"].items():
            new = key if attachments.get(key, picture) == picture else f"{number}-{key}"
            text = text.replace(f"attachment:{key}", f"attachment:{new}")
            attachments[new] = picture
        texts.append(text)
    more = {"attachments": attachments} if attachments else {}
    return {**cell, "source": "\n\n".join(texts), **more}, [part for part in parts if part is not mine]


def is_prose(cell: Cell) -> bool:
    """Whether a cell is text: markdown, raw, or a code cell that holds no code."""
    return cell["kind"] != "code" or (not defined(cell["text"]) and " " in cell["text"] and not_python(cell["text"]))


def not_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return not re.search(r"(?m)^\s*[%!]|[=(]", text.split("\n")[0])
    return False
