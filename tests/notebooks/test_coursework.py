"""The coursework: what is handed out, and how right, wrong, hanging and damaged submissions are graded.

Every mistake runs in this process, against the checks that give the points. One small class is graded with nbgrader as
a teacher would, twice; the tests of grading read the results.
"""

import ast
import contextlib
import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from classroom import BERT, BERT_GONE, BERT_LOST, BERT_TAMPERED, HANS, PICTURE, find, hand_in, pupils
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.figure import Figure
from submissions import (
    CHECKS,
    COURSEWORK,
    DISTRIBUTIONS,
    DOUBLE,
    IN_PLACE,
    LOOPS,
    NOISY,
    NOTEBOOK,
    POINTS,
    REFERENCE,
    RELEASE,
    SCIPY,
    SHADOWS,
    SOURCE,
    STUCK,
    WRONG,
    named,
    submission,
    text,
)

# ------------------------------------------------------------------------------------------------------ what is given


def test_points():
    assert sum(POINTS.values()) == 76 and POINTS["q7-3"] == 6
    stated = dict(re.findall(r"^\| (\d)\. .*? \| (\d+)", text(named(SOURCE)["opening"]), re.MULTILINE))
    for question, points in stated.items():
        of_question = [POINTS[name] for name in POINTS if name.startswith(f"q{question}")]
        assert sum(of_question) == int(points) and len(of_question) >= 3, f"question {question}: partial credit"
    assert len(stated) == 9
    for name in CHECKS:  # each is announced, with its points
        number, announced = name[1:].replace("-", "."), " ".join(text(cell) for cell in SOURCE["cells"])
        one = f"**Check {number} ({POINTS[name]} point" in announced
        assert one or re.search(rf"\*\*Checks {number[0]}\.1 to {number[0]}\.\d \(2 points each\)\*\*", announced)


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
                assert len(visible.splitlines()) <= (35 if cell["id"] in CHECKS else 25), cell["id"]
                assert cell["outputs"] == [] and cell["execution_count"] is None


# ------------------------------------------------------------------------------------- the checks, against each mistake


class Shell:
    """As much of IPython as the notebook uses outside of a kernel."""

    def run_line_magic(self, name, line):
        assert (name, line) == ("matplotlib", "inline")


def execute(answers, own=()):
    """Runs the source with other answers, and with code after some cells.

    Returns each cell's error, as (kind, message), and what each cell printed.
    """
    namespace, errors, printed = {"__name__": "__main__", "get_ipython": Shell}, {}, {}
    for name, cell in named(SOURCE).items():
        skipped = "skip-execution" in cell["metadata"].get("tags", []) and "NBGRADER_EXECUTION" in os.environ
        if cell["cell_type"] == "code" and not skipped:
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                try:
                    code = TransformerManager().transform_cell(answers.get(name, text(cell)))
                    exec(compile(code, name, "exec"), namespace)
                except Exception as error:
                    errors[name] = type(error).__name__, str(error)
            printed[name] = out.getvalue()
            exec(dict(own).get(name, ""), namespace)
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
    results, _, seal_line = printed["q7-run"].partition("my_results = ")[2].partition("my_seal = ")
    results = ast.literal_eval(results)
    assert re.fullmatch(r'"[0-9a-f]{10}"\n', seal_line)
    assert results.keys() == {"constant", "two cycles"}  # in the order in which they ended
    assert all(numbers.keys() == {"kl", "neg_elbo", "active_units"} for numbers in results.values())
    assert sum(isinstance(thing, Figure) for thing in shown) == 2  # question 6's curves, and those of this run


STYLES = {"reference": REFERENCE, "loops": LOOPS, "distributions": DISTRIBUTIONS, "noisy": NOISY, "in place": IN_PLACE,
          "float64": DOUBLE, "scipy": SCIPY}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_every_check_passes_right_answers(style, monkeypatch):
    dtype = torch.get_default_dtype()
    try:
        assert errors_of(STYLES[style], monkeypatch) == {}
    finally:
        torch.set_default_dtype(dtype)


