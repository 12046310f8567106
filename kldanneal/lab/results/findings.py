"""What is written from the stored runs: notebooks/RESULTS.md, README's table, and the figures."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from kldanneal.lab.files import write_atomically
from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.results import (
    bounds,
    budgets,
    claims,
    evidence,
    keeping,
    lasting,
    paths,
    penn_treebank,
    pictures,
    tail_pictures,
)
from kldanneal.lab.results.evidence import load_evidence
from kldanneal.lab.results.fair_map import load_map
from kldanneal.lab.results.pool import stored_at
from kldanneal.lab.results.tail import LAST, STILL, load_runs
from kldanneal.lab.training.settings import Settings

ROOT = Path(__file__).parents[3]

FIGURES: dict[str, tuple[Path, Callable[[], Figure]]] = {
    "evidence-schedules": (evidence.PATH, lambda: pictures.plot_measured(load_evidence())),
    "evidence-ablations": (evidence.PATH, lambda: pictures.plot_ablations(load_evidence())),
    "evidence-two-by-two": (evidence.PATH, lambda: pictures.plot_two_by_two(load_evidence())),
    "kl-over-updates": (stored_at("durability"), tail_pictures.plot_over_updates),
    "kl-over-distance": (stored_at("durability"), tail_pictures.plot_over_distance),
    "map": (stored_at("map"), lambda: tail_pictures.plot_map(1000)),
    "budgets": (stored_at("budgets"), lambda: budgets.plot_budgets().figure),
}


def page() -> str:
    """RESULTS.md: every claim, table and figure."""
    runs = load_evidence()
    return f"""\
# Results

Written by `make results` from the stored runs. Edit `kldanneal/lab/results/findings.py`, not this page.

All measures are in nats per sentence, on 1,000 held-out sentences, at KL weight 1.

- **low update**: an update with a KL weight below 1, or with free bits.
- **distance**: the number of updates since the last low update. Under a constant weight of 1 it is the number of
  updates since the start. Schedules are compared at equal distance.
