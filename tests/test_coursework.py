"""The coursework: what is handed out, and how right, wrong, hanging and damaged submissions are graded."""

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader", reason='the coursework needs nbgrader: pip install -e ".[coursework]"')
import nbclient
from nbgrader.api import Gradebook

ROOT = Path(__file__).resolve().parents[1]
COURSEWORK = ROOT / "notebooks" / "coursework"
NOTEBOOK = Path("annealing", "annealing.ipynb")
SOURCE, RELEASE = (
    json.loads((COURSEWORK / step / NOTEBOOK).read_text(encoding="utf-8")) for step in ("source", "release")
)


def named(notebook):
    """The cells of a notebook by nbgrader's name for them."""
    return {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in notebook["cells"]}


def text(cell):
    return "".join(cell["source"])


def of_kind(kind, notebook=SOURCE):
    """The names of the cells that are answers ('solution'), or that give points ('grade')."""
    return [name for name, cell in named(notebook).items() if cell["metadata"]["nbgrader"][kind]]


CHECKS = [name for name in of_kind("grade") if name not in of_kind("solution")]
POINTS = {name: named(SOURCE)[name]["metadata"]["nbgrader"]["points"] for name in of_kind("grade")}
REFERENCE = {name: text(named(SOURCE)[name]) for name in of_kind("solution")}


def submission(replaced=None, without=()):
    """The notebook of a student with the reference solution, except for some replaced cells and some that are gone."""
    sources = {name: text(cell) for name, cell in named(RELEASE).items()} | REFERENCE | (replaced or {})
    cells = [{**cell, "source": sources[name]} for name, cell in named(RELEASE).items() if name not in without]
    return {**RELEASE, "cells": cells}


def edited(name, *edits):
    """The reference solution of a cell with some edits, pairs of old and new text."""
    source = REFERENCE[name]
    for old, new in edits:
        assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in {name}"
        source = source.replace(old, new)
    return {name: source}


# ------------------------------------------------------------------------------------------------- wrong submissions

KL = "0.5 * (mu**2 + logvar.exp() - 1 - logvar)"
LOGISTIC = "(sigmoid(12 * (min(1.0, step / total_steps) - 0.5)) - low) / (high - low)"
COUNT = """self.current_step = min(self.total_steps, self.current_step + 1)
        if self.cyclical and self.current_step == self.total_steps:
            self.current_step = 0
"""
COUNT_OFF_BY_ONE = """self.current_step += 1
        if self.current_step > self.total_steps:
            self.current_step = 0 if self.cyclical else self.total_steps
"""
SWITCH = "self.cyclical = cyclical\n        ### END"
LINEAR = "def linear(step, total_steps):\n    ### BEGIN SOLUTION\n    return min(1.0, step / total_steps)"
ENDLESS = "while self.current_step >= 0:\n            self.current_step += 1\n"
GREEDY = "def linear(step, total_steps):\n    memory = []\n    while True:\n        memory.append(bytearray(10**7))"

