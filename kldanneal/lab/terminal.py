"""Text for a terminal: without control characters, in the terminal's encoding, quoted for a shell, and as a picture."""

import codecs
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Control characters, line separators, bidirectional overrides, and bytes of a file name that are no text.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PLAIN = {"±": "+/-", "β": "beta", "→": "->", "…": "...", "█": "#"}
EIGHTHS = " ▁▂▃▄▅▆▇█"


def printable(text: str) -> str:
    r"""The text with every character that would move the cursor or fail to print written as an escape.

    Example::

        >>> print(printable("red\x1b[31m\n"))
        red\x1b[31m\n
    """
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shell_quoted(path: str | Path) -> str:
    """A path that a shell reads back as it is, also with spaces, line ends, and bytes that are no text."""
    path = str(path)
    if path.startswith("-"):
        path = f"./{path}"  # not an option
    if not UNPRINTABLE.search(path):
        return shlex.quote(path)
    raw = path.encode("utf-8", "surrogateescape")
    return "$'" + "".join(chr(b) if 32 <= b < 127 and chr(b) not in "'\\" else f"\\x{b:02x}" for b in raw) + "'"


def program() -> str:
    """How the running program is called again: by its name if that finds it, by its path, or as a module."""
    called = Path(sys.argv[0] if sys.argv else "")
    if called.stem != "kldanneal":
        return f"{shell_quoted(sys.executable)} -m kldanneal"
    found = shutil.which(called.name)
    return called.name if found and Path(found).resolve() == called.resolve() else shell_quoted(called)


def can_print(text: str) -> bool:
    """Whether the encoding of standard output has all characters of the text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = "".join(PLAIN.get(c, c.encode("ascii", "backslashreplace").decode()) for c in missing)
    return plain, error.end


codecs.register_error("kldanneal", _replaced)


@contextmanager
def any_encoding() -> Iterator[None]:
    """Within it, print() writes what the encoding of standard output lacks in plain characters, ``+/-`` for ``±``."""
    stdout = sys.stdout
    before = getattr(stdout, "errors", None)
    if not hasattr(stdout, "reconfigure"):  # replaced, as in a notebook
        yield
        return
    stdout.reconfigure(errors="kldanneal")
    try:
        yield
    finally:
        if not stdout.closed:
            stdout.reconfigure(errors=before)


def give_up_stdout() -> None:
    """What is still to be written to standard output goes nowhere, once it is closed, full or gone."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def bars(values: Sequence[float], highest: float, width: int = 64, height: int = 6) -> list[str]:
    """A picture of values from 0 to ``highest``: one column for each of ``width`` places, in ``height`` lines.

    Example::

        >>> for line in bars([0, 0.25, 0.5, 0.75, 1], highest=1, width=5, height=2):
        ...     print(line)
           1 |   ▄█
           0 | ▄███
    """
    smooth = can_print(EIGHTHS)
    lines = []
    for row in reversed(range(height)):
        cells = ""
        for i in range(width):
            value = values[i * (len(values) - 1) // max(1, width - 1)]
            filled = min(1.0, max(0.0, height * value / highest - row)) if highest else 0.0
            cells += EIGHTHS[round(8 * filled)] if smooth else "#" if filled >= 0.5 else " "
        label = f"{highest:.3g}" if row == height - 1 else "0" if row == 0 else ""
        lines.append(f"{label:>4} |{cells}".rstrip())
    return lines
