"""The predictions of lesson 6."""

from kldanneal.lab.questions import Question

QUESTIONS = {
    "collapsed": Question(
        "How many different sentences does the model at β = 1 write from the means?",
        "1",
        ["1", "between 2 and 100", "more than 100"],
        why="All means are nearly equal.",
    ),
    "used": Question(
        "And the model at β = 0.5?",
        "between 2 and 100",
        ["1", "between 2 and 100", "more than 100"],
        why="Its z cannot tell 1,000 sentences apart.",
    ),
    "negative": Question(
        "The estimate is negative. What is the reason?",
        "a sampling error",
        ["a mistake in the code", "a sampling error", "z misleads the decoder"],
        why="The estimate scatters around a true value near 0.",
    ),
    "choices": Question(
        "Which hidden choices does z tell at β = 0.5?",
        "tense and negation",
        ["topic and subject", "tense and negation", "number and order"],
        why="Accuracy of the probe: 0.98 and 0.99.",
    ),
    "mu": Question(
        "At β = 1 the KL is almost 0. How often does a probe of mu name the right tense?",
        "above 60 %",
        ["about 33 %", "about 50 %", "above 60 %"],
        why="mu differs a little between tenses, and the probe enlarges any difference.",
    ),
    "between": Question(
        "At β = 0.5, how does the sentence change along the line?",
        "in a few jumps",
        ["a little at every point", "in a few jumps", "not at all"],
        why="The most likely word stays the same until another one overtakes it.",
    ),
}
