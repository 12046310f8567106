"""The predictions of lesson 7."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "warm-up": Question(
        "In which epoch does a warm-up that is written as 10 epochs reach weight 1?",
        "earlier than epoch 10",
        ["earlier than epoch 10", "in epoch 10", "later than epoch 10"],
        why="In both scripts the ramp starts at 0.1, not at 0. So it needs less time.",
    ),
}
