"""The predictions of lesson 6."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "collapsed": Question(
        "How many different sentences does the model at β = 1 write?",
        "1",
        ["1", "between 2 and 100", "more than 100"],
        why="Its decoder ignores z. The most likely words are the same for every z.",
    ),
    "used": Question(
        "And the model at β = 0.5?",
        "between 2 and 100",
        ["1", "between 2 and 100", "more than 100"],
        why="Its z says something, but not enough to tell 1,000 sentences apart.",
    ),
    "negative": Question(
        "The estimate is negative. What is the reason?",
        "a sampling error",
        ["a mistake in the code", "a sampling error", "z misleads the decoder"],
        why="The true value is not below 0. The estimate scatters around it.",
    ),
    "choices": Question(
        "Which hidden choices does z tell at β = 0.5?",
        "tense and negation",
        ["topic and subject", "tense and negation", "number and order"],
        why="Tense and negation have 3 · 2 = 6 combinations. To tell them apart takes log 6 nats.",
    ),
    "mu": Question(
        "The model at β = 1 has a KL of almost 0. How often does a probe of its mu name the right tense?",
        "above 60 %",
        ["about 33 %", "about 50 %", "above 60 %"],
        why="Its mu differs a little between tenses. The probe enlarges any difference.",
    ),
    "topic": Question(
        "At β = 0.5, how many reconstructions have the topic of the original? There are 5 topics.",
        "about 20 %",
        ["about 20 %", "about 60 %", "almost all"],
        why="This is chance: 1 of 5. The decoder chooses the topic without z.",
    ),
    "between": Question(
        "At β = 0.5, how does the sentence change along the line?",
        "in a few jumps",
        ["a little at every point", "in a few jumps", "not at all"],
        why="The probabilities change smoothly. The most likely word stays the same until another one overtakes it.",
    ),
}
