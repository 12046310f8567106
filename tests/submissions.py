"""Notebooks that students hand in: right ones, wrong ones, and some that would stop the grading of everybody else."""

import json
from pathlib import Path

from kldanneal import Annealer
from kldanneal.lab.assignment import seal

ROOT = Path(__file__).resolve().parents[1]
COURSEWORK = ROOT / "notebooks" / "coursework"
NOTEBOOK = Path("annealing", "annealing.ipynb")
SOURCE, RELEASE = (
    json.loads((COURSEWORK / step / NOTEBOOK).read_text(encoding="utf-8")) for step in ("source", "release")
)


def named(notebook):
    """The cells of a notebook by nbgrader's name for them."""
    return {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in notebook["cells"]}


def text(cell):
    return "".join(cell["source"])


def of_kind(kind, notebook=SOURCE):
    """The names of the cells that are answers ('solution'), or that give points ('grade')."""
    return [name for name, cell in named(notebook).items() if cell["metadata"]["nbgrader"][kind]]


CHECKS = [name for name in of_kind("grade") if name not in of_kind("solution")]
POINTS = {name: named(SOURCE)[name]["metadata"]["nbgrader"]["points"] for name in of_kind("grade")}
REFERENCE = {name: text(named(SOURCE)[name]) for name in of_kind("solution")}


