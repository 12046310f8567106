"""The page that a student reads: first what passed and what failed, then the sentence that matters, then the rest.

It holds no script, and a browser is told to run none: a page may show what a stranger's program has written.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.filters import markdown2html

from grading.collect import ASK
from grading.mend import STUB
from grading.record import harmless, is_written

TEMPLATE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
    undefined=StrictUndefined,
).get_template("feedback.html.j2")  # fmt: skip
BOILERPLATE = re.compile(r"(?m)^\s*### (?:BEGIN|END) HIDDEN TESTS\n?|^from kldanneal\.lab\.assignment import check\n+")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def page(name: str, notebook: dict[str, Any], grades: list[dict[str, Any]], notes: list[str]) -> str:
    """A student's feedback as HTML.

    Args:
        name: the student's name.
        notebook: the graded notebook, with its outputs.
        grades: from `record.Book.grades`.
        notes: what the table of grades says of this student.
    """
    scores = {grade["name"]: grade for grade in grades}
    questions: dict[str, dict[str, Any]] = {}
    for cell in notebook["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        grade_id = marks.get("grade_id", "")
        text = "".join(cell["source"])
        if re.fullmatch(r"q\d", grade_id):
            title = re.sub(r"^#+\s*|\s*\(\d+ points\)$", "", text.splitlines()[0])
            questions[grade_id] = {"id": grade_id, "title": title, "items": [], "score": 0.0, "max": 0.0}
        question = questions.get(grade_id[:2]) if grade_id else next(reversed(questions.values()), None)
        if question is None:
            continue
        if grade_id in scores:
            item = {**scores[grade_id], **(written(cell) if is_written(cell) else check(cell))}
            item["title"] = f"Check {grade_id[1:].replace('-', '.')}"
            question["items"].append(item)
            question["score"] += item["score"]
            question["max"] += item["max"]
        elif cell["cell_type"] == "code" and not marks.get("locked"):
            problem = sentence(cell)
            kind = "answer" if marks.get("solution") else "own"
            question["items"].append({"kind": kind, "code": text, "problem": problem, "output": printed(cell)})
    score, most = (sum(grade[column] for grade in grades) for column in ("score", "max"))
    return TEMPLATE.render(name=name, notes=notes, questions=list(questions.values()), score=score, max=most)


def nothing(name: str, notes: list[str]) -> str:
    """The page of a student whose submission could not be graded."""
    notes = [note.replace(ASK, "Please hand in the file annealing.ipynb") for note in notes]
    return TEMPLATE.render(name=name, notes=notes, questions=[], score=None, max=None)


def check(cell: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "check", "sentence": sentence(cell), "code": BOILERPLATE.sub("", "".join(cell["source"])).strip(),
            "output": printed(cell)}  # fmt: skip


def written(cell: dict[str, Any]) -> dict[str, Any]:
    """The written answer, with its pictures in the page."""
    text = harmless("".join(cell["source"]))
    for key, kinds in cell.get("attachments", {}).items():
        for kind, data in kinds.items() if isinstance(kinds, dict) else ():
            if kind in ("image/png", "image/jpeg", "image/gif") and isinstance(data, str):
                text = text.replace(f"attachment:{key}", f"data:{kind};base64,{''.join(data.split())}")
    return {"kind": "written", "html": markdown2html(text), "unanswered": text.strip() in ("", STUB)}


def sentence(cell: dict[str, Any]) -> str:
    """Why a cell failed, whole; empty if it did not."""
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            kind, said = output.get("ename", ""), ANSI.sub("", output.get("evalue", ""))
            said = re.sub(r" \(\d+\.py, (line \d+)\)$", r" (\1)", said)  # a cell has no file name
            own_words = kind in ("AssertionError", "TimeoutError", "MemoryError", "KernelEnded") and said
            return said if own_words else f"{kind}: {said}"
    return ""


def printed(cell: dict[str, Any]) -> str:
    """What a cell has written, as text."""
    texts = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            texts.append(output["text"])
        elif output["output_type"] in ("execute_result", "display_data"):
            texts.append(output["data"].get("text/plain", ""))
    return ANSI.sub("", "".join("".join(text) for text in texts)).strip()[:5000]
