"""kldanneal compare: one comparison in a folder, interrupted at any moment, and taken up from anywhere, for longer."""

import csv
import io
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from conftest import same
from test_cli import ENVIRONMENT, checkpoints, one_line_error, signals, start, tree

from kldanneal.lab.cli import compare, folder, main
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run

TINY = ["--steps=6", "--seeds=1", "--schedules=constant,cyclical", "--cycles=2", "--embedding=4", "--hidden=4",
        "--latent=2", "--batch-size=16", "--word-dropout=0.3"]  # fmt: skip

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def whole(text_file, tmp_path_factory):
    """Comparisons that ran in one go, by their options; made when they are first asked for."""
    made = {}

    def run(*options):
        if options not in made:
            made[options] = tmp_path_factory.mktemp("whole") / "out"
            assert main(["compare", "--corpus", str(text_file), "--out", str(made[options]), *TINY, *options]) == 0
        return made[options]

    return run


def untimed(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: value for key, value in row.items() if key not in ("seconds", "sentences_per_second")}
                for row in csv.DictReader(file)]  # fmt: skip


def equal(out, other):
    """The same results and models, bit for bit."""
    assert (out / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    assert (out / "samples.txt").read_bytes() == (other / "samples.txt").read_bytes()
    for name in ("summary.csv", "tail.csv"):
        assert (out / name).exists() == (other / name).exists()
        assert not (out / name).exists() or untimed(out / name) == untimed(other / name)
    assert same(checkpoints(out), checkpoints(other))
    return True


# --- the folder is claimed --------------------------------------------------------------------------------------------


def test_a_folder_in_which_another_is_at_work_is_refused(command, text_file, tmp_path, whole):
    out = tmp_path / "out"
    shutil.copytree(whole(), out)
    before = tree(tmp_path)
    with folder.claimed(out):
        status, _, stderr = command("compare", "--resume", "--out", out)
    one_line_error(status, stderr, str(out), "at work")
    assert tree(tmp_path) == before
    with folder.claimed(tmp_path / "new"):  # which is still empty
        status, _, stderr = command("compare", "--corpus", text_file, "--out", tmp_path / "new", *TINY)
    one_line_error(status, stderr, "new", "at work")
    assert command("compare", "--resume", "--out", out)[0] == 0  # the claim has ended


def test_two_that_start_together_do_not_mix(command, text_file, tmp_path):
    out = tmp_path / "out"
    rates = ("0.005", "0.0001")
    both = [start("compare", "--corpus", text_file, "--out", out, *TINY, f"--lr={lr}", "--steps=200") for lr in rates]
    said = [process.communicate(timeout=120)[1] for process in both]
    statuses = [process.returncode for process in both]
    assert sorted(statuses) == [0, 2], said
    one_line_error(2, said[statuses.index(2)], str(out))
    options = json.loads((out / "config.json").read_text(encoding="utf-8"))["options"]
    assert options["lr"] == float(rates[statuses.index(0)])
    assert command("compare", "--resume", "--out", out)[0] == 0


def test_a_folder_whose_comparison_never_began_can_be_taken(command, text_file, tmp_path):
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)  # all that a kill in the wrong moment leaves
    assert command("compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY)[0] == 0


# --- Ctrl-C at any moment ---------------------------------------------------------------------------------------------

MOMENTS = {  # what is interrupted, before and after it is done, and in which call of it
    "the settings": (compare, "pick_device", 1),
    "the corpus": (compare, "load_corpus", 1),
    "the claim": (folder, "begin", 1),
    "config.json": (folder, "save", 1),
    "the runs are made": (Comparison, "__init__", 1),
    "the first update": (Run, "update", 1),
    "the last update of a run": (Run, "update", 6),
    "a checkpoint": (Run, "save", 1),
    "the measuring": (Comparison, "_fit_one", 2),
    "the training ends": (Comparison, "fit", 1),
}


@signals
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_at_any_moment_is_one_line_that_goes_on(command, text_file, tmp_path, monkeypatch, whole, moment, after):
    where, name, call = MOMENTS[moment]
    method, calls, out = getattr(where, name), itertools.count(1), tmp_path / "o u't"

    def interrupted(*arguments, **options):
        now = next(calls) == call
        if now and not after:
            os.kill(os.getpid(), signal.SIGINT)
        done = method(*arguments, **options)
        if now and after:
            os.kill(os.getpid(), signal.SIGINT)
        return done

    with monkeypatch.context() as broken:
        broken.setattr(where, name, interrupted)
        status, _, stderr = command("compare", "--corpus", text_file, "--out", out, *TINY)
    assert status == 130
    line = stderr.split("\r")[-1].lstrip()
    assert line.count("\n") == 1 and line.startswith("Interrupted") and "Traceback" not in stderr
    begun = (out / "config.json").exists()
    assert ("--resume" in line) == begun
    words = shlex.split(line[line.index("kldanneal compare") :])
    assert words[:2] == ["kldanneal", "compare"]
    assert main(words[1:]) == 0  # what is printed can be pasted
    assert equal(out, whole())


@signals
def test_ctrl_c_between_the_last_words_and_the_first_update(text_file, tmp_path):
    """The program itself, where it once ended in a traceback."""
    out = tmp_path / "out"
    process = start("compare", "--corpus", text_file, "--out", out, *TINY, "--steps=30000")
    while not process.stdout.readline().startswith("source:"):
        pass
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in stderr
    assert stderr.replace("\r", "\n").rstrip().splitlines()[-1].startswith("Interrupted")
    assert f"kldanneal compare --resume --out {out}" in stderr


@signals
def test_ctrl_c_within_an_import_that_executes_a_string(text_file, tmp_path):
    """Python notes that, and would end by the signal itself, whatever status the command has."""
    (tmp_path / "sitecustomize.py").write_text(
        "import signal\n"
        "from kldanneal.lab.cli import compare\n"
        "interrupt = 'signal.raise_signal(signal.SIGINT)'\n"
        "compare.pick_device = lambda name: exec(interrupt, {'signal': signal})\n"
    )
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "kldanneal", "compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY],
        capture_output=True, text=True, env={**ENVIRONMENT, "PYTHONPATH": path}, timeout=120,
    )  # fmt: skip
    assert done.stderr.startswith("Interrupted before training began") and done.returncode == 130


