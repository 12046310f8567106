"""Two schedules side by side: once on the left, in cycles on the right, trained at the same time on the same seed."""

import html
import math
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ipywidgets as W
import torch
from matplotlib.figure import Figure
from tqdm.notebook import tqdm

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.metrics import MEASURES
from kldanneal.lab.plots import EMPTY
from kldanneal.lab.results import report
from kldanneal.lab.tables import table
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import check_run, pick_device
from kldanneal.lab.training.settings import QUICK, Settings
from kldanneal.lab.widgets.background import Background, on_any_page
from kldanneal.lab.widgets.figures import Panel
from kldanneal.lab.widgets.picture import Picture


class SideBySide(W.VBox):
    """The same sliders for two schedules, and one button that trains the LSTM VAE under both of them.

    Left one ramp, right the same ramp at the start of every cycle: up to the first restart the two runs are the same,
    on the same seed, initial weights, batches and noise. With the switch, the left ramp is as long as all those on the
    right together. Stopped, the button goes on where it was, unless a control was moved: then it starts a new
    comparison.

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
        self.settings = settings
        self.corpora = {corpus.name: corpus} if corpus else {}  # as they are loaded
        self.comparison: Comparison | None = None  # what the button trains, made with the choices self.trained
        self.trained: dict[str, Any] = {}
        steps, names = settings.steps, [corpus.name] if corpus else ["toy", "docstrings"]
        step = max(1, steps // 200)
        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        wide = {
            "style": {"description_width": "6em"},
            "layout": W.Layout(width="100%", max_width="26em", margin="2px 0"),
        }
        self.shape = W.SelectionSlider(options=list(SHAPES), value="linear", description="shape", **wide)
        self.total_steps = W.IntSlider(value=steps // 2, min=step, max=steps, step=step, description="total_steps",
                                       **wide)  # fmt: skip
        self.ratio = W.FloatSlider(value=0.9, min=0.05, max=1, step=0.05, description="ratio", **wide)
        self.fair = W.Checkbox(value=False, description="left ramp as long as all ramps on the right", indent=False)
        self.corpus = W.Dropdown(options=names, value=names[0], description="corpus", **wide)
        self.seed = W.BoundedIntText(value=seed, min=0, max=10**6, description="seed", **wide)
        self.device = W.Dropdown(options=devices, value=pick_device(device).type, description="device", **wide)
        self.controls = {"shape": self.shape, "total_steps": self.total_steps, "ratio": self.ratio, "fair": self.fair,
                         "corpus": self.corpus, "seed": self.seed, "device": self.device}  # fmt: skip
        self.start = self.choices()
        self.button = W.Button(button_style="primary")
        self.reset = W.Button(description="Reset")
        self.progress, self.status = W.Box(), W.HTML()
        self.sentence = W.IntSlider(value=0, min=0, max=0, description="sentence", **wide)
        self.table, self.chosen = W.HTML(), W.HTML()
        self.samples, self.reconstructions = (W.HTML(), W.HTML()), (W.HTML(), W.HTML())
        self.background = Background("SideBySide", self._tick, self._ended)
        self.panels, self.pictures = [], []
        for _ in range(2):
            figure = Figure(figsize=(4.6, 4.6), dpi=100, layout="constrained")
            panel = Panel(figure.subplots(3, sharex=True, height_ratios=(1, 1.5, 1.2)), steps)
            figure.align_ylabels()
            self.panels.append(panel)
            self.pictures.append(Picture(figure, panel.moving))
        self.results = W.VBox([self.table, _beside(self.samples), self.sentence, self.chosen,
                               _beside(self.reconstructions)])  # fmt: skip
        self._plan()
        for control in self.controls.values():
            control.observe(self.background.guard(self._moved), "value")
        self.sentence.observe(self.background.guard(self._reconstruct), "value")
        self.button.on_click(self.background.guard(self._clicked))
        self.reset.on_click(self.background.guard(self._reset))
        schedule = W.VBox([self.shape, self.total_steps, self.ratio, self.fair])
        others = W.VBox([self.corpus, self.seed, self.device])
        buttons = W.Box([self.button, self.reset, self.progress], layout=W.Layout(flex_flow="row wrap"))
        super().__init__([_beside([schedule, others]), buttons, self.background.message, self.status,
                          _beside(self.pictures), self.results])  # fmt: skip

    def choices(self) -> dict[str, Any]:
        """What the controls show."""
        return {name: control.value for name, control in self.controls.items()}

    def annealers(self) -> dict[str, Annealer]:
        """The two schedules that the controls show, the left one first."""
        options = {"total_steps": self.total_steps.value, "shape": self.shape.value, "ratio": self.ratio.value}
        cyclical = Annealer(**options, cyclical=True)
        if self.fair.value:
            below = sum(weight < 1 for weight in cyclical.schedule(self.settings.steps))
            return {"monotonic-long": Annealer(below, self.shape.value), "cyclical": cyclical}
        return {"monotonic": Annealer(**options), "cyclical": cyclical}

    def _shown(self) -> Comparison | None:
        """The comparison, if the controls are still those that it was made with."""
        return self.comparison if self.trained == self.choices() else None

    def _moved(self, _change: dict) -> None:
        self._plan()

    def _plan(self) -> None:
        """Takes over what the controls show."""
        annealers = self.annealers()
        self.planned = {name: annealer.schedule(self.settings.steps) for name, annealer in annealers.items()}
        self.description = _describe(self.planned, annealers["cyclical"].total_steps)
        self._draw()

    def _draw(self) -> None:
        comparison = self._shown()
        with Picture.lock:
            for panel, picture, (name, planned) in zip(self.panels, self.pictures, self.planned.items(), strict=True):
                history = comparison.runs[name, self.seed.value].history() if comparison else EMPTY
                panel.show(name, history, planned)
                picture.refresh()
        self._label()

    def _label(self) -> None:
        running, comparison = self.background.running, self._shown()
        finished = comparison is not None and comparison.finished()
        unfinished = comparison is not None and not finished and _progress(comparison)[0] > 0
        self.button.description = "Stop" if running else "Go on" if unfinished else "Train both"
        self.reset.disabled = running
        for control in self.controls.values():
            control.disabled = running
        self.results.layout.display = None if finished and not running else "none"
        says = [self.description]
        if self.comparison and not comparison:
            done, total = _progress(self.comparison)
            state = "finished" if self.comparison.finished() else f"stopped after {done:,} of {total:,} updates"
            says.append(
                f"<b>The next training starts a new comparison.</b> The one before ({state}) had "
                f"{html.escape(_differences(self.trained, self.choices()))}; put that back to see it again."
            )
        self.status.value = _text("<br>".join(says))

    def _clicked(self, _button: W.Button) -> None:
        if self.background.running:
            self.button.disabled = True  # until it has stopped
            self.background.ask_to_stop()
            return
        comparison, choices = self._shown(), self.choices()
        if comparison is None or comparison.finished():
            self.comparison, self.trained = None, choices
        done, total = _progress(self.comparison) if self.comparison else (0, 2 * self.settings.steps)
        self.bar = tqdm(total=total, initial=done, display=False, unit="update")
        self.progress.children = [on_any_page(self.bar)]
        self.background.start(partial(self._train, choices, self.annealers()))
        self._label()

    def _train(self, choices: dict[str, Any], annealers: dict[str, Annealer], stop: threading.Event) -> None:
        corpus = self._load(choices["corpus"])
        if self.comparison is None:
            options = {"seeds": [choices["seed"]], "device": choices["device"]}
            self.comparison = Comparison(corpus, annealers, self.settings, **options)
        self.comparison.fit(stop=stop, progress=False, on_update=self.bar.update, workers=2)

    def _load(self, name: str) -> Corpus:
        if name not in self.corpora:
            self.status.value = f"Loading {name}; docstrings take half a minute the first time."
            self.corpora[name] = load_corpus(name)
        corpus = self.corpora[name]
        with Picture.lock:
            for panel, picture in zip(self.panels, self.pictures, strict=True):
                panel.fit_to(corpus)
                picture.refresh(whole=True)
        return corpus

    def _tick(self) -> None:
        self._draw()

    def _ended(self) -> None:
        self.bar.close()
        self.button.disabled = False
        if self.comparison and self.comparison.finished():
            self._show_results(self.comparison)
        self._draw()

    @torch.no_grad()
    def _show_results(self, comparison: Comparison) -> None:
        self.table.value = _table(comparison)
        generator = torch.Generator().manual_seed(0)
        z = torch.randn(3, self.settings.latent, generator=generator)
        for name, shown in zip(comparison.schedules, self.samples, strict=True):
            run = comparison.runs[name, comparison.seeds[0]]
            model, noise = run.model.eval(), torch.Generator(run.device).manual_seed(0)
            greedy = model.generate(z.to(run.device))
            drawn = model.generate(z.to(run.device), sample=True, generator=noise)
            shown.value = _text(
                f"<b>{name}</b>: three codes from the prior, written with the most likely words"
                f"{_sentences(comparison.corpus, greedy)}and with words sampled from the decoder"
                f"{_sentences(comparison.corpus, drawn)}"
            )
        self.sentence.max = len(comparison.corpus.test) - 1
        self._reconstruct()

    @torch.no_grad()
    def _reconstruct(self, _change: dict | None = None) -> None:
        comparison = self._shown()
        if comparison is None or not comparison.finished() or self.background.running:
            return
        ids = comparison.corpus.test[self.sentence.value]
        self.chosen.value = _text(f"held-out sentence: <i>{html.escape(comparison.corpus.decode(ids))}</i>")
        for name, shown in zip(comparison.schedules, self.reconstructions, strict=True):
            run = comparison.runs[name, comparison.seeds[0]]
            written = run.model.eval().reconstruct(ids[None].to(run.device))
            shown.value = f"<b>{name}</b>: reconstructed as{_sentences(comparison.corpus, written)}"

    def _reset(self, _button: W.Button) -> None:
        if self.background.running:
            return
        self.comparison, self.trained, self.progress.children = None, {}, []
        for name, control in self.controls.items():
            control.value = self.start[name]
        self._draw()


def _progress(comparison: Comparison) -> tuple[int, int]:
    """Updates done and in all."""
    return sum(run.step for run in comparison.runs.values()), len(comparison.runs) * comparison.settings.steps


def _describe(planned: Mapping[str, Sequence[float]], cycle: int) -> str:
    left, right = planned.values()
    steps = len(left)
    cycles = math.ceil(steps / cycle)
    ramps = [next((step for step, weight in enumerate(weights) if weight == 1), len(weights))
             for weights in (left, right[:cycle])]  # fmt: skip
    says = (
        f"Left: a ramp over {ramps[0]:,} of {steps:,} updates, then weight 1. Right: {cycles} "
        f"{'cycle' if cycles == 1 else 'cycles'} of {cycle:,}, each a ramp over {ramps[1]:,}."
    )
    return says + " The two are the same." if left == right else says


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {before[name]}" for name in before if before[name] != now[name])


def _table(comparison: Comparison) -> str:
    runs = comparison.rows()  # a column each, which fits a phone
    cells = [["", *(run["schedule"] for run in runs)]]
    cells += [[m.heading, *(f"{run[key]:.{m.digits}f}" for run in runs)] for key, m in MEASURES.items()]
    verdict = "<br>".join(map(html.escape, report.verdict(runs, comparison.corpus.entropy).splitlines()))
    return _text(f"{table(cells, 'html')}nats per sentence at KL weight 1, on held-out sentences<br>{verdict}")


def _text(words: str) -> str:
    return f"<div style='line-height: 1.5; white-space: normal'>{words}</div>"


def _sentences(corpus: Corpus, batch: torch.Tensor) -> str:
    items = "".join(f"<li>{html.escape(corpus.decode(ids)) or '(nothing)'}</li>" for ids in batch)
    return f"<ul style='margin: 0; padding-left: 1.2em'>{items}</ul>"


def _beside(columns: Sequence[W.Widget]) -> W.Box:
    """Widgets beside each other, or one below the other where the page is narrow."""
    for column in columns:
        column.layout.flex, column.layout.min_width = "1 1 20em", "0"
    return W.Box(list(columns), layout=W.Layout(flex_flow="row wrap", align_items="flex-start"))
