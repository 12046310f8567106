"""The predictions of lesson 7."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "warm-up": Question(
        "The weight starts at 0.1 and grows by 1/10 in each epoch. After how many epochs is it 1?",
        9,
    ),
    "order": Question(
        "Order the four arms by their KL, lowest first.",
        ["neither", "restarts alone", "cyclical weight alone", "both"],
        ["both", "cyclical weight alone", "neither", "restarts alone"],
    ),
    "bound": Question(
        "Which change moves the -ELBO by more than half a nat?",
        "the restarts of the learning rate",
        ["the cyclical weight", "the restarts of the learning rate", "both"],
    ),
    "decay": Question(
        "In which arm is the KL higher after 8,000 updates?",
        "where the learning rate falls",
        ["where the learning rate falls", "where it is constant", "equal"],
    ),
    "scales": Question(
        '2,742 Penn Treebank sentences: on which scale does the interval exclude "no interaction"?',
        "differences only",
        ["differences only", "ratios only", "both", "neither"],
    ),
    "table": Question(
        "Which of the two models predicts text better?",
        "monotonic",
        ["monotonic", "cyclical"],
    ),
}
