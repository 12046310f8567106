"""What is handed in and given back: archives of Moodle and Canvas, odd files, names, and where answers are found."""

import json
import re
import sys
import zipfile
from pathlib import PurePosixPath

import pytest
from classroom import packed, zipped
from submissions import COURSEWORK, REFERENCE, RELEASE, SOURCE, named, submission

sys.path.insert(0, str(COURSEWORK))

from grading import collect, lms, mend

RIGHT = packed(submission())


def handed_in(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_bytes(data)
    return {student.name: student for student in collect.students(folder, {})}


MOODLE = {
    "Ana López_4711_assignsubmission_file/annealing.ipynb": RIGHT,
    "Bo_4712_assignsubmission_file_/mine/annealing.ipynb": RIGHT,
    "Participant_4713_assignsubmission_file_annealing.ipynb": RIGHT,
    "Cy_4714_assignsubmission_onlinetext/onlinetext.html": b"<p>see my repository</p>",
}
CANVAS = {
    "lopezana_101_9001_annealing.ipynb": packed(RELEASE),
    "lopezana_101_9107_annealing-1.ipynb": RIGHT,
    "bo_LATE_102_9002_annealing.ipynb": RIGHT,
    "cy_103_text.html": b"<p>text</p>",
    "anon_AbC1_9003_annealing.ipynb": RIGHT,
}


@pytest.mark.parametrize("packing", ["folder", "archive", "archive in a folder"])
def test_an_archive_of_moodle_zipped_or_not(packing, tmp_path):
    if packing == "folder":
        students = handed_in(tmp_path, MOODLE)
    else:
        path = tmp_path / "DL-Annealing-77.zip"
        path.write_bytes(zipped(MOODLE))
        students = {each.name: each for each in collect.students(path if packing == "archive" else tmp_path, {})}
    assert {name: (student.system, student.id) for name, student in students.items()} == {
        "Ana López": ("moodle", "4711"), "Bo": ("moodle", "4712"), "Participant": ("moodle", "4713"),
        "Cy": ("moodle", "4714"),
    }  # fmt: skip
    assert students["Ana López"].back == "Ana López_4711_assignsubmission_file"
    found = {name: collect.notebook(student) for name, student in students.items()}
    assert all(found[name][0] for name in ("Ana López", "Bo", "Participant"))
    assert found["Cy"][0] is None and "onlinetext.html" in found["Cy"][1][-1]


def test_an_archive_of_canvas_the_last_attempt_counts(tmp_path):
    students = handed_in(tmp_path, CANVAS)
    assert {name: (each.id, each.late) for name, each in students.items()} == {
        "lopezana": ("101", False), "bo": ("102", True), "cy": ("103", False), "anon_AbC1": ("AbC1", False),
    }  # fmt: skip
    notebook, _, name = collect.notebook(students["lopezana"])
    assert name == "annealing-1.ipynb" and notebook["cells"] == submission()["cells"]
    assert (students["lopezana"].back, students["bo"].back) == ("lopezana_101_9107_", "bo_LATE_102_9002_")
    assert students["cy"].back == ""


def test_feedback_goes_back_under_the_names_that_each_system_takes(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("feedback")
    students = [*handed_in(tmp_path / "m", MOODLE).values(), *handed_in(tmp_path / "c", CANVAS).values()]
    archives = lms.give_back([(each.system, each.back, page) for each in students], tmp_path)
    names = {path.name: set(zipfile.ZipFile(path).namelist()) for path in archives}
    assert names["feedback-moodle.zip"] == {
        "Ana López_4711_assignsubmission_file/feedback.html", "Bo_4712_assignsubmission_file/feedback.html",
        "Participant_4713_assignsubmission_file/feedback.html",
        "Cy_4714_assignsubmission_onlinetext/feedback.html",
    }  # fmt: skip
    assert names["feedback-canvas.zip"] == {
        "lopezana_101_9107_feedback.html", "bo_LATE_102_9002_feedback.html", "anon_AbC1_9003_feedback.html",
    }  # fmt: skip
    for name in names["feedback-moodle.zip"]:  # and each is read as what it came from
        assert lms.moodle(PurePosixPath(name).parts).original == "feedback.html"


def test_the_worksheet_of_moodle_has_those_who_are_marked():
    row = {"system": "moodle", "id": "4711", "name": "Ana", "points": 70.0, "to mark": ""}
    rows = [row, {**row, "id": "1", "to mark": "q7-3"}, {**row, "id": "2", "points": ""}, {**row, "system": "canvas"}]
    (only,) = lms.moodle_worksheet(rows)
    assert (only["Identifier"], only["Grade"]) == ("Participant 4711", 70.0)


@pytest.mark.parametrize("top", ["", "submissions/"])
def test_an_archive_of_plain_files_with_a_folder_around_them_or_not(top, tmp_path):
    path = tmp_path / "class.zip"
    path.write_bytes(zipped({f"{top}ana.ipynb": RIGHT, f"{top}bo/annealing.ipynb": RIGHT}))
    assert [student.key for student in collect.students(path, {})] == ["ana", "bo"]


ATTACKS = [
    "[x](javascript:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x]: javascript:alert(1)",
    "<script>alert(1)</script>",
    "<javascript:alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<img src=x onerror=alert(1)>",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_a_markers_page_runs_nothing(text):
    pytest.importorskip("nbgrader")
    from grading.record import harmless
    from nbconvert.filters import markdown2html

    page = markdown2html(harmless(f"{text}\n\n[x] x")).lower()
    assert not re.search(r"<(script|a[^>]*(java|&#)|img)", page)
    assert harmless("a < b, x[i](y), [k](https://e.org), a[0]: b") == "a < b, x[i](y), [k](https://e.org), a[0]: b"


def test_a_teams_archive_is_refused_in_words(tmp_path):
    with pytest.raises(SystemExit, match="team"):
        handed_in(tmp_path, {"Group_12_assignsubmission_file/annealing.ipynb": RIGHT})


def test_names_become_different_folders_and_stay_the_same_later(tmp_path):
    keys = {}
    handed_in(
        tmp_path, {"a b.ipynb": RIGHT, "a_b.ipynb": RIGHT, "A_B.ipynb": RIGHT, "...ipynb": RIGHT, "☂.ipynb": RIGHT}
    )
    first = [student.key for student in collect.students(tmp_path, keys)]
    assert len({key.casefold() for key in first}) == len(first) == 4  # "...ipynb" is a hidden file
    assert all(key.replace("-", "").replace("_", "").isalnum() for key in first)
    (tmp_path / "a-b.ipynb").write_bytes(RIGHT)
    assert set(first) <= {student.key for student in collect.students(tmp_path, keys)}


def test_the_copies_that_jupyter_keeps_are_no_submissions(tmp_path):
    files = {"anna/mine.ipynb": RIGHT, "anna/.ipynb_checkpoints/mine-checkpoint.ipynb": RIGHT, "bert.ipynb": RIGHT}
    assert {name: len(each.files) for name, each in handed_in(tmp_path, files).items()} == {"anna": 1, "bert": 1}


def test_a_zip_cannot_write_or_read_outside(tmp_path):
    students = handed_in(tmp_path / "in", {"eve.zip": zipped({"../../evil.ipynb": RIGHT, "/etc/evil.ipynb": RIGHT})})
    assert collect.notebook(students["eve"])[0] is not None
    assert [path.name for path in tmp_path.rglob("evil*")] == []


def test_half_an_emoji_and_control_characters_become_readable():
    assert collect.readable("a\ud83d\x00b") == "a\ufffd\ufffdb"
    assert collect.readable("Ana López 😀\n") == "Ana López 😀\n"


def text_of(notebook, name):
    return next("".join(cell["source"]) for cell in notebook["cells"] if cell["id"] == name)


def test_the_written_answer_is_put_together_from_its_parts():
    first, second = {"cell_type": "markdown", "metadata": {}, "source": "one"}, {"cell_type": "raw", "source": "two"}
    handed = submission({"q7-3": "YOUR ANSWER HERE"}, own=[("q7-3", second), ("q7-3", first)])
    notebook, notes = mend.mended(handed, RELEASE, SOURCE)
    assert text_of(notebook, "q7-3") == "one\n\ntwo" and notes == []
    assert len(notebook["cells"]) == len(RELEASE["cells"])  # the parts are not there twice
    unanswered, _ = mend.mended(submission({"q7-3": "YOUR ANSWER HERE"}), RELEASE, SOURCE)
    assert text_of(unanswered, "q7-3") == "YOUR ANSWER HERE"


def test_an_answer_in_a_cell_of_its_own_is_found_and_checked_in_its_place():
    handed = submission(without=["q4-counter"], own=[("end", REFERENCE["q4-counter"])])
    notebook, notes = mend.mended(handed, RELEASE, SOURCE)
    names = [cell["id"] for cell in notebook["cells"]]
    at = names.index("q4-counter")
    assert "".join(notebook["cells"][at + 1]["source"]) == REFERENCE["q4-counter"] and at + 1 < names.index("q4-1")
    assert notes == ["q4-counter was missing, but the answer was found elsewhere"]


@pytest.mark.parametrize("broken", [{"cells": [3, None, [], {"source": 5}]}, {"cells": []}])
def test_a_notebook_without_answers_is_an_error_in_words(broken):
    with pytest.raises(ValueError, match="none of the assignment's cells"):
        mend.mended(broken, RELEASE, SOURCE)


@pytest.mark.parametrize(("data", "says"), [
    (b"[1]", "list"), (b'{"a": 1}', "no list of cells"), (b"{", "Expecting"), (b"[" * 100_000, "nested too deeply"),
])  # fmt: skip
def test_what_is_no_notebook_is_said_in_words(data, says):
    with pytest.raises(ValueError, match=says):
        collect.parsed(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding_is_read(encoding):
    assert collect.parsed(json.dumps(RELEASE).encode(encoding))["cells"] == RELEASE["cells"]


def test_given_cells_are_always_the_originals():
    tampered = {name: "pass" for name in named(RELEASE) if named(RELEASE)[name]["metadata"]["nbgrader"]["locked"]}
    notebook, _ = mend.mended(submission(tampered), RELEASE, SOURCE)
    for name in tampered:
        assert text_of(notebook, name) == "".join(named(RELEASE)[name]["source"])
