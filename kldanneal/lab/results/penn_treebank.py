"""The whole Penn Treebank: tables of our runs, and the numbers that others published."""

from kldanneal.lab.results.jobs import Job, from_dict
from kldanneal.lab.results.parts import PTB_EPOCH, ptb
from kldanneal.lab.results.tail import Run, at_update, load_runs
from kldanneal.lab.tables import table

EPOCHS = (2, 4, 6, 8, 10, 12)

#: Source; KL; -ELBO; perplexity. None: not given.
PUBLISHED = (
    ("Optimus, appendix (arXiv 2004.04092), monotonic", 0.0, 101.28, 101.40),
    ("Optimus, appendix (arXiv 2004.04092), cyclical", 1.37, 102.81, 108.81),
    ("texar's VAE (its README)", None, 101.92, 104.61),
    ("Sentence-VAE (its README), stopped about an epoch after weight 1", 7.27, 103.97, None),
)


def ours() -> str:
    """The KL over the epochs, and the bounds at the end, of each stored run."""
    rows = [["schedule", "word dropout", *(f"KL after {epoch}" for epoch in EPOCHS), "-ELBO", "-log p(x)"]]
    for job in ptb():
        if run := _stored(job):
            kl = [f"{at_update(run, 'kl', epoch * PTB_EPOCH):.2f}" for epoch in EPOCHS]
            bounds = [f"{at_update(run, name, job.updates):.2f}" for name in ("neg_elbo", "iw_nll")]
            rows.append([f"`{job.label}`", f"{job.settings['word_dropout']:g}", *kl, *bounds])
    return table(rows, "markdown")


def missing() -> str:
    """Which runs are not stored; empty if all are."""
    names = [f"`{job.label}` with word dropout {job.settings['word_dropout']:g}" for job in ptb() if not _stored(job)]
    return f"Not trained yet: {', '.join(names)}." if names else ""


def published() -> str:
    """What others report."""
    rows = [["source", "KL", "-ELBO", "perplexity"]]
    rows += [[source, *("-" if value is None else f"{value:.2f}" for value in numbers)]
             for source, *numbers in PUBLISHED]  # fmt: skip
    return table(rows, "markdown")


def _stored(job: Job) -> Run | None:
    return next((run for run in load_runs("ptb") if from_dict(run["job"]).key() == job.key()), None)
