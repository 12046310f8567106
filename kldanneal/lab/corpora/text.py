"""Text files as people have them: plain, gzip, a column of a CSV or TSV table, a field of JSONL, in any encoding.

    text = Text(Path("reviews.tsv.gz"), text_column="review")
    sentences = list(text)                 # one string for each row
    text.read, text.without_text           # how many rows there were, and how many of them had no text

The parsing is that of the standard library: csv, json, gzip, codecs.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import Any, BinaryIO, TextIO

GZIP = b"\x1f\x8b"
#: What files that are no text begin with.
OTHER_FILES = {
    b"PK\x03\x04": "a zip archive (or .docx, .xlsx)",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
}
UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")  # its byte order marks, read as UTF-8
DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars", " ": "spaces"}
SURROGATE = re.compile(r"[\ud800-\udfff]")  # a byte that could not be decoded
LONGEST_LINE = 10_000  # words; a longer line means that the file does not hold one sentence a line
SNIFFED = 200  # lines at the beginning that are looked at

#: Scripts that are written without spaces between words, and the length from which a "word" must be several words.
UNSPACED = {
    re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"): 3.5,  # Han, kana
    re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"): 12,  # Thai, Lao, Burmese, Khmer
}
LONGEST_WORDS = 20  # characters, on average; in any script


class Text:
    """The sentences of a file, in its order; iterating reads it. It counts the lines or rows that it reads.

    Args:
        path (Path): the file; gzip is recognised by its first bytes.
        text_column (str or int, optional): the column of a table by its name in the first row, or by its number from 1
            if there is no such row; or the field of JSONL. Default: the file is plain text, one sentence a line.
        delimiter (str, optional): between the columns of a table: one character, or tab, comma, semicolon, pipe or
            space. Default: the one that the first row has.
        encoding (str, optional): any that Python knows. Default: UTF-8, with or without a byte order mark.
    """

    def __init__(
        self,
        path: Path,
        *,
        text_column: str | int | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self.path, self.column = path, None if text_column is None else str(text_column)
        self.delimiter = _delimiter(delimiter)
        if self.delimiter and self.column is None:
            raise ValueError(f"Expected text_column (--text-column) with the delimiter {delimiter!r}, but got none")
        self.encoding = _encoding(encoding)
        self.unit = "line" if self.column is None else "row"
        self.form = "one sentence a line"
        self.read = self.without_text = 0  # lines or rows
        self._number = 0  # of the line that was read last
        self._first: list[str] = []  # lines

    def __iter__(self) -> Iterator[str]:
        try:
            with self.path.open("rb") as binary, self._decoded(binary) as file:
                lines = self._checked(file)
                yield from self._plain(lines) if self.column is None else self._rows(lines, self.column)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"Expected a whole gzip file, but {self.path} cannot be unpacked after line {self._number}: {error}"
            ) from None
        except UnicodeDecodeError as error:  # of UTF-16 and the like; the others are found line by line
            raise self._undecodable(self._number + 1, error.reason) from None
        if self._number == 0:
            raise ValueError(f"Expected one sentence a line, but {self.path} is empty")

    def looks_like(self) -> str | None:
        """A warning if it was read as plain text and looks like a table or JSON; None otherwise."""
        if self.column is not None or not self._first:
            return None
        suffix = Path(self.path.name.removesuffix(".gz")).suffix.lower()
        found = _json_field(self._first) or _table_column(self._first, suffix)
        if not found:
            return None
        what, column = found
        said = f"{self.path.name} looks like {what}"
        if column is None:
            return f"{said}, which cannot be read. Write one sentence a line, or JSONL"
        return (
            f"{said}, but it is read as plain text: labels and syntax count as words. To read the text alone, add "
            f"--text-column {column}"
        )

    def _decoded(self, binary: Any) -> TextIO:
        start = binary.peek(8)
        for magic, what in OTHER_FILES.items():
            if start.startswith(magic):
                raise ValueError(f"Expected a text file, but {self.path} is {what}: unpack or export it first")
        file: BinaryIO = gzip.GzipFile(fileobj=binary) if start.startswith(GZIP) else binary
        return io.TextIOWrapper(file, encoding=self.encoding, errors="surrogateescape")

    def _checked(self, file: Iterable[str]) -> Iterator[str]:
        """The lines, as long as they are text."""
        for number, line in enumerate(file, start=1):
            self._number = number
            if not line.isascii() and (bad := SURROGATE.search(line)):
                if number == 1 and line.startswith(UTF_16):
                    raise self._undecodable(1, "it begins like UTF-16: add --encoding utf-16")
                raise self._undecodable(number, f"a byte 0x{ord(bad[0]) - 0xDC00:02x}")
            if "\0" in line:
                hint = "; if it is UTF-16, add --encoding utf-16-le or utf-16-be" if line.count("\0") > 3 else ""
                raise ValueError(
                    f"Expected a text file, but {self.path} is binary (a zero byte in line {number}{hint})"
                )
            if len(self._first) < SNIFFED and not line.isspace():
                self._first.append(line)
            yield line

    def _undecodable(self, number: int, reason: str) -> ValueError:
        name = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
        hint = "" if "UTF-16" in reason else ". Name its encoding, for instance --encoding cp1252 or latin-1"
        return ValueError(f"Expected a text file in {name}, but {self.path} is not, in line {number}: {reason}{hint}")

    def _plain(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if line.count(" ") >= LONGEST_LINE:
                raise ValueError(
                    f"Expected one sentence a line, but line {self._number} of {self.path} has "
                    f"{line.count(' ') + 1:,} words"
                )
            self.read += 1
            yield line

    def _rows(self, lines: Iterator[str], column: str) -> Iterator[str]:
        blank = []
        for first in lines:
            if not first.isspace():
                break
            blank.append(first)
        else:
            return
        lines = chain([first], lines)
        self.read += len(blank)
        yield from blank
        if self.delimiter is None and first.lstrip().startswith("{"):
            self.form = f"field {column} of JSON in every line"
            yield from self._json(lines, column)
        else:
            yield from self._table(lines, column, self.delimiter or _guessed(first))

    def _json(self, lines: Iterable[str], column: str) -> Iterator[str]:
        fields: dict[str, None] = {}
        for line in lines:
            self.read += 1
            if line.isspace():
                yield ""
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"Expected JSON in line {self._number} of {self.path}, but {error}") from None
            fields.update(dict.fromkeys(row) if isinstance(row, dict) and len(fields) < 100 else {})
            value = row.get(column) if isinstance(row, dict) else None
            if isinstance(value, str):
                yield SURROGATE.sub("\ufffd", value)
            else:
                self.without_text += 1
        if column not in fields:
            raise ValueError(
                f"Expected text_column (--text-column) to be one of the fields {', '.join(fields) or '(none)'} of "
                f"{self.path}, but got {column!r}"
            )

    def _table(self, lines: Iterator[str], column: str, delimiter: str) -> Iterator[str]:
        self.form = f"column {column} of a table with {NAMES.get(delimiter, repr(delimiter))}"
        # in tables with tabs, quotation marks are part of the text; in the others they hold a text together
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        try:
            rows = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
            first = next(rows)
            if column.isdecimal():
                rows, at, choices = chain([first], rows), int(column) - 1, f"1 to {len(first)}"
            else:
                names = [name.strip() for name in first]
                at, choices = names.index(column) if column in names else -1, ", ".join(names)
            if not 0 <= at < len(first):
                raise ValueError(
                    f"Expected text_column (--text-column) to be one of the columns {choices} of {self.path}, but got "
                    f"{column!r} (the columns are separated by {NAMES.get(delimiter, repr(delimiter))}; --delimiter "
                    "says otherwise)"
                )
            for row in rows:
                self.read += 1
                if row and len(row) <= at:
                    self.without_text += 1
                else:
                    yield row[at] if row else ""
        except csv.Error as error:
            raise ValueError(
                f"Expected a table with {NAMES.get(delimiter, repr(delimiter))}, but line {self._number} of "
                f"{self.path} is none: {error}"
            ) from None


def has_no_spaces(sentences: Iterable[str]) -> bool:
    """Whether the words of tokenised sentences are so long that most of them must be several words.

    Example::

        >>> has_no_spaces(["我们今天去公园看见一只小狗"]), has_no_spaces(["我们 今天 去 公园 看见 一 只 小狗"])
        (True, False)
    """
    words = [word for sentence in sentences for word in sentence.split()]
    for script, longest in UNSPACED.items():
        lengths = [len(word) for word in words if script.search(word)]
        if 2 * len(lengths) > len(words) and mean(lengths) > longest:
            return True
    return bool(words) and mean(map(len, words)) > LONGEST_WORDS


def _delimiter(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    found = DELIMITERS.get(delimiter, delimiter)
    if len(found) != 1 or found in '"\r\n':
        raise ValueError(f"Expected delimiter to be one character, or {', '.join(DELIMITERS)}, but got {delimiter!r}")
    return found


def _encoding(encoding: str | None) -> str:
    if encoding is None:
        return "utf-8-sig"
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding).close()
    except (LookupError, ValueError):
        raise ValueError(
            "Expected encoding to be one that Python knows, such as utf-8, utf-16, cp1252 or latin-1, but got "
            f"{encoding!r}"
        ) from None
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


def _guessed(first: str) -> str:
    return "\t" if "\t" in first else max(",;|", key=first.count)


def _json_field(lines: list[str]) -> tuple[str, str | None] | None:
    """What JSON there is, and the field with the longest texts."""
    if lines[0].startswith("["):
        try:
            json.loads(lines[0].rstrip().rstrip(",") + ("" if lines[0].rstrip().endswith("]") else "]"))
        except ValueError:
            return None
        return "one JSON array", None
    try:
        rows = [json.loads(line) for line in lines[:SNIFFED]]
    except ValueError:
        return ("JSON over several lines", None) if lines[0].strip() == "{" else None
    if not all(isinstance(row, dict) for row in rows):
        return None
    words: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            words[name] = words.get(name, 0) + (len(value.split()) if isinstance(value, str) else 0)
    longest = max(words, key=lambda name: words[name], default=None)
    return f"JSONL with the fields {', '.join(words)}", longest


def _table_column(lines: list[str], suffix: str) -> tuple[str, str] | None:
    """What table it is, and the column with the longest texts: by its name if there is one, else by its number."""
    for delimiter in "\t,;|":
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        widths = {len(row) for row in rows}
        expected = {".tsv": "\t", ".tab": "\t", ".csv": _guessed(lines[0])}.get(suffix) == delimiter
        prose = delimiter != "\t" and all(f"{delimiter} " in line for line in lines)
        if not (expected or (len(widths) == 1 and min(widths) > 1 and len(rows) >= 10 and not prose)):
            continue
        columns = list(zip(*(row for row in rows if len(row) == len(rows[0])), strict=True))
        lengths = [sum(len(cell.split()) for cell in column) for column in columns]
        at = lengths.index(max(lengths))
        name = rows[0][at].strip()
        has_header = len(name.split()) == 1 and lengths[at] > 2 * len(rows)
        return f"a table with {NAMES[delimiter]}", name if has_header else str(at + 1)
    return None
