"""nbgrader's gradebook: points of the checks, marks by hand, and what was graded before.

nbgrader decides on points and keeps them; the outputs come from run.py. Beside its gradebook.db there is graded.json,
with what nbgrader has no place for: names and ids of a learning management system, attempts, notes, digests.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets.config import PyFileConfigLoader

ASSIGNMENT = "annealing"
NOTEBOOK = f"{ASSIGNMENT}.ipynb"
HERE = Path(__file__).parent


class Replay(NbGraderPreprocessor):
    """Puts the outputs that run.py has collected into the notebook, where nbgrader would execute it."""

    executed: ClassVar[dict[str, Any]] = {}

    def preprocess(self, nb: Any, resources: Any) -> Any:
        student = resources["nbgrader"]["student"]
        for cell, ran in zip(nb.cells, self.executed[student].cells, strict=True):
            if cell.cell_type == "code":
                marks = cell.metadata.get("nbgrader", {})
                cell.outputs, cell.execution_count = ran.get("outputs", []), ran.get("execution_count")
                if marks.get("grade"):  # a check is passed if it ends without an error, whatever it writes
                    cell.outputs = [output for output in cell.outputs if output.output_type != "execute_result"]
                    for output in cell.outputs:
                        if output.output_type == "stream":
                            output.name = "stdout"
            else:
                cell.source = harmless(cell.source)
        return nb, resources


def harmless(text: str) -> str:
    """Markdown in which HTML is text, so that nothing in it runs where a person marks; pictures stay."""
    text = re.sub(r"""(?i)<img\b[^>]*?\bsrc\s*=\s*["']?((?:attachment:|data:image/(?:png|jpeg|gif);)[^"'\s>]*)[^>]*>""",
                  r"![picture](\1)", text)  # fmt: skip
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    good = r"(?!https?:|mailto:|attachment:|data:image/(?:png|jpeg|gif);)"
    text = re.sub(rf"(?i)\]\(\s*{good}[^)\s]*[:&][^)\s]*", "](#", text)
    return re.sub(rf"(?im)^(\s*\[[^\]]+\]:)\s*{good}\S*[:&]\S*", r"\1 #", text)


