"""How fast does a run train, next to the loop of a tutorial, and next to the limit?

    python tests/benchmarks/throughput.py [TEXT FILE]     the text of the largest size; default: docstrings

Three sizes: toy (QUICK on the toy language), docstrings (the default Settings), and Sentence-VAE's (embedding 300,
hidden 256, latent 16, batch 32, vocabulary 4,000). Everything that is compared is timed in turn, round by round, on one
epoch of the same sentences; the tables hold medians over the rounds and, in brackets, the least and the greatest.

- Ours: a Run, on one thread. Twice: two of them side by side, a thread each, as Comparison trains them.
- The tutorial's loop (class TutorialVAE): the same model, loss and clipping, which is checked below, but a DataLoader
  that shuffles all sentences and pads each to the longest of the corpus, a projection of every position onto the
  vocabulary, Adam as it comes, and torch's default number of threads. Then the same on one thread; then the same with
  padding per batch only, which shows what that alone is worth.
- The limit: the float32 matrix products of forward and backward for the batches of our run, and nothing else.

How to read it: "3.0" times the tutorial is three times as many sentences a second. "60%" of the limit means that 40 %
of the time went into something other than matrix products; the profile at the end says into what.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from measuring import QUICK, in_turn, ratios, spread, table
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import PAD, Corpus, Sentences
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training import settings
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

ROUNDS = 2 if QUICK else 5


@dataclass
class Size:
    """A corpus cut to one epoch of some batches, and the settings that it is trained with."""

    name: str
    corpus: Corpus
    settings: Settings
    batches: int

    def __post_init__(self) -> None:
        whole = self.corpus.train
        self.longest = int(whole.lengths.max())
        lengths = whole.lengths[: (3 if QUICK else self.batches) * self.settings.batch_size]
        part = Sentences(whole.tokens[: int(lengths.sum())], lengths)
        self.corpus = replace(self.corpus, train=part)
        self.sentences, self.tokens = len(part), int((lengths - 1).sum())  # <bos> is not predicted

    def run(self) -> Run:
        return Run(self.corpus, Annealer(1000), self.settings, device="cpu")

    def updates(self) -> range:
        return range(-(-self.sentences // self.settings.batch_size))


def sizes(text: str = "docstrings") -> list[Size]:
    sentence_vae = Settings(lr=1e-3, embedding=300, hidden=256, latent=16)
    return [
        Size("toy", load_corpus("toy"), settings.QUICK, 100),
        Size("docstrings", load_corpus("docstrings"), Settings(), 50),
        Size("Sentence-VAE's", load_corpus(text, max_length=60, vocab_size=4000), sentence_vae, 10),
    ]


def on_one_thread(job: Callable[[], None]) -> Callable[[], None]:
    def epoch() -> None:
        with one_thread():
            job()

    return epoch


# ------------------------------------------------------------------------------------------- the loop of a tutorial


class TutorialVAE(nn.Module):
    """The model of kldanneal.lab.model, as short as it can be written; the parameters have the same names."""

    def __init__(self, vocab_size: int, embedding: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.encoder_embedding = nn.Embedding(vocab_size, embedding)
        self.encoder_lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.to_mu, self.to_logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.z_to_state = nn.Linear(latent, hidden)
        self.decoder_embedding = nn.Embedding(vocab_size, embedding)
        self.decoder_lstm = nn.LSTM(embedding + latent, hidden, batch_first=True)
        self.to_vocab = nn.Linear(hidden, vocab_size)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, targets = x[:, :-1], x[:, 1:]
        states, _ = self.encoder_lstm(self.encoder_embedding(targets))
        pooled = states.masked_fill((targets == PAD)[:, :, None], -torch.inf).max(dim=1).values
        mu, logvar = self.to_mu(pooled), self.to_logvar(pooled)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        cell = self.z_to_state(z)[None]
        z = z[:, None].repeat(1, inputs.shape[1], 1)
        states, _ = self.decoder_lstm(torch.cat([self.decoder_embedding(inputs), z], dim=2), (cell.tanh(), cell))
        return self.to_vocab(states), mu, logvar


def tutorial_loss(model: TutorialVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    logits, mu, logvar = model(x)
    reconstruction = F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten(), ignore_index=PAD, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return reconstruction / len(x), kl / len(x)


def tutorial(size: Size, pad_to_longest: bool) -> Callable[[], None]:
    """An epoch of the loop."""
    options = size.settings
    model = TutorialVAE(len(size.corpus.vocab), options.embedding, options.hidden, options.latent)
    check(model, size)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    sentences = list(size.corpus.train)
    if pad_to_longest:
        sentences = [F.pad(ids, (0, size.longest - len(ids)), value=PAD) for ids in sentences]
    loader = DataLoader(
        sentences, options.batch_size, shuffle=True, collate_fn=lambda ids: pad_sequence(ids, True, PAD)
    )

    def epoch() -> None:
        for step, x in enumerate(loader):
            optimizer.zero_grad()
            reconstruction, kl = tutorial_loss(model, x)
            loss = reconstruction + min(1.0, step / 1000) * kl
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimizer.step()
            loss.item()  # a tutorial prints it

    return epoch


def check(model: TutorialVAE, size: Size) -> None:
    """With the same weights, sentences and noise, the tutorial's two terms are ours."""
    ours = size.run()
    model.load_state_dict(ours.model.state_dict())
    x = ours._next_batch()
    torch.manual_seed(0)
    logits, targets, mu, logvar = ours.model(x)
    expected = torch.stack(ours.criterion(logits, targets, mu, logvar))
    torch.manual_seed(0)
    got = torch.stack(tutorial_loss(model, F.pad(x, (0, size.longest - x.shape[1]), value=PAD)))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------------------- ours, and the limit


