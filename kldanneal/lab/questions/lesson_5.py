"""The predictions of lesson 5."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {}
