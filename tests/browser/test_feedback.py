"""A page of feedback in Chromium: what a student sees first, and that nothing in it runs."""

import sys
from pathlib import Path

import pytest

COURSEWORK = Path(__file__).parents[2] / "notebooks" / "coursework"
ATTACK = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"


def cell(name, source, kind="code", **marks):
    marks = {"grade_id": name, "grade": False, "solution": False, "locked": True, **marks}
    return {"id": name, "cell_type": kind, "metadata": {"nbgrader": marks}, "source": source, "outputs": []}


def failed(sentence):
    return [{"output_type": "error", "ename": "AssertionError", "evalue": sentence, "traceback": [sentence]}]


@pytest.fixture
def page_file(tmp_path):
    pytest.importorskip("nbgrader")
    sys.path.insert(0, str(COURSEWORK))
    from grading import feedback

    sentence = f"A KL is never negative, but you get -0.5. Which sign? {ATTACK}"
    cells = [
        cell("q1", "## 1. The KL of a Gaussian (6 points)", "markdown"),
        cell("q1-answer", f"x = '{ATTACK}'", solution=True, locked=False),
        {**cell("q1-1", "assert kl > 0", grade=True), "outputs": failed(sentence)},
        cell("q1-2", "assert kl < 9", grade=True),
        cell("q1-3", f"My answer {ATTACK} [link](javascript:window.stolen=1)", "markdown", grade=True, solution=True),
    ]
    grade = {"max": 2.0, "to mark": False, "comment": ATTACK, "by hand": False}
    grades = [{**grade, "name": f"q1-{i + 1}", "score": score} for i, score in enumerate((0.0, 2.0, 1.0))]
    path = tmp_path / "feedback.html"
    path.write_text(feedback.page(f"Ana {ATTACK}", {"cells": cells}, grades, [ATTACK]), encoding="utf-8")
    return path


def test_a_student_sees_what_failed_and_why_and_nothing_runs(browser, page_file):
    with browser.new_page() as page:
        page.goto(page_file.as_uri())
        seen = page.inner_text("body")
        assert "Check 1.1 failed, 0 of 2 points" in seen and "Check 1.2 passed, 2 of 2 points" in seen
        assert "A KL is never negative, but you get -0.5. Which sign?" in seen and "<script>" in seen
        assert "assert kl > 0" not in seen  # the test's code is folded
        page.click("#q1-1 summary")
        assert "assert kl > 0" in page.inner_text("#q1-1")
        colours = [
            page.eval_on_selector(name, "one => getComputedStyle(one).borderLeftColor") for name in ("#q1-1", "#q1-2")
        ]
        assert colours[0] != colours[1]
        page.click("text=link")
        assert page.evaluate("window.stolen === undefined")
