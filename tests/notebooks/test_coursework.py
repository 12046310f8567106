"""The coursework: what is handed out, and how right, wrong, hanging and damaged submissions are graded.

Every mistake runs in this process, against the checks that give the points. One small class is graded with nbgrader as
a teacher would, twice; the tests of grading read the results.
"""

import ast
import contextlib
import csv
import io
import json
import re
import runpy
import shutil
import subprocess
import sys

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.figure import Figure
from submissions import (
    CHECKS,
    COURSEWORK,
    DISTRIBUTIONS,
    LOOPS,
    NOTEBOOK,
    POINTS,
    REFERENCE,
    RELEASE,
    SOURCE,
    STUCK,
    UNSTOPPABLE,
    WRONG,
    named,
    submission,
    text,
    together,
)

# ------------------------------------------------------------------------------------------------------ what is given


def test_points():
    assert sum(POINTS.values()) == 60 and POINTS["q7-3"] == 6
    stated = dict(re.findall(r"^\| (\d)\. .*? \| (\d+)", text(named(SOURCE)["opening"]), re.MULTILINE))
    for question, points in stated.items():
        of_question = [POINTS[name] for name in POINTS if name.startswith(f"q{question}")]
        assert sum(of_question) == int(points) and len(of_question) >= 3, f"question {question}: partial credit"
    assert len(stated) == 7
    for name in CHECKS:  # each is announced, with its points
        number, announced = name[1:].replace("-", "."), " ".join(text(cell) for cell in SOURCE["cells"])
        one = f"**Check {number} ({POINTS[name]} point" in announced
        assert one or (name.startswith("q6") and "**Checks 6.1 to 6.4 (2 points each)**" in announced)


def test_the_release_shows_no_solution_and_no_hidden_test():
    assert "SOLUTION" not in json.dumps(RELEASE) and "HIDDEN" not in json.dumps(RELEASE)
    assert sum("HIDDEN" in text(named(SOURCE)[name]) for name in CHECKS) == len(CHECKS)
    for name in REFERENCE:
        stub = "YOUR ANSWER HERE" if named(RELEASE)[name]["cell_type"] == "markdown" else "# YOUR CODE HERE"
        assert stub in text(named(RELEASE)[name])


def test_the_release_opens_everywhere():
    opening = text(named(RELEASE)["opening"])
    address = "OWNER/kldanneal" if "OWNER/kldanneal" in opening else re.search(r"github/([^/]+/[^/]+)/blob", opening)[1]
    path = "notebooks/coursework/release/annealing/annealing.ipynb"
    assert f"https://colab.research.google.com/github/{address}/blob/main/{path}" in opening
    assert f"https://mybinder.org/v2/gh/{address}/main?urlpath=lab/tree/{path}" in opening
    assert "%pip install" in text(named(RELEASE)["setup"])
    assert RELEASE["metadata"]["kernelspec"]["name"] == "python3"


def test_cells_are_short_and_unexecuted():
    for notebook in (SOURCE, RELEASE):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                visible = re.sub(r"### BEGIN HIDDEN.*### END HIDDEN TESTS", "", text(cell), flags=re.DOTALL)
                assert len(visible.splitlines()) <= 25, cell["id"]
                assert cell["outputs"] == [] and cell["execution_count"] is None


# ------------------------------------------------------------------------------------- the checks, against each mistake


class Shell:
    """As much of IPython as the notebook uses outside of a kernel."""

    def run_line_magic(self, name, line):
        assert (name, line) == ("matplotlib", "inline")


def execute(answers):
    """Runs the source with other answers. Returns each cell's error, as (kind, message), and what each cell printed."""
    namespace, errors, printed = {"__name__": "__main__", "get_ipython": Shell}, {}, {}
    for name, cell in named(SOURCE).items():
        if cell["cell_type"] == "code":
            out, complaints = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
                try:
                    code = TransformerManager().transform_cell(answers.get(name, text(cell)))
                    exec(compile(code, name, "exec"), namespace)
                except Exception as error:
                    errors[name] = type(error).__name__, str(error)
            printed[name] = out.getvalue()
            if name in CHECKS:
                assert complaints.getvalue() == "", "nbgrader takes all points from a check that writes to stderr"
    return errors, printed


