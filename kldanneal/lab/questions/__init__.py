"""The predictions of the lessons, with their answers: a file for each, so that no notebook shows an answer in its code.

predict(3, "ahead")  # in lesson 3: asks the question that lesson_3.py calls "ahead"
"""

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from kldanneal import _checks
from kldanneal.lab.widgets.predictions import Prediction

LESSONS = tuple(range(1, 9))


class Question(NamedTuple):
    """The arguments of :class:`Prediction`."""

    question: str
    answer: str | float | list[str]
    choices: Sequence[str] | None = None
    why: str = ""
    within: float = 0.0


def questions(lesson: int) -> dict[str, Question]:
    """The questions of a lesson by name, in the order of the lesson.

    Raises:
        ValueError: there is no such lesson.
    """
    if lesson not in LESSONS:
        raise ValueError(f"Expected lesson to be one of {', '.join(map(str, LESSONS))}, but got {lesson!r}")
    return import_module(f"{__name__}.lesson_{lesson}").QUESTIONS


def predict(lesson: int, name: str) -> Prediction:
    """The widget that asks one question of a lesson. The answer is shown after the reader's own.

    Raises:
        ValueError: there is no such lesson, or it has no question of that name.
    """
    asked = questions(lesson)
    _checks.one_of("name", name, list(asked))
    one = asked[name]
    return Prediction(one.question, one.answer, one.choices, why=one.why, within=one.within, lesson=f"Lesson {lesson}")
