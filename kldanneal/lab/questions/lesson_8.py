"""The predictions of lesson 8."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "back": Question(
        "At weight 1 the KL has vanished. After 600 updates you pull the weight down to 0. What does the KL do?",
        "it comes back within 100 updates",
        ["it stays near 0", "it comes back within 100 updates", "it needs more than 500 updates"],
        why="At weight 0, z is free again.",
    ),
    "more": Question(
        "Both drives end at weight 1. Which one ends with more KL?",
        "there and back",
        ["impatient", "there and back", "both the same"],
        why="Its weight is low later, and for longer (discount 700 against 350).",
    ),
    "bound": Question(
        "Which of the four drives has the lowest -ELBO at its end?",
        "impatient",
        ["impatient", "patient", "slow ramp", "there and back"],
        why="It is the one whose KL has vanished.",
    ),
    "score": Question(
        "Which of the drives cyclical, slow ramp, and there and back has a score in the most seeds?",
        "there and back",
        ["cyclical", "slow ramp", "there and back"],
        why="It has one in all 5 seeds.",
    ),
    "waits": Question(
        "At which weight does the rule wait longest on seed 0?",
        "below 0.2",
        ["below 0.2", "between 0.4 and 0.6", "above 0.8"],
        why="Its KL falls below 1 nat when the weight is about 0.1.",
    ),
}