def errors_of(answers, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    return execute(answers)[0]


def test_the_source_runs_from_top_to_bottom_and_trains_when_nobody_grades(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *objects, **options: shown.extend(objects))
    errors, printed = execute(REFERENCE | {"q7-steps": text(named(SOURCE)["q7-steps"]).replace("2000", "20")})
    assert errors == {}
    results = ast.literal_eval(printed["q7-run"].partition("my_results = ")[2])
    assert results.keys() == {"constant", "two cycles"}  # in the order in which they ended
    assert all(numbers.keys() == {"kl", "neg_elbo", "active_units"} for numbers in results.values())
    assert sum(isinstance(thing, Figure) for thing in shown) == 2  # question 6's curves, and those of this run


@pytest.mark.parametrize("answers", [REFERENCE, LOOPS, DISTRIBUTIONS], ids=["reference", "loops", "distributions"])
def test_every_check_passes_right_answers(answers, monkeypatch):
    assert errors_of(answers, monkeypatch) == {}


def test_every_check_fails_the_empty_release_in_words(monkeypatch):
    errors = errors_of({name: text(named(RELEASE)[name]) for name in REFERENCE}, monkeypatch)
    assert list(errors) == CHECKS  # no other cell
    for kind, message in errors.values():
        assert kind == "AssertionError" and re.search("None|nswered|did not change", message)


def test_there_are_enough_mistakes_and_each_is_in_one_question():
    assert len(WRONG) >= 15
    for _, checks in (WRONG | STUCK).values():
        assert len({check[:2] for check in checks.split()}) == 1
    assert {check[:2] for _, checks in WRONG.values() for check in checks.split()} == {f"q{i}" for i in range(1, 8)}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_costs_its_own_checks_and_says_why(mistake, monkeypatch):
    answers, checks = WRONG[mistake]
    errors = errors_of(answers, monkeypatch)
    assert [name for name in errors if name not in REFERENCE] == checks.split()  # an answer's syntax error is one too
    for name in checks.split():
        kind, message = errors[name]
        right_kind = "NameError" if mistake == "syntax-error" else "AssertionError"
        assert kind == right_kind and len(message.split()) > 4


# ------------------------------------------------------------------------------------------------ a class, graded twice


#: What the limits are, and what they are in these tests: the same limits, reached sooner.
LESS = {"cell_seconds=10": "cell_seconds=5", "again_seconds=3": "again_seconds=1", "gigabytes=4": "gigabytes=1"}


class Course:
    """A copy of the coursework's folder, where a class's submissions are graded as a teacher would."""

    def __init__(self, folder):
        pytest.importorskip("nbgrader", reason='grading needs nbgrader: pip install -e ".[coursework]"')
        self.folder, self.inbox = folder, folder / "inbox"
        ignored = shutil.ignore_patterns(".*", "__pycache__", "gradebook.db", "submitted", "autograded", "feedback")
        shutil.copytree(COURSEWORK, folder, ignore=ignored)
        limits = (folder / "limits.py").read_text(encoding="utf-8")
        for usual, less in LESS.items():
            assert limits.count(usual) == 1
            limits = limits.replace(usual, less)
        (folder / "limits.py").write_text(limits, encoding="utf-8")
        self.inbox.mkdir()

    def receive(self, path, notebook):
        path = self.inbox / path
        path.parent.mkdir(exist_ok=True)
        path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook), encoding="utf-8")

    def gradebook(self):
        from nbgrader.api import Gradebook

        return Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}", "kldanneal")


class Graded:
    """Grades the class; what came out, as it was then."""

    def __init__(self, course):
        command = [sys.executable, str(course.folder / "grade.py"), str(course.inbox)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=3600)
        assert ran.returncode == 0, ran.stderr
        self.printed, self.errors, self.lost = ran.stdout, {}, {}
        with (course.folder / "grades.csv").open(encoding="utf-8", newline="") as file:
            self.rows = {row["student"]: row for row in csv.DictReader(file)}
        self.points = {student: row["points"] for student, row in self.rows.items()}
        self.notes = {student: row["notes"] for student, row in self.rows.items()}
        for path in (course.folder / "autograded").glob(f"*/{NOTEBOOK.as_posix()}"):
            student, graded = path.parts[-3], json.loads(path.read_text(encoding="utf-8"))
            self.errors[student] = {
                cell["metadata"].get("nbgrader", {}).get("grade_id", "own"): (output["ename"], output["evalue"])
                for cell in graded["cells"]
                for output in cell.get("outputs", [])
                if output["output_type"] == "error"
            }
            with course.gradebook() as gradebook:
                grades = gradebook.find_submission_notebook("annealing", "annealing", student).grades
                scores = {grade.name: grade.auto_score for grade in grades}
            self.lost[student] = [name for name in CHECKS if scores[name] != POINTS[name]]
            assert all(scores[name] == 0 for name in self.lost[student])


