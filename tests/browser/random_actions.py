"""Random actions on a panel: what a student might do, in any order. The page and the kernel have to agree all along."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from harness import CONTROLS, KERNEL_IS, act, control, drag, kind_of, names, settled, shown

SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from conftest import made_up_map
from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.results.fair_map import FairMap
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import explorer
from kldanneal.lab.widgets.driver import DriveTheWeight
from kldanneal.lab.widgets.explorer import ScheduleExplorer
from kldanneal.lab.widgets.side_by_side import SideBySide

with open("few.txt", "w") as file:
    file.write("\\n".join(toy.sample(300, seed=0)[0]))
few = load_corpus("few.txt")
TINY = Settings(steps=100, batch_size=8, embedding=4, hidden=8, latent=2)
explorer.QUICK, explorer.load_corpus = TINY, lambda name: few
"""
PANELS = {
    "explorer": "panel = ScheduleExplorer(FairMap(made_up_map(sizes=(62, 125), distances=(0, 50, 100)))); panel",
    "side": "panel = SideBySide(few, TINY, device='cpu'); panel",
    "driver": "panel = DriveTheWeight(few, TINY, device='cpu'); panel",
}
#: The controls that have more than one value, and the buttons.
MOVABLE = (
    "[name for name, one in panel.inputs.items() if one.kind in ('button', 'check', 'field')"
    " or (len(one.options) > 1 if one.options else one.max > one.min or name == 'sentence')]"
)
RERUN = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    window.ran = null;
    window.jupyterapp.commands.execute('notebook:run-cell').then(() => { window.ran = true }) }"""
INTERRUPT = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"


class Student:
    """Acts on one panel, in an order that a seed decides.

    Args:
        page (OpenNotebook): its last cell shows the panel, and calls it ``panel``.
        seed (int): of the order.
    """

    def __init__(self, page: Any, seed: int) -> None:
        self.page, self.draw = page, random.Random(seed)
        self.acted: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.rows = 0  # of the history: it never becomes shorter

    @property
    def area(self) -> Any:
        return self.page.widgets()[-1]

    def everything(self, times: int = 5, most: int = 600) -> None:
        """Acts on every control so many times; sweeps, double clicks, reruns and interrupts in between.

        A control that cannot be acted on now may be later: then something else is done first, and training may end.
        """
        self.open_groups()
        wanted = self.page.ask(MOVABLE)
        for _ in range(most):
            rare = [name for name in wanted if self.acted[name] < times]
            if not rare:
                return
            can = names(self.area)
            todo = [name for name in can if name in rare]
            if not todo:
                self.draw.choice([self.rerun, self.rest, self.rest])()
            self.once(self.draw.choice(todo if todo and self.draw.random() < 0.8 else names(self.area)))
            if self.draw.random() < 0.1:
                self.draw.choice([self.rerun, self.interrupt, self.twice, self.sweep, self.press_a_cell])()
            self.check()
        raise AssertionError(f"after {most} actions these had fewer than {times}: {rare} ({dict(self.acted)})")

    def rest(self) -> None:
        """Waits until nothing trains."""
        while self.page.ask("panel.background.running"):
            self.page.page.wait_for_timeout(200)

    def open_groups(self) -> None:
        self.area.evaluate("area => area.querySelectorAll('details').forEach(one => { one.open = true })")

    def once(self, name: str) -> None:
        box, before = control(self.area, name), shown(self.area)
        state = box.evaluate("box => JSON.stringify(box.state)")
        act(box, self.draw)
        self.acted[name] += 1
        self.page.page.wait_for_timeout(100)
        after = control(self.area, name).evaluate("box => JSON.stringify(box.state)")
        self.changed[name] += after != state or shown(self.area) != before

    def twice(self) -> None:
        buttons = [name for name in names(self.area) if kind_of(control(self.area, name)) == "button"]
        if buttons:
            control(self.area, self.draw.choice(buttons)).locator("button").dblclick()

    def sweep(self) -> None:
        sliders = [name for name in names(self.area) if kind_of(control(self.area, name)) == "range"]
        if sliders:
            drag(control(self.area, self.draw.choice(sliders)), self.draw.uniform(0.1, 0.9))

    def press_a_cell(self) -> None:
        cells = self.area.locator(".kl-map button, .kl-table button")
        if count := cells.count():
            cells.nth(self.draw.randrange(count)).click()

    def rerun(self) -> None:
        self.page.page.evaluate(RERUN)
        self.page.page.wait_for_function("() => window.ran", timeout=60_000)
        self.area.locator(".kl-result").wait_for(timeout=60_000)
        self.open_groups()

    def interrupt(self) -> None:
        self.page.page.evaluate(INTERRUPT)
        self.page.page.wait_for_function(KERNEL_IS, arg="idle", timeout=60_000)

    def check(self) -> None:
        """Nothing went wrong, and no run was lost."""
        rows = self.page.ask("len(panel.shelf.records)")
        assert rows >= self.rows, f"a run was lost: {self.rows} before, {rows} now"
        self.rows = rows
        assert self.page.ask("panel.error") == ""

    def compare(self) -> None:
        """What the page shows is what the kernel has. For a panel that rests."""
        self.page.ask("[panel.background.stop(), panel.refresh()][1]")
        settled(self.area)
        kernel = self.page.ask("{name: one.label if one.kind == 'button' else one.value "
                               "for name, one in panel.inputs.items()}")  # fmt: skip
        for name, (known, seen) in self.area.evaluate(CONTROLS).items():
            assert known == kernel[name], f"{name}: {known} in the page, {kernel[name]} in the kernel"
            assert seen == kernel[name], f"{name}: {seen} is shown, {kernel[name]} in the kernel"
        said = " ".join(self.area.locator(".kl-result").inner_text().replace("\u2011", "-").split())
        assert said in self.page.ask("panel.words()")
        rows = self.page.ask("[row['cells'] for row in panel.contents['table:history']['rows']]")
        drawn = self.area.locator("[class='kl-table'] tbody tr")
        cells = [[cell.strip() for cell in row.split("\t")] for row in drawn.all_inner_texts()]
        assert all(row in cells for row in rows), f"{rows} in the kernel, {cells} in the page"