def test_a_signal_that_is_ignored_stays_ignored(text_file, tmp_path, command):
    """As with nohup, or in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert command("compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY)[0] == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_the_main_thread_there_are_no_handlers(text_file, tmp_path):
    found = []
    arguments = ["compare", "--corpus", str(text_file), "--out", str(tmp_path / "out"), *TINY]
    thread = threading.Thread(target=lambda: found.append(main(arguments)))
    thread.start()
    thread.join()
    assert found == [0]


# --- from elsewhere ---------------------------------------------------------------------------------------------------


def test_resume_from_another_folder(command, text_file, tmp_path, monkeypatch, whole):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    shutil.copy(text_file, tmp_path / "here" / text_file.name)
    monkeypatch.chdir(tmp_path / "here")
    assert command("compare", "--corpus", text_file.name, "--out", "out", *TINY)[0] == 0
    monkeypatch.chdir(tmp_path / "there")
    assert command("compare", "--resume", "--out", "../here/out")[0] == 0
    assert equal(tmp_path / "here" / "out", whole())


def test_resume_with_the_same_text_under_another_path_and_name(command, text_file, tmp_path, whole):
    text, out = tmp_path / text_file.name, tmp_path / "out"
    shutil.copy(text_file, text)
    assert command("compare", "--corpus", text, "--out", out, *TINY)[0] == 0
    moved = text.rename(tmp_path / "renamed.txt")
    before = tree(out)
    status, _, stderr = command("compare", "--resume", "--out", out)
    one_line_error(status, stderr, str(text), "--corpus")
    assert tree(out) == before
    for options in (["--corpus", moved], []):  # the second time it is known
        assert command("compare", "--resume", "--out", out, *options)[0] == 0
        assert equal(out, whole())


def test_resume_of_a_comparison_that_version_0_2_0_began(command, tmp_path, whole):
    out = tmp_path / "out"
    shutil.copytree(whole(), out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    for name in ("text_column", "delimiter", "encoding", "tail"):
        del config["options"][name]
    del config["corpus_name"]
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert command("compare", "--resume", "--out", out)[0] == 0
    assert equal(out, whole())


@pytest.mark.parametrize("how", ["standard input", "a pipe"])
def test_a_text_that_is_read_once_is_kept_for_later(command, text_file, tmp_path, monkeypatch, whole, how):
    if how == "a pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("pipes of POSIX")
    out, corpus, content = tmp_path / "out", "-", text_file.read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    if how == "a pipe":
        corpus = tmp_path / "pipe"
        os.mkfifo(corpus)
        threading.Thread(target=lambda: corpus.write_bytes(content), daemon=True).start()
    status, stdout, _ = command("compare", "--corpus", corpus, "--out", out, *TINY)
    assert status == 0 and "300 lines read" in stdout
    monkeypatch.setattr(sys, "stdin", None)
    assert command("compare", "--resume", "--out", out, "--tail=3")[0] == 0
    assert (out / "stdin.txt").read_bytes() == content
    assert (out / "history.csv").read_bytes() == (whole("--tail=3") / "history.csv").read_bytes()


def test_the_program_reads_standard_input(text_file, tmp_path):
    command = [sys.executable, "-m", "kldanneal", "compare", "--corpus=-", "--out", str(tmp_path / "out"), *TINY]
    with text_file.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, env=ENVIRONMENT, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith(b"stdin: 240 sentences"), done.stderr


# --- for longer -------------------------------------------------------------------------------------------------------


def test_more_seeds(command, tmp_path, whole):
    out = tmp_path / "out"
    shutil.copytree(whole(), out)
    assert command("compare", "--resume", "--out", out, "--seeds=3")[0] == 0
    assert equal(out, whole("--seeds=3"))
    assert command("compare", "--resume", "--out", out)[0] == 0  # which are now part of the comparison
    assert equal(out, whole("--seeds=3"))


def test_a_tail_and_a_longer_one(command, tmp_path, whole):
    out = tmp_path / "out"
    shutil.copytree(whole(), out)
    for tail in (4, 7):
        status, stdout, _ = command("compare", "--resume", "--out", out, f"--tail={tail}")
        assert status == 0 and f"cyclical, {tail} more updates at KL weight" in stdout
        assert equal(out, whole(f"--tail={tail}"))
    assert untimed(out / "summary.csv") == untimed(whole() / "summary.csv")  # the end of the schedule is what it was
    status, _, stderr = command("compare", "--resume", "--out", out, "--tail=5")
    one_line_error(status, stderr, "--tail is 7 there and 5 here")


def test_a_tail_is_at_the_last_weight_and_measured_at_both_ends(whole):
    out = whole("--tail=4")
    with (out / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    weights = [float(row["kl_weight"]) for row in rows if row["schedule"] == "cyclical"]
    assert weights[:6] == [0, 2 / 3, 1, 0, 2 / 3, 1] and weights[6:] == [1] * 4  # no third cycle
    summary, tail = untimed(out / "summary.csv"), untimed(out / "tail.csv")
    assert [row["schedule"] for row in tail] == ["constant", "cyclical"]
    assert all(before["kl"] != after["kl"] for before, after in zip(summary, tail, strict=True))
    said = (out / "table.txt").read_text(encoding="utf-8")
    assert "After the tail of 4 updates" in said and "constant, 4 more updates at KL weight 1:" in said


@pytest.mark.parametrize("option, words", [("--tail=-1", ["--tail", "-1"]), ("--tail=x", ["--tail", "'x'"])])
def test_a_tail_that_cannot_be(command, text_file, tmp_path, option, words):
    status, _, stderr = command("compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY, option)
    one_line_error(status, stderr, *words)
    assert tree(tmp_path) == {}