def colab(notebook):
    """As Colab saves it: no ids, an older minor version, metadata of its own; with cells of their own, one moved."""
    cells = [{key: value for key, value in cell.items() if key != "id"} for cell in notebook["cells"]]
    cells.append(cells.pop(9))
    mine = {"cell_type": "code", "metadata": {"id": "x"}, "source": ["1 / 0"], "outputs": [], "execution_count": 3}
    cells[5:5] = [mine, {"cell_type": "markdown", "metadata": {}, "source": ["my notes"]}]
    return {**notebook, "nbformat_minor": 0, "cells": cells, "metadata": {"colab": {"provenance": []}}}


#: A right notebook, but some of the given cells are gone.
ANNA = ["setup", "pad", "q1-1", "q4-2", "q6-curves"]
#: A mistake in each question: checks that were made to pass, checks that are gone, answers that are gone or not given.
MISTAKES = together("kl-sign", "padding-counted", "cosine-downwards", "syntax-error", "runs-mixed-up", "no-control")
BERT = {name: text(named(RELEASE)[name]) for name in ("q5-training-step", "q7-3")} | MISTAKES[0]
BERT_LOST = sorted([*MISTAKES[1].split(), "q5-1", "q5-2", "q5-3"])
BERT_TAMPERED = {"q1-1": "print('1.1 passed')", "q1-2": "pass"}
BERT_GONE = ["q3-2", "q3-4", "q5-training-step"]
#: Memory, and then time without end.
HANS = together("memory-eater", "endless-loop", among=STUCK)
#: The last cell of the same notebook: it computes for long, but not for too long.
SLOW = "import time\n\nstart = time.process_time()\nwhile time.process_time() < start + 2:\n    pass"


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    course = Course(tmp_path_factory.mktemp("class") / "course")
    course.receive("Anna Müller.ipynb", colab(submission(without=ANNA)))
    course.receive("bert/annealing (1).ipynb", submission(BERT | BERT_TAMPERED, BERT_GONE))
    (course.inbox / "emil").mkdir()
    course.receive("faye.ipynb", "not a notebook")
    course.receive("gina.ipynb", {**RELEASE, "cells": []})
    hans = submission(HANS[0])
    slow = {"id": "slow", "cell_type": "code", "metadata": {}, "source": SLOW, "outputs": [], "execution_count": None}
    course.receive("hans.ipynb", {**hans, "cells": [*hans["cells"], slow]})
    course.receive("ines.ipynb", submission(UNSTOPPABLE))
    course.receive("list.txt", "no submission")
    return course


@pytest.fixture(scope="session")
def first(course):
    before = children_seconds()
    graded = Graded(course)
    graded.seconds = children_seconds() - before
    graded.feedback = {path.parts[-3]: path.read_text(encoding="utf-8")
                       for path in (course.folder / "feedback").glob("*/*/*.html")}  # fmt: skip
    return graded


@pytest.fixture(scope="session")
def second(course, first):
    """Some marks by hand, as formgrader gives them, and two second attempts."""
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("q7-3", "annealing", "annealing", "Anna_Müller")
        grade.manual_score, grade.needs_manual_grade = 5, False
        gradebook.db.commit()
    course.receive("bert/annealing (1).ipynb", submission(DISTRIBUTIONS))
    course.receive("ines.ipynb", submission(LOOPS))
    return Graded(course)


def children_seconds():
    """Seconds of computing of all programs that this session has waited for."""
    resource = pytest.importorskip("resource")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_copies_that_jupyter_keeps_are_no_submissions(tmp_path):
    kept = {"anna": tmp_path / "anna" / "mine.ipynb", "bert": tmp_path / "bert.ipynb"}
    for path in kept.values():
        copy = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint.ipynb"
        copy.parent.mkdir(parents=True)
        for file in (path, copy):
            file.write_text("{}")
    submissions = runpy.run_path(str(COURSEWORK / "grade.py"))["submissions"]
    assert submissions(tmp_path) == (kept, {"anna": [], "bert": []})


