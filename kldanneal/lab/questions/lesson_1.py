"""The predictions of lesson 1."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "price": Question(
        "One dimension has mu = 2 and logvar = 0. How many nats does it cost?",
        2.0,
        within=0.05,
        why="Half of mu squared. The variance is that of the prior, so it adds nothing.",
    ),
    "draw": Question(
        "An ideal z tells only the tense. How low can the -ELBO be?",
        "equal to the entropy",
        ["below the entropy", "equal to the entropy", "above the entropy"],
        why="z costs at least as much as it saves.",
    ),
    "paths": Question(
        "In training, what does the decoder read when it predicts the fifth word?",
        "z and the true words before",
        ["only z", "z and its own words before", "z and the true words before"],
    ),
    "early": Question(
        "Weight 1 from the start: what does the KL do in the first 100 updates?",
        "it rises to a peak, then falls",
        ["it only falls", "it rises to a peak, then falls", "it stays near 0"],
    ),
    "exchange": Question(
        "At the update with the highest KL, each sentence gets the code of another one. What does this cost?",
        "almost nothing",
        ["almost nothing", "about the KL", "more than the KL"],
    ),
    "written": Question(
        "The run at weight 1 reconstructs 1,000 different sentences. How many different ones come out?",
        1,
        within=9,
        why="Up to 10 counts as right.",
    ),
    "told": Question(
        "Of which choice does z of the run at weight 0.25 tell most nats?",
        "tense",
        ["topic", "tense", "adjective", "subject"],
    ),
}