def submission(replaced=None, without=(), own=()):
    """A student's notebook: the reference solution with some cells replaced, some missing, and some of their own.

    A cell of their own is the name of the cell above it, and its code, or a whole cell.
    """
    sources = {name: text(cell) for name, cell in named(RELEASE).items()} | REFERENCE | (replaced or {})
    cells = [{**cell, "source": sources[name]} for name, cell in named(RELEASE).items() if name not in without]
    for number, (above, cell) in enumerate(own):
        if isinstance(cell, str):
            cell = {"cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
        at = [each["id"] for each in cells].index(above) + 1
        cells.insert(at, {"id": f"mine-{number}", **cell})
    return {**RELEASE, "cells": cells}


def edited(name, *edits):
    """The reference solution of a cell with some edits, pairs of old and new text."""
    source = REFERENCE[name]
    for old, new in edits:
        assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in {name}"
        source = source.replace(old, new)
    return {name: source}


def sealed(control):
    """The seal of the reference's numbers, as if they came from a run with another control."""
    results = {}
    exec(REFERENCE["q7-results"], results)
    schedules = {"constant": control, "two cycles": Annealer(1000, cyclical=True, ratio=0.9)}
    return seal(results["my_results"], schedules, 2000)


# ------------------------------------------------------------------------------------------------- wrong submissions

KL = "0.5 * (mu**2 + logvar.exp() - 1 - logvar)"
LOGISTIC = "(sigmoid(12 * (min(1.0, step / total_steps) - 0.5)) - low) / (high - low)"
COUNT = """self.current_step = min(self.total_steps, self.current_step + 1)
        if self.cyclical and self.current_step == self.total_steps:
            self.current_step = 0
"""
COUNT_OFF_BY_ONE = """self.current_step += 1
        if self.current_step > self.total_steps:
            self.current_step = 0 if self.cyclical else self.total_steps
"""
SHARED = """CyclicalCounter.current_step = min(self.total_steps, CyclicalCounter.current_step + 1)
        if self.cyclical and CyclicalCounter.current_step == self.total_steps:
            CyclicalCounter.current_step = 0
"""
SWITCH = "self.cyclical = cyclical\n        ### END"
LINEAR = "def linear(step, total_steps):\n    ### BEGIN SOLUTION\n    return min(1.0, step / total_steps)"
SWALLOWED = """while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
"""
ENDLESS = "while self.current_step >= 0:\n            self.current_step += 1\n"
GREEDY = "def linear(step, total_steps):\n    memory = []\n    while True:\n        memory.append(bytearray(1000))"
COSINE = "    return (1 - math.cos(math.pi * min(1.0, step / total_steps))) / 2"
HOARD = """    global hoard
    hoard = globals().get("hoard", [])
    while True:
        hoard.append(bytearray(10**7))"""

#: Mistakes that students really make: the cells that have them, and the checks that they cost, in one question each.
WRONG = {
    "kl-sign": (edited("q1-gaussian-kl", (KL, f"-{KL}")), "q1-1 q1-2"),
    "kl-half-missing": (edited("q1-gaussian-kl", (KL, f"2 * {KL}")), "q1-1 q1-2"),
    "kl-log-missing": (edited("q1-gaussian-kl", (" - 1 - logvar)", " - 1)")), "q1-2"),
    "kl-arguments-swapped": (edited("q1-gaussian-kl", ("gaussian_kl(mu, logvar)", "gaussian_kl(logvar, mu)")),
                             "q1-1 q1-2"),
    "kl-summed-over-the-batch": (edited("q1-gaussian-kl", (KL, f"({KL}).sum()")), "q1-1 q1-2"),
    "logvar-taken-for-variance": (edited("q1-gaussian-kl", ("logvar.exp() - 1 - logvar", "logvar - 1 - logvar.log()")),
                                  "q1-1 q1-2"),
    "logvar-taken-for-log-sigma": (edited("q1-gaussian-kl", ("exp() - 1 - logvar", "exp() ** 2 - 1 - 2 * logvar")),
                                   "q1-2"),
    "kl-without-gradient": (edited("q1-gaussian-kl", (KL, f"({KL}).detach()")), "q1-2"),
    "print-instead-of-return": (edited("q1-gaussian-kl", (f"return {KL}", f"print({KL})")), "q1-1 q1-2"),
    "kl-summed-over-sentences": (edited("q1-kl-per-sentence", ("dim=1", "dim=0")), "q1-3"),
    "mean-over-words": (edited("q2-elbo-terms", (', reduction="sum"', ""), ("summed / len(targets)", "summed")),
                        "q2-1"),
    "padding-counted": (edited("q2-elbo-terms", ("ignore_index=PAD, ", "")), "q2-1"),
    "double-softmax": (edited("q2-elbo-terms", ("logits.flatten", "logits.softmax(-1).flatten")), "q2-1"),
    "kl-not-averaged": (edited("q2-elbo-terms", ("kl.sum() / len(kl)", "kl.sum()")), "q2-2"),
    "kl-averaged-over-dimensions": (edited("q2-elbo-terms", ("kl.sum() / len(kl)", "kl.mean()")), "q2-2"),
    "hidden-weight-counts-padding": (edited("q2-hidden-weight", ("(targets != PAD).sum().item()", "targets.numel()")),
                                     "q2-3"),
    "wrong-reason": (edited("q2-why", ('"c"', '"b"')), "q2-4"),
    "ramp-not-capped": (edited("q3-ramps", (LINEAR, LINEAR.replace("min(1.0, step / total_steps)",
                                                                   "step / total_steps"))), "q3-1"),
    "ramp-of-a-global-name": (edited("q3-ramps", (LINEAR, LINEAR.replace("step, total_steps)", "step, total)", 1))),
                              "q3-1 q3-4"),
    "cosine-downwards": (edited("q3-ramps", ("(1 - math.cos", "(1 + math.cos")), "q3-2 q3-4"),
    "logistic-never-reaches-1": (edited("q3-ramps", (LOGISTIC, "sigmoid(12 * (step / total_steps - 0.5))")),
                                 "q3-3 q3-4"),
    "logistic-overflows": (edited("q3-ramps", (LOGISTIC, "sigmoid(step - total_steps / 2)")), "q3-3 q3-4"),
    "reset-off-by-one": (edited("q4-counter", (COUNT, COUNT_OFF_BY_ONE)), "q4-1 q4-4"),
    "switch-restarts-at-once": (edited("q4-counter", (SWITCH, f"self.current_step = 0\n        {SWITCH}")),
                                "q4-2 q4-3 q4-4"),
    "switch-forgotten": (edited("q4-counter", (SWITCH, "pass\n        ### END")), "q4-2 q4-3 q4-4"),
    "counters-share-a-step": (edited("q4-counter", ("self.current_step = 0\n\n", "type(self).current_step = 0\n\n"),
                                     (COUNT, SHARED)), "q4-1"),
    "wrong-term-annealed": (edited("q5-training-step", ("reconstruction + annealer(kl)",
                                                        "annealer(reconstruction) + kl")),
                            "q5-1 q5-2 q5-3"),
    "criterion-swapped": (edited("q5-training-step", ("batch, mu, logvar)", "batch, logvar, mu)")), "q5-1 q5-2 q5-3"),
    "step-before-call": (edited("q5-training-step", ("    annealer.step()\n", ""),
                                ("    loss = ", "    annealer.step()\n    loss = ")), "q5-1 q5-2 q5-3"),
    "missing-zero-grad": (edited("q5-training-step", ("    optimizer.zero_grad()\n", "")), "q5-2 q5-3"),
    "backward-not-called": (edited("q5-training-step", ("loss.backward()", "loss.backward")), "q5-2 q5-3"),
    "annealer-forgotten": (edited("q5-training-step", ("    annealer.step()\n", "")), "q5-3"),
    "runs-mixed-up": (edited("q6-reading", ('"C": "cyclical", "D": "monotonic"', '"C": "monotonic", "D": "cyclical"')),
                      "q6-2"),
    "only-the-last-number-read": (edited("q6-reading", ("kl[11] < 0.1", "kl[-1] < 0.1")), "q6-3"),
    "cycles-counted-as-length": (edited("q6-reading", ("cycle_length = 1000", "cycle_length = 4")), "q6-4"),
    "kept-of-the-first-value": (edited("q6-reading", ("max(kl[5:])", "max(kl)")), "q6-5"),
    "no-control": (edited("q7-schedules", ("Annealer(1, disable=True)", "Annealer(9)"))
                   | edited("q7-results", ("f1caf6133e", sealed(Annealer(9)))), "q7-1"),
    "invented-numbers": (edited("q7-results", ('"kl": 0.254', '"kl": 0.5')), "q7-2"),
    "weights-of-the-mended-program": (edited("q8-weight", ("[1.0, 1.0, 2.0]", "[0.0, 0.5, 1.0]")), "q8-1"),
    "max-for-min": (edited("q8-weight", ("min(1.0", "max(1.0")), "q8-2"),
    "kept-and-best-swapped": (edited("q8-best", ("= 1, 5", "= 5, 1")), "q8-3"),
    "validation-annealed": (edited("q8-best", ("(reconstruction + kl)", "(reconstruction + annealer(kl))")), "q8-4"),
    "mean-for-median": (edited("q9-lasting", ("= sorted(kl[-1] / kl[0] for kl in runs.values())[1]",
                                              "= sum(kl[-1] / kl[0] for kl in runs.values()) / 3")), "q9-1"),
    "below-half-of-one": (edited("q9-lasting", ("kl[0] / 2)", "0.5)")), "q9-2"),
    "extrapolated": (edited("q9-lasting", ('"c", "e"}', '"b", "c", "e"}')), "q9-3"),
    "syntax-error": (edited("q4-counter", ("def step(self):", "def step(self)")), "q4-1 q4-2 q4-3 q4-4"),
}  # fmt: skip
#: And those that would stop the grading of everybody else. One ramp fills the memory with pieces so small that nothing
#: is left for the message, the other with a global variable, which the cells after it must live with.
STUCK = {
    "endless-loop": (edited("q4-counter", (COUNT, ENDLESS)), "q4-1 q4-2 q4-3 q4-4"),
    "memory-eater": (edited("q3-ramps", (LINEAR, GREEDY), (COSINE, HOARD)), "q3-1 q3-2 q3-4"),
}
UNSTOPPABLE = edited("q4-counter", (COUNT, SWALLOWED))


def together(*mistakes, among=WRONG):
    """One notebook with several of those mistakes: the answers, and the checks that they cost."""
    answers, checks = zip(*(among[name] for name in mistakes), strict=True)
    return {name: source for cells in answers for name, source in cells.items()}, " ".join(checks)


# -------------------------------------------------------------------------------------------- other right submissions

LOOPS = {
    "q1-gaussian-kl": """
def gaussian_kl(mu, logvar):
    kl = torch.zeros_like(mu)
    for i in range(mu.numel()):
        m, v = mu.flatten()[i], logvar.flatten()[i].exp()
        kl.view(-1)[i] = (m * m + v - torch.log(v) - 1) / 2
    return kl
""",
    "q1-kl-per-sentence": "def kl_per_sentence(kl):\n    return torch.stack([sum(sentence) for sentence in kl])",
    "q2-elbo-terms": """
def elbo_terms(logits, targets, kl):
    total = 0
    for sentence, words in zip(logits, targets):
        for scores, word in zip(sentence, words):
            if word != PAD:
                total = total - torch.log_softmax(scores, dim=0)[word]
    return [total / len(logits), sum(sum(sentence) for sentence in kl) / len(kl)]
""",
    "q2-hidden-weight": "def hidden_weight(targets):\n    return (targets != 0).float().sum(1).mean()",
    "q3-ramps": """
def ramp(shape):
    def weight(step, total_steps):
        if step >= total_steps:
            return 1
        return 0 if step == 0 else shape(step / total_steps)
    return weight

linear = ramp(lambda p: p)
cosine = ramp(lambda p: 0.5 - 0.5 * torch.cos(torch.tensor(math.pi * p, dtype=torch.float64)))
logistic = ramp(lambda p: 0.5 + 0.5 * math.tanh(6 * (p - 0.5)) / math.tanh(3))
""",
    "q4-counter": """
class CyclicalCounter:
    def __init__(self, total_steps, cyclical=True):
        self.total_steps, self.cyclical, self.current_step = total_steps, cyclical, 0

    def step(self):
        if self.cyclical:
            self.current_step = (min(self.current_step, self.total_steps - 1) + 1) % self.total_steps
        elif self.current_step != self.total_steps:
            self.current_step += 1

    def cyclical_setter(self, cyclical):
        self.cyclical = cyclical
""",
    "q5-training-step": """
def training_step(model, optimizer, criterion, annealer, batch):
    x, mu, logvar = model(batch)
    reconstruction, kl = criterion(x, batch, mu, logvar)
    loss = reconstruction + annealer.weight * kl
    annealer.step()
    for parameter in model.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return float(loss)
""",
}
DISTRIBUTIONS = {
    "q1-gaussian-kl": """
from torch.distributions import Categorical, Normal, kl_divergence

def gaussian_kl(mu, logvar):
    mu, logvar = mu.double(), logvar.double()
    return kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
""",
    "q1-kl-per-sentence": "def kl_per_sentence(kl):\n    return torch.einsum('bj->b', torch.tensor(kl).double())",
    "q2-elbo-terms": """
def elbo_terms(logits, targets, kl):
    log_p = Categorical(logits=logits.double()).log_prob(targets)
    return -torch.where(targets == PAD, 0, log_p).sum(-1).mean(), kl.double().sum(-1).mean()
""",
    "q2-hidden-weight": "def hidden_weight(targets):\n    return torch.count_nonzero(targets) / targets.shape[0]",
    "q3-ramps": """
import numpy as np

def progress(step, total_steps):
    return np.clip(np.float64(step) / total_steps, 0, 1)

def linear(step, total_steps):
    return progress(step, total_steps)

def cosine(step, total_steps):
    return np.sin(np.pi / 2 * progress(step, total_steps)) ** 2

def logistic(step, total_steps):
    low, weight, high = torch.sigmoid(torch.tensor([-6, 12 * progress(step, total_steps) - 6, 6]).double())
    return ((weight - low) / (high - low)).item()
""",
    "q5-training-step": """
def training_step(model, optimizer, criterion, annealer, batch):
    terms = criterion(*model(batch)[:1], batch, *model(batch)[1:])
    loss = terms[0] + annealer(terms[1])
    model.zero_grad()
    loss.backward()
    optimizer.step()
    annealer.step()
    return loss.detach().numpy()
""",
}
#: Writes to standard error in every way that people know, and is right.
NOISY = {
    "q1-gaussian-kl": """
import logging, sys, warnings
from tqdm import tqdm

def gaussian_kl(mu, logvar):
    warnings.warn("a warning")
    logging.error("an error that is none")
    print("to stderr", file=sys.stderr)
    for _ in tqdm(range(3)):
        pass
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
""",
    "q3-ramps": REFERENCE["q3-ramps"] + "\n\nprint('ramps', file=__import__('sys').stderr)",
}
#: Changes the tensors that it is given, which a caller may not expect but nothing forbids.
IN_PLACE = {
    "q1-gaussian-kl": """
def gaussian_kl(mu, logvar):
    return mu.pow_(2).add_(logvar.exp()).sub_(1).sub_(logvar).mul_(0.5)
""",
    "q2-elbo-terms": """
def elbo_terms(logits, targets, kl):
    targets[targets == PAD] = -100
    loss = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").sum(1)
    return loss.mean(), kl.sum(1).mean()
""",
    "q2-hidden-weight": "def hidden_weight(targets):\n    return targets.clamp_(max=1).sum(1).double().mean()",
}
#: Right, in a notebook where everything is float64.
DOUBLE = {
    "setup": text(named(RELEASE)["setup"]),
    "q1-gaussian-kl": "torch.set_default_dtype(torch.float64)\n" + REFERENCE["q1-gaussian-kl"],
}
SCIPY = {
    "q3-ramps": """
import numpy as np
from scipy.special import expit

def linear(step, total_steps):
    return np.minimum(1, step / total_steps)

def cosine(step, total_steps):
    return 0.5 - 0.5 * np.cos(np.pi * linear(step, total_steps))

def logistic(step, total_steps):
    low, high = expit(-6), expit(6)
    return (expit(12 * linear(step, total_steps) - 6) - low) / (high - low)
""",
}
#: Names that Python and the checks use, as variables of a scratch cell.
SHADOWS = "sum, list, abs, all, print, isinstance, tuple = 0, [1], 4, 5, 6, 7, 8\ntotal_steps = out = mu = kl = None"
