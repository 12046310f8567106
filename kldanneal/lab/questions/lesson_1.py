"""The predictions of lesson 1."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {}
