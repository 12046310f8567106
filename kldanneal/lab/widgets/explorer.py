"""The schedule explorer: a map of stored runs that starts covered, and what became of the schedule that is chosen."""

import html
from dataclasses import asdict, replace
from statistics import mean
from typing import Any, NamedTuple

import numpy as np

from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.metrics import COLLAPSED, evaluate
from kldanneal.lab.results.fair_map import CONSTANT, CYCLES, ONCE, Cell, FairMap, Match, load_map, weights
from kldanneal.lab.results.jobs import Job
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import QUICK, Settings
from kldanneal.lab.widgets import controls, records
from kldanneal.lab.widgets.background import Stop
from kldanneal.lab.widgets.explorer_view import history_table, numbers_table, outcome_chart
from kldanneal.lab.widgets.guess_map import CYCLE_COUNT, GuessMap, fate, where
from kldanneal.lab.widgets.panel import TrainingPanel

RESTS_ON = "Toy language, a small model; nats per sentence at KL weight 1 on held-out sentences."
ROWS = [
    [["control:course", "control:shape", "control:size", "control:constant", "control:word_dropout",
      "control:distance", "control:train", "text:result", "text:error", "chart:outcome",
      "group|More settings, for \u201cTrain this one\u201d|control:ratio|control:baseline|control:highest"],
     ["map:grid", "control:uncover", "text:score", "table:numbers"]],
    [["table:history"]],
]  # fmt: skip


class Plan(NamedTuple):
    """A run that could be trained: its weights up to the last low one, their number, and the closest stored cell."""

    job: Job
    weights: np.ndarray
    low: int
    match: Match | None
    key: str


