"""What is written from the stored runs: notebooks/RESULTS.md, README's table, and the figures."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from kldanneal.lab.files import write_atomically
from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.results import (
    budgets,
    claims,
    evidence,
    lasting,
    paths,
    penn_treebank,
    pictures,
    sections,
    tail_pictures,
)
from kldanneal.lab.results.evidence import load_evidence
from kldanneal.lab.results.jobs import DISTANCES
from kldanneal.lab.results.parts import PTB_EPOCH
from kldanneal.lab.results.pool import stored_at
from kldanneal.lab.results.tail import LAST, STILL, load_runs

ROOT = Path(__file__).parents[3]

FIGURES: dict[str, tuple[Path, Callable[[], Figure]]] = {
    "evidence-schedules": (evidence.PATH, lambda: pictures.plot_measured(load_evidence())),
    "evidence-ablations": (evidence.PATH, lambda: pictures.plot_ablations(load_evidence())),
    "evidence-two-by-two": (evidence.PATH, lambda: pictures.plot_two_by_two(load_evidence())),
    "kl-over-updates": (stored_at("durability"), tail_pictures.plot_over_updates),
    "kl-over-distance": (stored_at("durability"), tail_pictures.plot_over_distance),
    "map": (stored_at("map"), lambda: tail_pictures.plot_map(1000)),
    "penn-treebank": (stored_at("ptb"), tail_pictures.plot_penn_treebank),
    "budgets": (stored_at("budgets"), lambda: budgets.plot_budgets().figure),
}


def page() -> str:
    """RESULTS.md: every claim, table and figure."""
    runs = load_evidence()
    return f"""\
# Results

## In short

{sections.in_short()}

## How to read this page

It is written by `make results` from the stored runs. Edit `kldanneal/lab/results`, not this page.

All measures are in nats per sentence, on 1,000 held-out sentences, at KL weight 1.

- **low update**: an update with a KL weight below 1, or with free bits.
- **distance**: the number of updates since the last low update. Under a constant weight of 1 it is the number of
  updates since the start. Claims compare schedules at equal distance, and bounds after equally many updates in all.
- **KL**: KL(q(z|x) || p(z)).
- **-ELBO**: reconstruction term plus KL, an upper bound of -log p(x).
- **-log p(x)**: estimated by importance weighting with 20 samples of z from q(z|x): on average a tighter upper
  bound.
- **I(x; z)**: the mutual information of the sentences and z. **Active units**: dimensions of z whose mean has a
  variance above 0.01 over the sentences.
