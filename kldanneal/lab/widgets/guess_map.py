"""The map of schedules as a grid of buttons. It starts covered, and takes a guess: where will the KL survive?"""

from typing import Any

from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.results.fair_map import CONSTANT, ONCE, Cell, FairMap

CYCLE_COUNT = 4  # in every stored run with cycles


class GuessMap:
    """The cells, which of them are marked, and the score of the guess once the map is uncovered."""

    def __init__(self, stored: FairMap) -> None:
        self.stored, self.covered, self.score = stored, bool(stored.runs), ""
        self.marked: set[Cell] = set()
        self.wrong: set[Cell] = set()  # of the guess, as it was scored

    def cells(self) -> list[list[Cell | None]]:
        """The rows: each shape, once and in cycles; then the constant weights. None where nothing is stored."""
        stored, there = self.stored, {cell for cell, _ in self.stored.runs}
        rows: list[list[Cell | None]] = []
        for course in (course for course in stored.courses if course != CONSTANT):
            for shape in stored.shapes:
                cells = [Cell(course, shape, size) for size in stored.sizes]
                rows.append([cell if cell in there else None for cell in cells])
        if stored.weights:
            constants = [Cell(CONSTANT, "", weight) for weight in stored.weights]
            rows.append([*constants, *([None] * (len(stored.sizes) - len(constants)))])
        return rows

    def mark(self, cell: Cell) -> None:
        """Marks a cell as one whose KL will survive, or takes the mark away."""
        self.marked ^= {cell}

    def uncover(self, word_dropout: float, distance: int) -> None:
        """Shows the map. The guess, if there is one, gets its score: it is right where a cell is marked and survives,
        or is not marked and has collapsed."""
        found = {cell: self.stored.kl(cell, word_dropout, distance) for row in self.cells() for cell in row if cell}
        known = {cell: kl for cell, kl in found.items() if kl is not None}
        if self.marked:
            self.wrong = {cell for cell, kl in known.items() if (cell in self.marked) != (kl >= COLLAPSED)}
            right = len(known) - len(self.wrong)
            self.score = f"Your guess: {right} of {len(known)} right, at distance {distance:,} (\u2717: wrong)."
        self.covered = False

    def shown(self, here: Cell, word_dropout: float, distance: int) -> dict[str, Any]:
        """The grid for the page; ``here`` is the cell that the controls show."""
        rows = self.cells()
        state = "covered: mark where it will survive" if self.covered else f"distance {distance:,}"
        shown = [[cell and self._one(cell, here, word_dropout, distance) for cell in row] for row in rows]
        columns = [f"{size:,}" for size in self.stored.sizes]
        columns += [""] * (max(map(len, rows), default=0) - len(columns))
        return {"caption": f"The KL on the map, {state}. Columns: updates of a ramp or cycle.", "columns": columns,
                "rows": [_heading(row) for row in rows], "cells": shown}  # fmt: skip

    def _one(self, cell: Cell, here: Cell, word_dropout: float, distance: int) -> dict[str, Any]:
        constant, marked = cell.course == CONSTANT, cell in self.marked
        if self.covered:
            text = ("\u2713" if marked else "?") + (f"\n{cell.size:g}" if constant else "")
            name = f"{where(cell)}: will the KL survive?"
            return {"text": text, "look": "kl-marked" if marked else "", "name": name, "pressed": marked}
        kl = self.stored.kl(cell, word_dropout, distance)
        if kl is None:
            return {"text": "\u2013", "look": "", "name": f"{where(cell)}: not stored", "pressed": cell == here}
        look = "kl-alive" if kl >= 0.5 else "kl-weak" if kl >= COLLAPSED else "kl-dead"
        look += " kl-here" if cell == here else ""
        text, name = f"{cell.size:g}:\n{kl:.2f}" if constant else f"{kl:.2f}", f"{where(cell)}: KL {kl:.2f}, {fate(kl)}"
        if cell in self.wrong:
            text, name = f"{text} \u2717", f"{name}; your guess was wrong"
        return {"text": text, "look": look, "name": name, "pressed": cell == here}


def where(cell: Cell) -> str:
    """A cell in words."""
    if cell.course == CONSTANT:
        return f"constant weight {cell.size:g}"
    times = "one ramp of" if cell.course == ONCE else f"{CYCLE_COUNT} cycles of"
    return f"{cell.shape}, {times} {cell.size:,} updates"


def fate(kl: float) -> str:
    return "it survives" if kl >= COLLAPSED else "the posterior has collapsed"


def _heading(row: list[Cell | None]) -> str:
    cell = next(cell for cell in row if cell)
    return "constant" if cell.course == CONSTANT else f"{cell.shape}, {'once' if cell.course == ONCE else 'cycles'}"
