"""Several schedules side by side: trained on the same seeds, measured, drawn, and judged in words.

    comparison = Comparison(corpus, parse_schedules(["constant", "cyclical"], steps=2000), Settings(steps=2000))
    comparison.fit()
    print(comparison.table())
    print(comparison.verdict())
    comparison.figure()

Every run is saved as it trains, if a folder is named, and all of them can be stopped and resumed.
"""

import csv
import io
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from kldanneal import Annealer
from kldanneal.lab.corpora import Corpus
from kldanneal.lab.files import write_atomically
from kldanneal.lab.metrics import Metrics, evaluate
from kldanneal.lab.plots import plot_comparison
from kldanneal.lab.settings import Settings
from kldanneal.lab.threads import cores
from kldanneal.lab.training import Run

VANISHED = 0.1  # nats per sentence: a KL below this says that z tells next to nothing
PATH_SIGNS = frozenset("/\\\0")
HISTORY_COLUMNS = ("schedule", "seed", "step", "kl_weight", "reconstruction", "kl")
SUMMARY_COLUMNS = (
    "schedule", "seed", "reconstruction", "kl", "neg_elbo", "perplexity", "active_units", "mutual_information",
    "iw_nll", "seconds", "sentences_per_second",
)  # fmt: skip
TABLE = {  # heading: column of the summary, digits
    "KL": ("kl", 3),
    "reconstruction": ("reconstruction", 2),
    "-ELBO": ("neg_elbo", 2),
    "-log p(x)": ("iw_nll", 2),
    "perplexity": ("perplexity", 2),
    "active units": ("active_units", 1),
    "I(x;z)": ("mutual_information", 3),
}


