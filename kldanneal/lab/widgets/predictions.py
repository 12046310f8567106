"""A prediction: the reader commits to an answer before it is shown. A lesson's predictions share one score."""

import html
from collections.abc import Sequence
from typing import Any

from kldanneal import _checks
from kldanneal.lab.widgets import controls
from kldanneal.lab.widgets.panel import Notice, Panel

#: For each lesson, for each question whether the first answer was right. It outlives the widgets, as the kernel does.
_scores: dict[str, dict[str, bool]] = {}


def score(lesson: str) -> tuple[int, int]:
    """How many predictions of a lesson were right, and how many were made."""
    return sum(_scores.get(lesson, {}).values()), len(_scores.get(lesson, {}))


class Prediction(Panel):
    """A question with one of three kinds of answer: a choice, a number, or an order. It never holds up "Run all".

    Only the first answer to a question counts for the score, also when the cell is run again. Without a kernel the
    question is shown with the answer folded away.

    Args:
        question (str): what is asked.
        answer: for a choice one of the choices; for an order all of them in the right order; else a number.
        choices (sequence of str, optional): of a choice or an order. Without them the answer is a number.
        why (str): what is shown with the answer. Default: nothing.
        within (float): how far a number may be off. Default: 0.0.
        lesson (str): the lesson whose score it counts for. Default: ``'lesson'``.

    Example::

        >>> ask = Prediction("Will the KL survive?", "no", ["yes", "no"], why="The ramp is too short.")
        >>> ask["answer"] = "no"
        >>> ask.press("check")
        >>> ask.right
        True
    """

    def __init__(
        self,
        question: str,
        answer: Any,
        choices: Sequence[str] | None = None,
        *,
        why: str = "",
        within: float = 0.0,
        lesson: str = "lesson",
    ) -> None:
        self.question, self.answer, self.choices, self.why = question, answer, list(choices or []), why
        self.within, self.lesson = _checks.number("within", within, "[0, inf)"), lesson
        self.right: bool | None = None  # the first answer; None: not given yet
        if not self.choices:
            self.kind = "number"
            _checks.number("answer", answer, "(-inf, inf)")
            inputs = {"answer": controls.number_field("your prediction", None, -(10**9), 10**9, 10**-4)}
        elif isinstance(answer, str):
            self.kind = "choice"
            _checks.one_of("answer", answer, self.choices)
            inputs = {"answer": controls.choice("your prediction", [(one, one) for one in self.choices], "")}
        else:
            self.kind, self.answer = "order", list(answer)
            if sorted(self.answer) != sorted(self.choices):
                raise ValueError(
                    f"Expected answer to have the choices {self.choices} in some order, but got {answer!r}"
                )
            places = [(one, one) for one in self.choices]
            inputs = {f"place {i}": controls.select(f"place {i}", places, self.choices[i - 1])
                      for i in range(1, len(places) + 1)}  # fmt: skip
        self._answers = list(inputs)
        inputs["check"] = controls.button("Check", primary=True)
        names = [f"control:{name}" for name in inputs]
        super().__init__("Predict", [[["text:question", *names, "text:result", "text:error"]]], inputs)
        self.right = _scores.get(lesson, {}).get(question)
        self.refresh()

    def given(self) -> Any:
        """What the controls say."""
        values = [self[name] for name in self._answers]
        return values if self.kind == "order" else values[0]

    def acted(self, name: str, value: Any) -> None:
        if name != "check" or self.right is not None:
            return
        given = self.given()
        if self.kind == "choice" and not given:
            raise Notice("Choose an answer first.")
        if self.kind == "number" and given is None:
            raise Notice("Type a number first.")
        if self.kind == "order" and given == self.choices != self.answer:
            raise Notice("Bring them into your order first.")
        if self.kind == "order" and sorted(given) != sorted(self.choices):
            raise Notice("Use each of them once.")
        self.right = abs(given - self.answer) <= self.within if self.kind == "number" else given == self.answer
        _scores.setdefault(self.lesson, {})[self.question] = self.right

    def draw(self) -> None:
        self.show("text:question", f"<p>{html.escape(self.question)}</p>")
        answered = self.right is not None
        for name in self._answers:
            self.inputs[name].disabled = answered
        self.inputs["check"].hidden = answered
        if answered:
            good, made = score(self.lesson)
            verdict = "\u2713 Right." if self.right else "\u2717 Not this time."
            self.result(f"{verdict} {self.solution()}", f"{self.lesson}: {good} of {made} predictions right.")
        else:
            self.show("text:result", "")

    def solution(self) -> str:
        """The answer, and why."""
        answer = ", ".join(self.answer) if self.kind == "order" else str(self.answer)
        return " ".join(part for part in (f"The answer: {answer}.", self.why) if part)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        options = f"<p>{html.escape(' / '.join(self.choices))}</p>" if self.choices else ""
        folded = f"<details><summary>Show the answer</summary>{html.escape(self.solution())}</details>"
        plain = f"Predict: {self.question}"
        return {
            **data,
            "text/html": f"<p><b>{html.escape(plain)}</b></p>{options}{folded}",
            "text/plain": plain,
        }, metadata
