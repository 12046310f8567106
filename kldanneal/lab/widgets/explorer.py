"""The schedule explorer: shape a schedule with sliders, and see at once what became of the closest stored run."""

from functools import cache, partial

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from tqdm.notebook import tqdm

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.corpora.load import load_corpus, toy
from kldanneal.lab.metrics import MEASURES, evaluate
from kldanneal.lab.plots import BLUE, EMPTY, ORANGE, VERMILION, History, TrainingPanels, smooth
from kldanneal.lab.results.sweep import CONSTANT, RATIO, TOTAL_STEPS, Cell, Sweep, load_sweep
from kldanneal.lab.tables import table
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets.background import Background, Stop, on_any_page
from kldanneal.lab.widgets.picture import Picture

CHOSEN, STORED, NOW = BLUE, ORANGE, VERMILION
DPI = 100


class OutcomePlot:
    """A schedule's KL weight, and below it KL and reconstruction of the closest runs of the sweep, a line a seed."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.steps = sweep, sweep.steps[-1]
        self.figure = Figure(figsize=(5, 5), dpi=DPI, layout="constrained")
        axes = self.figure.subplots(3, sharex=True, height_ratios=(1, 1.5, 1.2))
        limits = (toy.ENTROPY - 4, toy.ENTROPY + 6)
        self.panels = TrainingPanels(axes, self.steps, limits, toy.ENTROPY)
        weight, kl, reconstruction = axes
        (self.closest,) = weight.plot([], [], color=STORED, linestyle="--")
        (self.chosen,) = weight.plot([], [], color=CHOSEN, label="chosen schedule")
        seeds = len(sweep.runs[CONSTANT])
        self.curves = {
            (column, seed): axis.plot([], [], color=STORED, linewidth=1)[0]
            for axis, column in ((kl, "kl"), (reconstruction, "reconstruction"))
            for seed in range(seeds)
        }
        (self.now_kl,) = kl.plot([], [], color=NOW, label="trained now")
        (self.now_reconstruction,) = reconstruction.plot([], [], color=NOW)
        self.moving = [self.closest, self.chosen, *self.curves.values(), self.now_kl, self.now_reconstruction]
        constant = np.mean([run.kl_curve for run in sweep.runs[CONSTANT]], axis=0)
        kl.plot(sweep.steps, constant, color="black", linewidth=1, linestyle=":", label="constant weight 1")
        kl.plot([], [], color=STORED, label=f"closest run, {seeds} seeds")
        self.panels.entropy.set_label("entropy")
        self.figure.align_ylabels()
        self.figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")

    def show(self, annealer: Annealer) -> Cell:
        """Sets the lines for a schedule; returns the cell of the sweep that it is compared with."""
        cell = self.sweep.closest(annealer)
        self.chosen.set_data(range(self.steps), annealer.schedule(self.steps))
        self.closest.set_data(range(self.steps), _schedule(cell, self.steps))
        for (column, seed), line in self.curves.items():
            line.set_data(self.sweep.steps, getattr(self.sweep.runs[cell][seed], f"{column}_curve"))
        self.show_run(EMPTY)
        return cell

    def apart(self) -> float:
        """The mean difference between the weights of the schedule and of the closest runs."""
        return float(np.abs(np.subtract(self.chosen.get_ydata(), self.closest.get_ydata())).mean())

    def show_run(self, history: History) -> None:
        """Sets the lines of a run that is trained now."""
        for line, column in ((self.now_kl, "kl"), (self.now_reconstruction, "reconstruction")):
            line.set_data(history["step"], smooth(history[column], 20) if history["step"] else [])


class MapPlot:
    """The phase diagram: final KL of every schedule of the sweep, mean over seeds."""

    def __init__(self, sweep: Sweep) -> None:
        self.rows = [(shape, cyclical) for cyclical in (False, True) for shape in SHAPES]
        kl = np.array([[sweep.mean(Cell(*row, n), "kl") for n in TOTAL_STEPS] for row in self.rows])
        self.figure = Figure(figsize=(5, 3.6), dpi=DPI, layout="constrained")
        axes = self.figure.subplots()
        image = axes.imshow(kl, cmap="cividis", vmin=0, aspect="auto")
        for (i, j), value in np.ndenumerate(kl):
            colour = "white" if value < image.norm.vmax / 2 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize="small")
        axes.set_xticks(range(len(TOTAL_STEPS)), TOTAL_STEPS)
        axes.set_yticks(range(len(self.rows)), [f"{shape}, {_mode(cyclical)}" for shape, cyclical in self.rows])
        axes.axhline(len(SHAPES) - 0.5, color="white", linewidth=2)
        constant = sweep.mean(CONSTANT, "kl")
        axes.set(xlabel="total_steps", title=f"final KL in nats (constant weight 1: {constant:.3f})")
        self.figure.colorbar(image, ax=axes, label="KL (nats per sentence)")
        self.mark = axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=NOW, linewidth=3, visible=False))
        self.moving = [self.mark]

    def show(self, cell: Cell) -> None:
        """Puts the mark around a cell."""
        self.mark.set_visible(cell != CONSTANT)
        if cell != CONSTANT:
            row = self.rows.index((cell.shape, cell.cyclical))
            self.mark.set_xy((TOTAL_STEPS.index(cell.total_steps) - 0.5, row - 0.5))


def plot_outcome(annealer: Annealer, sweep: Sweep | None = None) -> Figure:
    """A schedule, with KL and reconstruction of the closest runs of the sweep."""
    plot = OutcomePlot(sweep or load_sweep())
    plot.show(annealer)
    return plot.figure


def plot_map(annealer: Annealer | None = None, sweep: Sweep | None = None) -> Figure:
    """The final KL of all runs of the sweep, with a mark at the one closest to a schedule."""
    sweep = sweep or load_sweep()
    plot = MapPlot(sweep)
    if annealer:
        plot.show(sweep.closest(annealer))
    return plot.figure


class ScheduleExplorer(W.VBox):
    """Sliders for a schedule; beside its curve the outcome of the closest run of the sweep, and its place on the map.

    The button trains the LSTM VAE on the toy language under exactly the chosen schedule, with the sweep's settings.
    Stopped, the same button goes on; a slider that is moved starts afresh.
    """

    def __init__(self, sweep: Sweep | None = None) -> None:
        self.sweep = sweep = sweep or load_sweep()
        self.settings = Settings(**sweep.about["settings"])
        self.run: Run | None = None  # what the button trains, under the schedule self.trained
        self.trained, self.metrics, self.cell = None, None, CONSTANT
        self.outcome, self.map = OutcomePlot(sweep), MapPlot(sweep)
        wide = {
            "style": {"description_width": "6em"},
            "layout": W.Layout(width="100%", max_width="26em", margin="2px 0"),
        }
        steps = self.settings.steps
        self.shape = W.SelectionSlider(options=list(SHAPES), value="linear", description="shape", **wide)
        self.total_steps = W.IntSlider(value=1000, min=10, max=steps, step=10, description="total_steps", **wide)
        self.cyclical = W.Checkbox(value=False, description="cyclical", indent=False)
        self.cycles = W.IntSlider(value=2, min=1, max=40, description="cycles", disabled=True, **wide)
        self.ratio = W.FloatSlider(value=RATIO, min=0.05, max=1, step=0.05, description="ratio", **wide)
        self.baseline = W.FloatSlider(value=0, min=0, max=1, step=0.05, description="baseline", **wide)
        self.button = W.Button(description="Train this one now", button_style="primary")
        self.progress, self.summary = W.Box(), W.HTML()
        self.background = Background("ScheduleExplorer", self._tick, self._ended)
        self.picture = Picture(self.outcome.figure, self.outcome.moving)
        self.map_picture = Picture(self.map.figure, self.map.moving)
        self._draw()
        controls = [self.shape, self.total_steps, self.cyclical, self.cycles, self.ratio, self.baseline]
        for control in controls:
            control.observe(self.background.guard(partial(self._moved, control)), "value")
        self.button.on_click(self.background.guard(self._clicked))
        sliders = W.VBox([*controls, self.button, self.progress, self.background.message])
        parts = [sliders, self.picture, self.summary, self.map_picture]
        for part in parts:  # two beside each other, or one on a phone
            part.layout.flex, part.layout.min_width, part.layout.max_width = "1 1 28em", "0", "36em"
        super().__init__([W.Box(parts, layout=W.Layout(flex_flow="row wrap", align_items="flex-start"))])

    def annealer(self) -> Annealer:
        """The schedule that the controls show."""
        return Annealer(self.total_steps.value, self.shape.value, baseline=self.baseline.value,
                        cyclical=self.cyclical.value, ratio=self.ratio.value)  # fmt: skip

    def _moved(self, control: W.Widget, _change: dict) -> None:
        self.cycles.disabled = not self.cyclical.value
        if control is self.cycles:
            self.total_steps.value = round(self.settings.steps / self.cycles.value)
        self._draw()

    def _draw(self) -> None:
        annealer = self.annealer()
        with Picture.lock:
            cell = self.outcome.show(annealer)
            if self.run and self.trained == annealer:
                self.outcome.show_run(self.run.history())
            self.picture.refresh()
            if cell != self.cell:
                self.cell = cell
                self.map.show(cell)
                self.map_picture.refresh()
        self.summary.value = self._summary(annealer, cell)
        self._label()

    def _summary(self, annealer: Annealer, cell: Cell) -> str:
        rows = [(f"seed {run.seed}", run) for run in self.sweep.runs[cell]]
        if self.metrics and self.trained == annealer:
            rows.append(("trained now", self.metrics))
        names = ("kl", "reconstruction", "neg_elbo", "active_units", "mutual_information")
        cells = [["", *(title for title, _ in rows)]]  # a column for each run, which fits a phone
        for name in names:
            measure = MEASURES[name]
            cells.append([measure.heading, *(f"{getattr(run, name):.{measure.digits}f}" for _, run in rows)])
        return (
            f"Closest run: <b>{cell.shape}, total_steps {cell.total_steps}, {_mode(cell.cyclical)}</b>, ratio {RATIO}, "
            f"baseline 0. Its KL weight differs by {self.outcome.apart():.2f} on average."
            f"{table(cells, 'html')}nats per sentence at KL weight 1, on held-out sentences"
        )

    def _clicked(self, _button: W.Button) -> None:
        if self.background.running:
            self.button.disabled = True  # until it has stopped
            self.background.ask_to_stop()
            return
        if self.run is None or self.trained != self.annealer() or self.run.step == self.settings.steps:
            self.trained, self.metrics = self.annealer(), None
            self.run = Run(load_corpus("toy"), self.annealer(), self.settings, name="this one")
        self.bar = tqdm(total=self.settings.steps, initial=self.run.step, display=False, unit="update")
        self.progress.children = [on_any_page(self.bar)]
        self.background.start(self._train)
        self._label()

    def _train(self, stop: Stop) -> None:
        self.run.fit(stop=stop, on_update=self.bar.update)
        if not stop.is_set():
            self.metrics = evaluate(self.run.model, self.run.corpus.test, stop=stop)

    def _tick(self) -> None:
        if self.trained == self.annealer():
            with Picture.lock:
                self.outcome.show_run(self.run.history())
                self.picture.refresh()

    def _ended(self) -> None:
        self.bar.close()
        self.button.disabled = False
        self._draw()

    def _label(self) -> None:
        unfinished = self.run and 0 < self.run.step < self.settings.steps and self.trained == self.annealer()
        texts = {True: "Stop", False: "Go on" if unfinished else "Train this one now"}
        self.button.description = texts[self.background.running]


@cache
def _schedule(cell: Cell, steps: int) -> list[float]:
    return cell.annealer().schedule(steps)


def _mode(cyclical: bool) -> str:
    return "cycles" if cyclical else "once"