class Comparison:
    """Runs of several schedules, each over the same seeds, that differ in nothing but the schedule.

    Args:
        corpus (Corpus): trained on ``corpus.train``, measured on ``corpus.test``.
        schedules (mapping): a name and an Annealer for each schedule; every run steps a copy of its own.
        settings (Settings): what all runs share. Default: ``Settings()``.
        seeds (sequence of int): Default: ``(0,)``.
        device (str): ``'auto'``, ``'cpu'`` or ``'cuda'``. Default: ``'auto'``.
        checkpoints (path, optional): a folder where every run is saved while it trains; runs that are saved there
            already go on from where they are. Default: nothing is saved.
    """

    def __init__(
        self,
        corpus: Corpus,
        schedules: Mapping[str, Annealer],
        settings: Settings | None = None,
        *,
        seeds: Sequence[int] = (0,),
        device: str = "auto",
        checkpoints: str | Path | None = None,
    ) -> None:
        if not schedules or not list(seeds):
            raise ValueError(
                f"Expected at least one schedule and one seed, but got {list(schedules)} and {list(seeds)}"
            )
        self.corpus, self.seeds = corpus, list(seeds)
        self.settings = Settings() if settings is None else settings
        self.schedules = list(schedules)
        self.checkpoints = Path(checkpoints) if checkpoints else None
        for name in self.schedules:
            if self.checkpoints and not PATH_SIGNS.isdisjoint(name):
                raise ValueError(
                    f"Expected the names of schedules, which name checkpoints, to be no paths, but got {name!r}"
                )
        self.runs = {
            (name, seed): Run(corpus, deepcopy(annealer), self.settings, seed=seed, name=name, device=device)
            for seed in self.seeds
            for name, annealer in schedules.items()
        }
        self.metrics: dict[tuple[str, int], Metrics] = {}
        for key, run in self.runs.items():
            if self.checkpoints and self._checkpoint(key).exists():
                run.load(self._checkpoint(key))

    def fit(
        self,
        *,
        stop: threading.Event | None = None,
        progress: bool | Callable[[int], object] = True,
        workers: int | None = None,
    ) -> "Comparison":
        """Trains and measures all runs.

        An interrupt (Ctrl-C, or ``stop``) and an error in one run stop all of them, each saved where it is.

        Args:
            stop (threading.Event, optional): looked at before every update.
            progress (bool or callable): whether to show a bar; or a function that is called with 1 after every update
                of any run, one call at a time. Default: ``True``.
            workers (int, optional): how many runs at once. Default: on the CPU as many as it has cores, on a GPU one.
        """
        stop = stop or threading.Event()
        on_cpu = next(iter(self.runs.values())).device.type == "cpu"
        workers = min(len(self.runs), workers or (cores() if on_cpu else 1))
        total = len(self.runs) * self.settings.steps
        done = sum(run.step for run in self.runs.values())
        lock = threading.Lock()
        shown = progress is True
        with tqdm(total=total, initial=done, desc="training", unit="step", disable=not shown, leave=False) as bar:
            tell = progress if callable(progress) else bar.update

            def advance(n: int) -> None:
                with lock:
                    tell(n)

            with ThreadPoolExecutor(workers) as pool:
                futures = [pool.submit(self._fit_one, key, stop, advance) for key in self.runs]
                try:
                    wait(futures, return_when=FIRST_EXCEPTION)
                finally:
                    if not all(future.done() and not future.exception() for future in futures):
                        stop.set()
                        pool.shutdown(wait=True, cancel_futures=True)
            for future in futures:
                if not future.cancelled():
                    future.result()
        return self

    def finished(self) -> bool:
        return len(self.metrics) == len(self.runs)

    def histories(self) -> dict[str, list[dict[str, list[float]]]]:
        """For each schedule, the history of each seed."""
        return {name: [self.runs[name, seed].history() for seed in self.seeds] for name in self.schedules}

    def summary(self) -> list[dict[str, Any]]:
        """A row for each run, with the columns of summary.csv."""
        rows = []
        for (name, seed), metrics in sorted(self.metrics.items(), key=lambda item: self._position(item[0])):
            run = self.runs[name, seed]
            speed = run.sentences / run.seconds if run.seconds else 0.0
            own = {"schedule": name, "seed": seed, "seconds": run.seconds, "sentences_per_second": speed}
            rows.append({column: own.get(column, getattr(metrics, column, None)) for column in SUMMARY_COLUMNS})
        return rows

    def table(self) -> str:
        """Mean and standard deviation over the seeds, a line for each schedule."""
        rows = self.summary()
        cells = [["schedule", *TABLE]]
        for name in self.schedules:
            of_name = [row for row in rows if row["schedule"] == name]
            cells.append(
                [
                    name,
                    *(_mean_and_spread([row[column] for row in of_name], digits) for column, digits in TABLE.values()),
                ]
            )
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        seeds = len(self.seeds)
        spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
        any_metrics = next(iter(self.metrics.values()))
        note = (
            f"({spread}; nats per sentence at KL weight 1 on {any_metrics.sentences:,} held-out sentences; "
            f"-log p(x) from {any_metrics.iw_samples} importance samples; "
            f"I(x;z) is at most log {any_metrics.sentences:,} = {torch.tensor(any_metrics.sentences).log():.2f})"
        )
        return "\n".join([*lines, note])

    def verdict(self) -> str:
        """What the numbers say, in words: which KL terms vanished, and how the last schedule compares to the others."""
        by_name = {name: [self.metrics[name, seed] for seed in self.seeds] for name in self.schedules}
        lines = [_vanishing(name, metrics, self.settings.latent) for name, metrics in by_name.items()]
        *others, last = self.schedules
        lines += [_paired(last, by_name[last], other, by_name[other]) for other in others]
        if self.corpus.entropy is not None:
            lines.append(_against_entropy(list(self.metrics.values()), self.corpus.entropy))
        if len(self.seeds) == 1:
            lines.append("One seed: nothing here says how much of a difference is chance.")
        return "\n".join(lines)

    def figure(self) -> Figure:
        """KL weight, KL and reconstruction over the steps of training."""
        final = None
        if self.finished():
            final = {
                name: statistics.mean(self.metrics[name, seed].kl for seed in self.seeds) for name in self.schedules
            }
        title = f"{self.corpus.name}, {_plural(len(self.seeds), 'seed')}"
        return plot_comparison(self.histories(), final, title + ("; KL below: on held-out text" if final else ""))

    @torch.no_grad()
    def samples(self, n: int = 5) -> str:
        """What each schedule's first run writes: reconstructions, a sentence each from the prior, an interpolation."""
        test, decode = self.corpus.test, self.corpus.decode
        blocks = []
        for name in self.schedules:
            run = self.runs[name, self.seeds[0]]
            model = run.model.eval()
            x = test.batch(torch.arange(n)).to(run.device)
            generator = torch.Generator(run.device).manual_seed(0)
            z = torch.randn(n, self.settings.latent, generator=generator, device=run.device)
            lines = [
                f"== {name} (seed {self.seeds[0]}) ==",
                "",
                "sentence -> greedy reconstruction from its posterior mean",
            ]
            lines += [
                f"  {decode(ids)}\n    -> {decode(out)}" for ids, out in zip(x, model.reconstruct(x), strict=True)
            ]
            lines += ["", "drawn from the prior: z ~ N(0, I), each word ~ p(word | words before, z)"]
            lines += [f"  {decode(out)}" for out in model.generate(z, sample=True, generator=generator)]
            lines += ["", "greedy, between the posterior means of the first two sentences"]
            ends = test[0].to(run.device), test[1].to(run.device)
            lines += [f"  {decode(out)}" for out in model.interpolate(*ends)]
            blocks.append("\n".join(lines))
        return "\n\n\n".join(blocks) + "\n"

    def write(self, folder: str | Path) -> None:
        """history.csv, summary.csv, comparison.png and samples.txt, each whole or not at all."""
        folder = Path(folder)
        history = [
            {"schedule": name, "seed": seed, **dict(zip(columns, values, strict=True))}
            for name in self.schedules
            for seed in self.seeds
            for columns in [self.runs[name, seed].history()]
            for values in zip(*columns.values(), strict=True)
        ]
        write_atomically(folder / "history.csv", _csv(HISTORY_COLUMNS, history))
        write_atomically(folder / "samples.txt", self.samples().encode())
        picture = io.BytesIO()
        self.figure().savefig(picture, format="png", dpi=150)
        write_atomically(folder / "comparison.png", picture.getvalue())
        write_atomically(folder / "summary.csv", _csv(SUMMARY_COLUMNS, self.summary()))

    def _fit_one(self, key: tuple[str, int], stop: threading.Event, advance: Callable[[int], object]) -> None:
        run = self.runs[key]
        run.fit(self._checkpoint(key) if self.checkpoints else None, stop=stop, progress=advance)
        if not stop.is_set():
            metrics = evaluate(run.model, self.corpus.test, stop=stop)
            if metrics:  # None: stopped
                self.metrics[key] = metrics

    def _checkpoint(self, key: tuple[str, int]) -> Path:
        name, seed = key
        return self.checkpoints / f"{name.replace(':', ',')}-{seed}.pt"

    def _position(self, key: tuple[str, int]) -> tuple[int, int]:
        return self.schedules.index(key[0]), self.seeds.index(key[1])


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _mean_and_spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _count(hits: int, n: int) -> str:
    if n == 1:
        return "on its one seed"
    return f"in every one of {n} seeds" if hits == n else f"in {hits} of {n} seeds"


