"""The predictions of lesson 4."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "used": Question(
        "The data have variances 6, 4, 2.5, 1.5 and 0.4. With β = 2 and σ² = 1, how many dimensions have a KL above 0?",
        3,
    ),
    "schedules": Question(
        "Four trainings end at weight 1. Which one ends with the lowest KL?",
        "all end with the same KL",
        ["constant", "monotonic", "cyclical", "collapsed first", "all end with the same KL"],
    ),
    "score": Question(
        "You train at β = 0.25, 1 and 4, and score each model at weight 1. Which has the lowest -ELBO?",
        "β = 1",
        ["β = 0.25", "β = 1", "β = 4"],
        why="At weight 1, the -ELBO is the loss that β = 1 minimises.",
    ),
    "paths": Question(
        "Toy, no word dropout: in how many seeds do the KLs differ by 0.1 nats or more at the end?",
        "in some",
        ["in none", "in some", "in all"],
    ),
    "case": Question(
        "Your KL is 0.001 at weight 1, but rises at weight 0.25. Which run shows whether the path decides?",
        "a ramp, then weight 1 for long",
        ["a longer run at weight 1", "a ramp, then weight 1 for long", "a ramp to weight 0.25"],
    ),
}