def test_a_check_is_not_disturbed_by_the_notebooks_names_and_leaves_none(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert execute(REFERENCE, own=[("q2-why", SHADOWS)])[0] == {}
    spy = REFERENCE["q3-ramps"] + "\nbefore = set(globals())"
    later = "left = set(globals()) - before - {'before'}\nassert left <= {'check', 'check_3_1'}, left"
    assert execute({"q3-ramps": spy}, own=[("q3-1", later)])[0] == {}


def test_every_check_fails_the_empty_release_in_words(monkeypatch):
    errors = errors_of({name: text(named(RELEASE)[name]) for name in REFERENCE}, monkeypatch)
    assert list(errors) == CHECKS  # no other cell
    for kind, message in errors.values():
        assert kind == "AssertionError" and re.search("None|nswered|Nothing changed", message)


def test_there_are_enough_mistakes_and_each_is_in_one_question():
    assert len(WRONG) >= 15
    for _, checks in (WRONG | STUCK).values():
        assert len({check[:2] for check in checks.split()}) == 1
    questions = {check[:2] for _, checks in WRONG.values() for check in checks.split()}
    assert questions == {f"q{i}" for i in range(1, 10)}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_costs_its_own_checks_and_says_why(mistake, monkeypatch):
    answers, checks = WRONG[mistake]
    errors = errors_of(answers, monkeypatch)
    assert [name for name in errors if name not in REFERENCE] == checks.split()  # an answer's syntax error is one too
    for name in checks.split():
        kind, message = errors[name]
        assert kind == "AssertionError" and len(message.split()) > 4


# ------------------------------------------------------------------------------ twelve of a class, graded three times


#: What the limits are, and what they are in these tests: the same limits, reached sooner.
LESS = {"cell_seconds=10": "cell_seconds=4", "again_seconds=3": "again_seconds=1", "gigabytes=2": "gigabytes=1"}


class Course:
    """A copy of the coursework's folder, where a class's submissions are graded as a teacher would."""

    def __init__(self, folder, less=LESS):
        pytest.importorskip("nbgrader", reason='grading needs nbgrader: pip install -e ".[coursework]"')
        self.folder, self.inbox = folder, folder.parent / "inbox"
        made = (".*", "__pycache__", "gradebook.db", "submitted", "autograded", "feedback", "variants", "graded.json")
        shutil.copytree(COURSEWORK, folder, ignore=shutil.ignore_patterns(*made))
        limits = (folder / "grading" / "limits.py").read_text(encoding="utf-8")
        for usual, sooner in less.items():
            assert limits.count(usual) == 1
            limits = limits.replace(usual, sooner)
        (folder / "grading" / "limits.py").write_text(limits, encoding="utf-8")
        self.inbox.mkdir()

    def receive(self, path, notebook):
        (self.inbox / path).write_text(
            notebook if isinstance(notebook, str) else json.dumps(notebook), encoding="utf-8"
        )

    def gradebook(self):
        from nbgrader.api import Gradebook

        return Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}", "kldanneal")


