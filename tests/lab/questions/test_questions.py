"""The predictions of the lessons: each can be asked, and each is asked in its lesson, in that order."""

import json
import re
from pathlib import Path

import pytest
from lessons import load, shown, source

from kldanneal.lab.questions import LESSONS, predict, questions

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"


def asked(lesson):
    """The names of the questions that a lesson's code asks."""
    found = []
    for path in NOTEBOOKS.glob(f"{lesson:02}_*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        found += re.findall(rf'predict\({lesson}, "([^"]+)"\)', code)
    return found


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_asks_its_questions_in_their_order(lesson):
    assert asked(lesson) == list(questions(lesson))


@pytest.mark.parametrize("lesson", LESSONS)
def test_measured_numbers_of_an_answer_stand_in_what_the_lesson_prints(lesson):
    (path,) = NOTEBOOKS.glob(f"{lesson:02}_*.ipynb")
    printed = "\n".join(shown(cell) for cell in load(path.stem) if "predict(" not in source(cell))
    for name, one in questions(lesson).items():
        for number in re.findall(r"\d+,\d{3}|\d+\.\d{2,}", one.why):
            assert re.search(rf"(?<![\d.,]){number}(?!\d)", printed), (name, number)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_right_answer_is_taken_for_right(lesson):
    for name, one in questions(lesson).items():
        ask = predict(lesson, name)
        names = ["answer"] if ask.kind != "order" else [f"place {i}" for i in range(1, len(one.answer) + 1)]
        for place, value in zip(names, [one.answer] if ask.kind != "order" else one.answer, strict=True):
            ask[place] = value
        ask.press("check")
        assert ask.right, (lesson, name)


def test_a_wrong_lesson_or_name_is_named():
    with pytest.raises(ValueError, match=r"lesson to be one of 1, 2, .* but got 9"):
        predict(9, "x")
    with pytest.raises(ValueError, match="name"):
        predict(1, "no such question")