- **KL**: KL(q(z|x) || p(z)).
- **-ELBO**: reconstruction term plus KL, an upper bound of -log p(x).
- **-log p(x)**: estimated by importance weighting with 20 samples of z from q(z|x): a tighter upper bound.
- **collapsed**: the KL is below {COLLAPSED}. A remedy **keeps the KL up** if it is not.
- **plateau**, or **lasts**: the KL changes by less than {100 * STILL:.0f} % from distance {LAST // 2:,} to {LAST:,},
  and is not collapsed. **Falling** and **rising**: it changes by more.
- **the same KL**: the two differ by less than {COLLAPSED}.
- **half is lost at**: the distance at which the KL is half of what it was at the last low update. The number is the
  median over the seeds that were not collapsed there, and in brackets their range.
- ± is the standard deviation over seeds. Elsewhere in brackets: the 95 % interval (Student's t) of the mean difference
  within seeds. The sign of a rounded 0.00 says on which side of 0 the number lies.

{_sizes()}

## Which claims hold

*Holds* means in every run, *does not hold* in none. Where the verdict is *depends*, read the numbers.

{claims.table_of_claims()}

Our hypothesis was that the decoder decides whether a model that uses z can last, and that it cannot without word
dropout; the schedule would decide only which of two states training ends in, or how soon. If so, runs with cycles and
runs without must end in the same KL at word dropout 0. With word dropout they may differ.

{paths.against_the_hypothesis()}

## Does the KL last?

{_part("durability", _durability)}

## What else keeps the KL?

{_part("remedies", _remedies)}

## A fair map of schedules

{_part("map", _map)}

## What to do with N updates

{_part("budgets", _budgets)}

## The schedule of the weight, or that of the learning rate?

The published cyclical script of Fu et al. also restarts the learning rate in every cycle. The table takes both apart.
An interaction can be there on one scale (differences or ratios) and not on the other.

{_part("two_by_two", _two_by_two)}

## Penn Treebank

All of it, at Fu et al.'s sizes (word vectors and LSTM 256, 32 latent dimensions, dropout 0.5, vocabulary 10,000), with
a constant learning rate: 8 epochs under the schedule, then 4 at weight 1, one seed.

{_part("ptb", _ptb)}

Others report for the Penn Treebank:

{penn_treebank.published()}

Do not compare these levels with ours: preprocessing, vocabulary and model sizes differ.

## Snapshots at the end of the schedule

{evidence.about(runs)} These numbers do not say whether the KL lasts. The schedules have
the names that they have above, but these are other runs, of an earlier version, without a tail. Here, *docstrings* are
summary lines only, without dropout. *Penn Treebank* is a sample: 2,742 sentences of its validation and test sections.
Its numbers cannot be compared with published ones.

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
"""


def _sizes() -> str:
    own = Settings()
    return f"""\
Unless a section says otherwise, the model has word vectors of {own.embedding}, LSTMs of {own.hidden} (encoder and
decoder) and {own.latent} latent dimensions. It is trained by Adam (learning rate {own.lr:g}) with {own.batch_size}
sentences an update."""


def _part(part: str, section: Callable[[], str]) -> str:
    """A section with its source and the commands that make it; one line if nothing was trained yet."""
    if not stored_at(part).exists():
        return f"Not trained yet: `make runs PART={part}`."
    return (
        f"{section()}\n\n{lasting.source(part)}\n\n- Train them again: `make runs PART={part}`.\n"
        f'- Repeat three runs that are drawn by chance: `make repeat PART={part} ARGS="--some 3"`.\n'
        f'- Repeat one row, for example: `make repeat PART={part} ARGS="{_example(part)}"`.'
    )


def _example(part: str) -> str:
    job = load_runs(part)[0]["job"]
    return (
        f"--corpus {job['corpus']} --label '{job['label']}' --word-dropout {job['settings'].get('word_dropout', 0):g}"
    )


def _durability() -> str:
    return f"""\
A schedule for 4,000 updates, then weight 1 up to 12,000. `monotonic`: a ramp over 500 updates. `monotonic-long`: over
2,000. `cyclical`: 4 cycles of 1,000, in each a ramp over 500. Docstrings are trained with dropout 0.3.

![KL over 12,000 updates under three schedules](figures/kl-over-updates.png)

*KL in training. A thin line is a seed, a thick line the mean. The schedules end at update 4,000.*

![Held-out KL against the distance from the last low update](figures/kl-over-distance.png)

*Held-out KL at equal distance.*

{lasting.durability()}

At equal distance the models have not had equally many updates (column *updates then*), and a bound falls with each.
Compare bounds in *Differences within seeds*, where both counts are equal in turn. {lasting.entropy()}

### The same runs at equal numbers of updates

{lasting.totals()}

### Differences within seeds

{lasting.pairs()}

### Control: the number of importance samples

-log p(x) is estimated with 20 samples of z for each sentence. Ten times as many change it by this much:

{bounds.in_words()}

### Control: a learning rate that falls to 0

Toy language, word dropout 0, `cyclical`, seeds 0 to 2. The learning rate falls in a line from update 4,000 to 8,000.

{lasting.decay()}"""


def _remedies() -> str:
    return f"""\
Toy language. Each remedy for 4,000 updates, then weight 1, no free bits: *later* counts from there.
Word dropout 0.5 stays to the end, at weight 1 throughout.

{lasting.remedies()}"""


def _map() -> str:
    return f"""\
Small runs (embedding and hidden 32, learning rate 0.01) on the toy language: 3 shapes, 6 values of `total_steps`, once
or in 4 cycles (a ramp over half of each), and constant weights; each with a tail of 4,000 updates at weight 1.

![Held-out KL against total_steps and against the discount](figures/map.png)

*Word dropout 0, 1,000 updates after the last low weight. The discount is the sum of 1 - weight over all updates.*

{lasting.on_the_map(load_map())}

Means over the seeds; the last column names the shape and `total_steps`, or the weight."""


def _budgets() -> str:
    return f"""\
Toy language. N updates in all, half of them the tail at weight 1. Only `constant 0.75 to the end` has weight 0.75
in the tail too. Only seeds that have every schedule and every N are counted.

![Held-out KL at the end of N updates under four schedules](figures/budgets.png)

{budgets.table_of_budgets()}

### A guide

From all runs above. Try the rows in this order.

{keeping.guide()}"""


def _two_by_two() -> str:
    return f"""\
Docstrings, dropout 0.3, 4,000 updates, measured at the end.

{lasting.interaction()}"""


def _ptb() -> str:
    return f"{penn_treebank.ours()}\n\n{penn_treebank.missing()}".rstrip()


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
