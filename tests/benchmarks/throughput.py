"""How fast a run trains, against the limit: the float32 matrix products of the same shapes, and nothing else.

    python tests/benchmarks/throughput.py [TEXT FILE]     (default: the docstring corpus)

Sizes of Sentence-VAE: embedding 300, hidden 256, latent 16, batch 32, vocabulary 4,000. Training and limit are timed in
turn, five times each, in one process: once alone on one thread, once two side by side, a thread each. The median ratio
is the figure to quote. A profile says where the rest of the time goes.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.profiler import ProfilerActivity, profile

from kldanneal import Annealer
from kldanneal.lab.corpora import Corpus, load_corpus
from kldanneal.lab.settings import Settings
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training import Run

E, H, L, B, UPDATES, ROUNDS = 300, 256, 16, 32, 30, 5


def main() -> None:
    corpus = load_corpus(sys.argv[1] if len(sys.argv) > 1 else "docstrings", max_length=60, vocab_size=4000)
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    print(corpus.describe())
    for side_by_side in (1, 2):
        ratios, speeds = [], []
        for _ in range(ROUNDS):
            trained = measure([trainer(corpus) for _ in range(side_by_side)])
            limit = measure([products(corpus) for _ in range(side_by_side)])
            ratios.append(limit / trained)
            speeds.append(side_by_side * UPDATES * B / trained)
        print(
            f"{side_by_side} at once, one thread each: {statistics.median(speeds):.0f} sentences/s "
            f"({min(speeds):.0f} to {max(speeds):.0f}), {statistics.median(ratios):.0%} of the limit "
            f"({min(ratios):.0%} to {max(ratios):.0%})"
        )
    where_the_time_goes(corpus)


def measure(jobs: list[Callable[[int], object]]) -> float:
    """The seconds that UPDATES updates of all jobs take, side by side, after three to warm up."""
    with one_thread(), ThreadPoolExecutor(len(jobs), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(lambda job: job(3), jobs))
        start = time.perf_counter()
        list(pool.map(lambda job: job(UPDATES), jobs))
        return time.perf_counter() - start


def new_run(corpus: Corpus) -> Run:
    settings = Settings(batch_size=B, lr=1e-3, embedding=E, hidden=H, latent=L)
    return Run(corpus, Annealer(1, disable=True), settings, device="cpu")


def trainer(corpus: Corpus) -> Callable[[int], object]:
    run = new_run(corpus)
    return lambda n: [run.update() for _ in range(n)]


def products(corpus: Corpus) -> Callable[[int], object]:
    """The matrix products of forward and backward for the batches that a run with this corpus sees."""
    run, vocab = new_run(corpus), len(corpus.vocab)
    shapes = []
    for _ in range(UPDATES):
        x = run._next_batch()
        shapes.append((x.shape[1] - 1, int((x[:, 1:] != 1).sum())))
    longest, most = max(t for t, _ in shapes), max(n for _, n in shapes)
    new = torch.randn
    gates, logits = new(B * longest, 4 * H), new(most, vocab)
    states, recurrent, projection = new(max(B * longest, most), H), new(H, 4 * H), new(H, vocab)
    inputs = {size: (new(B * longest, size), new(size, 4 * H)) for size in (E, E + L)}

    def update(t: int, n: int) -> None:
        for x, w in inputs.values():  # the encoder's LSTM and the decoder's
            x, g, h = x[: B * t], gates[: B * t], states[: B * t]
            x @ w
            for _ in range(t):
                h[:B] @ recurrent
                g[:B] @ recurrent.T
            g @ w.T, x.T @ g, h.T @ g
        h, y = states[:n], logits[:n]  # the projection onto the vocabulary
        h @ projection, y @ projection.T, h.T @ y

    return lambda n: [update(*shape) for shape in shapes[:n]]


def where_the_time_goes(corpus: Corpus) -> None:
    run = new_run(corpus)
    with one_thread():
        for _ in range(3):
            run.update()
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(UPDATES):
                run.update()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    print("where the time goes, one run on one thread:")
    for event in events[:10]:
        print(f"  {event.self_cpu_time_total / total:6.1%}  {event.key}")


if __name__ == "__main__":
    main()
