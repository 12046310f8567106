"""The predictions of lesson 3."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "higher": Question(
        "Two stored runs of 4,000 updates: which ends with the higher KL?",
        "the cyclical run",
        ["the monotonic run", "the cyclical run", "neither"],
    ),
    "distance": Question(
        "cyclical has 4 cycles in 4,000 updates; half of each is a ramp. How many updates at weight 1 come last?",
        500,
        within=1,
    ),
    "ahead": Question(
        "Toy language, distance 2,000: which schedules keep less KL than cyclical in every seed?",
        "monotonic only",
        ["monotonic only", "monotonic and monotonic-long", "neither"],
    ),
    "tail": Question(
        "Training goes on at weight 1 for 8,000 updates, without word dropout. What does the KL of cyclical do?",
        "it falls",
        ["it stays", "it falls", "it rises"],
    ),
    "bound": Question(
        "At distance 8,000 with word dropout, cyclical has 1.27 nats more KL than monotonic. Is its -ELBO lower?",
        "no winner",
        ["lower", "no winner", "higher"],
    ),
}
