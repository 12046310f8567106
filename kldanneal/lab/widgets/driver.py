"""The KL weight in the student's hand: a model trains, and KL, reconstruction and active units answer."""

import time
from collections.abc import Callable
from functools import partial

import ipywidgets as W
import torch

from kldanneal.lab.corpora.corpus import Corpus, Sentences
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.metrics import MEASURES, Metrics, evaluate
from kldanneal.lab.plots import EMPTY, History
from kldanneal.lab.probe import posteriors
from kldanneal.lab.tables import table
from kldanneal.lab.training.hand import HandWeight, Replay
from kldanneal.lab.training.run import Run, check_run, pick_device
from kldanneal.lab.training.schedules import NAMED, parse_schedule
from kldanneal.lab.training.settings import QUICK, Settings
from kldanneal.lab.widgets.background import Background, Stop
from kldanneal.lab.widgets.figures import DrivePlot, UnitsPlot
from kldanneal.lab.widgets.picture import Picture

SCHEDULES = [*NAMED, "linear:ratio=0.9"]  # the last is one ramp over nine tenths of the run
PACE = 30  # updates a second: 2,000 take 67 s, so a hand has time; at full speed they would take a dozen
LOOK = 0.3  # seconds between two looks at the held-out sentences
LOOKED_AT = 200  # held-out sentences


