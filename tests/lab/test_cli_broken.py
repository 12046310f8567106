"""A comparison that is broken after it has been trained: its table and its CSV files are there each time."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest
from conftest import full_disk
from matplotlib.figure import Figure
from test_cli import ENVIRONMENT, one_line_error, signals

from kldanneal.lab.results import report
from kldanneal.lab.results.written import Written

TINY = ["--steps=2", "--seeds=2", "--schedules=constant,cyclical", "--cycles=1", "--embedding=4", "--hidden=4",
        "--latent=2", "--batch-size=16"]  # fmt: skip
NUMBERS = {"history.csv", "summary.csv", "table.txt"}
quick = pytest.mark.usefixtures("no_pictures")
PAGES = {"samples.txt", "comparison.png", "comparison-dark.png", "report.html"}


@pytest.fixture
def compared(command, text_file, tmp_path):
    """Runs a comparison: its status, output and errors, and its folder."""

    def run(*options, corpus=text_file):
        out = tmp_path / "out"
        return *command("compare", "--corpus", corpus, "--out", out, *TINY, *options), out

    return run


def names(out):
    return {path.name for path in out.iterdir()} - {"config.json", "checkpoints"}


def numbers_are_there(out):
    """Four runs of two updates each, and a table that says the same as the CSV file."""
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["schedule"], row["seed"]) for row in rows] == [
        ("constant", "0"), ("constant", "1"), ("cyclical", "0"), ("cyclical", "1")
    ]  # fmt: skip
    assert len((out / "history.csv").read_text(encoding="utf-8").splitlines()) == 1 + 4 * 2
    kl = sum(float(row["kl"]) for row in rows[:2]) / 2
    assert f"constant  {kl:.3f} ±" in (out / "table.txt").read_text(encoding="utf-8")
    return True


def printed(stdout):
    return "schedule  KL" in stdout and "cyclical against constant: KL" in stdout


def last_line(stderr):
    """What stands behind the bar of the training."""
    return stderr.split("\r")[-1].lstrip()


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


# --- the picture ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a_$\\frac$.txt", "$x", "<b>&{}%s.txt", "new\nline.txt", "狗.txt", b"bad\xff name.txt"]
)
def test_no_name_of_a_file_breaks_the_picture(compared, text_file, tmp_path, name):
    path = tmp_path / (os.fsdecode(name) if isinstance(name, bytes) else name)
    shutil.copy(text_file, path)
    status, stdout, stderr, out = compared(corpus=path)
    assert status == 0 and "warning" not in stderr, stderr
    assert printed(stdout) and numbers_are_there(out)
    assert names(out) == NUMBERS | PAGES


@pytest.mark.parametrize("error", [RuntimeError("no font"), MemoryError(), OSError(28, "No space left on device")])
def test_a_picture_that_cannot_be_drawn(compared, command, monkeypatch, error):
    with monkeypatch.context() as broken:
        broken.setattr(Figure, "savefig", failing(error))
        status, stdout, stderr, out = compared()
    one_line_error(status, last_line(stderr), "finished", "comparison.png", "--resume")
    assert printed(stdout) and numbers_are_there(out)
    assert names(out) == NUMBERS | {"samples.txt", "report.html"}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "The picture could not be drawn" in page and "cyclical against constant" in page
    assert command("compare", "--resume", "--out", out)[0] == 0  # no training is needed again
    assert names(out) == NUMBERS | PAGES


def test_matplotlib_that_cannot_be_imported(compared, monkeypatch):
    monkeypatch.setitem(sys.modules, "kldanneal.lab.plots", None)
    status, stdout, stderr, out = compared()
    one_line_error(status, last_line(stderr), "comparison.png")
    assert printed(stdout) and numbers_are_there(out)


@quick
def test_samples_and_advice_that_fail(compared, monkeypatch):
    monkeypatch.setattr(report, "samples", failing(RuntimeError("probability tensor contains nan")))
    monkeypatch.setattr(Written, "advice", failing(ValueError("no posterior")))
    status, stdout, stderr, out = compared()
    one_line_error(status, last_line(stderr), "samples.txt", "contains nan")
    assert printed(stdout) and numbers_are_there(out)
    assert "comparison.png" in names(out)


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_before_the_picture(compared, monkeypatch):
    pages = Written.pages

    def full(self):
        disk.enter_context(full_disk(room=10_000))
        pages(self)

    monkeypatch.setattr(Written, "pages", full)
    with ExitStack() as disk:
        status, stdout, stderr, out = compared()
    one_line_error(status, last_line(stderr), "comparison.png", "File too large", "--resume")
    assert printed(stdout) and numbers_are_there(out)
    assert not any(name.endswith(".partial") for name in names(out))


@quick
def test_a_disk_that_is_full_before_anything_is_written(compared, command, monkeypatch):
    numbers = Written.numbers

    def full(self):
        disk.enter_context(full_disk())
        numbers(self)

    with monkeypatch.context() as broken, ExitStack() as disk:
        broken.setattr(Written, "numbers", full)
        status, stdout, stderr, out = compared()
    one_line_error(status, last_line(stderr), "history.csv", "its models are saved", "--resume")
    assert printed(stdout) and names(out) == set()
    content = stdout.split("This is its content:\n")[1]  # summary.csv, printed where it could not be written
    assert content.splitlines()[0].startswith("schedule,seed,reconstruction,kl")
    assert len(content.split("\n\n")[0].splitlines()) == 5
    assert command("compare", "--resume", "--out", out)[0] == 0  # once there is space
    assert numbers_are_there(out)


@quick
def test_a_folder_that_is_gone(compared, monkeypatch):
    numbers = Written.numbers

    def removed(self):
        shutil.rmtree(self.folder)
        numbers(self)

    monkeypatch.setattr(Written, "numbers", removed)
    status, stdout, stderr, _ = compared()
    one_line_error(status, last_line(stderr), "history.csv", "No such file or directory")
    assert printed(stdout) and "This is its content:\nschedule,seed" in stdout


# --- the terminal, and its locale -------------------------------------------------------------------------------------


@quick
def test_a_standard_output_that_is_closed(compared, monkeypatch):
    numbers = Written.numbers

    def closed(self):
        numbers(self)
        sys.stdout.close()

    monkeypatch.setattr(sys, "stdout", open(os.devnull, "w"))  # noqa: SIM115
    monkeypatch.setattr(Written, "numbers", closed)
    status, _, stderr, out = compared()
    one_line_error(status, last_line(stderr), "could not be printed", "table.txt")
    assert numbers_are_there(out) and names(out) == NUMBERS | PAGES


@quick
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full of Linux")
def test_a_standard_output_on_a_full_disk(compared, monkeypatch):
    numbers = Written.numbers

    def full(self):
        numbers(self)
        sys.stdout = open("/dev/full", "w")  # noqa: SIM115

    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back in the end
    monkeypatch.setattr(Written, "numbers", full)
    status, _, stderr, out = compared()
    one_line_error(status, last_line(stderr), "No space left on device", "table.txt")
    assert numbers_are_there(out) and names(out) == NUMBERS | PAGES


@signals
def test_a_reader_that_closes_its_end_of_the_pipe(text_file, tmp_path):
    """As ``| head`` does, here before the table is printed."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "kldanneal", "compare", "--corpus", str(text_file), "--out", str(out), *TINY]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT}
    with subprocess.Popen([*command, "--steps=300"], **pipes) as process:
        while not process.stdout.readline().startswith(b"4 runs"):
            pass
        process.stdout.close()
        assert process.stderr.read().replace(b"\r", b"\n").strip().splitlines()[-1].strip()[:9] in (b"training:", b"")
        assert process.wait(120) == 141
    assert names(out) == NUMBERS | PAGES