- **collapsed**: the KL is below {COLLAPSED}. A remedy **keeps the KL up** if it is not.
- **plateau**, or **levels off**: the KL changes by less than {100 * STILL:.0f} % from distance {LAST // 2:,} to
  {LAST:,}, and is not collapsed. It may have fallen before. **Falling** and **rising**: it changes by more.
- **the same KL**: the two differ by less than {COLLAPSED}.
- **half is lost at**: the distance at which the held-out KL is half of what it was at the last low update, on a
  straight line between two measures. They are taken at {", ".join(f"{d:,}" for d in DISTANCES)}. The KL falls fastest
  at first, so a number between two of them is rather too high. The number is the median over the seeds that were not
  collapsed at 0, and in brackets their range.
- ± is the standard deviation over seeds. Elsewhere in brackets: the 95 % interval (Student's t) of the mean difference
  within seeds. The sign of a rounded 0.00 says on which side of 0 the number lies.

{sections.sizes()}

## Which claims hold

*Holds* means in every run, *does not hold* in none, by sign or threshold alone. Where the verdict is *depends*, read
the numbers, and the intervals in any case. The sources are named at the end.

{claims.table_of_claims()}

Our hypothesis was that the decoder decides whether a model that uses z can last, and that it cannot without word
dropout; the schedule would decide only which of two states training ends in, or how soon. If so, runs with cycles and
runs without must end in the same KL at word dropout 0. With word dropout they may differ.

{paths.against_the_hypothesis()}

## Does the KL last?

{_part("durability", sections.lasts)}

## What else keeps the KL?

{_part("remedies", sections.remedies)}

## A fair map of schedules

{_part("map", sections.schedules)}

## What to do with N updates

{_part("budgets", sections.n_updates)}

## The schedule of the weight, or that of the learning rate?

The published cyclical script of Fu et al. also restarts the learning rate in every cycle. The tables separate the
weight from that learning rate, which is lower on average and 0 at the end. They do not say whether it is the restarting
that matters. An interaction can be there on one scale (differences or ratios) and not on the other.

{_part("two_by_two", sections.weight_or_rate)}

## Penn Treebank

All sentences of at most 40 words, at Fu et al.'s sizes (word vectors and LSTM 256, 32 latent dimensions, dropout 0.5,
vocabulary of about 10,000), with a constant learning rate of 0.001: 8 epochs under the schedule, then 4 at weight 1.
Batches of 32 make {PTB_EPOCH:,} updates an epoch. **One seed**, so there are no intervals, and a small difference can
be chance. Every measure is of the {penn_treebank.SENTENCES:,} test sentences; no model was chosen by it.

{_part("ptb", sections.treebank)}

Others report for the Penn Treebank:

{penn_treebank.published()}

Do not compare these levels with ours: preprocessing, the test sentences, vocabulary and model sizes differ.

## Snapshots at the end of the schedule

{evidence.about(runs)} These numbers do not say whether the KL lasts. The schedules have
the names that they have above, but these are other runs, of an earlier version, without a tail. Here, *docstrings* are
summary lines only, without dropout. *Penn Treebank* is a sample: 2,742 sentences of its validation and test sections.
Its numbers cannot be compared with published ones. Runs are compared after equally many updates, not at equal distance:
after 4,000, the last low update is 500 (`cyclical`), 2,000 (`monotonic-long`) or 3,500 (`monotonic`) updates ago, and
part of each difference in KL is that. `make evidence` trains such runs with the present version.

**Yes** means in every seed, by sign alone, **no** in none; else the number of seeds stands there.

{evidence.claims(runs)}

{evidence.collapsed(runs)}

![KL and -ELBO of every run under four schedules, on toy and docstrings](figures/evidence-schedules.png)

*A circle is a run, a grey line joins the runs of one seed, a bar is the mean with its interval.*

### Four schedules on docstrings (summary lines)

{evidence.measures(runs, "docstrings")}

### Four schedules on the toy language

{evidence.measures(runs, "toy")}

{evidence.above_entropy(runs)}

### Ablations: one hyperparameter at a time, on the toy language

{evidence.ablations(runs)}

![KL and -ELBO on the toy language, with one hyperparameter varied at a time](figures/evidence-ablations.png)

### Weight and learning rate, on summary lines and on the sample of Penn Treebank

Each cell is the difference to the monotonic weight with a constant learning rate.

{evidence.two_by_two(runs)}

![KL and -ELBO for both schedules of the weight and both of the learning rate](figures/evidence-two-by-two.png)

## Sources

{sections.sources()}
"""


def _part(part: str, section: Callable[[], str]) -> str:
    """A section with its source and the commands that make it; one line if nothing was trained yet."""
    of = f"PART={part} PTB=folder" if part == "ptb" else f"PART={part}"  # the text is not part of the project
    if not stored_at(part).exists():
        return f"Not trained yet: `make runs {of}`."
    return (
        f"{section()}\n\n{lasting.source(part)} Stored in `kldanneal/lab/results/{part}.json`.\n\n"
        f"- Train all of them: `make runs {of}`.\n"
        "- Train three of them again, drawn by chance (another number draws others): "
        f'`make repeat {of} ARGS="--some 3 --draw 1"`.\n'
        f'- Train some again by name: `make repeat {of} ARGS="{_example(part)}"`.'
    )


def _example(part: str) -> str:
    job = load_runs(part)[0]["job"]
    word_dropout = job["settings"].get("word_dropout", 0)
    return f"--corpus {job['corpus']} --label '{job['label']}' --word-dropout {word_dropout:g} --seed {job['seed']}"


def with_table(readme: str) -> str:
    """README with its one table, between two marks, made from the runs."""
    marked = re.compile(r"(<!-- results -->\n).*?(\n<!-- end -->)", re.DOTALL)
    if len(marked.findall(readme)) != 1:
        raise ValueError("Expected one <!-- results --> followed by <!-- end --> in README.md")
    return marked.sub(lambda match: f"{match[1]}{lasting.summary()}{match[2]}", readme)


def write(root: Path = ROOT) -> None:
    """RESULTS.md, README's table, and the figures, each with the digest of the runs that it shows."""
    readme = root / "README.md"
    for name, (runs, plot) in FIGURES.items():
        if runs.exists():
            digest = hashlib.sha256(runs.read_bytes()).hexdigest()
            path = root / "notebooks" / "figures" / f"{name}.png"
            plot().savefig(path, dpi=110, metadata={"Source": digest})
    write_atomically(root / "notebooks" / "RESULTS.md", page().encode())
    write_atomically(readme, with_table(readme.read_text(encoding="utf-8")).encode())
