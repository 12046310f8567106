"""Random actions on a panel: what a student might do, in any order. The page and the kernel have to agree all along."""

import random
from collections import Counter
from typing import Any

from harness import CONTROLS, KERNEL_IS, act, answered, control, drag, names, settled, shown

#: The controls that have more than one value, and the buttons.
MOVABLE = (
    "[name for name, one in {panel}.inputs.items() if one.kind in ('button', 'check', 'field')"
    " or (len(one.options) > 1 if one.options else one.max > one.min or name == 'sentence')]"
)
RERUN = """cell => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = cell;
    window.ran = null;
    window.jupyterapp.commands.execute('notebook:run-cell').then(() => { window.ran = true }) }"""
#: What a panel knows after an action: its runs, and the error that it shows.
STATE = "[len({panel}.shelf.records), {panel}.error]"
VALUES = "{name: one.label if one.kind == 'button' else one.value for name, one in {panel}.inputs.items()}"
INTERRUPT = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"


class Student:
    """Acts on one panel, in an order that a seed decides.

    Args:
        page (OpenNotebook): it shows the panels of ``cells.RANDOM``.
        name (str): of the panel.
        cell (int): that shows it.
        seed (int): of the order.
    """

    def __init__(self, page: Any, name: str, cell: int, seed: int) -> None:
        self.page, self.cell, self.draw = page, cell, random.Random(seed)
        self.panel = f"panels[{name!r}]"
        self.acted: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.rows = 0  # of the history: it never becomes shorter

    @property
    def area(self) -> Any:
        return self.page.page.locator(".jp-Cell").nth(self.cell).locator(".kl-panel")

    def ask(self, code: str) -> Any:
        return self.page.ask(code.replace("{panel}", self.panel))

    def everything(self, times: int = 5, most: int = 600) -> None:
        """Acts on every control so many times; sweeps, double clicks, reruns and interrupts in between.

        A control that cannot be acted on now may be later: then something else is done first, and training may end.
        """
        self.open_groups()
        wanted = self.ask(MOVABLE)
        for i in range(most):
            rare = [name for name in wanted if self.acted[name] < times]
            if not rare:
                return
            can = names(self.area)
            todo = [name for name in can if name in rare]
            if not todo:
                if self.draw.random() < 0.7:
                    self.draw.choice([self.rerun, *[self.rest] * 4])()
                can = names(self.area)
                todo = [name for name in can if name in rare]
                todo = todo or names(self.area, *self.draw.choice([["button"], ["choice", "select"]]))  # may reveal it
            self.once(self.draw.choice(todo if todo and self.draw.random() < 0.9 else can))
            if self.draw.random() < 0.1:
                self.draw.choice([self.rerun, self.interrupt, self.twice, self.sweep, self.press_a_cell])()
                answered(self.area)
            if i % 5 == 0 or self.acted.total() < 5:
                self.check()
        raise AssertionError(f"after {most} actions these had fewer than {times}: {rare} ({dict(self.acted)})")

    def rest(self) -> None:
        """Waits until nothing trains."""
        while self.ask("{panel}.background.running"):
            self.page.page.wait_for_timeout(200)
        answered(self.area)

    def open_groups(self) -> None:
        self.area.evaluate("area => area.querySelectorAll('details').forEach(one => { one.open = true })")

    def once(self, name: str) -> None:
        box, before = control(self.area, name), shown(self.area)
        state = box.evaluate("box => JSON.stringify(box.state)")
        act(box, self.draw)
        self.acted[name] += 1
        answered(self.area)
        after = control(self.area, name).evaluate("box => JSON.stringify(box.state)")
        self.changed[name] += after != state or shown(self.area) != before

    def twice(self) -> None:
        if buttons := names(self.area, "button"):
            control(self.area, self.draw.choice(buttons)).locator("button").dblclick(force=True)

    def sweep(self) -> None:
        if sliders := names(self.area, "range"):
            drag(control(self.area, self.draw.choice(sliders)), self.draw.uniform(0.1, 0.9))

    def press_a_cell(self) -> None:
        cells = self.area.locator(".kl-map button, .kl-table button")
        if count := cells.count():
            cells.nth(self.draw.randrange(count)).click()

    def rerun(self) -> None:
        self.page.page.evaluate(RERUN, self.cell)
        self.page.page.wait_for_function("() => window.ran", timeout=60_000)
        self.area.locator(".kl-result").wait_for(timeout=60_000)
        self.open_groups()

    def interrupt(self) -> None:
        self.page.page.evaluate(INTERRUPT)
        self.page.page.wait_for_function(KERNEL_IS, arg="idle", timeout=60_000)

    def check(self) -> None:
        """Nothing went wrong, and no run was lost."""
        rows, error = self.ask(STATE)
        assert rows >= self.rows, f"a run was lost: {self.rows} before, {rows} now"
        self.rows = rows
        assert error == ""

    def compare(self) -> None:
        """What the page shows is what the kernel has. For a panel that rests."""
        self.ask("[{panel}.background.stop(), {panel}.refresh()][1]")
        settled(self.area)
        kernel = self.ask(VALUES)
        for name, (known, seen) in self.area.evaluate(CONTROLS).items():
            assert known == kernel[name], f"{name}: {known} in the page, {kernel[name]} in the kernel"
            assert seen == kernel[name], f"{name}: {seen} is shown, {kernel[name]} in the kernel"
        said = " ".join(self.area.locator(".kl-result").inner_text().replace("\u2011", "-").split())
        assert said in self.ask("{panel}.words()")
        rows = self.ask("[row['cells'] for row in {panel}.contents['table:history']['rows']]")
        drawn = self.area.locator("[class='kl-table'] tbody tr")
        cells = [[cell.strip() for cell in row.split("\t")] for row in drawn.all_inner_texts()]
        assert all(row in cells for row in rows), f"{rows} in the kernel, {cells} in the page"
