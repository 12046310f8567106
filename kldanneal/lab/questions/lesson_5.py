"""The predictions of lesson 5."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {
    "half": Question(
        "Toy language, no word dropout: at which distance have the cyclical runs lost half of their KL (median)?",
        "between 100 and 5,000",
        ["below 100", "between 100 and 5,000", "above 5,000, or never"],
        why="The median is 1,360 updates.",
    ),
    "states": Question(
        "Toy language, word dropout 0.2: in how many of 5 seeds does constant end above 0.1 nats?",
        "in 2",
        ["in none", "in 2", "in all 5"],
        why="They end at 0.46 and 0.38 nats.",
    ),
    "fixed": Question(
        "β = 0.5 for 4,000 updates, then 1. Which KL is left at distance 8,000?",
        "less, but above 0.1",
        ["below 0.1", "less, but above 0.1", "as much as before"],
        why="It starts high, so it has more to lose.",
    ),
    "floor": Question(
        "Floor 0.1, 8 dimensions: which KL do you expect after 4,000 updates?",
        0.8,
        why="It is 8 times 0.1.",
        within=0.1,
    ),
    "removed": Question(
        "The floor is removed. When is half of that KL lost?",
        "within 250 updates",
        ["within 250 updates", "after about 1,000 updates", "later, or never"],
    ),
    "cost": Question(
        "Free bits 0.25 against weight 1: which bound is worse by more?",
        "-ELBO",
        ["-ELBO", "-log p(x)", "both by the same"],
    ),
    "budget": Question(
        "N = 1,000: which schedules end with a mean KL above 0.1?",
        "none",
        ["none", "cyclical only", "monotonic-long and cyclical"],
    ),
}
