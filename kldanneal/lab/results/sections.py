"""The sections of notebooks/RESULTS.md: what was run, its tables and figures, and what they say."""

from kldanneal.lab.results import bounds, budgets, equal_discount, fair, keeping, lasting, penn_treebank
from kldanneal.lab.results.fair_map import load_map
from kldanneal.lab.results.parts import MAP_STEPS, TOTALS
from kldanneal.lab.results.statistics import with_interval
from kldanneal.lab.results.tail import LAST, durable, mean_at
from kldanneal.lab.training.settings import QUICK, Settings


def sizes() -> str:
    own = Settings()
    return f"""\
Unless a section says otherwise, the model has word vectors of {own.embedding}, LSTMs of {own.hidden} (encoder and
decoder) and {own.latent} latent dimensions. It is trained by Adam (learning rate {own.lr:g}, constant)
with {own.batch_size} sentences an update. Runs of one seed share initial weights, batches and noise. Word dropout hides
words from the decoder in training only; every measure is taken with all words in place.

- *toy*, the toy language: a grammar of 720,000 equally likely sentences, of 11.8 words on average. So its entropy is
  known.
- *docstrings*: every plain sentence in the docstrings of Python, torch, numpy, sympy and networkx as installed, of 4 to
  18 words, vocabulary 2,000. The text depends on their versions: the digest names it, and is that of all its sentences.

A sentence ends with `<eos>`, which counts as a word to be predicted."""


def in_short() -> str:
    """The three messages of the page, with their numbers."""
    fades, stays = (
        " and ".join(f"{_course(corpus, dropout)} ({fair.TITLES[corpus]})" for corpus in ("toy", "docstrings"))
        for dropout in (0.0, 0.2)
    )
    texts = fair.stored_texts()
    kl = {text: fair.pairs(*text, "monotonic-long") for text in texts}
    likelihood = {text: fair.pairs(*text, "constant", "iw_nll", update=TOTALS[-1]) for text in texts}
    price = {(corpus, 0.2): keeping.price_of_word_dropout(corpus) for corpus in ("toy", "docstrings")}
    constant = [run for corpus in ("toy", "docstrings") for run in durable(corpus, "constant", 0.2)]
    low = f"{keeping.collapsed(constant)} of {len(constant)}"
    return f"""\
1. After annealing, a small text VAE uses z. **Without word dropout its KL then fades** when training goes on at
   weight 1: after cycles from {fades} in {LAST:,} updates.
2. **With word dropout 0.2 it mostly stays**: from {stays}. Under a constant weight of 1,
   {low} runs are collapsed. Hiding words can have a price. It changes -log p(x), after as many
   updates, by {_labelled(price)}.
3. **No advantage of cycles over one long ramp** with as many low updates **is shown, and no lower -log p(x)** than
   under a constant weight of 1. Cycles minus the other:
   - KL, against the ramp, {LAST:,} updates after the last low weight: {_labelled(kl)};
   - -log p(x), against weight 1, after as many updates: {_labelled(likelihood)}.
{penn_treebank.in_short()}

Points 1 to 3 are of small models, at a constant learning rate, on two texts.
Beside each difference stand its text, its word dropout and its 95 % interval."""


def _labelled(found: dict[tuple[str, float], list[float]]) -> str:
    return "; ".join(f"{corpus}, {dropout:g}: {with_interval(d)}" for (corpus, dropout), d in found.items())


def _course(corpus: str, word_dropout: float) -> str:
    first, last = (mean_at(durable(corpus, "cyclical", word_dropout), "kl", d) for d in (0, LAST))
    return f"{first:.2f} to {last:.2f}"


def lasts() -> str:
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
The KL falls less, and the -ELBO more than any schedule of the weight achieves: what is said above of the KL in a tail
is said of a constant learning rate. At a rate near 0 nothing moves, so some KL must be left. No other schedule was
trained with a rate that falls.

{lasting.decay()}"""


def remedies() -> str:
    return f"""\
Toy language, word dropout 0. Each remedy for 4,000 updates, then weight 1, no free bits: *later* counts from there. The
ramp to 0.75 takes 2,000 of them. Free bits are a floor under the mean KL of a batch in each dimension. In the last row,
word dropout 0.5 stays to the end, at weight 1 throughout. `constant` is weight 1 from the start.

