"""How do time and memory grow: with the sentences of a corpus, its words, the sizes of a model, the runs side by side?

    python tests/benchmarks/growth.py

- Loading: a text file of distinct sentences of 6 to 14 words, drawn with Zipf's law from 60,000 invented words, is
  written and loaded, each file in a process of its own. "Peak" is that process's largest memory less what it held after
  the imports. Constant memory per line: the bytes per line do not grow with the lines. CPU seconds beside the seconds
  tell whether the machine was busy with something else.
- Training: sentences of random words, of one length; one dimension grows at a time from a base of 1,500 words, hidden
  size and embedding 64, 10 words a sentence, batches of 32. The median of some updates on one thread, in a process of
  its own, and its peak, less the imports; about 100 MB of it is what torch sets up when it is first used.
- Side by side: a Comparison of one, two, four and eight schedules, with as many workers as there are cores (the
  default), training and measuring; in turn, round by round, as multiples of the time that one schedule takes.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import torch
from measuring import QUICK, fresh, in_turn, memory, ratios, spread, table
from torchtext.vocab import Vocab

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import BOS, EOS, SPECIALS, Corpus, Sentences
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.threads import cores, one_thread
from kldanneal.lab.training import settings
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

LINES = (2000, 4000) if QUICK else (250_000, 500_000, 1_000_000)
WORDS = 60_000  # to draw from
UPDATES = 3 if QUICK else 15
BASE = {"words": 1500, "hidden": 64, "length": 10}
GROWN = {
    "words": ("words in the vocabulary", (1500, 5000, 15_000, 50_000)),
    "hidden": ("hidden size and embedding", (64, 128, 256, 512)),
    "length": ("words a sentence", (10, 20, 40, 80)),
}
STEPS, ROUNDS = (5, 1) if QUICK else (300, 3)


def main() -> None:
    loading()
    training()
    side_by_side()


# ----------------------------------------------------------------------------------------------------------- loading


def write_text(path: Path, lines: int) -> None:
    path.write_text("".join(f"{line}.\n" for line in invented(lines)), encoding="utf-8")


def invented(lines: int) -> Iterator[str]:
    draw = random.Random(0)
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvwz" for vowel in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(WORDS)]
    cumulative = list(accumulate(1 / rank for rank in range(10, WORDS + 10)))
    for _ in range(lines):
        yield " ".join(draw.choices(words, cum_weights=cumulative, k=draw.randint(6, 14))).capitalize()


def loading() -> None:
    rows = [["lines", "seconds", "CPU seconds", "peak, MB", "bytes a line", "bytes a line that stay",
             "an epoch's batches, seconds"]]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for lines in LINES:
            path = Path(folder, f"{lines}.txt")
            write_text(path, lines)
            found = fresh(__file__, "load", path)
            rows.append(
                [
                    f"{lines:,}",
                    f"{found['seconds']:.1f}",
                    f"{found['cpu']:.1f}",
                    f"{found['peak']:.0f}",
                    f"{1e6 * found['peak'] / lines:.0f}",
                    f"{found['stays'] / lines:.0f}",
                    f"{found['epoch']:.2f}",
                ]
            )
    print(f"Loading a text file (of the last, {found['sentences']:,} sentences are distinct and kept):\n")
    table(*rows)


def load(path: str) -> dict:
    before, started, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    corpus = load_corpus(path)
    seconds, cpu, peak = time.perf_counter() - started, time.process_time() - cpu, memory("VmHWM") - before
    splits = corpus.train, corpus.valid, corpus.test
    started = time.perf_counter()
    corpus.train.buckets(32, torch.Generator())
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak,
        "stays": sum(part.nbytes for split in splits for part in (split.tokens, split.lengths, split.starts)),
        "epoch": time.perf_counter() - started,
        "sentences": sum(map(len, splits)),
    }


# ---------------------------------------------------------------------------------------------------------- training


def training() -> None:
    rows = [["what grows", "to", "ms an update", "times the first", "peak, MB", "parameters"]]
    for dimension, (name, values) in GROWN.items():
        first = None
        for value in values[:: 3 if QUICK else 1]:
            found = fresh(__file__, "train", json.dumps({**BASE, dimension: value}))
            first = first or found["ms"]
            rows.append(
                [
                    name,
                    f"{value:,}",
                    f"{found['ms']:.1f}",
                    f"{found['ms'] / first:.1f}",
                    f"{found['peak']:.0f}",
                    f"{found['parameters'] / 1e6:.2f} M",
                ]
            )
    print("Training, as one dimension grows:\n")
    table(*rows)


def random_corpus(words: int, length: int) -> Corpus:
    vocab = Vocab(Counter({f"word{i}": 2 for i in range(words)}), specials=SPECIALS)
    ids = torch.randint(len(SPECIALS), len(vocab), (1000, length), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([torch.full((1000, 1), BOS), ids, torch.full((1000, 1), EOS)], dim=1)
    sentences = Sentences(ids.flatten(), torch.full((1000,), length + 2))
    return Corpus("random", vocab, sentences, sentences, sentences, source="random words", digest="")


def train(given: str) -> dict:
    options = json.loads(given)
    before = memory("VmRSS")
    sizes = Settings(hidden=options["hidden"], embedding=options["hidden"])
    run = Run(random_corpus(options["words"], options["length"]), Annealer(1000), sizes, device="cpu")
    times = []
    with one_thread():
        for _ in range(2 + UPDATES):
            started = time.perf_counter()
            run.update()
            times.append(1000 * (time.perf_counter() - started))
    return {
        "ms": statistics.median(times[2:]),
        "peak": memory("VmHWM") - before,
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
    }


# ------------------------------------------------------------------------------------------------------ side by side


def side_by_side() -> None:
    corpus, options = load_corpus("toy"), replace(settings.QUICK, steps=STEPS)

    def compare(n: int) -> None:
        schedules = {f"ramp {i}": Annealer(100 * (i + 1)) for i in range(n)}
        Comparison(corpus, schedules, options, device="cpu").fit(progress=False)

    numbers = (1, 2, 4, 8)
    seconds = in_turn({n: lambda n=n: compare(n) for n in numbers}, ROUNDS)
    print(f"Schedules side by side on {cores()} cores ({STEPS} updates on toy, and their measurement):\n")
    table(
        ["schedules", *numbers],
        ["times one schedule", *(spread(ratios(seconds[n], seconds[1])) for n in numbers)],
        ["seconds", *(spread(seconds[n], "{:.1f}") for n in numbers)],
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps({"load": load, "train": train}[sys.argv[1]](sys.argv[2])))
    else:
        main()