#: Mistakes that students really make: the cells that have them, and the checks that they cost, in one question each.
WRONG = {
    "kl-sign": (edited("q1-gaussian-kl", (KL, f"-{KL}")), "q1-1 q1-2"),
    "kl-summed-over-the-batch": (edited("q1-gaussian-kl", (KL, f"({KL}).sum()")), "q1-1 q1-2"),
    "logvar-taken-for-variance": (edited("q1-gaussian-kl", ("logvar.exp() - 1 - logvar", "logvar - 1 - logvar.log()")),
                                  "q1-1 q1-2"),
    "logvar-taken-for-log-sigma": (edited("q1-gaussian-kl", ("exp() - 1 - logvar", "exp() ** 2 - 1 - 2 * logvar")),
                                   "q1-2"),
    "kl-without-gradient": (edited("q1-gaussian-kl", (KL, f"({KL}).detach()")), "q1-2"),
    "print-instead-of-return": (edited("q1-gaussian-kl", (f"return {KL}", f"print({KL})")), "q1-1 q1-2"),
    "kl-summed-over-sentences": (edited("q1-kl-per-sentence", ("dim=1", "dim=0")), "q1-3"),
    "mean-over-words": (edited("q2-elbo-terms", (', reduction="sum"', ""), ("summed / len(targets)", "summed")),
                        "q2-1"),
    "padding-counted": (edited("q2-elbo-terms", ("ignore_index=PAD, ", "")), "q2-1"),
    "kl-not-averaged": (edited("q2-elbo-terms", ("kl.sum() / len(kl)", "kl.sum()")), "q2-2"),
    "kl-averaged-over-dimensions": (edited("q2-elbo-terms", ("kl.sum() / len(kl)", "kl.mean()")), "q2-2"),
    "hidden-weight-counts-padding": (edited("q2-hidden-weight", ("(targets != PAD).sum().item()", "targets.numel()")),
                                     "q2-3"),
    "wrong-reason": (edited("q2-why", ('"c"', '"b"')), "q2-4"),
    "ramp-not-capped": (edited("q3-ramps", (LINEAR, LINEAR.replace("min(1.0, step / total_steps)",
                                                                   "step / total_steps"))), "q3-1"),
    "cosine-downwards": (edited("q3-ramps", ("(1 - math.cos", "(1 + math.cos")), "q3-2 q3-4"),
    "logistic-never-reaches-1": (edited("q3-ramps", (LOGISTIC, "sigmoid(12 * (step / total_steps - 0.5))")),
                                 "q3-3 q3-4"),
    "logistic-overflows": (edited("q3-ramps", (LOGISTIC, "sigmoid(step - total_steps / 2)")), "q3-3 q3-4"),
    "reset-off-by-one": (edited("q4-counter", (COUNT, COUNT_OFF_BY_ONE)), "q4-1 q4-4"),
    "switch-restarts-at-once": (edited("q4-counter", (SWITCH, f"self.current_step = 0\n        {SWITCH}")),
                                "q4-2 q4-3 q4-4"),
    "switch-forgotten": (edited("q4-counter", (SWITCH, "pass\n        ### END")), "q4-2 q4-3 q4-4"),
    "step-before-call": (edited("q5-training-step", ("    annealer.step()\n", ""),
                                ("    loss = ", "    annealer.step()\n    loss = ")), "q5-1 q5-2 q5-3"),
    "missing-zero-grad": (edited("q5-training-step", ("    optimizer.zero_grad()\n", "")), "q5-2 q5-3"),
    "backward-not-called": (edited("q5-training-step", ("loss.backward()", "loss.backward")), "q5-2 q5-3"),
    "annealer-forgotten": (edited("q5-training-step", ("    annealer.step()\n", "")), "q5-3"),
    "runs-mixed-up": (edited("q6-reading", ('"C": "cyclical", "D": "monotonic"', '"C": "monotonic", "D": "cyclical"')),
                      "q6-2"),
    "collapse-mixed-up": (edited("q6-reading", ('"A": False, "B": True', '"A": True, "B": False')), "q6-3"),
    "no-control": (edited("q7-schedules", ("Annealer(1, disable=True)", "Annealer(9)")), "q7-1"),
    "syntax-error": (edited("q4-counter", ("def step(self):", "def step(self)")), "q4-1 q4-2 q4-3 q4-4"),
    "check-tampered-with": (edited("q1-gaussian-kl", (KL, f"-{KL}")) | {"q1-1": "print('1.1 passed')", "q1-2": "pass"},
                            "q1-1 q1-2"),
}  # fmt: skip
#: And those that would stop the grading of everybody else.
STUCK = {
    "endless-loop": (edited("q4-counter", (COUNT, ENDLESS)), "q4-1 q4-2 q4-3 q4-4"),
    "memory-eater": (edited("q3-ramps", (LINEAR, GREEDY)), "q3-1 q3-4"),
}

# -------------------------------------------------------------------------------------------- other right submissions

