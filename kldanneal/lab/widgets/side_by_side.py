"""Two schedules side by side: trained at the same time on the same seed and batches, then kept on at weight 1."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.metrics import COLLAPSED, evaluate
from kldanneal.lab.plots import reconstruction_limits
from kldanneal.lab.training.run import Run, check_run, pick_device
from kldanneal.lab.training.schedules import Then
from kldanneal.lab.training.settings import QUICK, Settings
from kldanneal.lab.widgets import charts, controls, records
from kldanneal.lab.widgets.background import Stop
from kldanneal.lab.widgets.panel import TrainingPanel
from kldanneal.lab.widgets.schedule_controls import ScheduleControls
from kldanneal.lab.widgets.sentences import from_models
from kldanneal.lab.widgets.side_by_side_tables import SIDES, history_table, numbers_table

FIRST = {"left": "once", "right": "cycles"}
COLORS = {"left": ("orange", None), "right": ("blue", charts.DASHED)}
ROWS = [
    [[f"control:{side}_{name}" for name in ScheduleControls.NAMES] for side in SIDES],
    [["control:train", "control:tail", "text:result", "text:error",
      "group|Corpus, seed, word dropout|control:corpus|control:seed|control:word_dropout|control:device"]],
    [["chart:both"]],
    [["table:numbers"], ["table:history"]],
    [["group|Sentences from both models|control:sentence|text:sentences"]],
]  # fmt: skip


class SideBySide(TrainingPanel):
    """Two schedules, the same seed, initial weights, batches and noise; one button trains the LSTM VAE under both.

    As long as the two weights agree, the two runs are the same: that stretch is shaded. When both have ended, the
    second button goes on with both at weight 1, and shows which KL lasts. Every pair that was trained is a row below.

    Args:
        corpus (Corpus, optional): what is learnt. Default: a choice of the toy language and docstrings.
        settings (Settings): of both runs. Default: ``QUICK``.
        seed (int): Default: 0.
        device (str): what is chosen at first: ``'auto'``, ``'cpu'`` or ``'cuda'``. Default: ``'auto'``.
    """

    def __init__(
        self, corpus: Corpus | None = None, settings: Settings = QUICK, *, seed: int = 0, device: str = "auto"
    ) -> None:
        check_run(settings, seed, *([] if corpus is None else [corpus]))
        self.settings, self.steps = settings, settings.steps
        self.corpora = {corpus.name: corpus} if corpus else {}  # as they are loaded
        names = [corpus.name] if corpus else ["toy", "docstrings"]
        self.shelf = records.shelf("side by side", corpus.digest if corpus else "", settings)
        self.record: records.Record | None = None  # the pair that is shown
        self.training: records.Record | None = None
        self.sides = {side: ScheduleControls(side, self.steps, kind) for side, kind in FIRST.items()}
        inputs: dict[str, controls.Control] = {}
        for side in self.sides.values():
            inputs |= side.inputs
        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        word_dropouts = sorted({0.0, 0.2, 0.5, settings.word_dropout})
        inputs |= {
            "train": controls.button("Train both", primary=True, busy="Preparing \u2026"),
            "tail": controls.button(f"Go on at weight 1 for {self.steps:,} updates", busy="Preparing \u2026",
                                    tip="Both runs go on with a weight of 1: which KL lasts?"),
            "corpus": controls.select("corpus", [(name, name) for name in names], names[0]),
            "seed": controls.number_field("seed", seed, 0, 10**6),
            "word_dropout": controls.choice("word dropout", [(one, f"{one:g}") for one in word_dropouts],
                                            settings.word_dropout),
            "device": controls.select("device", [(name, name) for name in devices], pick_device(device).type),
            "sentence": controls.slider("held-out sentence", 0, 0, 0, 1, "", "Its number in the held-out set"),
        }  # fmt: skip
        self.compared = [name for name in inputs if name not in ("train", "tail", "sentence")]
        self._written: tuple[Any, str] = (None, "")
        super().__init__("Two schedules side by side: which KL lasts?", ROWS, inputs)
        if self.shelf.records:
            self._restore(self.shelf.records[-1])
        self.refresh()

    # ------------------------------------------------------------------------------------------------ what is pressed

    def acted(self, name: str, value: Any) -> None:
        if name in ("train", "tail"):
            self._train(tail=name == "tail")
        elif name == "history":
            self._restore(self.shelf.get(value))
        elif name != "sentence":
            self.record = self._same()

    def choices(self) -> dict[str, Any]:
        """What the controls show."""
        return {name: self[name] for name in self.compared}

    def _same(self) -> records.Record | None:
        key = self._key()
        return next((record for record in self.shelf.records if record.parts["key"] == key), None)

    def _key(self) -> tuple:
        others = tuple(self[name] for name in ("corpus", "seed", "word_dropout", "device"))
        return (*(side.planned() for side in self.sides.values()), *others)

    def _restore(self, record: records.Record) -> None:
        for side in self.sides.values():
            side.offer_drives()
        for name, value in record.values.items():
            self.inputs[name].set(value)
        self.record = record

    # ---------------------------------------------------------------------------------------------------- what trains

    def _train(self, tail: bool) -> None:
        if self.background.running:
            self.background.ask_to_stop()
            return
        record = self._same()
        choices, key = self.choices(), self._key()
        schedules = {side: Then(self.sides[side].annealer(), self.steps) for side in SIDES}
        if record is None:
            record = self.shelf.add(
                " | ".join(side.name() for side in self.sides.values()), choices, {}, key=key, until=self.steps
            )
        if tail:
            record.parts["until"] = 2 * self.steps
        self.record = self.training = record

        def train(stop: Stop) -> None:
            corpus = self._load(choices["corpus"])
            if not record.runs:
                settings = replace(self.settings, steps=2 * self.steps, word_dropout=choices["word_dropout"])
                runs = {side: Run(corpus, schedules[side], settings, seed=choices["seed"], name=side,
                                  device=choices["device"]) for side in SIDES}  # fmt: skip
                with self.lock:
                    record.runs = runs
            with ThreadPoolExecutor(2) as pool:
                for future in [pool.submit(self._fit, record, side, stop) for side in SIDES]:
                    future.result()

        self.start(train)

    def _fit(self, record: records.Record, side: str, stop: Stop) -> None:
        run = record.runs[side]
        try:
            for mark in sorted({self.steps, record.parts["until"]}):
                if mark > run.step or (mark == run.step and not record.at(side, mark)):
                    run.fit(stop=stop, until=mark)
                    metrics = None if stop.is_set() else evaluate(run.model, run.corpus.test, iw_samples=5, stop=stop)
                    if metrics is None:
                        return
                    with self.lock:
                        record.measured(side, metrics)
        except BaseException:
            stop.set()  # the other run stops as well, and keeps what it has
            raise

    def _load(self, name: str) -> Corpus:
        if name not in self.corpora:
            self.corpora[name] = load_corpus(name)
        return self.corpora[name]

    # --------------------------------------------------------------------------------------------------- what is seen

    def draw(self) -> None:
        for side in self.sides.values():
            side.update()
        running, record = self.background.running, self._same()
        if running:  # shown is what trains, whatever the controls say meanwhile
            record = self.training
        until = record.parts["until"] if record else self.steps
        done = record is not None and all(record.at(side, until) for side in SIDES)
        begun = record is not None and any(run.step for run in record.runs.values())
        train, tail = self.inputs["train"], self.inputs["tail"]
        train.label = "Stop" if running else "Go on" if begun and not done else "Train both"
        train.busy = "Stopping \u2026" if running else "Preparing \u2026"
        train.disabled = self.background.stopping or (done and not running)
        tail.disabled = running or not done or until > self.steps
        self.inputs["sentence"].disabled = running or not done
        self._say(record, running, done, begun, until)
        self.show("chart:both", self._chart(record, until))
        self.show("table:numbers", numbers_table(record))
        self.show("table:history", history_table(self.shelf, self._same()))
        self._write(record if done and not running else None)

    def _say(self, record: records.Record | None, running: bool, done: bool, begun: bool, until: int) -> None:
        same = identical(*self._plans(record))
        if running:
            step = min((run.step for run in record.runs.values()), default=0)
            said = "preparing"
            if record.runs:
                said = f"update {step:,} of {until:,} on both sides{self.pace.left(step, until)}"
            self.result(f"Training: {said}.", f"Same seed and batches; {_alike(same, self.steps)}")
        elif done:
            parts = [f"{side} {_outcome(record.at(side, until).metrics)}" for side in SIDES]
            when = f"Done, {until:,} updates" + (f", the last {self.steps:,} at weight 1" if until > self.steps else "")
            self.result(f"{when}: {'; '.join(parts)}. {self._lasts(record, until)}", self._rests_on(record))
        elif begun:
            step = min(run.step for run in record.runs.values())
            self.result(f"Stopped after {step:,} of {until:,} updates. Press \u201cGo on\u201d.", "Nothing is lost.")
        else:
            words = _alike(same, self.steps).capitalize()
            rests = f"Seed {self['seed']}, word dropout {self['word_dropout']:g}. Predict, then train both."
            self.result(f"Left: {self.sides['left'].name()}. Right: {self.sides['right'].name()}. {words}", rests)

    def _lasts(self, record: records.Record, until: int) -> str:
        if until == self.steps:
            return ""
        kept = {}
        for side in SIDES:
            before, after = (record.at(side, at).metrics.kl for at in (self.steps, until))
            kept[side] = f"{side} from {before:.3f} to {after:.3f}"
        return f"KL over the tail: {', '.join(kept.values())}."

    def _rests_on(self, record: records.Record) -> str:
        v = record.values
        return (
            f"One seed ({v['seed']}), corpus {v['corpus']}, word dropout {v['word_dropout']:g}; nats per sentence at "
            "KL weight 1 on held-out sentences. Another seed may differ. To train again, change something above."
        )

    def _plans(self, record: records.Record | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The weights of both sides: of a pair that was trained, or as the controls are."""
        key = record.parts["key"] if record else self._key()
        return key[0], key[1]

    def _chart(self, record: records.Record | None, until: int) -> charts.Chart:
        weight, kl, reconstruction = [], [], []
        legend: list[dict[str, Any]] = []
        for other in self.shelf.records:
            for side, run in other.runs.items() if other is not record else ():
                look = {"width": 1, "opacity": 0.5, "dash": COLORS[side][1]}
                kl.append(charts.curve(run.history(), "kl", "grey", 50, **look))
        own = record.values if record else {}
        plans = self._plans(record)
        for side, planned in zip(SIDES, plans, strict=True):
            color, dash = COLORS[side]
            look = {"dash": dash, "width": 2}
            weight.append(charts.line([*planned, *[1.0] * (until - self.steps)], color, **look))
            legend.append({"text": side, "color": color, "dash": dash})
            if record and record.runs:
                history = record.runs[side].history()
                kl.append(charts.curve(history, "kl", color, 20, **look))
                reconstruction.append(charts.curve(history, "reconstruction", color, 20, **look))
        corpus = self.corpora.get(own.get("corpus", self["corpus"]))
        limits = reconstruction_limits(corpus) if corpus else (0, 30)
        same = identical(*plans)
        legend.append({"text": "the two runs are identical", "shade": True})
        rules = [{"y": COLLAPSED, "text": "collapsed below"}]
        entropy = [{"y": corpus.entropy, "text": "entropy"}] if corpus and corpus.entropy is not None else []
        tail = [{"x": self.steps, "text": "then weight 1"}] if until > self.steps else []
        alt = f"KL weight, KL and reconstruction of two schedules over {until:,} updates, the same until {same:,}."
        panels = [
            charts.weight_panel(weight, 72, rules=tail),
            charts.kl_panel(kl, 170, rules=rules),
            charts.panel("recon., nats", limits, 80, lines=reconstruction, rules=entropy),
        ]
        return charts.chart(alt, (0, until), "update", panels, legend, (0, same) if same else None)

    def _write(self, record: records.Record | None) -> None:
        """Sentences of both models; they are written again only for another pair, sentence or update."""
        if record is None:
            self.show("text:sentences", "<p>Train both first.</p>")
            return
        runs = record.runs
        self.inputs["sentence"].max = len(runs["left"].corpus.test) - 1
        at = (record.number, self["sentence"], runs["left"].step)
        if self._written[0] != at:
            self._written = at, from_models({side: run.model for side, run in runs.items()}, runs["left"].corpus, at[1])
        self.show("text:sentences", self._written[1])


def identical(left: Sequence[float], right: Sequence[float]) -> int:
    """The updates that two schedules have in common, from the start on."""
    return next((i for i, (one, other) in enumerate(zip(left, right, strict=True)) if one != other), len(left))


def _alike(same: int, steps: int) -> str:
    """How long two schedules agree, in words."""
    if same == steps:
        return "the schedules are the same."
    return f"the schedules are the same until update {same:,}." if same else "the schedules differ from the start."


def _outcome(metrics: Any) -> str:
    units = f"{metrics.active_units} of {len(metrics.kl_per_dimension)} units active"
    collapsed = ", collapsed" if metrics.kl < COLLAPSED else ""
    return f"KL {records.shown(metrics, 'kl')} ({units}{collapsed})"