{lasting.remedies()}"""


def schedules() -> str:
    pairs = "; ".join(
        f"word dropout {dropout:g}: more KL in cycles in {sum(d > 0 for d in found)} of {len(found)} pairs"
        for dropout in (0.0, 0.2)
        if (found := equal_discount.differences(load_map(), dropout, 1000))
    )
    return f"""\
Small runs ({QUICK.hidden} instead of {Settings().hidden} in word vectors and LSTMs, learning rate {QUICK.lr:g}) on the
toy language: 3 shapes; `total_steps` of {", ".join(f"{steps:,}" for steps in MAP_STEPS)}; once, or in 4 cycles, where
`total_steps` is the length of one cycle and half of it is the ramp; and constant weights. Each has a tail of 4,000
updates at weight 1.

![Held-out KL against total_steps and against the discount](figures/map.png)

*Word dropout 0, 1,000 updates after the last low weight. The discount is the sum of 1 - weight over all updates.*

{lasting.on_the_map(load_map())}

The table counts the schedules whose mean KL is not collapsed. Its last column names the shape and `total_steps`, or
the weight. At one `total_steps`, cycles have twice the discount of one ramp, so a row does not say which is better. At
equal shape and discount, 1,000 updates after the last low weight, in pairs of a seed that have not both collapsed:
{pairs}."""


def n_updates() -> str:
    return f"""\
Toy language. N updates in all, half of them the tail at weight 1. `monotonic-long` is here one ramp over the first
half of N, `cyclical` 4 cycles in that half, in each a ramp over half of it. Only `constant 0.75 to the end` has weight
0.75 in the tail too. Only seeds that have every schedule and every N are counted. The ramp has N/2 low updates, and
the last one is N/2 updates ago; cycles have N/4, and 9/16 N. So the table does not say which of the two is better.

![Held-out KL at the end of N updates under four schedules](figures/budgets.png)

*The measure is taken after the last update. A thin line is a seed, a thick line the mean.*

{budgets.table_of_budgets()}

### A guide

From all runs above. Try the rows in this order.

{keeping.guide()}"""


def weight_or_rate() -> str:
    return f"""\
Docstrings, dropout 0.3, 4,000 updates, measured at the end. *Monotonic weight*: a ramp from 0.1 over 900 updates.
*Cyclical weight*: 4 cycles of 1,000, in each a ramp from 0.1 over 450. *Restarts*: the learning rate falls from
{Settings().lr:g} to 0 in a cosine, 4 times. As in the published scripts, the two weights differ in discount and in
distance: at the end, the last low update is 3,100 updates ago, or 550. A ratio is the geometric mean of the ratios
within seeds. Under the monotonic weight the models have collapsed, so ratios to their KL are ratios to almost nothing.

{lasting.interaction()}"""


def treebank() -> str:
    return f"""\
`cyclical`: 4 cycles of two epochs, in each the weight grows over the first. `monotonic-long`: it grows over 4 epochs.

![Held-out KL after each epoch, without word dropout and with it](figures/penn-treebank.png)

{penn_treebank.ours()}

After 12 epochs (perplexity: e to the power of the -ELBO per word, with {penn_treebank.WORDS:.1f} words a sentence,
`<eos>` included):

{penn_treebank.at_the_end()}

{penn_treebank.compared()}

{penn_treebank.missing()}""".rstrip()


def sources() -> str:
    """The papers that the claims are from."""
    return """\
- Bowman et al. 2016, *Generating Sentences from a Continuous Space*, arXiv 1511.06349
- Kingma et al. 2016, *Improving Variational Inference with Inverse Autoregressive Flow* (C.8), arXiv 1606.04934
- Chen et al. 2017, *Variational Lossy Autoencoder* (section 2.2), arXiv 1611.02731
- Fu et al. 2019, *Cyclical Annealing Schedule*, arXiv 1903.10145
- He et al. 2019, *Lagging Inference Networks and Posterior Collapse*, arXiv 1901.05534
- Li et al. 2019, *A Surprisingly Effective Fix for Deep Latent Variable Modeling of Text*, arXiv 1909.00868
- Lucas et al. 2019, *Don't Blame the ELBO!* (section 6.2), arXiv 1911.02469"""
