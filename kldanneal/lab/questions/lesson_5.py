"""The predictions of lesson 5."""

from kldanneal.lab.questions import Question

QUESTIONS: dict[str, Question] = {
    "half": Question(
        "No word dropout, weight 1 after the cycles: after how many updates is half of the KL lost?",
        "hundreds to a few thousand",
        ["fewer than 100", "hundreds to a few thousand", "more than 8,000"],
        why="On the toy language, the median of five seeds is 1,360 updates.",
    ),
    "states": Question(
        "Toy language, word dropout 0.2, after 12,000 updates: do both schedules end with the same KL?",
        "no, cyclical has more",
        ["yes, both are near 0", "yes, both are near 1", "no, cyclical has more"],
        why="They differ in the past only: the loss is the same for the last 8,000 updates.",
    ),
    "fixed": Question(
        "β = 0.5 for 4,000 updates, then weight 1 for 8,000. What happens to the KL?",
        "it falls, but not below 0.1",
        ["it falls below 0.1", "it falls, but not below 0.1", "it stays"],
        why="It starts far higher than after annealing. So it has more to lose.",
    ),
    "floor": Question(
        "Free bits 0.1, 8 latent dimensions, weight 1: which KL do you expect after 4,000 updates, in nats?",
        0.8,
        why="The KL stands at the sum of the floors: 8 times 0.1.",
        within=0.1,
    ),
    "removed": Question(
        "Then the floor is removed. When is half of that KL lost?",
        "within 250 updates",
        ["within 250 updates", "after about 1,000", "after more than 8,000"],
        why="The first measurement after the floor, at distance 250, is already below half.",
    ),
    "cost": Question(
        "Free bits 0.25 against weight 1: which bound rises by more?",
        "the -ELBO",
        ["the -ELBO", "-log p(x)", "both by the same"],
        why="The -ELBO counts the KL that the decoder does not need. -log p(x) is a tighter bound.",
    ),
    "budget": Question(
        "N = 1,000 updates in all: which schedules end with a mean KL above 0.1 nats?",
        "none of them",
        ["none of them", "cyclical only", "the long ramp and cyclical"],
        why="A ramp over 500 updates ends before the decoder has learnt to use z.",
    ),
}