class ScheduleExplorer(TrainingPanel):
    """Choose a schedule on the grid of the stored runs, and see how long its KL survives at weight 1.

    The map starts covered: mark the schedules whose KL will survive, then uncover it. A stored run's numbers are shown
    as a schedule's own only where the weights are the same. For any other schedule, "Train this one" trains it here.

    Args:
        stored (FairMap, optional): the stored runs. Default: those that come with the package.
        seed (int): of what is trained here. Default: 0.
    """

    def __init__(self, stored: FairMap | None = None, *, seed: int = 0) -> None:
        self.stored = stored = load_map() if stored is None else stored
        self.seed, self.shelf = seed, records.shelf("explorer", seed)
        self.record: records.Record | None = None  # the run of the history that is chosen
        self.training: records.Record | None = None
        self.map = GuessMap(stored)
        self._plans: dict[str, Plan] = {}
        sizes, constants = stored.sizes or [QUICK.steps // 2], stored.weights or [1.0]
        distances, dropouts = stored.distances or [0], stored.word_dropouts or [0.0]
        shapes, courses = stored.shapes or ["linear"], stored.courses or [ONCE, CYCLES, CONSTANT]
        texts = {ONCE: "one ramp", CYCLES: f"{CYCLE_COUNT} cycles", CONSTANT: "constant"}
        super().__init__(
            "Schedule explorer: does the KL survive at weight 1?",
            ROWS,
            {
                "course": controls.choice("schedule", [(course, texts[course]) for course in courses], courses[0]),
                "shape": controls.choice("shape", [(shape, shape) for shape in shapes], shapes[0]),
                "size": controls.steps("ramp or cycle", sizes, sizes[len(sizes) // 2], "updates",
                                       "How many updates one ramp takes; in cycles, the length of one cycle"),
                "constant": controls.steps("constant weight", constants, constants[-1], "",
                                           f"A weight below 1 is held for {QUICK.steps:,} updates, then it is 1"),
                "word_dropout": controls.choice("word dropout", [(one, f"{one:g}") for one in dropouts], dropouts[0],
                                                "The share of the decoder's input words that are hidden in training"),
                "distance": controls.steps("distance", distances, distances[len(distances) // 2],
                                           "updates", "Updates since the last one with a weight below 1"),
                "ratio": controls.slider("share of ramp", 1, 0.05, 1, 0.05, "",
                                         "The share of the ramp's or cycle's length in which the weight rises"),
                "baseline": controls.slider("first weight", 0, 0, 1, 0.05, "", "The weight at the first update"),
                "highest": controls.slider("highest weight", 1, 0.05, 1, 0.05, "",
                                           "Where the ramp ends; after the schedule the weight is 1"),
                "train": controls.button("Train this one", busy="Preparing \u2026"),
                "uncover": controls.button("Uncover the map", primary=True, busy="Uncovering \u2026"),
            },
        )  # fmt: skip
        if self.shelf.records:
            self._restore(self.shelf.records[-1])
        self.refresh()

    def plan(self) -> "Plan":
        """The run that the controls describe, up to the chosen distance."""
        course, size, one = self["course"], self["size"], self["highest"] == 1
        if course == CONSTANT:
            low = QUICK.steps if self["constant"] < 1 else 0
            annealer: dict[str, Any] = {"total_steps": 0, "max_weight": self["constant"]}
        else:
            low = size * (CYCLE_COUNT if course == CYCLES else 1)
            annealer = {"total_steps": size, "shape": self["shape"], "baseline": self["baseline"],
                        "ratio": self["ratio"], "max_weight": self["highest"]}  # fmt: skip
            annealer |= {"cyclical": True, "cycles": CYCLE_COUNT} if course == CYCLES else {}
        then_one = low if low and (course == CONSTANT or not one) else None
        settings = {"word_dropout": self["word_dropout"]}
        job = Job("toy", course, annealer, low, self.seed, settings, then_one)
        key = job.key()
        if key not in self._plans:
            own = weights(job)
            self._plans[key] = Plan(job, own, len(own), self.stored.closest(own), key)
        plan = self._plans[key]
        return plan._replace(job=replace(job, updates=plan.low + self["distance"]))

    def cell(self) -> Cell:
        """The place on the map that the controls show."""
        if self["course"] == CONSTANT:
            return Cell(CONSTANT, "", self["constant"])
        return Cell(self["course"], self["shape"], self["size"])

    # ------------------------------------------------------------------------------------------------ what is pressed

    def acted(self, name: str, value: Any) -> None:
        if name == "train":
            self._train()
        elif name == "uncover":
            self.map.uncover(self["word_dropout"], self["distance"])
        elif name == "grid":
            row, column = value
            cell = self.map.cells()[row][column]
            (self.map.mark if self.map.covered else self._choose)(cell)
        elif name == "history":
            self._restore(self.shelf.get(value))
        else:
            if name == "course":
                self.inputs["ratio"].set(0.5 if value == CYCLES else 1)
            if self["baseline"] > self["highest"]:
                self.inputs["highest" if name == "baseline" else "baseline"].set(value)
            self.record = None

    def _choose(self, cell: Cell) -> None:
        """Sets the controls to a cell of the map."""
        chosen = {"course": cell.course, "baseline": 0, "highest": 1, "ratio": 0.5 if cell.course == CYCLES else 1}
        chosen |= {"constant": cell.size} if cell.course == CONSTANT else {"shape": cell.shape, "size": cell.size}
        for name, value in chosen.items():
            self.inputs[name].set(value)
        self.record = None

    def _restore(self, record: records.Record) -> None:
        for name, value in record.values.items():
            self.inputs[name].set(value)
        self.record = record

    # ---------------------------------------------------------------------------------------------------- what trains

    def _train(self) -> None:
        if self.background.running:
            self.background.ask_to_stop()
            return
        plan, record = self.plan(), self._same()
        distances = [value for value, _ in self.inputs["distance"].options]
        if record is None:
            settings = Settings(**asdict(QUICK) | {"steps": plan.low + max(distances)} | plan.job.settings)
            run = Run(load_corpus("toy"), plan.job.schedule(), settings, seed=self.seed, name=self.name())
            record = self.shelf.add(run.name, self._choices(), {"run": run}, key=plan.key)
        self.record = self.training = record
        marks = [plan.low + distance for distance in distances if distance <= self["distance"]]
        record.parts["end"] = marks[-1]

        def train(stop: Stop) -> None:
            run = record.runs["run"]
            for mark in [mark for mark in marks if mark > run.step]:
                run.fit(stop=stop, until=mark)
                metrics = None if stop.is_set() else evaluate(run.model, run.corpus.test, stop=stop)
                if metrics is None:
                    return
                with self.lock:
                    record.measured("run", metrics)

        self.start(train)

    def _same(self) -> records.Record | None:
        """The run of the history that the controls describe, at whatever distance."""
        key = self.plan().key
        return next((record for record in self.shelf.records if record.parts["key"] == key), None)

    def _choices(self) -> dict[str, Any]:
        names = ("course", "shape", "size", "constant", "word_dropout", "distance", "ratio", "baseline", "highest")
        return {name: self[name] for name in names}

    def name(self) -> str:
        if self["course"] == CONSTANT:
            return f"constant {self['constant']:g}"
        extras = [f"{word} {self[name]:g}" for name, word, default in (
            ("ratio", "ramp share", 0.5 if self["course"] == CYCLES else 1),
            ("baseline", "from", 0), ("highest", "up to", 1)) if self[name] != default]  # fmt: skip
        times = f"{CYCLE_COUNT} cycles of" if self["course"] == CYCLES else "one ramp of"
        return ", ".join([f"{self['shape']}, {times} {self['size']:,} updates", *extras])

    # --------------------------------------------------------------------------------------------------- what is seen

    def draw(self) -> None:
        plan, running = self.plan(), self.background.running
        constant = self["course"] == CONSTANT
        for name in ("shape", "size", "ratio", "baseline", "highest"):
            self.inputs[name].hidden = constant
        self.inputs["constant"].hidden = not constant
        self.inputs["uncover"].hidden = not self.map.covered
        record = self._same()
        run = record.runs["run"] if record else None
        moment = record.at("run", plan.job.updates) if record else None
        begun = run is not None and run.step > 0
        train = self.inputs["train"]
        train.label = "Stop" if running else "Go on" if begun and not moment else "Train this one"
        train.busy = "Stopping \u2026" if running else "Preparing \u2026"
        train.disabled = self.background.stopping or (moment is not None and not running)
        match = None if self.map.covered or str(plan.match) == "none" else plan.match
        found = self.stored.measured(match.cell, self["word_dropout"], self["distance"]) if match else []
        if running:
            now = self.training.runs["run"]
            end = self.training.parts["end"]
            left = self.pace.left(now.step, end)
            self.result(f"Training {now.name}: update {now.step:,} of {end:,}{left}.",
                        "You can move the controls meanwhile.")  # fmt: skip
        elif begun and not moment:
            done = f"Stopped after {run.step:,} of {plan.job.updates:,} updates."
            self.result(f"{done} Press \u201cGo on\u201d.", "All that was measured is in the tables.")
        else:
            self.result(*self._found(plan, match, found, moment))
        runs = self.stored.runs[match.cell, self["word_dropout"]] if found else []
        self.show("map:grid", self.map.shown(self.cell(), self["word_dropout"], self["distance"]))
        self.show("text:score", f"<p><b>{html.escape(self.map.score)}</b></p>" if self.map.score else "")
        self.show("chart:outcome", outcome_chart(self, plan, runs, str(match) == "close", record))
        self.show("table:numbers", numbers_table(found, moment, self["distance"]))
        self.show("table:history", history_table(self))

    def _found(self, plan: "Plan", match: Match | None, found: list[dict], moment: records.Moment | None) -> list[str]:
        """What is known of this schedule, and what that rests on."""
        at = f"at distance {self['distance']:,}" if plan.low else f"after {self['distance']:,} updates"
        if moment:
            m = moment.metrics
            text = f"Trained here, {at}: KL {records.shown(m, 'kl')}; {fate(m.kl)}."
            units = f"{m.active_units} of {len(m.kl_per_dimension)} units are active. One seed."
            return [f"{text} {units}", RESTS_ON]
        if self.map.covered:
            marked = f"{len(self.map.marked)} marked, for word dropout {self['word_dropout']:g}."
            rests = f"{marked} A KL of at least {COLLAPSED:g} nats counts as surviving, {at}."
            return ["Where will the KL survive? Mark those schedules on the map, then uncover it.", rests]
        if not found or match is None:
            rests = f"{self.name()}; word dropout {self['word_dropout']:g}; {at}."
            rests += f" The closest stored weights differ by {plan.match.apart:.2f} on average." if plan.match else ""
            return ["No stored run like this: train it.", rests[0].upper() + rests[1:]]
        values = [mark["kl"] for mark in found]
        text = f"{at[0].upper()}{at[1:]}: KL {mean(values):.3f}; {fate(mean(values))}."
        if str(match) == "close":
            text = f"Close to this (the weights differ by {match.apart:.2f}): {where(match.cell)}. {text}"
        seeds = f"{len(values)} seeds, from {min(values):.3f} to {max(values):.3f}." if len(values) > 1 else "One seed."
        return [f"{text} {seeds}", RESTS_ON]
