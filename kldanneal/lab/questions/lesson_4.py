"""The predictions of lesson 4."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {}