class DriveTheWeight(W.VBox):
    """A slider for the KL weight while the LSTM VAE trains at a pace that a hand can follow.

    Paused, it goes on where it was. The drive can be replayed on the same seed, and any schedule trained on that seed
    to compare with, both at full speed.

    Args:
        corpus (Corpus, optional): what is learnt. Default: the toy language.
        settings (Settings): of every run. Default: ``QUICK``.
        seed (int): of every run. Default: 0.
        device (str): ``'auto'``, ``'cpu'`` or ``'cuda'``. Default: ``'auto'``.
    """

    def __init__(
        self, corpus: Corpus | None = None, settings: Settings = QUICK, *, seed: int = 0, device: str = "auto"
    ) -> None:
        self.corpus, self.settings = load_corpus("toy") if corpus is None else corpus, settings
        check_run(settings, seed, self.corpus)
        pick_device(device)
        self.held_out = first(self.corpus.valid, LOOKED_AT)
        self._new_run = partial(Run, self.corpus, settings=settings, seed=seed, device=device)
        self.hand = HandWeight()
        self.run: Run | None = None  # what is driven
        self.other: Run | None = None  # what was trained last at full speed, up to the step self.end
        self.end = 0
        self.again: Run | None = None  # its replay
        self.schedules: dict[str, Run] = {}  # those that were trained, by name
        self.metrics: dict[str, Metrics] = {}  # rows of the table
        self.seen: tuple[Metrics, list[float]] | None = None  # the last look at the held-out sentences
        self._job = ""  # what trains: drive, replay or the name of a schedule

        def wide(description: str, width: str) -> dict:
            layout = W.Layout(width="100%", max_width=width)
            return {"description": description, "style": {"description_width": "7em"}, "layout": layout}

        self.weight = W.FloatSlider(value=0, min=0, max=1, step=0.01, **wide("KL weight", "44em"))
        self.pace = W.IntSlider(value=PACE, min=10, max=200, step=10, **wide("updates / s", "24em"))
        self.toggle = W.Button(button_style="primary")
        self.reset = W.Button(description="Reset")
        self.replay = W.Button(description="Replay")
        self.schedule = W.Dropdown(options=SCHEDULES, value="cyclical", **wide("compare with", "20em"))
        self.train = W.Button(description="Train this schedule")
        self.progress = W.IntProgress(max=settings.steps, layout=W.Layout(width="12em"))
        self.numbers, self.verdict, self.table = W.HTML(), W.HTML(), W.HTML()
        self.background = Background("DriveTheWeight", self._tick, self._ended)
        self.plot = DrivePlot(settings.steps, self.corpus)
        self.units = UnitsPlot(settings.latent)
        self.picture = Picture(self.plot.figure, self.plot.moving)
        self.units_picture = Picture(self.units.figure, self.units.moving)
        self._plan()
        for control, callback in ((self.weight, self._moved), (self.schedule, self._chosen)):
            control.observe(self.background.guard(callback), "value")
        for button, callback in ((self.toggle, self._toggled), (self.reset, self._reset),
                                 (self.replay, self._replay), (self.train, self._train)):  # fmt: skip
            button.on_click(self.background.guard(callback))
        for broad in (self.weight, self.picture, self.units_picture):
            broad.layout.margin = "0"  # with a margin they would be wider than a phone's page
        results = W.VBox([self.units_picture, self.verdict, self.table])
        pictures = W.Box([self.picture, results], layout=W.Layout(flex_flow="row wrap", align_items="flex-start"))
        results.layout.flex, results.layout.min_width, results.layout.align_items = "1 1 20em", "0", "flex-start"
        super().__init__([self.weight, _row(self.toggle, self.reset, self.replay, self.pace),
                          _row(self.schedule, self.train, self.progress), self.background.message, self.numbers,
                          pictures])  # fmt: skip

    def drive(self) -> list[float]:
        """The weights of the drive so far, one for each update: for :class:`~kldanneal.lab.training.hand.Replay`."""
        return self.hand.weights[:]

    # ------------------------------------------------------------------------------------------------ what is clicked

    def _moved(self, _change: dict) -> None:
        self.hand.position = self.weight.value
        with Picture.lock:
            self.plot.point(len(self.hand.weights), self.weight.value)
            self.picture.refresh()

    def _chosen(self, _change: dict) -> None:
        self._plan()

    def _plan(self) -> None:
        steps = self.settings.steps
        planned = parse_schedule(self.schedule.value, steps=steps).schedule(steps)
        with Picture.lock:
            self.plot.plan(planned)
        self._draw()

    def _toggled(self, _button: W.Button) -> None:
        if self.background.running:
            self.toggle.disabled = True  # until it has stopped
            self.background.ask_to_stop()
            return
        if self.run and self.run.step == self.settings.steps:
            self._forget()
        if self.run is None:
            self.run = self._new_run(annealer=self.hand, name="the run by hand")
        self._start("drive", self._fit_by_hand)

    def _reset(self, _button: W.Button) -> None:
        self.background.stop()
        self._forget()
        self.weight.value = 0.0
        self._draw()

    def _forget(self) -> None:
        self.hand = HandWeight(self.weight.value)
        self.run = self.again = self.seen = None
        self.metrics.pop("by hand", None)
        self.verdict.value = ""

    def _replay(self, _button: W.Button) -> None:
        self.again = self._new_run(annealer=Replay(self.hand.weights), name="the replay")
        self.verdict.value = ""
        self._start("replay", partial(self._fit, self.again, self.run.step))

    def _train(self, _button: W.Button) -> None:
        name, steps = self.schedule.value, self.settings.steps
        if name not in self.schedules:
            self.schedules[name] = self._new_run(annealer=parse_schedule(name, steps=steps), name=name)
        self._start(name, partial(self._fit, self.schedules[name], steps))

    # ---------------------------------------------------------------------------------------------------- what trains

    def _start(self, job: str, work: Callable[[Stop], object]) -> None:
        self._job = job
        self.background.start(work)
        self._label()

    def _fit_by_hand(self, stop: Stop) -> None:
        run, due = self.run, time.monotonic()
        looked = 0.0

        def updated() -> None:
            nonlocal due, looked
            now = time.monotonic()
            if now - looked >= LOOK:
                self._look(run)
                looked = now
            due = max(due, now - 0.1) + 1 / self.pace.value  # skipped updates are caught up, up to 0.1 s
            stop.wait(max(0, due - time.monotonic()))

        run.fit(stop=stop, on_update=updated)
        self._look(run)

    def _look(self, run: Run) -> None:
        mu, _ = posteriors(run.model, self.held_out)
        self.seen = evaluate(run.model, self.held_out, iw_samples=1), mu.var(dim=0).tolist()

    def _fit(self, run: Run, steps: int, stop: Stop) -> None:
        """Trains at full speed, up to a step."""

        self.other, self.end = run, steps
        run.fit(stop=stop, until=steps)
        if run.step == steps and run is self.again:
            self.verdict.value = f'<div style="line-height: 1.5">{compare_runs(self.run, run)}</div>'
        elif run.step == steps:
            self.metrics[run.name] = evaluate(run.model, self.corpus.test, iw_samples=1)

    # --------------------------------------------------------------------------------------------------- what is seen

    def _tick(self) -> None:
        self._draw()

    def _ended(self) -> None:
        self.toggle.disabled = False
        self._draw()  # it has stopped, and says so before the table is made
        if self._job == "drive" and self.run.step:
            self.metrics["by hand"] = evaluate(self.run.model, self.corpus.test, iw_samples=1)
            self._draw()

    def _draw(self) -> None:
        history = self.run.history() if self.run else EMPTY
        chosen = self.schedules.get(self.schedule.value)
        with Picture.lock:
            self.plot.show("hand", history)
            self.plot.show("replay", self.again.history() if self.again else EMPTY)
            self.plot.show("schedule", chosen.history() if chosen else EMPTY)
            self.plot.point(len(history["step"]), self.weight.value)
            self.picture.refresh()
            self.units.show(self.seen[1] if self.seen else [0.0] * self.settings.latent)
            self.units_picture.refresh()
        self.numbers.value = self._numbers(history)
        self.table.value = _table(self.metrics, len(history["step"])) if self.metrics else ""
        self._label()

    def _numbers(self, history: History) -> str:
        step, steps = len(history["step"]), self.settings.steps
        says = {"update": f"{step:,} of {steps:,}", "KL weight": f"{history['kl_weight'][-1]:.2f}" if step else "-"}
        m = self.seen[0] if self.seen else None
        says |= {
            "KL": f"{m.kl:.3f}" if m else "-",
            "reconstruction": f"{m.reconstruction:.2f}" if m else "-",
            "-ELBO (their sum)": f"{m.neg_elbo:.2f}" if m else "-",
            "active units": f"{m.active_units} of {self.settings.latent}" if m else "-",
        }
        items = "".join(
            f'<span style="display: inline-block; margin-right: 1.4em">{name} <b>{value}</b></span>'
            for name, value in says.items()
        )
        return (
            f'<div style="line-height: 1.5">{items}<br>nats per sentence, on {len(self.held_out)} held-out '
            "sentences; the curves are of the training batches</div>"
        )

    def _label(self) -> None:
        running, step = self.background.running, self.run.step if self.run else 0
        chosen = self.schedules.get(self.schedule.value)
        full_speed = running and self._job != "drive" and self.other is not None
        self.progress.layout.display = None if full_speed else "none"
        if full_speed:
            self.progress.max, self.progress.value = self.end, self.other.step
        at_rest = "Start" if step == 0 else "Go on" if step < self.settings.steps else "Start again"
        self.toggle.description = ("Pause" if self._job == "drive" else "Stop") if running else at_rest
        self.replay.disabled = running or step == 0
        self.train.disabled = running or (chosen is not None and chosen.step == self.settings.steps)