def _vanishing(name: str, metrics: Sequence[Metrics], latent: int) -> str:
    kl = statistics.mean(m.kl for m in metrics)
    vanished = sum(m.kl < VANISHED for m in metrics)
    units = statistics.mean(m.active_units for m in metrics)
    if vanished == len(metrics):
        says = f"the KL term vanished (below {VANISHED} nats {_count(vanished, len(metrics))})"
    elif vanished:
        says = f"the KL term vanished {_count(vanished, len(metrics))}, and did not in the others"
    else:
        says = f"the KL term did not vanish ({VANISHED} nats or more {_count(len(metrics), len(metrics))})"
    return f"{name}: KL {kl:.3f}, {units:g} of {latent} units active: {says}."


def _paired(name: str, metrics: Sequence[Metrics], other: str, others: Sequence[Metrics]) -> str:
    n = len(metrics)
    kl = [a.kl - b.kl for a, b in zip(metrics, others, strict=True)]
    bound = [a.neg_elbo - b.neg_elbo for a, b in zip(metrics, others, strict=True)]
    return (
        f"{name} against {other}: KL {statistics.mean(kl):+.3f} nats ({_direction(kl, 'higher', 'lower', n)}), "
        f"-ELBO {statistics.mean(bound):+.3f} nats ({_direction(bound, 'worse', 'better', n)})."
    )


def _direction(differences: Sequence[float], above: str, below: str, n: int) -> str:
    if not any(differences):
        return "no difference"
    sign, word = (1, above) if statistics.mean(differences) > 0 else (-1, below)
    return f"{word} {_count(sum(sign * d > 0 for d in differences), n)}"


def _against_entropy(metrics: Sequence[Metrics], entropy: float) -> str:
    gaps = [m.neg_elbo - entropy for m in metrics]
    too_low = sum(gap < -2 * m.standard_error for gap, m in zip(gaps, metrics, strict=True))
    says = (
        "none is below it by more than the sampling error"
        if not too_low
        else f"{_plural(too_low, 'run')} below it by more than the sampling error, which no sound estimate can be"
    )
    return f"-ELBO is {min(gaps):.2f} to {max(gaps):.2f} nats above the language's entropy of {entropy:.3f}; {says}."
