"""kldanneal.lab.terminal: text that a terminal prints and a shell reads back."""

import io
import shutil
import subprocess
import sys

import pytest

from kldanneal.lab.terminal import any_encoding, bars, can_print, printable, program, shell_quoted

BASH = shutil.which("bash")
NAMES = [
    "out",
    "c c",
    "it's",
    "$(touch x)",
    "a;b",
    "-x",
    "--resume",
    "new\nline",
    "esc\x1b[31m",
    "bad\udcff name",
    "狗",
]


@pytest.mark.skipif(not BASH, reason="there is no bash")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_shell_reads_a_path_back(name):
    said = shell_quoted(name)
    assert said == printable(said)
    done = subprocess.run([BASH, "-c", f"printf %s {said}"], capture_output=True, check=True)
    assert done.stdout.removeprefix(b"./") == name.encode("utf-8", "surrogateescape").removeprefix(b"./")
    assert not done.stdout.startswith(b"-")


@pytest.mark.parametrize("text", ["plain", "café 狗 👩‍👩‍👧 שלום", "a\u00a0b"])
def test_text_is_printable_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "text, shown",
    [("\x1b[2J", "\\x1b[2J"), ("a\r\nb\t", "a\\r\\nb\\t"), ("\udcff", "\\udcff"), ("\u202eabc", "\\u202eabc"),
     ("\u2028", "\\u2028"), ("\x9b", "\\x9b")],
    ids=ascii,
)  # fmt: skip
def test_what_moves_the_cursor_is_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "encoding, printed",
    [("ascii", "1 +/- 2 beta -> \\u72d7"), ("latin-1", "1 ± 2 beta -> \\u72d7"), ("utf-8", "1 ± 2 β → 狗")],
)
def test_any_encoding_can_be_printed_to(monkeypatch, encoding, printed):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert can_print("±") == (encoding != "ascii")
    with any_encoding():
        print("1 ± 2 β → 狗", end="", flush=True)
    assert stdout.buffer.getvalue().decode(encoding) == printed
    assert stdout.errors == "strict"  # as it was


def test_the_program_is_called_as_it_was_called(monkeypatch, tmp_path):
    script = tmp_path / "a b" / "kldanneal"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "")
    assert program() == f"'{script}'"
    monkeypatch.setenv("PATH", str(script.parent))
    assert program() == "kldanneal"
    monkeypatch.setattr(sys, "argv", ["/somewhere/kldanneal/__main__.py"])
    assert program() == f"{sys.executable} -m kldanneal"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("values, highest", [([0.0], 0.0), ([1.0], 1.0), ([0, 0.5, 1, 2], 2.0), ([0.0] * 50, 1.0)])
def test_bars_are_as_high_as_their_values(monkeypatch, encoding, values, highest):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    lines = bars(values, highest, width=len(values), height=4)
    assert len(lines) == 4
    full = "█#"
    for i, value in enumerate(values):
        column = [line[6 + i] if len(line) > 6 + i else " " for line in lines]
        assert sum(cell in full for cell in column) == (round(4 * value / highest) if highest else 0)