def first(sentences: Sentences, n: int) -> Sentences:
    """The first n sentences, or all if there are fewer."""
    lengths = sentences.lengths[:n]
    return Sentences(sentences.tokens[: int(lengths.sum())], lengths)


def compare_runs(driven: Run, replayed: Run) -> str:
    """Whether a replay made the same run, in words."""
    n = replayed.step
    own, other = ({name: values[:n] for name, values in run.history().items()} for run in (driven, replayed))
    names = ("kl_weight", "kl", "reconstruction")
    differ = [i for i in range(n) if any(own[name][i] != other[name][i] for name in names)]
    if differ:
        return f"The replay differs from the drive from update {differ[0] + 1:,} of {n:,} on."
    if driven.step == n:
        parameters = zip(driven.model.parameters(), replayed.model.parameters(), strict=True)
        if not all(torch.equal(a, b) for a, b in parameters):
            return f"The replay has the same {n:,} losses, but other parameters at the end."
    return f"The replay is the drive again: {n:,} updates, every number the same bit for bit."


def _table(metrics: dict[str, Metrics], driven: int) -> str:
    names = ("kl", "reconstruction", "neg_elbo", "active_units", "mutual_information")
    cells = [["", *(MEASURES[name].heading.replace("-", "\u2011") for name in names)]]  # no break after a minus
    for title, m in metrics.items():
        title += f" ({driven:,} updates)" if title == "by hand" else ""
        cells.append([title, *(f"{getattr(m, name):.{MEASURES[name].digits}f}" for name in names)])
    return (
        "<div style='line-height: 1.5; overflow-wrap: anywhere; font-size: 12px'>"
        f"{table(cells, 'html')}nats per sentence at KL weight 1, on held-out sentences; the same seed</div>"
    )


def _row(*widgets: W.Widget) -> W.Box:
    return W.Box(list(widgets), layout=W.Layout(flex_flow="row wrap", align_items="center"))
