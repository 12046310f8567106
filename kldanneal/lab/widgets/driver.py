"""The KL weight in the student's hand: a model trains, and KL, reconstruction, units and sentences answer."""

import html
import time
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import torch

from kldanneal.lab.corpora.corpus import Corpus, Sentences
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.metrics import COLLAPSED, Metrics, evaluate
from kldanneal.lab.probe import posteriors
from kldanneal.lab.training.hand import HandWeight, Replay
from kldanneal.lab.training.run import Run, check_run, pick_device
from kldanneal.lab.training.schedules import NAMED, parse_schedule
from kldanneal.lab.training.settings import QUICK, Settings
from kldanneal.lab.widgets import controls, records
from kldanneal.lab.widgets.background import Stop
from kldanneal.lab.widgets.driver_view import history_table, run_chart, units_chart
from kldanneal.lab.widgets.missions import Missions
from kldanneal.lab.widgets.panel import TrainingPanel
from kldanneal.lab.widgets.sentences import kept

SCHEDULES = [*NAMED, "linear:ratio=0.9"]  # the last is one ramp over nine tenths of the run
PACE = 30  # updates a second: 2,000 take 67 s, so a hand has time; at full speed they would take a dozen
LOOK = 0.3  # seconds between two looks at the held-out sentences
LOOKED_AT = 200  # held-out sentences
SENTENCES = 2  # that are reconstructed while driving
ROWS = [
    [["control:weight", "control:toggle", "control:new", "control:replay", "control:save", "text:result", "text:error"],
     ["text:missions", "control:pace", "control:schedule", "control:train"]],
    [["chart:run"], ["chart:units", "text:sentences"]],
    [["table:history"]],
]  # fmt: skip


class Look(NamedTuple):
    """One look at the held-out sentences: what it saw, and after how many updates."""

    update: int
    metrics: Metrics
    variances: list[float]  # of mu in each latent dimension
    sentences: list[tuple[str, str]]  # a held-out one, and what the model writes from its mu
    zero: str  # what it writes from z = 0