class Graded:
    """Grades the class; what came out, as it was then."""

    def __init__(self, course, inbox=None):
        command = [sys.executable, str(course.folder / "grade.py"), str(inbox or course.inbox)]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        self.printed, self.errors, self.lost, self.notebooks = ran.stdout, {}, {}, {}
        with (course.folder / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
            self.rows = {row["student"]: {name.split(" (of")[0]: cell for name, cell in row.items()}
                         for row in csv.DictReader(file)}  # fmt: skip
        self.points = {student: row["points"] for student, row in self.rows.items()}
        self.notes = {student: row["notes"] for student, row in self.rows.items()}
        pages = (course.folder / "feedback").glob("*/*/*.html")
        self.feedback = {path.parts[-3]: path.read_text(encoding="utf-8") for path in pages}
        self.written_at = {
            path.parts[-3]: path.stat().st_mtime_ns for path in (course.folder / "feedback").glob("*/*/*")
        }
        for path in (course.folder / "autograded").glob(f"*/{NOTEBOOK.as_posix()}"):
            student, graded = path.parts[-3], json.loads(path.read_text(encoding="utf-8"))
            self.notebooks[student] = {cell["metadata"].get("nbgrader", {}).get("grade_id", cell["id"]): cell
                                       for cell in graded["cells"]}  # fmt: skip
            self.errors[student] = {
                name: (output["ename"], output["evalue"])
                for name, cell in self.notebooks[student].items()
                for output in cell.get("outputs", [])
                if output["output_type"] == "error"
            }
            with course.gradebook() as gradebook:
                grades = gradebook.find_submission_notebook("annealing", "annealing", student).grades
                scores = {grade.name: grade.auto_score for grade in grades}
            self.lost[student] = [name for name in CHECKS if scores[name] != POINTS[name]]
            assert all(scores[name] == 0 for name in self.lost[student])


def environment(course):
    """What grading must leave as it was: installed packages, what was handed in, the course's own files.

    And what submissions try to leave behind, by a name that nothing else has: other programs write to these places too.
    """
    packages = Path(torch.__file__).parents[1]
    kept = [
        path for path in sorted(course.folder.rglob("*")) if path.suffix in (".py", ".j2") or "source" in path.parts
    ]
    kept += sorted(course.inbox.rglob("*"))
    places = (Path(sys.prefix), Path.home(), Path(tempfile.gettempdir()), course.folder)
    return {
        "packages": sorted(
            (path.name, path.stat().st_mtime_ns) for path in packages.iterdir() if path.name != "__pycache__"
        ),
        "left behind": [str(place) for place in places if (place / "left-behind").exists()],
        "files": {str(path): path.read_bytes() for path in kept if path.is_file()},
    }


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    course = Course(tmp_path_factory.mktemp("class") / "course")
    hand_in([pupil for pupil in pupils(course.folder, course.inbox) if pupil.often], course.inbox)
    return course


@pytest.fixture(scope="session")
def first(course):
    before = environment(course)
    graded = Graded(course)
    graded.changed = {name for name, was in environment(course).items() if was != before[name]}
    return graded


@pytest.fixture(scope="session")
def second(course, first):
    """Some marks by hand, as formgrader gives them, and two second attempts, one of which cannot be read."""
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("q7-3", "annealing", "annealing", "Anna_Müller")
        grade.manual_score, grade.needs_manual_grade = 5, False
        gradebook.db.commit()
    course.receive("bert/annealing (1).ipynb", submission(DISTRIBUTIONS))
    course.receive("cleo.IPYNB", "not a notebook any more")
    return Graded(course)


OFTEN = [pupil for pupil in pupils(Path("course"), Path("inbox")) if pupil.often]


@pytest.mark.parametrize("pupil", OFTEN, ids=lambda pupil: pupil.name)
def test_each_pupil_gets_the_marks_that_are_due(pupil, first):
    row = find(first.rows, pupil.name)
    given = float(row["points"]) if row["points"] else None
    assert (given, [note for note in pupil.notes if note not in row["notes"]]) == (pupil.points, []), row
    if pupil.lost is not None:
        assert first.lost[row["student"]] == sorted(pupil.lost.split())


def test_the_release_is_what_the_source_generates(course, first):
    generated = (course.folder / "release" / NOTEBOOK).read_bytes()
    assert generated == (COURSEWORK / "release" / NOTEBOOK).read_bytes(), "run: make assignment"


def test_mistakes_cost_what_the_checks_say_and_nothing_else(first, monkeypatch):
    expected = errors_of(BERT, monkeypatch)
    assert [name for name in expected if name in CHECKS] == BERT_LOST.split()
    assert {name: first.errors["bert"][name] for name in BERT_LOST.split()} == {
        name: expected[name] for name in BERT_LOST.split()
    }
    assert first.rows["bert"]["to mark"] == ""  # nothing was written, so nobody needs to read it


def test_cells_that_were_changed_or_lost_are_put_back_and_named(first):
    changed = {f"{name} was changed and was put back" for name in BERT_TAMPERED}
    missing = {f"{name} was missing and put back" for name in BERT_GONE}
    assert set(first.notes["bert"].split("; ")) == changed | missing


def test_a_submission_that_hangs_or_eats_memory_is_told_why(first):
    assert set(first.errors["hans"]) == set(HANS[1].split())  # and the slow cell ended in peace
    for name, (_, message) in first.errors["hans"].items():
        assert ("GB of memory" if name.startswith("q3") else "a loop that never ends") in message


def test_the_markers_machine_stays_as_it_was(first):
    assert first.changed == set()


def test_a_submission_sees_nothing_of_the_course_or_the_teacher_is_warned(first):
    said = "".join(
        "".join(output.get("text", "")) for cell in first.notebooks["jo"].values() for output in cell.get("outputs", [])
    )
    apart = "WARNING: this system does not let a program run apart" not in first.printed
    assert (("SPIED 0\n" in said), ("NETWORK 101" in said)) == (apart, apart), said[:2000]
    assert "pip does nothing while a submission is marked" in said


def test_what_a_student_shows_is_short_and_never_runs(course, first):
    notebook = (course.folder / "autograded" / "jo" / NOTEBOOK).read_text(encoding="utf-8")
    assert len(notebook) < 300_000 and len(first.feedback["jo"]) < 300_000
    kinds = {
        kind
        for cell in first.notebooks["jo"].values()
        for out in cell.get("outputs", [])
        for kind in out.get("data", {})
    }
    assert kinds <= {"text/plain", "image/png", "image/jpeg"}
    for student, page in first.feedback.items():
        assert "<script" not in page and "default-src 'none'" in page, student
    for cell in first.notebooks["dora"].values():
        assert cell["cell_type"] == "code" or "<script" not in "".join(cell["source"])


def test_written_answers_arrive_whole(first):
    answer = first.notebooks["dora"]["q7-3"]
    for part in ("My curve", "The second half of my answer", "And this is the end of it"):
        assert part in "".join(answer["source"]) and part in first.feedback["dora"]
    assert answer["attachments"]["image.png"]["image/png"] == PICTURE
    assert f"data:image/png;base64,{PICTURE}" in first.feedback["dora"]
    assert first.rows["dora"]["to mark"] == "q7-3"


def test_the_table_opens_everywhere(course, first):
    data = (course.folder / "grades.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and "\ufffd" not in data.decode("utf-8")
    head = data.decode("utf-8-sig").splitlines()[0]
    assert "points (of 76)" in head and "q1 (of 8)" in head and "written (of 6)" in head
    assert len(first.rows) == len(OFTEN)


def test_feedback_says_first_what_failed_and_why(first):
    page = first.feedback["bert"]
    top, _, rest = page.partition("<h2")
    for name in CHECKS:
        sign = "✗" if name in first.lost["bert"] else "✓"
        assert f"{sign} {name[1:].replace('-', '.')}</b>" in top
    for name in first.lost["bert"]:
        block = re.search(rf'<div class="check failed" id="{name}">.*?</div>', rest, re.DOTALL)[0]
        kind, said = first.errors["bert"][name]
        assert (
            html.escape(said, quote=False)[:60] in html.unescape(block).replace("&", "&amp;")
            or kind != "AssertionError"
        )
        assert block.index('class="sentence"') < block.index("<details>")


def test_those_without_a_grade_get_a_page_that_says_what_to_do(first):
    for student in ("emil", "faye", "gina"):
        assert "Not graded" in first.feedback[student] and "Please hand in the file" in first.feedback[student]


def test_second_attempts_are_graded_and_marks_by_hand_stay(first, second):
    assert "12 students; 1 submissions are new or changed" in second.printed
    assert (second.points["bert"], second.notes["bert"], second.errors["bert"]) == ("70.0", "", {})
    assert (second.rows["bert"]["attempt"], second.rows["bert"]["to mark"]) == ("2", "q7-3")
    assert (second.points["Anna_Müller"], second.rows["Anna_Müller"]["written"]) == ("75.0", "5.0")
    assert second.rows["Anna_Müller"]["to mark"] == "" and "5 of 6 points" in second.feedback["Anna_Müller"]


def test_a_second_attempt_that_cannot_be_read_does_not_show_the_points_of_the_first(second):
    assert second.points["cleo"] == "" and "an earlier attempt had 70 points" in second.notes["cleo"]
    assert "Not graded" in second.feedback["cleo"]


def test_what_did_not_change_is_left_alone(first, second):
    same = set(first.rows) - {"bert", "cleo", "Anna_Müller"}
    assert {student: second.rows[student] for student in same} == {student: first.rows[student] for student in same}
    assert all(first.written_at[student] == second.written_at[student] for student in same)


def test_a_corrected_test_is_applied_to_what_was_graded_before(course, second):
    inbox = course.inbox.with_name("again")
    inbox.mkdir()
    shutil.copy(course.inbox / "Anna Müller.zip", inbox)
    assert (second.points["Anna_Müller"], second.rows["Anna_Müller"]["written"]) == ("75.0", "5.0")
    source = course.folder / "source" / NOTEBOOK
    text = source.read_text(encoding="utf-8")
    assert text.count('why == \\"c\\"') == 1
    source.write_text(text.replace('why == \\"c\\"', 'why == \\"b\\"'), encoding="utf-8")
    again = Graded(course, inbox)
    assert again.points == {"Anna_Müller": "73.0"}  # 2 less, and the mark by hand
    row = again.rows["Anna_Müller"]
    assert (row["written"], row["to mark"], row["attempt"]) == ("5.0", "", "1")


@pytest.mark.skipif("KLDANNEAL_PUPILS" not in os.environ, reason="takes minutes: make soak")
def test_a_class_of_60(tmp_path, record_property):
    course = Course(tmp_path / "course", {})
    class_ = pupils(course.folder, course.inbox)[: int(os.environ["KLDANNEAL_PUPILS"])]
    hand_in(class_, course.inbox)
    freeze = [sys.executable, "-m", "pip", "freeze"]
    before = environment(course), subprocess.run(freeze, capture_output=True).stdout
    started = time.monotonic()
    graded = Graded(course)
    record_property(f"a class of {len(class_)}, minutes", round((time.monotonic() - started) / 60, 1))
    table = []
    for pupil in class_:
        row = find(graded.rows, pupil.name)
        given = float(row["points"]) if row["points"] else None
        table.append((pupil.name, pupil.kind, pupil.points, given, all(note in row["notes"] for note in pupil.notes)))
    lines = [f"{name:32} {kind:8} {due!s:>6} {given!s:>6}" for name, kind, due, given, _ in table]
    record_property("marks expected and given", "\n" + "\n".join(lines))
    wrong = [each for each in table if each[2] != each[3] or not each[4]]
    assert wrong == []
    after = environment(course), subprocess.run(freeze, capture_output=True).stdout
    assert [name for name in after[0] if after[0][name] != before[0][name]] == [] and after[1] == before[1]
