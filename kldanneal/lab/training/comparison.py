"""Several schedules, each trained on the same seeds, initial weights, batches and noise.

    comparison = Comparison(corpus, parse_schedules(["constant", "cyclical"], steps=2000), Settings(steps=2000))
    comparison.fit()
    rows = comparison.rows()                            # a dictionary for each run
    print(report.table(rows), report.verdict(rows))     # kldanneal.lab.results.report

If a folder is named, every run is saved while it trains. All of them can be stopped and resumed.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from tqdm.auto import tqdm

from kldanneal import Annealer, _checks
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.metrics import Metrics, evaluate
from kldanneal.lab.threads import cores
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import LARGEST, Settings

PATH_SIGNS = frozenset("/\\\0")


class Comparison:
    """Runs of several schedules, each over the same seeds, that differ in nothing but the schedule.

    Args:
        corpus (Corpus): trained on ``corpus.train``, measured on ``corpus.test``.
        schedules (mapping): a name and an Annealer for each schedule; every run steps a copy of its own.
        settings (Settings): what all runs share. Default: ``Settings()``.
        seeds (sequence of int): Default: ``(0,)``.
        tail (int): updates after the schedule, at its last weight. The runs are measured before and after them: does
            the KL last? Default: 0.
        free_bits (mapping, optional): the free bits of schedules by their names. Default: none.
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
        tail: int = 0,
        free_bits: Mapping[str, float] | None = None,
        device: str = "auto",
        checkpoints: str | Path | None = None,
    ) -> None:
        if not schedules or not list(seeds):
            raise ValueError(
                f"Expected at least one schedule and one seed, but got {list(schedules)} and {list(seeds)}"
            )
        self.corpus, self.seeds = corpus, list(seeds)
        self.settings = Settings() if settings is None else settings
        self.tail = _checks.integer("tail", tail, 0, LARGEST["steps"])
        if self.tail and self.settings.lr_schedule == "decay":
            raise ValueError(
                f"Expected no tail with lr_schedule 'decay', whose learning rate is 0 by then, but got {tail}"
            )
        self.free_bits = dict(free_bits or {})
        self.schedules = list(schedules)
        self.checkpoints = Path(checkpoints) if checkpoints else None
        for name in self.schedules:
            if self.checkpoints and not PATH_SIGNS.isdisjoint(name):
                raise ValueError(
                    f"Expected the names of schedules, which name checkpoints, to be no paths, but got {name!r}"
                )
        self.runs = {
            (name, seed): Run(
                corpus,
                deepcopy(annealer),
                self.settings,
                seed=seed,
                free_bits=self.free_bits.get(name, 0.0),
                name=name,
                device=device,
            )
            for seed in self.seeds
            for name, annealer in schedules.items()
        }
        self.metrics: dict[tuple[str, int], Metrics] = {}  # at the end of the schedule
        self.after_tail: dict[tuple[str, int], Metrics] = {}
        for key, run in self.runs.items():
            if self.checkpoints and self._checkpoint(key).exists():
                run.load(self._checkpoint(key))

    def fit(
        self,
        *,
        stop: threading.Event | None = None,
        progress: bool = True,
        on_update: Callable[[], object] | None = None,
        workers: int | None = None,
    ) -> "Comparison":
        """Trains and measures all runs.

        An interrupt (Ctrl-C, or ``stop``) and an error in one run stop all of them, each saved where it is.

        Args:
            stop (threading.Event, optional): checked before every update.
            progress (bool): whether to show a bar. Default: ``True``.
            on_update (callable, optional): called after every update of any run, one call at a time.
            workers (int, optional): how many runs at once. Default: on the CPU as many as it has cores, on a GPU one.
        """
        stop = stop or threading.Event()
        on_cpu = next(iter(self.runs.values())).device.type == "cpu"
        workers = min(len(self.runs), workers or (cores() if on_cpu else 1))
        total = len(self.runs) * (self.settings.steps + self.tail)
        done = sum(run.step for run in self.runs.values())
        lock = threading.Lock()
        bar = tqdm(total=total, initial=done, desc="training", unit="update", disable=not progress, leave=False)

        def updated() -> None:
            with lock:
                with suppress(OSError):  # a terminal that is gone ends no training
                    bar.update()
                if on_update:
                    on_update()

        futures: list[Future[None]] = []
        try:
            with ThreadPoolExecutor(workers) as pool:
                try:
                    futures += [pool.submit(self._fit_one, key, stop, updated) for key in self.runs]
                    wait(futures, return_when=FIRST_EXCEPTION)
                finally:
                    if len(futures) < len(self.runs) or not all(f.done() and not f.exception() for f in futures):
                        stop.set()
                        pool.shutdown(wait=True, cancel_futures=True)
            for future in futures:
                if not future.cancelled():
                    future.result()
        finally:
            with suppress(OSError):
                bar.close()
        return self

    def finished(self) -> bool:
        return len(self.metrics) == len(self.runs) and (not self.tail or len(self.after_tail) == len(self.runs))

    def histories(self) -> dict[str, list[dict[str, list[float]]]]:
        """For each schedule, the history of each seed."""
        return {name: [self.runs[name, seed].history() for seed in self.seeds] for name in self.schedules}

    def rows(self, *, after_tail: bool = False) -> list[dict[str, Any]]:
        """The measures of every run that is finished, and its schedule, seed, seconds and speed.

        ``updates`` and ``kl_weight`` say when it was measured, and which weight the last update used. ``training_loss``
        is -ELBO in the last tenth of the updates before. ``word_frequencies`` and ``word_frequencies_training`` are the
        -log p(x) of a model that knows nothing but how frequent each word is.

        Args:
            after_tail (bool): measured after the tail, not at the end of the schedule. Default: ``False``.
        """
        word_frequencies = {
            "word_frequencies": self.corpus.word_frequencies(self.corpus.test),
            "word_frequencies_training": self.corpus.word_frequencies(self.corpus.train),
        }
        rows = []
        for name in self.schedules:
            for seed in self.seeds:
                if metrics := (self.after_tail if after_tail else self.metrics).get((name, seed)):
                    run = self.runs[name, seed]
                    speed = run.sentences / run.seconds if run.seconds else 0.0
                    own = {"schedule": name, "seed": seed, "seconds": run.seconds, "sentences_per_second": speed}
                    updates = self.settings.steps + (self.tail if after_tail else 0)
                    history = run.history()
                    last = slice(updates - max(1, updates // 10), updates)
                    loss = mean(history["reconstruction"][last]) + mean(history["kl"][last])
                    about = {"updates": updates, "kl_weight": history["kl_weight"][updates - 1], "training_loss": loss}
                    rows.append(own | asdict(metrics) | about | word_frequencies)
        return rows

    def _fit_one(self, key: tuple[str, int], stop: threading.Event, on_update: Callable[[], object]) -> None:
        run, checkpoint = self.runs[key], self._checkpoint(key) if self.checkpoints else None
        steps = self.settings.steps
        if run.step <= steps:
            run.fit(checkpoint, until=steps, stop=stop, on_update=on_update)
            metrics = None if stop.is_set() else evaluate(run.model, self.corpus.test, stop=stop)
            if metrics is None:  # stopped
                return
            run.at_the_end = asdict(metrics)  # a later checkpoint holds another model
        self.metrics[key] = Metrics(**run.at_the_end)
        if self.tail:
            run.fit(checkpoint, until=steps + self.tail, stop=stop, on_update=on_update)
            metrics = None if stop.is_set() else evaluate(run.model, self.corpus.test, stop=stop)
            if metrics:
                self.after_tail[key] = metrics

    def _checkpoint(self, key: tuple[str, int]) -> Path:
        name, seed = key
        return self.checkpoints / f"{name.replace(':', ',')}-{seed}.pt"
