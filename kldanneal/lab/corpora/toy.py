"""The toy language: English-like sentences made from a few hidden choices, with an entropy that is known exactly.

Every choice is drawn uniformly and independently, and different choices give different sentences. So every sentence has
the same probability, and the entropy of the language is the sum of the logarithms of the numbers of options. It is the
least -log p(x) that any model can reach on average: -ELBO - entropy is how far a model is from perfect, in nats.
"""

import math

import torch
from torch import Tensor

TOPICS = {  # subjects, verbs, objects, places
    "kitchen": ("cook waiter baker butcher guest", "boil taste burn roast serve",
                "soup fish bread rice cake", "kitchen cellar restaurant market"),
    "harbour": ("sailor captain fisher pilot diver", "paint anchor load inspect repair",
                "boat net ship sail raft", "harbour lighthouse dock canal"),
    "school": ("teacher pupil student tutor writer", "answer print correct learn explain",
               "letter lesson poem question book", "classroom library hall college"),
    "farm": ("farmer shepherd gardener miller hunter", "plant water harvest collect sort",
             "wheat apple potato flower olive", "field barn orchard meadow"),
    "theatre": ("singer dancer actor painter drummer", "rehearse record present perform film",
                "song play opera ballet concert", "theatre studio ballroom museum"),
}  # fmt: skip
TENSES = {
    "past": ("yesterday", "last week", "long ago"),
    "present": ("today", "every day", "every month"),
    "future": ("tomorrow", "next week", "some day"),
}
ADJECTIVES = ("old", "young", "happy", "quiet")

#: The hidden choices of a sentence, in the order of its labels, and the number of options of each.
CHOICES = {
    "topic": len(TOPICS),
    "tense": len(TENSES),
    "number": 2,
    "negation": 2,
    "order": 2,
    "adjective": len(ADJECTIVES),
    "subject": 5,
    "verb": 5,
    "object": 5,
    "place": 4,
    "time": 3,
}
#: The entropy of the language, in nats per sentence.
ENTROPY = sum(math.log(options) for options in CHOICES.values())


def sentence(choices: list[int]) -> str:
    """The sentence of one value per entry of :data:`CHOICES`; different choices give different sentences."""
    topic, tense, number, negation, order, adjective, subject, verb, object_, place, time = choices
    subjects, verbs, objects, places = (words.split() for words in list(TOPICS.values())[topic])
    tense_name = list(TENSES)[tense]
    plural, negated = number == 1, negation == 1
    noun = f"the {ADJECTIVES[adjective]} {subjects[subject]}{'s' if plural else ''}"
    action = f"{_verb(verbs[verb], tense_name, plural, negated)} the {objects[object_]}"
    when, where = TENSES[tense_name][time], f"in the {places[place]}"
    return " ".join([noun, action, when, where] if order == 1 else [noun, action, where, when])


def read(text: str) -> dict[str, int]:
    """The choices that the words of a sentence tell, also of one that a model wrote with words of several topics.

    The subject tells topic and number, the phrase of time tells tense, time and order. A choice that no word tells is
    left out.

    Example::

        >>> read("the young cooks will not boil next week")
        {'topic': 0, 'tense': 2, 'number': 1, 'negation': 1, 'adjective': 1, 'subject': 0, 'verb': 0, 'time': 1}
    """
    words = text.split()
    found = {"negation": int("not" in words)}
    for word in words:
        found = _WORDS.get(word, {}) | found  # the first word that tells a choice decides
    for phrase, (tense, time) in _TIMES.items():
        before, there, _ = f" {' '.join(words)} ".partition(f" {phrase} ")
        if there:
            found |= {"tense": tense, "time": time}
            if "in" in words:
                found["order"] = int(" in " not in f"{before} ")
    return {name: found[name] for name in CHOICES if name in found}


def contains(text: str) -> bool:
    """Whether the language has this sentence.

    Example::

        >>> contains("the old cook will boil the soup in the kitchen tomorrow")
        True
        >>> contains("the old cook will boil the soup in the kitchen yesterday")
        False
    """
    found = read(text)
    return found.keys() == CHOICES.keys() and sentence([found[name] for name in CHOICES]) == text


def sample(n: int, seed: int) -> tuple[list[str], Tensor]:
    """``n`` sentences of the language, drawn independently, and their choices (n, choices)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.stack([torch.randint(options, (n,), generator=generator) for options in CHOICES.values()], dim=1)
    return [sentence(choices) for choices in labels.tolist()], labels


def _verb(verb: str, tense: str, plural: bool, negated: bool) -> str:
    if tense == "future":
        return f"will not {verb}" if negated else f"will {verb}"
    if tense == "past":
        past = f"{verb}d" if verb.endswith("e") else f"{verb}ed"
        return f"did not {verb}" if negated else past
    if negated:
        return f"do not {verb}" if plural else f"does not {verb}"
    return verb if plural else f"{verb}s"


def _words() -> dict[str, dict[str, int]]:
    """What single words tell."""
    found = {word: {"adjective": i} for i, word in enumerate(ADJECTIVES)}
    for topic, parts in enumerate(TOPICS.values()):
        subjects, verbs, objects, places = (part.split() for part in parts)
        for i, subject in enumerate(subjects):
            found[subject] = {"topic": topic, "number": 0, "subject": i}
            found[f"{subject}s"] = {"topic": topic, "number": 1, "subject": i}
        for i, verb in enumerate(verbs):
            found |= {form: {"verb": i} for form in (verb, _verb(verb, "past", False, False), f"{verb}s")}
        found |= {word: {"object": i} for i, word in enumerate(objects)}
        found |= {word: {"place": i} for i, word in enumerate(places)}
    return found


_TIMES = {phrase: (tense, time) for tense, phrases in enumerate(TENSES.values()) for time, phrase in enumerate(phrases)}
_WORDS = _words()
