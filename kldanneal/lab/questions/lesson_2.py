"""The predictions of lesson 2."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {}