LOOPS = {
    "q1-gaussian-kl": """
def gaussian_kl(mu, logvar):
    kl = torch.zeros_like(mu)
    for i in range(mu.numel()):
        m, v = mu.flatten()[i], logvar.flatten()[i].exp()
        kl.view(-1)[i] = (m * m + v - torch.log(v) - 1) / 2
    return kl
""",
    "q1-kl-per-sentence": "def kl_per_sentence(kl):\n    return torch.stack([sum(sentence) for sentence in kl])",
    "q2-elbo-terms": """
def elbo_terms(logits, targets, kl):
    total = 0
    for sentence, words in zip(logits, targets):
        for scores, word in zip(sentence, words):
            if word != PAD:
                total = total - torch.log_softmax(scores, dim=0)[word]
    return [total / len(logits), sum(sum(sentence) for sentence in kl) / len(kl)]
""",
    "q2-hidden-weight": "def hidden_weight(targets):\n    return (targets != 0).float().sum(1).mean()",
    "q3-ramps": """
def ramp(shape):
    def weight(step, total_steps):
        if step >= total_steps:
            return 1
        return 0 if step == 0 else shape(step / total_steps)
    return weight

linear = ramp(lambda p: p)
cosine = ramp(lambda p: 0.5 - 0.5 * torch.cos(torch.tensor(math.pi * p, dtype=torch.float64)))
logistic = ramp(lambda p: 0.5 + 0.5 * math.tanh(6 * (p - 0.5)) / math.tanh(3))
""",
    "q4-counter": """
class CyclicalCounter:
    def __init__(self, total_steps, cyclical=True):
        self.total_steps, self.cyclical, self.current_step = total_steps, cyclical, 0

    def step(self):
        if self.cyclical:
            self.current_step = (min(self.current_step, self.total_steps - 1) + 1) % self.total_steps
        elif self.current_step != self.total_steps:
            self.current_step += 1

    def cyclical_setter(self, cyclical):
        self.cyclical = cyclical
""",
    "q5-training-step": """
def training_step(model, optimizer, criterion, annealer, batch):
    x, mu, logvar = model(batch)
    reconstruction, kl = criterion(x, batch, mu, logvar)
    loss = reconstruction + annealer.weight * kl
    annealer.step()
    for parameter in model.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return float(loss)
""",
}
DISTRIBUTIONS = {
    "q1-gaussian-kl": """
from torch.distributions import Categorical, Normal, kl_divergence

def gaussian_kl(mu, logvar):
    mu, logvar = mu.double(), logvar.double()
    return kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
""",
    "q1-kl-per-sentence": "def kl_per_sentence(kl):\n    return torch.einsum('bj->b', torch.tensor(kl).double())",
    "q2-elbo-terms": """
def elbo_terms(logits, targets, kl):
    log_p = Categorical(logits=logits.double()).log_prob(targets)
    return -torch.where(targets == PAD, 0, log_p).sum(-1).mean(), kl.double().sum(-1).mean()
""",
    "q2-hidden-weight": "def hidden_weight(targets):\n    return torch.count_nonzero(targets) / targets.shape[0]",
    "q3-ramps": """
import numpy as np

def progress(step, total_steps):
    return np.clip(np.float64(step) / total_steps, 0, 1)

def linear(step, total_steps):
    return progress(step, total_steps)

def cosine(step, total_steps):
    return np.sin(np.pi / 2 * progress(step, total_steps)) ** 2

def logistic(step, total_steps):
    low, weight, high = torch.sigmoid(torch.tensor([-6, 12 * progress(step, total_steps) - 6, 6]).double())
    return ((weight - low) / (high - low)).item()
""",
    "q5-training-step": """
def training_step(model, optimizer, criterion, annealer, batch):
    terms = criterion(*model(batch)[:1], batch, *model(batch)[1:])
    loss = terms[0] + annealer(terms[1])
    model.zero_grad()
    loss.backward()
    optimizer.step()
    annealer.step()
    return loss.detach().numpy()
""",
}

#: Submissions with cells that are gone: the wrong answers, the cells, and the checks that it costs.
DAMAGED = {
    "check-missing": (edited("q3-ramps", ("(1 - math.cos", "(1 + math.cos")), ["q3-4", "q3-2"], "q3-2 q3-4"),
    "answer-missing": ({}, ["q5-training-step"], "q5-1 q5-2 q5-3"),
    "given-cells-missing": ({}, ["setup", "pad", "q1-1", "q4-2", "q6-curves"], ""),
}

# ---------------------------------------------------------------------------------------------------------- a class


class Course:
    """A copy of the coursework's folder, where a class's submissions are graded as a teacher would."""

    def __init__(self, folder, students):
        self.folder, self.inbox = folder, folder / "inbox"
        ignored = shutil.ignore_patterns(".*", "__pycache__", "gradebook.db", "submitted", "autograded", "feedback")
        shutil.copytree(COURSEWORK, folder, ignore=ignored)
        self.inbox.mkdir()
        for student, notebook in students.items():
            (self.inbox / f"{student}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")

    def grade(self):
        command = [sys.executable, str(self.folder / "grade.py"), str(self.inbox)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=1500)
        assert ran.returncode == 0, ran.stderr
        self.printed = ran.stdout
        with (self.folder / "grades.csv").open(encoding="utf-8", newline="") as file:
            self.rows = {row["student"]: row for row in csv.DictReader(file)}
        return self

    def gradebook(self):
        return Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}", "kldanneal")

    def scores(self, student):
        """The points of each check."""
        with self.gradebook() as gradebook:
            grades = gradebook.find_submission_notebook("annealing", "annealing", student).grades
            return {grade.name: grade.auto_score for grade in grades if grade.name in CHECKS}

    def errors(self, student):
        """The error that each cell ended with, as (kind, message), by the cell's name."""
        graded = json.loads((self.folder / "autograded" / student / NOTEBOOK).read_text(encoding="utf-8"))
        found = {}
        for cell in graded["cells"]:
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    name = cell["metadata"].get("nbgrader", {}).get("grade_id", "own")
                    found[name] = output["ename"], output["evalue"]
        return found


