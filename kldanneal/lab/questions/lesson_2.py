"""The predictions of lesson 2."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "third": Question(
        "total_steps is 4, and the first update uses weight 0. Which weight does the third update use?",
        0.5,
        why="The counter is at 2 of 4.",
        within=0.001,
    ),
    "shape": Question(
        "One ramp of 1,000 updates. Which shape has the largest discount?",
        "all the same",
        ["linear", "cosine", "logistic", "all the same"],
        why="The three shapes are symmetric.",
    ),
    "epochs": Question(
        "total_steps=2 was meant as two epochs of 4 updates. But step() follows each update. When is the weight 1 for "
        "the first time?",
        "in epoch 1",
        ["in epoch 1", "at the start of epoch 2", "at the start of epoch 3"],
    ),
    "rescue": Question(
        "One ramp of 250 updates, then 1,000 updates at weight 1. Which shape keeps a KL of 0.1 nats?",
        "none of them",
        ["linear", "cosine", "logistic", "none of them"],
        why="This ramp is too short for every shape.",
    ),
    "partner": Question(
        "4 cycles of 1,000 updates, ratio 0.5. How long is the one linear ramp of the same discount?",
        2000,
        within=10,
    ),
    "cycles": Question(
        "Word dropout 0.2, equal shape and discount: in how many pairs do cycles keep more KL than one ramp?",
        "in some",
        ["in none", "in some", "in all"],
    ),
    "lowest": Question(
        "4 cycles in 4,000 updates. When is the loss at the current weight lowest?",
        "soon after the last restart",
        ["in the first ramp", "soon after the last restart", "at the very end"],
    ),
}
