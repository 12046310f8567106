"""The files of a finished comparison. They fail one by one: what can be written is written.

written = Written(comparison, Path("comparison"))
written.numbers()            # history.csv, summary.csv, table.txt, and tail.csv after a tail
written.pages()              # samples.txt, comparison.png, comparison-dark.png, report.html
written.failed               # the error of each file that could not be written
"""

import csv
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kldanneal.lab.files import write_atomically
from kldanneal.lab.results import advice, page, report
from kldanneal.lab.training.comparison import Comparison

HISTORY_COLUMNS = ("schedule", "seed", "step", "kl_weight", "reconstruction", "kl")
SUMMARY_COLUMNS = (
    "schedule", "seed", "reconstruction", "kl", "neg_elbo", "perplexity", "active_units", "mutual_information",
    "iw_nll", "seconds", "sentences_per_second",
)  # fmt: skip
#: What each file is, in the order in which they are written.
ABOUT = {
    "history.csv": "every update of every run",
    "summary.csv": "the measures of every run at the end of the schedule",
    "tail.csv": "the measures of every run after the tail",
    "table.txt": "the table and the verdict",
    "samples.txt": "sentences that the models reconstruct and write",
    "comparison.png": "the picture, for a light page",
    "comparison-dark.png": "the picture, for a dark page",
    "report.html": "all of it on one page: open it in a browser",
    "config.json": "the settings, and what --resume needs",
    "checkpoints": "the trained models",
    "stdin.txt": "the text, which was read once",
}


class Written:
    """Writes the files of a finished comparison into a folder, and keeps what was said and what failed.

    Args:
        comparison (Comparison): finished.
        folder (Path): it is there.
        about (mapping, optional): what config.json says, for the report.
    """

    def __init__(self, comparison: Comparison, folder: Path, about: Mapping[str, Any] | None = None) -> None:
        self.comparison, self.folder, self.about = comparison, folder, dict(about or {})
        self.rows = comparison.rows()
        self.tail_rows = comparison.rows(after_tail=True)
        self.verdict = report.verdict(self.rows, comparison.corpus.entropy, self.tail_rows)
        self.failed: dict[str, Exception] = {}
        self._content: dict[str, bytes] = {}
        self._advice: str | None = None

    def table(self, plus_minus: str = "±") -> str:
        """The table and the verdict, as they are printed."""
        blocks = [report.table(self.rows, plus_minus)]
        if self.tail_rows:
            blocks[0] = f"At the end of the schedule, after {self.rows[0]['updates']:,} updates:\n{blocks[0]}"
            tail = f"After the tail of {self.comparison.tail:,} updates at the last KL weight:"
            blocks.append(f"{tail}\n{report.table(self.tail_rows, plus_minus)}")
        return "\n\n".join([*blocks, self.verdict])

    def numbers(self) -> None:
        """The CSV files and the table."""
        self._write("history.csv", lambda: _csv(HISTORY_COLUMNS, self._history()))
        self._write("summary.csv", self.summary)
        if self.tail_rows:
            self._write("tail.csv", lambda: _csv(SUMMARY_COLUMNS, self.tail_rows))
        self._write("table.txt", lambda: f"{self.table()}\n".encode())

    def pages(self) -> None:
        """The samples, the pictures and the report."""
        self._write("samples.txt", lambda: report.samples(self.comparison).encode())
        for name, dark in (("comparison.png", False), ("comparison-dark.png", True)):
            self._write(name, lambda dark=dark: self._picture(dark))
        self._write("report.html", self._page)

    def summary(self) -> bytes:
        """summary.csv."""
        return _csv(SUMMARY_COLUMNS, self.rows)

    def advice(self) -> str:
        """What to look at next."""
        if self._advice is None:
            self._advice = advice.look_next(self.comparison)
        return self._advice

    def there(self) -> dict[str, str]:
        """The files that are in the folder, and what each of them is."""
        return {name: what for name, what in ABOUT.items() if name not in self.failed and (self.folder / name).exists()}

    def _write(self, name: str, content: Callable[[], bytes]) -> None:
        try:
            self._content[name] = content()
            write_atomically(self.folder / name, self._content[name])
            self.failed.pop(name, None)
        except Exception as error:  # whatever it is, the other files do not depend on it
            self.failed[name] = error

    def _history(self) -> list[dict[str, Any]]:
        return [
            {"schedule": name, "seed": seed, **dict(zip(columns, values, strict=True))}
            for name, histories in self.comparison.histories().items()
            for seed, columns in zip(self.comparison.seeds, histories, strict=True)
            for values in zip(*columns.values(), strict=True)
        ]

    def _picture(self, dark: bool) -> bytes:
        picture = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # of the corpus' name, in a font without its script
            report.plot(self.comparison, dark=dark).savefig(picture, format="png", dpi=150)
        return picture.getvalue()

    def _page(self) -> bytes:
        comparison = self.comparison
        tables = {"At the end of the schedule": self.rows}
        tables |= (
            {f"After {comparison.tail:,} more updates at the last weight": self.tail_rows} if comparison.tail else {}
        )
        return page.page(
            corpus=comparison.corpus.describe(),
            verdict=self.verdict,
            advice=self.advice(),
            tables={heading: (report.cells(rows), report.note(rows)) for heading, rows in tables.items()},
            pictures=[self._content.get(name) for name in ("comparison.png", "comparison-dark.png")],
            samples=self._content.get("samples.txt", b"").decode(),
            settings=self.about,
        ).encode("utf-8", "backslashreplace")


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