SWALLOWED = """while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
"""


@pytest.fixture(scope="session")
def graded(tmp_path_factory):
    """Everybody's grades. Two halves of the class at a time, a core each."""
    students = {
        "reference": submission(),
        "loops": submission(LOOPS),
        "distributions": submission(DISTRIBUTIONS),
        "empty": RELEASE,
        "unstoppable": submission(edited("q4-counter", (COUNT, SWALLOWED))),
        **{name: submission(cells) for name, (cells, _) in (WRONG | STUCK).items()},
        **{name: submission(cells, without) for name, (cells, without, _) in DAMAGED.items()},
    }
    halves = [dict(list(students.items())[i::2]) for i in range(2)]
    courses = [Course(tmp_path_factory.mktemp("class") / "coursework", half) for half in halves]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Course.grade, courses))
    return {student: course for course, half in zip(courses, halves, strict=True) for student in half}


def lost(course, student):
    """The checks that a student got fewer than all points for."""
    return [name for name, score in course.scores(student).items() if score != POINTS[name]]


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


def test_the_release_is_what_the_source_generates(graded):
    generated = (graded["reference"].folder / "release" / NOTEBOOK).read_bytes()
    assert generated == (COURSEWORK / "release" / NOTEBOOK).read_bytes(), "run: make assignment"


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


