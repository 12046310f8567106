"""The cells that the browser's tests run: every widget, on few sentences and with a small model."""

from pathlib import Path
from typing import Any

import nbformat.v4 as nb

SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from dataclasses import replace
import torch
from conftest import made_up_map
from kldanneal import Annealer
from kldanneal.lab import (
    DriveTheWeight, GaussianKL, LinearSwitches, OwnSentence, Prediction, Run, ScheduleExplorer, SideBySide, ZSliders,
)
from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.results.fair_map import FairMap
from kldanneal.lab.training.settings import QUICK, Settings
from kldanneal.lab.widgets import explorer

torch.set_num_threads(1)
with open("few.txt", "w") as file:
    file.write("\\n".join(toy.sample(300, seed=0)[0]))
few = load_corpus("few.txt")
TINY = Settings(steps=100, batch_size=8, embedding=4, hidden=8, latent=2)
SMALL = replace(TINY, steps=1000)
explorer.load_corpus = lambda name: few
panels = {{}}
"""

#: For random actions: every run takes a second.
RANDOM = {
    "explorer": "explorer.QUICK = TINY\n"
    "panel = ScheduleExplorer(FairMap(made_up_map(sizes=(62, 125), distances=(0, 50, 100))))",
    "side": "panel = SideBySide(few, TINY, device='cpu')",
    "driver": "panel = DriveTheWeight(few, replace(TINY, steps=40), device='cpu')",
}
#: One of each, as in the lessons. The explorer has the stored map that comes with the package.
WIDGETS = {
    "explorer": "explorer.QUICK = replace(QUICK, batch_size=8, embedding=4, hidden=8, latent=2)\n"
    "panel = ScheduleExplorer()",
    "side": "panel = SideBySide(few, SMALL, device='cpu')",
    "driver": "panel = DriveTheWeight(few, SMALL, device='cpu')",
    "kl": "panel = GaussianKL()",
    "linear": "panel = LinearSwitches()",
    "choice": 'panel = Prediction("Will the KL survive?", "no", ["yes", "no"], why="The ramp is too short.")',
    "number": 'panel = Prediction("How large is the KL, in nats?", 1.5, within=0.1)',
    "order": 'panel = Prediction("Order them by their KL.", ["low", "high"], ["high", "low"])',
    "sentence": "learner = Settings(steps=150, batch_size=32, embedding=16, hidden=32, latent=2, lr=0.01)\n"
    "runs = {name: Run(few, Annealer.constant(weight), learner, seed=0, name=name) for name, weight in "
    "(('weight 1', 1), ('weight 0', 0))}\nfor run in runs.values():\n    run.fit()\npanel = OwnSentence(runs)",
    "z": "panel = ZSliders(runs, 2)",
}


def notebook(*sources: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """A notebook of code cells; all but the first have the tags."""
    cells = [nb.new_code_cell(source.strip()) for source in sources]
    for cell in cells[1:]:
        cell.metadata["tags"] = list(tags)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nb.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def with_panels(cells: dict[str, str]) -> dict[str, Any]:
    """A notebook that shows each panel, and keeps it as ``panels[NAME]``."""
    return notebook(SETUP, *(f"{code}\npanels[{name!r}] = panel\npanel" for name, code in cells.items()))