def ours(size: Size) -> Callable[[], None]:
    run = size.run()

    def epoch() -> None:
        for _ in size.updates():
            run.update()

    return on_one_thread(epoch)


def products(size: Size) -> Callable[[], None]:
    """The matrix products of forward and backward for the batches of an epoch of our run."""
    run, new, batch, hidden = size.run(), torch.randn, size.settings.batch_size, size.settings.hidden
    shapes = []
    for _ in size.updates():
        x = run._next_batch()
        shapes.append((x.shape[1] - 1, int((x[:, 1:] != PAD).sum())))
    longest, most = max(t for t, _ in shapes), max(n for _, n in shapes)
    gates, logits = new(batch * longest, 4 * hidden), new(most, len(size.corpus.vocab))
    states = new(max(batch * longest, most), hidden)
    recurrent, projection = new(hidden, 4 * hidden), new(hidden, len(size.corpus.vocab))
    widths = (size.settings.embedding, size.settings.embedding + size.settings.latent)
    inputs = [(new(batch * longest, width), new(width, 4 * hidden)) for width in widths]

    def update(t: int, n: int) -> None:
        for x, w in inputs:  # the encoder's LSTM and the decoder's
            x, g, h = x[: batch * t], gates[: batch * t], states[: batch * t]
            x @ w
            for _ in range(t):
                h[:batch] @ recurrent
                g[:batch] @ recurrent.T
            g @ w.T, x.T @ g, h.T @ g
        h, y = states[:n], logits[:n]  # the projection onto the vocabulary
        h @ projection, y @ projection.T, h.T @ y

    def epoch() -> None:
        for shape in shapes:
            update(*shape)

    return on_one_thread(epoch)


def twice(make: Callable[[Size], Callable[[], None]], size: Size) -> Callable[[], None]:
    """Two of them side by side, a thread each."""
    jobs = [make(size) for _ in range(2)]

    def both() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda job: job(), jobs))

    return both


def where_the_time_goes(size: Size) -> str:
    """The shares of one run's time on one thread: torch's largest operators, and what is outside of operators."""
    run = size.run()
    with one_thread():
        for _ in range(3):
            run.update()
        started = time.perf_counter()
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in size.updates():
                run.update()
            wall = 1e6 * (time.perf_counter() - started)
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    shares = [f"{event.key.removeprefix('aten::')} {event.self_cpu_time_total / wall:.0%}" for event in events[:8]]
    rest = 1 - sum(event.self_cpu_time_total for event in events) / wall
    return f"{', '.join(shares)}, ..., outside of operators {rest:.0%}"


def main(text: str = "docstrings") -> None:
    speeds = [["size", "sentences/s, one run", "tokens/s, one run", "sentences/s, two at once"]]
    compared = [["size", "one run : tutorial", "two at once : tutorial", "one run : tutorial on one thread",
                 "one run : tutorial, padding per batch", "of the limit, one run",
                 "of the limit, two at once"]]  # fmt: skip
    profiles = []
    for size in sizes(text):
        jobs = {
            "ours": ours(size),
            "tutorial": tutorial(size, pad_to_longest=True),
            "per batch": tutorial(size, pad_to_longest=False),
            "one thread": on_one_thread(tutorial(size, pad_to_longest=True)),
            "limit": products(size),
            "two": twice(ours, size),
            "two limits": twice(products, size),
        }
        seconds = in_turn(jobs, ROUNDS)
        one, two = seconds["ours"], [s / 2 for s in seconds["two"]]  # the time for one epoch
        speeds.append(
            [
                f"{size.name}: {size.tokens / size.sentences:.1f} tokens a sentence, the longest {size.longest - 1}",
                spread([size.sentences / s for s in one], "{:,.0f}"),
                spread([size.tokens / s for s in one], "{:,.0f}"),
                spread([size.sentences / s for s in two], "{:,.0f}"),
            ]
        )
        compared.append(
            [
                size.name,
                *(spread(ratios(seconds["tutorial"], s)) for s in (one, two)),
                spread(ratios(seconds["one thread"], one)),
                spread(ratios(seconds["per batch"], one)),
                spread(ratios(seconds["limit"], one), "{:.0%}"),
                spread(ratios(seconds["two limits"], seconds["two"]), "{:.0%}"),
            ]
        )
        profiles.append(f"- {size.name}: {where_the_time_goes(size)}")
    print("Training (medians over rounds; the least and the greatest in brackets):\n")
    table(*speeds)
    print(f"Against the tutorial's loop ({torch.get_num_threads()} threads), and of the limit:\n")
    table(*compared)
    print("Where the time of one run goes (operators of torch, under its profiler, which slows Python down):\n")
    print("\n".join(profiles))


if __name__ == "__main__":
    main(*sys.argv[1:])