class DriveTheWeight(TrainingPanel):
    """A slider for the KL weight while the LSTM VAE trains at a pace that a hand can follow.

    Paused, it goes on where it was. A drive can be replayed on the same seed, compared with any schedule on that seed,
    and saved as a schedule for the side-by-side. Every drive stays as a row; a click on it brings it back.

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
        self.shelf = records.shelf("driver", self.corpus.digest, tuple(asdict(settings).items()), seed, device)
        self.record: records.Record | None = None  # the drive that is shown
        self.training: records.Record | None = None  # what trains
        schedules = [(name, name) for name in SCHEDULES]
        super().__init__(
            "Drive the KL weight by hand",
            ROWS,
            {
                "weight": controls.slider("KL weight β", 0, 0, 1, 0.01, "", "The next update uses this weight"),
                "toggle": controls.button("Start", primary=True, busy="Preparing \u2026"),
                "new": controls.button("New drive", tip="The drive so far stays as a row below"),
                "replay": controls.button("Replay", busy="Preparing \u2026",
                                          tip="Trains on the same seed with the weights of this drive, at full speed"),
                "save": controls.button("Save as a schedule", tip="Then the side-by-side offers it"),
                "pace": controls.slider("pace", PACE, 10, 200, 10, "updates / s"),
                "schedule": controls.select("compare with", schedules, "cyclical"),
                "train": controls.button("Train this schedule", busy="Preparing \u2026"),
            },
        )  # fmt: skip
        drives = [record for record in self.shelf.records if record.parts["kind"] == "drive"]
        if drives:
            self.record = drives[-1]
        self.refresh()

    @property
    def run(self) -> Run | None:
        """The drive that is shown."""
        return self.record.runs["run"] if self.record else None

    def drive(self) -> list[float]:
        """The weights of the drive so far, one for each update: for :class:`~kldanneal.lab.training.hand.Replay`."""
        return self.record.parts["hand"].weights[:] if self.record else []

    # ------------------------------------------------------------------------------------------------ what is pressed

    def acted(self, name: str, value: Any) -> None:
        if name == "weight":
            if self.record:
                self.record.parts["hand"].position = value
        elif name == "toggle":
            self._toggle()
        elif name == "new":
            self.background.ask_to_stop()
            self.record = None
        elif name == "replay":
            self._replay()
        elif name == "train":
            self._train(self["schedule"])
        elif name == "save":
            name = f"drive {self.record.number} (by hand)"
            records.drives()[name] = self.drive()
            self.record.parts["saved"] = name
        elif name == "history":
            record = self.shelf.get(value)
            if record.parts["kind"] == "schedule":
                self.inputs["schedule"].set(record.name)
            elif not self.background.running:
                self.record = record if record.parts["kind"] == "drive" else self.shelf.get(record.parts["of"])

    def _toggle(self) -> None:
        if self.background.running:
            self.background.ask_to_stop()
            return
        if self.record is None or self.run.step == self.settings.steps:
            hand = HandWeight(self["weight"])
            run = self._new_run(annealer=hand, name="drive")
            parts = {"kind": "drive", "hand": hand, "missions": Missions(), "look": None, "end": self.settings.steps}
            self.record = self.shelf.add(f"drive {len(self.shelf.records) + 1}", {}, {"run": run}, **parts)
        self.record.parts["hand"].position = self["weight"]
        self.training = self.record
        self.start(partial(self._fit_by_hand, self.record))

    def _replay(self) -> None:
        drive = self.record
        run = self._new_run(annealer=Replay(self.drive()), name="replay")
        parts = {"kind": "replay", "of": drive.number, "end": self.run.step}
        self.training = self.shelf.add(f"replay of {drive.name}", {}, {"run": run}, **parts)
        drive.parts["replay"] = self.training
        self.start(partial(self._fit, self.training, self.run.step))

    def _train(self, name: str) -> None:
        record = self._scheduled(name)
        if record is None:
            run = self._new_run(annealer=parse_schedule(name, steps=self.settings.steps), name=name)
            record = self.shelf.add(name, {}, {"run": run}, kind="schedule", look=None, end=self.settings.steps)
        self.training = record
        self.start(partial(self._fit, record, self.settings.steps))

    def _scheduled(self, name: str) -> records.Record | None:
        found = (record for record in self.shelf.records if record.parts["kind"] == "schedule")
        return next((record for record in found if record.name == name), None)

    # ---------------------------------------------------------------------------------------------------- what trains

    def _fit_by_hand(self, record: records.Record, stop: Stop) -> None:
        run, due, looked = record.runs["run"], time.monotonic(), 0.0

        def updated() -> None:
            nonlocal due, looked
            now = time.monotonic()
            if now - looked >= LOOK:
                self._look(record)
                looked = now
            due = max(due, now - 0.1) + 1 / self["pace"]  # skipped updates are caught up, up to 0.1 s
            stop.wait(max(0, due - time.monotonic()))

        run.fit(stop=stop, on_update=updated)
        if run.step:
            self._look(record)
            metrics = evaluate(run.model, self.corpus.test, iw_samples=1)
            with self.lock:
                record.measured("run", metrics)

    def _look(self, record: records.Record) -> None:
        """Measures a run on held-out sentences. It is in the thread that trains, so the run rests meanwhile."""
        run = record.runs["run"]
        mu, _ = posteriors(run.model, self.held_out)
        metrics = evaluate(run.model, self.held_out, iw_samples=1)
        with torch.no_grad():
            ids = [self.held_out[i] for i in range(min(SENTENCES, len(self.held_out)))]
            was_training = run.model.training
            run.model.eval()
            codes = [run.model.encode(one[None].to(run.device))[0] for one in ids]
            *written, zero = run.model.generate(torch.cat([*codes, torch.zeros_like(codes[0])]))
            run.model.train(was_training)
        decode = self.corpus.decode
        sentences = [(decode(one), decode(other)) for one, other in zip(ids, written, strict=True)]
        look = Look(run.step, metrics, mu.var(dim=0).tolist(), sentences, decode(zero))
        with self.lock:
            record.parts["look"] = look
            if "missions" in record.parts:
                cyclical = self._scheduled("cyclical")
                seen = cyclical.parts["look"] if cyclical else None
                other = records.Moment(seen.update, seen.metrics) if seen else None
                record.parts["missions"].look(look.update, metrics, run.history()["kl_weight"], other)

    def _fit(self, record: records.Record, steps: int, stop: Stop) -> None:
        """Trains at full speed, up to a step."""
        run = record.runs["run"]
        run.fit(stop=stop, until=steps)
        if run.step < steps:
            return
        if record.parts["kind"] == "schedule":
            self._look(record)
        metrics = evaluate(run.model, self.corpus.test, iw_samples=1)
        with self.lock:
            record.measured("run", metrics)
            if record.parts["kind"] == "replay":
                record.parts["verdict"] = compare_runs(self.shelf.get(record.parts["of"]).runs["run"], run)

    # --------------------------------------------------------------------------------------------------- what is seen

    def draw(self) -> None:
        running, step, steps = self.background.running, self.run.step if self.run else 0, self.settings.steps
        driving = running and self.training is self.record
        at_rest = "Start" if step == 0 else "Go on" if step < steps else "Start again"
        toggle, other = self.inputs["toggle"], self._scheduled(self["schedule"])
        toggle.label = ("Pause" if driving else "Stop") if running else at_rest
        toggle.busy = ("Pausing \u2026" if driving else "Stopping \u2026") if running else "Preparing \u2026"
        toggle.disabled = self.background.stopping
        for name in ("replay", "save"):
            self.inputs[name].disabled = running or step == 0
        self.inputs["new"].disabled = step == 0
        self.inputs["train"].disabled = running or (other is not None and other.runs["run"].step == steps)
        look = self.record.parts["look"] if self.record else None
        self._say(look, driving)
        missions = self.record.parts["missions"] if self.record else Missions()
        cyclical = self._scheduled("cyclical")
        self.show("text:missions", missions.html(bool(cyclical and cyclical.parts["look"])))
        planned = parse_schedule(self["schedule"], steps=steps).schedule(steps)
        self.show("chart:run", run_chart(self, other, planned))
        self.show("chart:units", units_chart(look, self.settings.latent))
        self.show("text:sentences", _sentences(look))
        self.show("table:history", history_table(self))

    def _say(self, look: Look | None, driving: bool) -> None:
        step, steps = self.run.step if self.run else 0, self.settings.steps
        if self.background.running and not driving:
            step, end = self.training.runs["run"].step, self.training.parts["end"]
            doing = "Stopping" if self.background.stopping else "Training"
            self.result(f"{doing} {self.training.name}: update {step:,} of {end:,}{self.pace.left(step, end)}.")
        elif look is None:
            self.result(
                "Press Start, then move the KL weight.", f"{steps:,} updates; pause and go on whenever you like."
            )
        else:
            m, state = look.metrics, "Driving" if driving else "Finished" if step == steps else "Paused"
            collapsed = "; the posterior has collapsed" if m.kl < COLLAPSED else ""
            units = f"{m.active_units} of {self.settings.latent} units active"
            numbers = f"KL {records.shown(m, 'kl')}, reconstruction {records.shown(m, 'reconstruction')}, " \
                      f"-ELBO {records.shown(m, 'neg_elbo')}, {units}{collapsed}"  # fmt: skip
            rests = f"In nats per sentence: here on {len(self.held_out)} validation sentences, in the table on " \
                    f"{len(self.corpus.test):,} test sentences, in the curves on the batches."  # fmt: skip
            parts = self.record.parts
            replay = parts.get("replay")
            if replay and "verdict" in replay.parts and not driving:
                rests = f"{replay.parts['verdict']} {rests}"
            if "saved" in parts:
                rests += f" Saved as the schedule \u201c{parts['saved']}\u201d: the side-by-side offers it."
            self.result(f"{state}. At update {look.update:,} of {steps:,}: {numbers}.", rests)


def _sentences(look: Look | None) -> str:
    if look is None:
        return ""
    items = "".join(
        f"<p>{html.escape(given)}<br>\u2192 {kept(given, written, look.zero)}</p>" for given, written in look.sentences
    )
    marked = "<span class='kl-kept'>marked</span>"
    return f"<b>Held-out sentences, and what the model writes from z</b> ({marked}: words that z brought across){items}"


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
