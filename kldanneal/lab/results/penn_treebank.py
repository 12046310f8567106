"""The whole Penn Treebank: tables of our runs, and the numbers that others published."""

import math

from kldanneal.lab.results.jobs import Job, from_dict
from kldanneal.lab.results.parts import PTB_EPOCH, ptb
from kldanneal.lab.results.tail import Run, at, at_update, half_distance, load_runs
from kldanneal.lab.tables import table

EPOCHS = (2, 4, 6, 7, 8, 9, 10, 12)
SENTENCES = 3_620  # of the test set
WORDS = 75_801 / SENTENCES  # to be predicted in each, <eos> included

#: Source; KL; -ELBO; perplexity. None: not given.
PUBLISHED = (
    ("Optimus, appendix (arXiv 2004.04092), monotonic", 0.0, 101.28, 101.40),
    ("Optimus, appendix (arXiv 2004.04092), cyclical", 1.37, 102.81, 108.81),
    ("texar's VAE (its README)", None, 101.92, 104.61),
    ("Sentence-VAE (its README), stopped about an epoch after weight 1", 7.27, 103.97, None),
)


def stored_jobs() -> list[tuple[Job, Run]]:
    """The jobs whose runs are stored, in the order of the part, each with its run."""
    found = {from_dict(run["job"]).key(): run for run in load_runs("ptb")}
    return [(job, found[job.key()]) for job in ptb() if job.key() in found]


def in_short() -> str:
    """The message of the page: what becomes of the KL after annealing; empty before there are such runs."""
    courses = [
        f"{job.label}, {_word_dropout(job)}: {at(run, 'kl', 0):.2f} to {at_update(run, 'kl', job.updates):.2f} in "
        f"{(job.updates - job.last_low()) // PTB_EPOCH} epochs"
        for job, run in stored_jobs()
        if job.last_low()
    ]
    if not courses:
        return ""
    return (
        "4. **The whole Penn Treebank agrees**, with larger models but one seed. KL at the last low update and at the "
        f"end (schedule, word dropout): {'; '.join(courses)}."
    )


def ours() -> str:
    """The KL of each run over the epochs."""
    rows = [["schedule", "word dropout", "last low epoch", *(f"KL after {epoch}" for epoch in EPOCHS),
             "epochs until half is lost"]]  # fmt: skip
    for job, run in stored_jobs():
        kl = [f"{at_update(run, 'kl', epoch * PTB_EPOCH):.2f}" for epoch in EPOCHS]
        low, lost = "-", "-"
        if job.last_low():
            low, half = str(job.last_low() // PTB_EPOCH), half_distance(run)
            lost = "not lost" if math.isinf(half) else f"{half / PTB_EPOCH:.1f}"
        rows.append([f"`{job.label}`", _word_dropout(job), low, *kl, lost])
    return table(rows, "markdown")


def at_the_end() -> str:
    """All measures of each run after the last epoch."""
    rows = [["schedule", "word dropout", "KL", "I(x; z)", "active units", "-ELBO", "-log p(x)",
             "perplexity by the -ELBO", "lowest -ELBO, in epoch"]]  # fmt: skip
    for job, run in stored_jobs():
        kl, information, units, bound, tighter = (
            at_update(run, name, job.updates)
            for name in ("kl", "mutual_information", "active_units", "neg_elbo", "iw_nll")
        )
        rows.append([f"`{job.label}`", _word_dropout(job), f"{kl:.2f}", f"{information:.2f}", f"{units:.0f}",
                     f"{bound:.2f}", f"{tighter:.2f}", f"{math.exp(bound / WORDS):.1f}",
                     f"{run['best']['update'] / PTB_EPOCH:.0f}"])  # fmt: skip
    return table(rows, "markdown")


def compared() -> str:
    """What becomes of the KL after annealing, and what it costs, in sentences; empty if there is nothing to compare."""
    found = {(job.label, job.settings["word_dropout"]): (job, run) for job, run in stored_jobs()}
    sentences = []
    for (label, word_dropout), (job, run) in found.items():
        if label != "constant" and ("constant", word_dropout) in found:
            _, constant = found["constant", word_dropout]
            bound, tighter = (
                at_update(run, name, job.updates) - at_update(constant, name, job.updates)
                for name in ("neg_elbo", "iw_nll")
            )
            sentences.append(
                f"- `{label}`, word dropout {word_dropout:g}: the KL goes from {at(run, 'kl', 0):.2f} at the last low "
                f"update (epoch {job.last_low() // PTB_EPOCH}) to {at_update(run, 'kl', job.updates):.2f} in epoch 12. "
                f"There, the -ELBO minus that of a constant weight of 1 is {bound:+.2f}, and -log p(x) {tighter:+.2f}."
            )
    if ("cyclical", 0.0) in found and ("monotonic-long", 0.0) in found:
        (job, cycles), (ramp_job, ramp) = (found[label, 0.0] for label in ("cyclical", "monotonic-long"))
        distance = job.updates - job.last_low()
        sentences.append(
            f"- Cycles against one long ramp, word dropout 0, both {distance // PTB_EPOCH} epochs after the last low "
            f"update (epochs 12 and {(ramp_job.last_low() + distance) // PTB_EPOCH}): KL "
            f"{at(cycles, 'kl', distance):.2f} and {at(ramp, 'kl', distance):.2f}."
        )
    return "\n".join(sentences)


def missing() -> str:
    """Which runs are not stored; empty if all are."""
    there = [job for job, _ in stored_jobs()]
    names = [f"`{job.label}` with word dropout {_word_dropout(job)}" for job in ptb() if job not in there]
    return f"Not trained yet: {', '.join(names)}." if names else ""


def published() -> str:
    """What others report."""
    rows = [["source", "KL", "-ELBO", "perplexity"]]
    rows += [[source, *("-" if value is None else f"{value:.2f}" for value in numbers)]
             for source, *numbers in PUBLISHED]  # fmt: skip
    return table(rows, "markdown")


def _word_dropout(job: Job) -> str:
    return f"{job.settings['word_dropout']:g}"
