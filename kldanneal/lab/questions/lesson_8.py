"""The predictions of lesson 8."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {}
