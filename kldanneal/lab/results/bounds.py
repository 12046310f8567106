"""Is -log p(x) estimated with enough samples? Two runs, measured with 20 samples of z and with ten times as many."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kldanneal.lab.files import write_atomically
from kldanneal.lab.metrics import evaluate
from kldanneal.lab.results import pool
from kldanneal.lab.results.jobs import Job, from_dict
from kldanneal.lab.results.parts import durability
from kldanneal.lab.tables import table
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

PATH = Path(__file__).with_name("bounds.json")
SAMPLES = (20, 200)


def checked() -> list[Job]:
    """The runs with most KL: cyclical with word dropout, seed 0, on both corpora."""
    return [job for job in durability()
            if job.label == "cyclical" and job.seed == 0 and job.settings.get("word_dropout")]  # fmt: skip


def measure(folder: str | Path) -> None:
    """Measures the finished runs, from their checkpoints in the folder of ``make runs PART=durability``."""
    rows = []
    for job in checked():
        corpus = pool.corpus(job.corpus)
        run = Run(corpus, job.schedule(), Settings(**{"steps": job.updates} | job.settings), seed=job.seed,
                       device="cpu").load(Path(folder) / pool.checkpoint(job))  # fmt: skip
        found = {n: evaluate(run.model, corpus.test, iw_samples=n) for n in SAMPLES}
        rows.append({"job": asdict(job), "neg_elbo": round(found[SAMPLES[0]].neg_elbo, 4),
                     "iw_nll": {str(n): round(metrics.iw_nll, 4) for n, metrics in found.items()}})  # fmt: skip
    write_atomically(PATH, json.dumps(rows, indent=1).encode())


def in_words() -> str:
    """In Markdown: the bounds of the runs that were checked; nothing if none was."""
    runs = json.loads(PATH.read_text()) if PATH.exists() else []
    rows: list[list[Any]] = [["run", "-ELBO", *(f"-log p(x) with {n} samples" for n in SAMPLES)]]
    for each in runs:
        job = from_dict(each["job"])
        name = f"{job.corpus}, `{job.label}`, word dropout {job.settings['word_dropout']:g}, seed {job.seed}"
        rows.append([name, f"{each['neg_elbo']:.2f}", *(f"{each['iw_nll'][str(n)]:.2f}" for n in SAMPLES)])
    return table(rows, "markdown") if runs else ""