def test_the_source_runs_from_top_to_bottom_and_trains_when_nobody_grades(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    notebook = nbformat.from_dict(deepcopy(SOURCE))
    for cell in notebook.cells:
        cell.source = text(cell).replace("STEPS = 2000", "STEPS = 20")
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    outputs = {cell.metadata.nbgrader.grade_id: cell.get("outputs", []) for cell in notebook.cells}
    assert [name for name in outputs for output in outputs[name] if output.output_type == "error"] == []
    printed = "".join(output.text for output in outputs["q7-run"] if output.get("name") == "stdout")
    results = ast.literal_eval(printed.partition("my_results = ")[2])
    assert results.keys() == {"constant", "two cycles"}  # in the order in which they ended
    assert all(numbers.keys() == {"kl", "neg_elbo", "active_units"} for numbers in results.values())
    assert any("image/png" in output.get("data", {}) for output in outputs["q7-run"])


# ----------------------------------------------------------------------------------------------------------- grades


@pytest.mark.parametrize("student", ["reference", "loops", "distributions"])
def test_right_submissions_get_full_marks(graded, student):
    course = graded[student]
    assert lost(course, student) == []
    row = course.rows[student]
    assert (float(row["points"]), row["written"], row["notes"]) == (54, "to be marked", "")
    assert course.errors(student) == {}


def test_the_empty_release_gets_nothing_and_fails_in_words(graded):
    course = graded["empty"]
    assert sum(course.scores("empty").values()) == 0
    assert (float(course.rows["empty"]["points"]), course.rows["empty"]["written"]) == (0, "")
    errors = course.errors("empty")
    assert list(errors) == CHECKS  # no other cell
    for kind, message in errors.values():
        assert kind == "AssertionError" and re.search("None|nswered|did not change", message)


def test_there_are_enough_mistakes_and_each_is_in_one_question():
    assert len(WRONG) >= 15
    for _, checks in (WRONG | STUCK).values():
        assert len({check[:2] for check in checks.split()}) == 1
    assert {check[:2] for _, checks in WRONG.values() for check in checks.split()} == {f"q{i}" for i in range(1, 8)}


@pytest.mark.parametrize("student", WRONG)
def test_a_mistake_costs_its_own_checks_and_says_why(graded, student):
    course, checks = graded[student], WRONG[student][1].split()
    assert lost(course, student) == checks
    errors = course.errors(student)
    assert errors.keys() - REFERENCE.keys() == set(checks)  # an answer with a syntax error fails as well
    for name in checks:
        kind, message = errors[name]
        assert (
            kind == "NameError" if student == "syntax-error" else kind == "AssertionError" and len(message.split()) > 4
        )


@pytest.mark.parametrize("student", STUCK)
def test_a_submission_that_hangs_or_eats_memory_ends_with_a_message(graded, student):
    course, checks = graded[student], STUCK[student][1].split()
    assert lost(course, student) == checks
    reason = {"endless-loop": "ran too long", "memory-eater": "needed too much memory"}[student]
    assert course.rows[student]["notes"] == f"{', '.join(checks)} {reason}"
    assert f"{', '.join(checks)} {reason}" in course.printed
    message = {"endless-loop": "a loop that never ends", "memory-eater": "GB of memory"}[student]
    assert all(message in said for _, said in course.errors(student).values())


def test_a_submission_that_cannot_be_stopped_gets_no_grade_and_takes_nobody_elses(graded):
    course = graded["unstoppable"]
    row = course.rows["unstoppable"]
    assert row["points"] == "" and "could not be stopped" in row["notes"]
    others = [row for student, row in course.rows.items() if student != "unstoppable"]
    assert len(others) > 10 and all(row["points"] for row in others)


@pytest.mark.parametrize("student", DAMAGED)
def test_missing_cells_are_put_back(graded, student):
    _, without, checks = DAMAGED[student]
    course = graded[student]
    assert lost(course, student) == checks.split()
    for name in without:
        assert f"{name} was missing and was put back" in course.rows[student]["notes"]


def test_a_tampered_check_is_named(graded):
    notes = graded["check-tampered-with"].rows["check-tampered-with"]["notes"]
    assert notes == "q1-1 was changed and was put back; q1-2 was changed and was put back"


def test_feedback_names_every_check_and_shows_every_message(graded):
    page = graded["kl-sign"].folder / "feedback" / "kl-sign" / NOTEBOOK.with_suffix(".html")
    html = page.read_text(encoding="utf-8")
    assert "A KL is never negative" in html and "Which sign?" in html
    named_checks = re.findall(r'<a href="#(q\d-\d)">Check (\d\.\d)</a> \(Score: (\S+) /', html)
    scores = graded["kl-sign"].scores("kl-sign")
    assert named_checks == [(name, name[1:].replace("-", "."), str(scores[name])) for name in CHECKS]


def test_grading_takes_less_than_a_minute_of_computing_each(graded):
    resource = pytest.importorskip("resource")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of all that this session waited for: more than the grading
    assert used.ru_utime + used.ru_stime < 60 * len(graded)


# ------------------------------------------------------------------------------------------------------- collecting


def colab(notebook):
    """As Colab saves it: no ids, an older minor version, metadata of its own; with cells of their own, one moved."""
    cells = [{key: value for key, value in cell.items() if key != "id"} for cell in notebook["cells"]]
    cells.append(cells.pop(9))
    mine = {"cell_type": "code", "metadata": {"id": "x"}, "source": ["1 / 0"], "outputs": [], "execution_count": 3}
    cells[5:5] = [mine, {"cell_type": "markdown", "metadata": {}, "source": ["my notes"]}]
    return {**notebook, "nbformat_minor": 0, "cells": cells, "metadata": {"colab": {"provenance": []}}}


def test_a_class_with_all_kinds_of_files_and_a_late_submission(tmp_path):
    course = Course(
        tmp_path / "course", {"Anna Müller": colab(submission()), "bert": submission(WRONG["wrong-reason"][0])}
    )
    inbox = course.inbox
    (inbox / "dora").mkdir()
    (inbox / "dora" / "annealing (1).ipynb").write_text(json.dumps(submission()), encoding="utf-8")
    (inbox / "emil").mkdir()
    (inbox / "faye.ipynb").write_text("not a notebook", encoding="utf-8")
    (inbox / "gina.ipynb").write_text(json.dumps({**RELEASE, "cells": []}), encoding="utf-8")
    (inbox / "list.txt").write_text("no submission", encoding="utf-8")
    course.grade()
    points = {student: row["points"] for student, row in course.rows.items()}
    assert points == {"Anna_Müller": "54.0", "bert": "52.0", "dora": "54.0", "emil": "", "faye": "", "gina": ""}
    notes = {student: row["notes"] for student, row in course.rows.items()}
    assert "expected one notebook, but found 0" in notes["emil"]
    assert "cannot be read" in notes["faye"] and "none of the assignment's cells" in notes["gina"]

    with course.gradebook() as gradebook:  # what formgrader does
        grade = gradebook.find_grade("q7-3", "annealing", "annealing", "dora")
        grade.manual_score, grade.needs_manual_grade = 5, False
        gradebook.db.commit()
    (inbox / "late.ipynb").write_text(json.dumps(submission()), encoding="utf-8")
    (inbox / "bert.ipynb").write_text(json.dumps(submission()), encoding="utf-8")  # a second attempt
    course.grade()
    assert (course.rows["dora"]["points"], course.rows["dora"]["written"]) == ("59.0", "")
    assert course.rows["late"]["points"] == course.rows["bert"]["points"] == "54.0"
    assert course.rows["Anna_Müller"]["points"] == "54.0"
