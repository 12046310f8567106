"""The predictions of lesson 6."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {}
