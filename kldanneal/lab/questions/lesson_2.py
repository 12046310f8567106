"""The predictions of lesson 2."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "third": Question(
        "total_steps is 4, and the first update uses weight 0. Which weight does the third update use?",
        0.5,
        why="step() was called twice before it, so the counter is at 2 of 4.",
        within=0.001,
    ),
    "shape": Question(
        "One ramp of 1,000 updates. Which shape has the largest discount?",
        "all the same",
        ["linear", "cosine", "logistic", "all the same"],
        why="The three shapes are symmetric: a low weight in the first half is made up for in the second half.",
    ),
    "epochs": Question(
        "You write total_steps=2 and mean two epochs. An epoch has 4 updates, and step() follows each update. "
        "When is the weight 1 for the first time?",
        "in epoch 1",
        ["in epoch 1", "at the start of epoch 2", "at the start of epoch 3"],
        why="total_steps counts calls of step(), so the ramp is over after two updates.",
    ),
    "too long": Question(
        "total_steps is 10,000, but the run ends after 4,000 updates. Which weight does the last update use?",
        0.4,
        why="The run has made four tenths of its ramp.",
        within=0.001,
    ),
    "rescue": Question(
        "One ramp of 250 updates, then 1,000 updates at weight 1. Which shape keeps a KL of 0.1 nats or more?",
        "none of them",
        ["linear", "cosine", "logistic", "none of them"],
        why="No shape rescues a ramp that is this short.",
    ),
    "partner": Question(
        "Four cycles of 1,000 updates with ratio 0.5. How long is the one linear ramp that has the same discount?",
        2000,
        why="Each cycle has a ramp of 500 updates. Four of them have the discount of one ramp of 2,000.",
        within=10,
    ),
    "cycles": Question(
        "Each pair has equal shape and discount. In how many pairs do the cycles keep more KL than the ramp?",
        "in some",
        ["in none", "in some", "in all"],
        why="Sometimes the cycles are ahead, sometimes the ramp.",
    ),
    "lowest": Question(
        "A run with 4 cycles. When is its loss at the current weight lowest?",
        "soon after the last restart of the weight",
        ["soon after the last restart of the weight", "at the end of the last cycle", "in the first ramp"],
        why="Soon after a restart the weight is low, so the KL hardly counts in this loss.",
    ),
}
