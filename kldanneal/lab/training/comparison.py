"""Several schedules, each trained on the same seeds, initial weights, batches and noise.

    comparison = Comparison(corpus, parse_schedules(["constant", "cyclical"], steps=2000), Settings(steps=2000))
    comparison.fit()
    rows = comparison.rows()                            # a dictionary for each run
    print(report.table(rows), report.verdict(rows))     # kldanneal.lab.results.report

If a folder is named, every run is saved while it trains. All of them can be stopped and resumed.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from kldanneal import Annealer
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.metrics import Metrics, evaluate
from kldanneal.lab.threads import cores
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

PATH_SIGNS = frozenset("/\\\0")


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
        total = len(self.runs) * self.settings.steps
        done = sum(run.step for run in self.runs.values())
        lock = threading.Lock()
        bar = tqdm(total=total, initial=done, desc="training", unit="update", disable=not progress, leave=False)

        def updated() -> None:
            with lock:
                bar.update()
                if on_update:
                    on_update()

        with bar:
            with ThreadPoolExecutor(workers) as pool:
                futures = [pool.submit(self._fit_one, key, stop, updated) for key in self.runs]
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

    def rows(self) -> list[dict[str, Any]]:
        """The measures of every run that is finished, and its schedule, seed, seconds and speed."""
        rows = []
        for name in self.schedules:
            for seed in self.seeds:
                if metrics := self.metrics.get((name, seed)):
                    run = self.runs[name, seed]
                    speed = run.sentences / run.seconds if run.seconds else 0.0
                    own = {"schedule": name, "seed": seed, "seconds": run.seconds, "sentences_per_second": speed}
                    rows.append(own | asdict(metrics))
        return rows

    def _fit_one(self, key: tuple[str, int], stop: threading.Event, on_update: Callable[[], object]) -> None:
        run = self.runs[key]
        run.fit(self._checkpoint(key) if self.checkpoints else None, stop=stop, on_update=on_update)
        if not stop.is_set():
            metrics = evaluate(run.model, self.corpus.test, stop=stop)
            if metrics:  # None: stopped
                self.metrics[key] = metrics

    def _checkpoint(self, key: tuple[str, int]) -> Path:
        name, seed = key
        return self.checkpoints / f"{name.replace(':', ',')}-{seed}.pt"