def test_the_release_is_what_the_source_generates(course, first):
    generated = (course.folder / "release" / NOTEBOOK).read_bytes()
    assert generated == (COURSEWORK / "release" / NOTEBOOK).read_bytes(), "run: make assignment"


def test_a_right_submission_from_colab_gets_full_marks(first):
    assert (first.points["Anna_Müller"], first.rows["Anna_Müller"]["written"]) == ("54.0", "to be marked")
    assert first.errors["Anna_Müller"] == {"own": ("ZeroDivisionError", "division by zero")}
    assert set(first.notes["Anna_Müller"].split("; ")) == {f"{name} was missing and was put back" for name in ANNA}


def test_mistakes_cost_what_the_checks_say_and_nothing_else(first, monkeypatch):
    assert first.lost["bert"] == BERT_LOST
    expected = errors_of(BERT, monkeypatch)
    assert [name for name in expected if name in CHECKS] == BERT_LOST
    assert {name: first.errors["bert"][name] for name in BERT_LOST} == {name: expected[name] for name in BERT_LOST}
    by_question = {f"q{i}": sum(POINTS[name] for name in CHECKS if name[1] == str(i)) for i in range(1, 8)}
    for name in BERT_LOST:
        by_question[name[:2]] -= POINTS[name]
    assert {question: float(first.rows["bert"][question]) for question in by_question} == by_question
    assert float(first.points["bert"]) == sum(by_question.values())
    assert first.rows["bert"]["written"] == ""  # nothing was written, so nobody needs to read it


def test_cells_that_were_changed_or_lost_are_put_back_and_named(first):
    changed = {f"{name} was changed and was put back" for name in BERT_TAMPERED}
    missing = {f"{name} was missing and was put back" for name in BERT_GONE}
    assert set(first.notes["bert"].split("; ")) == changed | missing


def test_a_submission_that_hangs_or_eats_memory_loses_that_question_only_and_is_told_why(first):
    assert first.lost["hans"] == HANS[1].split()
    hungry, endless = (STUCK[name][1].replace(" ", ", ") for name in ("memory-eater", "endless-loop"))
    notes = f"{hungry} needed too much memory; {endless} ran too long"
    assert first.notes["hans"] == notes and notes in first.printed
    assert list(first.errors["hans"]) == HANS[1].split()  # and the slow cell ended in peace
    for name, (_, message) in first.errors["hans"].items():
        assert ("GB of memory" if name.startswith("q3") else "a loop that never ends") in message


def test_a_submission_that_cannot_be_stopped_gets_no_grade_and_takes_nobody_elses(first):
    assert first.points["ines"] == "" and "could not be stopped" in first.notes["ines"]
    assert [student for student, points in first.points.items() if not points] == ["emil", "faye", "gina", "ines"]


def test_what_is_no_submission_is_named(first):
    assert list(first.rows) == ["Anna_Müller", "bert", "emil", "faye", "gina", "hans", "ines"]
    assert "expected one notebook, but found 0" in first.notes["emil"]
    assert "cannot be read" in first.notes["faye"] and "none of the assignment's cells" in first.notes["gina"]


def test_feedback_names_every_check_and_shows_every_message(first):
    html = first.feedback["bert"]
    assert "A KL is never negative" in html and "Which sign?" in html
    scores = {name: "0.0" if name in first.lost["bert"] else f"{POINTS[name]:.1f}" for name in CHECKS}
    named_checks = re.findall(r'<a href="#(q\d-\d)">Check (\d\.\d)</a> \(Score: (\S+) /', html)
    assert named_checks == [(name, name[1:].replace("-", "."), scores[name]) for name in CHECKS]


def test_grading_takes_less_than_a_minute_of_computing_each(first):
    assert first.seconds < 60 * len(first.rows)


def test_second_attempts_are_graded_and_marks_by_hand_stay(first, second):
    for student in ("bert", "ines"):  # one with a grade for the first attempt, and one without
        assert (second.points[student], second.notes[student], second.errors[student]) == ("54.0", "", {})
        assert second.rows[student]["written"] == "to be marked"
    assert (second.points["Anna_Müller"], second.rows["Anna_Müller"]["written"]) == ("59.0", "")
    others = ["emil", "faye", "gina", "hans"]
    assert [second.rows[student] for student in others] == [first.rows[student] for student in others]