class Book:
    """The gradebook of a course.

    Args:
        course: the folder with the source, and with all that grading writes.
    """

    def __init__(self, course: Path) -> None:
        path = [str(Path(sys.executable).parent), os.environ["PATH"]]  # where nbgrader looks for alembic
        os.environ["PATH"] = os.pathsep.join(path)
        self.course, self._state = course, course / "graded.json"
        config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
        config.Autograde.autograde_preprocessors = [Replay, SaveAutoGrades]
        self._nbgrader = NbGraderAPI(config=config)
        self.state: dict[str, Any] = {"names": {}, "students": {}, "generated": ""}
        if self._state.is_file():
            self.state |= json.loads(self._state.read_text(encoding="utf-8"))
        self.source_file = course / "source" / ASSIGNMENT / NOTEBOOK
        self._basis = digest(*[file.read_bytes() for file in (self.source_file, HERE / "limits.py", HERE / "run.py")])
        self.log: list[str] = []
        self._prepare()
        self.source = load(self.source_file)
        self.release = load(course / "release" / ASSIGNMENT / NOTEBOOK)

    def _prepare(self) -> None:
        """Tells nbgrader what is asked, if that has changed; the release is written then, too."""
        source = digest(self.source_file.read_bytes())
        there = (self.course / "gradebook.db").is_file() and (self.course / "release" / ASSIGNMENT / NOTEBOOK).is_file()
        if self.state["generated"] == source and there:
            return
        generated = self._nbgrader.generate_assignment(ASSIGNMENT)
        if not generated["success"]:
            raise SystemExit(said(generated))
        self.state["generated"] = source
        self.save()

    def save(self) -> None:
        """Writes what is known of the students, whole or not at all."""
        draft = self._state.with_suffix(".draft")
        draft.write_text(json.dumps(self.state, indent=1), encoding="utf-8")
        draft.replace(self._state)

    def digest(self, notebook: dict[str, Any]) -> str:
        """Another one for another submission, and for other tests."""
        return digest(digest_of(notebook).encode(), self._basis.encode())

    def is_graded(self, student: str, notebook: dict[str, Any]) -> bool:
        known = self.state["students"].get(student, {})
        return known.get("digest") == self.digest(notebook) and self.graded(student).is_file()

    def graded(self, student: str) -> Path:
        """The notebook with all outputs."""
        return self.course / "autograded" / student / ASSIGNMENT / NOTEBOOK

    def page(self, student: str) -> Path:
        """The student's feedback."""
        return self.course / "feedback" / student / ASSIGNMENT / f"{ASSIGNMENT}.html"

    def record(self, student: str, notebook: dict[str, Any], executed: Any) -> str:
        """Saves the points of a notebook that was executed. Returns what went wrong, or an empty string."""
        before, text_before = self._marks_by_hand(student), self._written(student)
        path = self.course / "submitted" / student / ASSIGNMENT / NOTEBOOK
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
        shutil.rmtree(self.graded(student).parent, ignore_errors=True)
        Replay.executed[student] = executed
        try:
            warnings.filterwarnings("ignore", "Object of type")  # SQLAlchemy's, on how nbgrader uses it
            outcome = self._nbgrader.autograde(ASSIGNMENT, student, force=True)
        except Exception as error:  # of one student; the others are not to lose their grades
            outcome = {"error": f"{student}: {error!r}\n"}
        finally:
            del Replay.executed[student]
        self.log.append(said(outcome))
        if not self.graded(student).is_file():
            return "nbgrader could not grade it; see grade.log"
        same = self._written(student) == text_before
        with self._gradebook() as gradebook:
            for grade in gradebook.find_submission_notebook(ASSIGNMENT, ASSIGNMENT, student).grades:
                if grade.name in before and same and before[grade.name] == (grade.manual_score, grade.auto_score):
                    grade.needs_manual_grade = False  # marked already, and it has not changed
            gradebook.db.commit()
        return ""

    def _marks_by_hand(self, student: str) -> dict[str, tuple[float, float]]:
        """The grades that a person gave, and finished with."""
        try:
            with self._gradebook() as gradebook:
                grades = gradebook.find_submission_notebook(ASSIGNMENT, ASSIGNMENT, student).grades
                return {
                    grade.name: (grade.manual_score, grade.auto_score)
                    for grade in grades
                    if grade.manual_score is not None and not grade.needs_manual_grade
                }
        except MissingEntry:
            return {}

    def _written(self, student: str) -> str:
        if not self.graded(student).is_file():
            return ""
        cells = [cell for cell in load(self.graded(student))["cells"] if is_written(cell)]
        return json.dumps([[cell["source"], cell.get("attachments")] for cell in cells])

    def _gradebook(self) -> Gradebook:
        return Gradebook(f"sqlite:///{self.course / 'gradebook.db'}", "kldanneal")

    def grades(self, students: list[str]) -> dict[str, list[dict[str, Any]]]:
        """For each student the grade of each check and written answer: name, score, max, to mark, comment."""
        found = {}
        with self._gradebook() as gradebook:
            for student in students:
                notebook = gradebook.find_submission_notebook(ASSIGNMENT, ASSIGNMENT, student)
                comments = {comment.name: comment.manual_comment or "" for comment in notebook.comments}
                found[student] = [
                    {"name": grade.name, "score": float(grade.score), "max": float(grade.max_score),
                     "to mark": bool(grade.needs_manual_grade), "comment": comments.get(grade.name, ""),
                     "by hand": grade.cell_type == "markdown"}
                    for grade in notebook.grades
                ]  # fmt: skip
        return found


def is_written(cell: dict[str, Any]) -> bool:
    marks = cell["metadata"].get("nbgrader", {})
    return bool(marks.get("grade") and marks.get("solution"))


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def digest_of(notebook: dict[str, Any]) -> str:
    return digest(json.dumps(notebook, sort_keys=True).encode())


def said(result: dict[str, Any]) -> str:
    """What a command of nbgrader said, and how it failed."""
    return f"{result.get('log', '')}{result.get('error', '')}"