def test_a_locale_without_the_signs(text_file, tmp_path):
    text = shutil.copy(text_file, tmp_path / "狗.txt")
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "kldanneal", "compare", "--corpus", text, "--out", tmp_path / "out", *TINY],
        capture_output=True, env={**ENVIRONMENT, **locale}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stdout = done.stdout.decode("ascii")
    assert printed(stdout) and "+/-" in stdout and "±" not in stdout
    heading, first, *_ = stdout[stdout.index("schedule  KL") :].splitlines()
    assert heading.index("reconstruction") == first.index(re.split(r"\s{2,}", first)[2])
    assert numbers_are_there(tmp_path / "out")


# --- signals ----------------------------------------------------------------------------------------------------------


@quick
@signals
@pytest.mark.parametrize(
    "name, expected, moment",
    [
        *(("SIGINT", 130, moment)
          for moment in ("numbers", "_history", "summary", "table", "pages", "_picture", "_page")),
        *((name, expected, moment) for name, expected in (("SIGTERM", 143), ("SIGHUP", 129))
          for moment in ("_history", "_picture")),
    ],
)  # fmt: skip
def test_a_signal_while_the_results_are_written(compared, command, monkeypatch, name, expected, moment):
    method = getattr(Written, moment)

    def interrupted(self, *arguments):
        for _ in range(2):  # an impatient hand
            os.kill(os.getpid(), getattr(signal, name))
        return method(self, *arguments)

    with monkeypatch.context() as broken:
        broken.setattr(Written, moment, interrupted)
        status, stdout, stderr, out = compared()
    assert status == expected
    line = last_line(stderr)
    assert line.count("\n") == 1 and "Traceback" not in line
    assert "table and CSV files are finished" in line and f"kldanneal compare --resume --out {out}" in line
    assert printed(stdout) and numbers_are_there(out)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert command("compare", "--resume", "--out", out)[0] == 0
    assert names(out) == NUMBERS | PAGES


@quick
@signals
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full of Linux")
def test_a_terminal_that_is_gone_with_its_signal(compared, command, monkeypatch):
    """As when a connection breaks: neither the results nor the last line can be printed."""
    numbers = Written.numbers

    def gone(self):
        os.kill(os.getpid(), signal.SIGHUP)
        sys.stdout = sys.stderr = open("/dev/full", "w")  # noqa: SIM115
        numbers(self)

    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))  # put back in the end
    with monkeypatch.context() as broken:
        broken.setattr(Written, "numbers", gone)
        status, _, _, out = compared()
    assert status == 129
    assert numbers_are_there(out)
