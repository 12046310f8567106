"""The command ``kldanneal``: what it writes and prints, how it goes on after an interruption, and what it refuses."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import full_disk, same

import kldanneal
from kldanneal import Annealer
from kldanneal.lab.cli import folder, main

TINY = [
    "--steps=12",
    "--lr=0.003",
    "--seeds=1",
    "--schedules=constant,cyclical",
    "--embedding=8",
    "--hidden=8",
    "--latent=2",
]
RESULTS = ["comparison-dark.png", "comparison.png", "config.json", "history.csv", "report.html", "samples.txt",
           "summary.csv", "table.txt"]  # fmt: skip
pytestmark = pytest.mark.usefixtures("no_pictures")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(kldanneal.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


def tree(folder):
    """Everything below a folder: the content of the files by their path, None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def checkpoints(out):
    return {path.name: torch.load(path, weights_only=True) for path in (out / "checkpoints").iterdir()}


def one_line_error(status, stderr, *words):
    """Exit status 2 and one line, which names what is wrong."""
    assert status == 2
    assert stderr.count("\n") == 1 and stderr.endswith("\n"), stderr
    assert stderr.startswith("kldanneal") and "error: " in stderr
    assert "Traceback" not in stderr
    for word in words:
        assert word in stderr


# --- compare ----------------------------------------------------------------------------------------------------------


def test_a_comparison_on_the_toy_language(command, tmp_path):
    out = tmp_path / "new" / "folder"
    names = ["constant", "cyclical"]
    status, stdout, _ = command("compare", "--corpus=toy", "--out", out, *TINY)
    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([*RESULTS, "checkpoints"])
    assert len(list((out / "checkpoints").iterdir())) == len(names)

    history = rows(out / "history.csv")
    assert list(history[0]) == ["schedule", "seed", "step", "kl_weight", "reconstruction", "kl"]
    assert [(row["schedule"], int(row["step"])) for row in history] == [(name, i) for name in names for i in range(12)]
    cyclical = [float(row["kl_weight"]) for row in history if row["schedule"] == "cyclical"]
    assert cyclical == Annealer(3, cyclical=True, ratio=0.5).schedule(12)
    summary = rows(out / "summary.csv")
    assert [row["schedule"] for row in summary] == names
    for row in summary:
        assert float(row["neg_elbo"]) == pytest.approx(float(row["reconstruction"]) + float(row["kl"]))

    for row in summary:  # the table that is printed is the one that is written
        line = next(line for line in stdout.splitlines() if re.match(rf"{row['schedule']}\s", line))
        assert line.split()[1:4] == [f"{float(row['kl']):.3f}", f"{float(row['reconstruction']):.2f}",
                                     f"{float(row['neg_elbo']):.2f}"]  # fmt: skip
    for words in (
        "entropy: 13.4",
        "digest: ",
        "cyclical against constant: KL",
        "above the language's entropy",
        str(out),
    ):
        assert words in stdout

    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["options"]["steps"] == 12 and config["options"]["corpus"] == "toy"
    assert config["versions"]["torch"] == torch.__version__


def test_a_text_file_with_options_of_its_own(command, text_file, tmp_path):
    options = [
        "--max-length=11", "--vocab-size=50", "--shape=cosine", "--cycles=3", "--ratio=0.25", "--lr=0.01", "--clip=1",
        "--lr-schedule=cosine-restarts", "--batch-size=16", "--pooling=last", "--word-dropout=0.5", "--dropout=0.1",
        "--device=cpu", "--seeds=2",
    ]  # fmt: skip
    status, stdout, _ = command("compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY, *options)
    assert status == 0
    assert "50 words" in stdout and "mean ± standard deviation over 2 seeds" in stdout
    assert {row["seed"] for row in rows(tmp_path / "out" / "summary.csv")} == {"0", "1"}
    weights = [float(r["kl_weight"]) for r in rows(tmp_path / "out" / "history.csv") if r["schedule"] == "cyclical"]
    assert weights == Annealer(4, "cosine", cyclical=True, ratio=0.25).schedule(12) * 2
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["options"]
    for option in options:
        name, value = option[2:].split("=")
        assert str(config[name.replace("-", "_")]) in (value, f"{value}.0")


def test_schedules_that_are_written_out(command, text_file, tmp_path):
    written_out = {
        "cosine:total_steps=5:cyclical": Annealer(5, "cosine", cyclical=True),
        "linear:baseline=0.5:ratio=0.5": Annealer(12, baseline=0.5, ratio=0.5),
        "logistic": Annealer(12, "logistic"),
    }
    status, _, _ = command(
        "compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY, f"--schedules={','.join(written_out)}"
    )
    assert status == 0
    history = rows(tmp_path / "out" / "history.csv")
    for name, annealer in written_out.items():
        assert [float(row["kl_weight"]) for row in history if row["schedule"] == name] == annealer.schedule(12)


# --- results are never overwritten ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(text_file, tmp_path_factory):
    """The folder of a comparison that ran to its end; tests that change it take a copy."""
    out = tmp_path_factory.mktemp("finished") / "out"
    assert main(["compare", "--corpus", str(text_file), "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture
def copied(finished, tmp_path):
    out = tmp_path / "copied"
    for path, content in sorted(tree(finished).items()):
        if content is None:
            (out / path).mkdir(parents=True)
        else:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
    return out


def test_a_folder_that_holds_results_is_refused(command, text_file, finished):
    before = tree(finished)
    status, _, stderr = command("compare", "--corpus", text_file, "--out", finished, *TINY)
    one_line_error(status, stderr, str(finished), "--resume")
    assert tree(finished) == before


def test_a_folder_that_holds_anything_is_refused(command, text_file, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    status, _, stderr = command("compare", "--corpus", text_file, "--out", tmp_path, *TINY)
    one_line_error(status, stderr, str(tmp_path), "not empty")
    assert tree(tmp_path) == {"thesis.tex": b"years of work"}


def test_an_empty_folder_is_taken(command, text_file, tmp_path):
    assert command("compare", "--corpus", text_file, "--out", tmp_path, *TINY)[0] == 0
    assert (tmp_path / "summary.csv").exists()


@pytest.mark.parametrize("options", [[], TINY])
def test_resume_on_a_finished_comparison_gives_the_same_numbers(command, copied, options):
    before = tree(copied)
    status, stdout, _ = command("compare", "--resume", "--out", copied, *options)
    assert status == 0 and "cyclical against constant" in stdout
    after = tree(copied)
    assert after.keys() == before.keys()
    for name in ("history.csv", "summary.csv", "samples.txt", "config.json"):
        assert after[name] == before[name], name


@pytest.mark.parametrize(
    "option, words",
    [
        ("--steps=13", "--steps is 12 there and 13 here"),
        ("--lr=0.5", "--lr is 0.003 there and 0.5 here"),
        ("--word-dropout=0.5", "--word-dropout is 0.0 there and 0.5 here"),
        ("--schedules=constant", "--schedules is 'constant,cyclical' there and 'constant' here"),
        ("--corpus=toy", "there and 'toy' here"),
    ],
)
def test_resume_with_another_option_names_it(command, copied, option, words):
    before = tree(copied)
    status, _, stderr = command("compare", "--resume", "--out", copied, option)
    one_line_error(status, stderr, str(copied), words)
    assert tree(copied) == before


def test_resume_takes_the_same_files_from_another_folder(copied):
    options, _ = folder.resumed(copied, {"root": "elsewhere"})
    assert options["root"] == "elsewhere"


def test_resume_without_a_comparison_is_refused(command, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        status, _, stderr = command("compare", "--resume", "--out", tmp_path / name)
        one_line_error(status, stderr, str(tmp_path / name), "config.json")
    assert tree(tmp_path) == {"empty": None}


def edited(config, **options):
    content = json.loads(config)
    content["options"].update(options)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "damage, word",
    [
        (lambda config: b"", "config.json"),
        (lambda config: config[: len(config) // 2], "config.json"),
        (lambda config: b"\xff\xfe\x00 no UTF-8", "config.json"),
        (lambda config: b"[1, 2]", "config.json"),
        (lambda config: b'{"options": 3}', "config.json"),
        (lambda config: b'{"options": {}}', "config.json"),
        (lambda config: edited(config, surprise=1), "surprise"),
        (lambda config: edited(config, steps="many"), "steps"),
        (lambda config: edited(config, seeds="two"), "seeds"),
        (lambda config: edited(config, lr=None), "lr"),
        (lambda config: config.replace(b"corpus_digest", b"corpus_digits"), "digest"),
    ],
)
def test_resume_with_a_damaged_configuration_is_refused(command, copied, damage, word):
    config = copied / "config.json"
    config.write_bytes(damage(config.read_bytes()))
    before = tree(copied)
    status, _, stderr = command("compare", "--resume", "--out", copied)
    one_line_error(status, stderr, word)
    assert tree(copied) == before


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_resume_with_a_truncated_checkpoint_is_refused(command, copied, kept):
    checkpoint = sorted((copied / "checkpoints").iterdir())[0]
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    before = tree(copied)
    status, _, stderr = command("compare", "--resume", "--out", copied)
    one_line_error(status, stderr, str(checkpoint), "truncated")
    assert tree(copied) == before


def test_resume_with_a_checkpoint_of_another_run_is_refused(command, copied):
    one, other = sorted((copied / "checkpoints").iterdir())
    one.write_bytes(other.read_bytes())
    before = tree(copied)
    status, _, stderr = command("compare", "--resume", "--out", copied)
    one_line_error(status, stderr, str(one), "another run", " here and ")
    assert tree(copied) == before


def test_resume_with_a_text_file_that_has_changed_is_refused(command, text_file, tmp_path):
    text = tmp_path / "text.txt"
    text.write_bytes(text_file.read_bytes())
    out = tmp_path / "out"
    assert command("compare", "--corpus", text, "--out", out, *TINY)[0] == 0
    text.write_bytes(text_file.read_bytes() + b"a new sentence\n")
    before = tree(out)
    status, _, stderr = command("compare", "--resume", "--out", out)
    one_line_error(status, stderr, str(out), "digest")
    assert tree(out) == before


# --- interruptions ----------------------------------------------------------------------------------------------------

LONG = ["--steps=800", "--seeds=1", "--schedules=cyclical", "--embedding=4", "--hidden=8", "--latent=2",
        "--batch-size=4", "--word-dropout=0.3", "--lr-schedule=cosine-restarts"]  # fmt: skip
signals = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "kldanneal", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def wait_for_a_new_checkpoint(process, out):
    """Until a run has been saved again since the call."""

    def saved():
        return {path: path.stat().st_mtime_ns for path in (out / "checkpoints").glob("*.pt")}

    before, deadline = saved(), time.monotonic() + 60
    while saved() == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no checkpoint within a minute"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def uninterrupted(text_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted") / "out"
    assert main(["compare", "--corpus", str(text_file), "--out", str(out), *LONG]) == 0
    return out


def equals_the_uninterrupted(out, uninterrupted):
    assert (out / "history.csv").read_bytes() == (uninterrupted / "history.csv").read_bytes()
    assert (out / "samples.txt").read_bytes() == (uninterrupted / "samples.txt").read_bytes()
    assert same(checkpoints(out), checkpoints(uninterrupted))
    timed = ("seconds", "sentences_per_second")
    for mine, theirs in zip(rows(out / "summary.csv"), rows(uninterrupted / "summary.csv"), strict=True):
        assert {k: v for k, v in mine.items() if k not in timed} == {k: v for k, v in theirs.items() if k not in timed}
    return True


@signals
def test_ctrl_c_saves_and_says_how_to_go_on(command, text_file, tmp_path, uninterrupted):
    out = tmp_path / "out"
    process = start("compare", "--corpus", text_file, "--out", out, *LONG)
    wait_for_a_new_checkpoint(process, out)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert f"kldanneal compare --resume --out {out}" in stderr
    (saved,) = checkpoints(out).values()
    assert f"{saved['step']} steps" in stderr
    assert command("compare", "--resume", "--out", out)[0] == 0
    assert equals_the_uninterrupted(out, uninterrupted)


def test_a_full_disk_is_one_line_and_loses_nothing(command, text_file, finished, tmp_path):
    out = tmp_path / "out"
    with full_disk(room=10_000):  # for config.json, not for a checkpoint
        status, _, stderr = command("compare", "--corpus", text_file, "--out", out, *TINY)
    one_line_error(status, stderr.split("\r")[-1].lstrip())  # after the progress bar
    assert not [path for path in tree(out) if path.endswith(".partial")]
    assert command("compare", "--resume", "--out", out)[0] == 0
    assert (out / "history.csv").read_bytes() == (finished / "history.csv").read_bytes()


def test_a_loss_that_is_not_finite_is_one_line(command, text_file, tmp_path):
    status, _, stderr = command("compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY, "--lr=1e30")
    last = stderr.split("\r")[-1].lstrip()  # after the progress bar
    one_line_error(status, last, "not finite", "seed 0", "lr=1e+30")
    assert not (tmp_path / "out" / "summary.csv").exists()


# --- bad input --------------------------------------------------------------------------------------------------------

BAD_FILES = {  # their content, and what the message says besides the name
    "empty.txt": (b"", ["is empty"]),
    "blank.txt": (b"\n\n\n", ["at least 100 distinct sentences", "got 0"]),
    "three.txt": (b"one sentence\nand another\nand a third\n", ["at least 100 distinct sentences", "got 3"]),
    "repeated.txt": (b"the same sentence\n" * 500, ["at least 100 distinct sentences", "got 1"]),
    "binary.txt": (b"\x7fELF\x00\x00\x01" * 100, ["binary"]),
    "latin1.txt": ("a café\n".encode("latin-1") * 200, ["UTF-8"]),
    "utf16.txt": (("a sentence\n" * 200).encode("utf-16"), ["UTF-8"]),
    "million.txt": (b"a short line\n" + b"word " * 1_000_000, ["line 2", "1,000,00"]),
    "distinct.txt": ("\n".join(f"a{i} b{i}" for i in range(300)).encode(), ["at least 2 different words", "got 0"]),
}


def refused_before_anything_is_written(command, folder, arguments, words):
    before = tree(folder)
    status, _, stderr = command(*arguments)
    one_line_error(status, stderr, *words)
    assert tree(folder) == before, "something was written"


@pytest.mark.parametrize("name", BAD_FILES)
def test_compare_refuses_a_bad_text_file(command, tmp_path, name):
    content, words = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    arguments = ["compare", "--corpus", tmp_path / name, "--out", tmp_path / "out", *TINY]
    refused_before_anything_is_written(command, tmp_path, arguments, [name, *words])


def test_compare_refuses_a_vocabulary_of_one_word(command, tmp_path):
    (tmp_path / "one.txt").write_text("\n".join("word " * n for n in range(1, 200)))
    arguments = ["compare", "--corpus", tmp_path / "one.txt", "--max-length=500", "--out", tmp_path / "out", *TINY]
    refused_before_anything_is_written(command, tmp_path, arguments, ["at least 2 different words", "got 1", "one.txt"])


SIZES = ("steps", "batch-size", "embedding", "hidden", "latent")
BAD_OPTIONS = [
    *((f"--{name}={value}", [name.replace("-", "_"), f"but got {value}"])
      for name in SIZES for value in (0, -5, 10**12)),
    *((f"--{name}={value}", [f"--{name}", repr(value)])
      for name in (*SIZES, "seeds", "cycles", "max-length", "vocab-size") for value in ("nan", "1e3", "")),
    *((f"--seeds={value}", ["--seeds", f"but got {value}"]) for value in (0, -1, 10**12)),
    *((f"--cycles={value}", ["cycles", f"but got {value}"]) for value in (0, -1, 13, 10**12)),
    *((f"--ratio={value}", ["ratio", "(0, 1]", f"but got {value}"]) for value in ("0.0", "-0.5", "1.5", "nan", "inf")),
    *((f"--{name}={value}", [name, "positive finite", f"but got {value}"])
      for name in ("lr", "clip") for value in ("0.0", "-0.1", "nan", "inf", "-inf")),
    *((f"--{name}={value}", [name.replace("-", "_"), "[0, 1)", f"but got {value}"])
      for name in ("word-dropout", "dropout") for value in ("1.0", "-0.1", "nan", "1e+300")),
    *((f"--{name}=much", [f"--{name}", "'much'"]) for name in ("lr", "clip", "ratio", "dropout", "word-dropout")),
    *((f"--max-length={value}", ["max_length", "at least 1", f"but got {value}"]) for value in (0, -3)),
    *((f"--vocab-size={value}", ["vocab_size", "at least 2", f"but got {value}"]) for value in (0, 1, -3)),
    ("--max-length=1", ["at least 100 distinct sentences", "1 words", "got 0"]),
    ("--shape=square", ["--shape", "'square'", "linear", "cosine", "logistic"]),
    ("--lr-schedule=step", ["--lr-schedule", "'step'", "constant", "cosine-restarts"]),
    ("--pooling=mean", ["pooling", "'max', 'last'", "'mean'"]),
    ("--device=gpu", ["device", "'auto', 'cpu' or 'cuda'", "'gpu'"]),
    ("--device=cuda:99", ["device", "'auto', 'cpu' or 'cuda'", "'cuda:99'"]),
    ("--device=meta", ["device", "'auto', 'cpu' or 'cuda'", "'meta'"]),
    ("--schedules=constant,bananas", ["'bananas'", "constant, monotonic, monotonic-long, cyclical"]),
    ("--schedules=", ["''", "constant, monotonic, monotonic-long, cyclical"]),
    ("--schedules=constant,", ["''", "constant, monotonic, monotonic-long, cyclical"]),
    ("--schedules=constant,cyclical,constant", ["constant", "more than once"]),
    ("--schedules=cosine:total_steps=-1", ["total_steps", "but got -1", "cosine:total_steps=-1"]),
    ("--schedules=cosine:total_steps=x", ["'x'", "cosine:total_steps=x"]),
    ("--schedules=cosine:bananas=3", ["'bananas=3'"]),
    ("--schedules=linear:baseline=nan", ["baseline", "nan"]),
    ("--schedules=linear:ratio=0", ["ratio", "(0, 1]", "0"]),
    ("--corpus=no/such/file.txt", ["no/such/file.txt", "toy, docstrings, ptb"]),
    ("--corpus=.", ["is a folder"]),
    ("--corpus=", ["text file"]),
    ("--stepz=4", ["--stepz=4"]),
    ("surprise", ["surprise"]),
]  # fmt: skip


@pytest.mark.parametrize("option, words", BAD_OPTIONS, ids=[option for option, _ in BAD_OPTIONS])
def test_compare_refuses_a_bad_option(command, text_file, tmp_path, monkeypatch, option, words):
    monkeypatch.chdir(tmp_path)
    arguments = ["compare", "--corpus", text_file, "--out", tmp_path / "out", *TINY, option]
    refused_before_anything_is_written(command, tmp_path, arguments, words)


def test_compare_refuses_a_penn_treebank_that_is_not_there(command, tmp_path):
    arguments = ["compare", "--corpus=ptb", "--root", tmp_path, "--out", tmp_path / "out", *TINY]
    refused_before_anything_is_written(command, tmp_path, arguments, [str(tmp_path), "ptb.train.txt"])


@pytest.mark.parametrize("out", ["file", "file/out", "file/deep/out"])
def test_compare_refuses_a_folder_that_cannot_be(command, text_file, tmp_path, out):
    (tmp_path / "file").write_text("in the way")
    arguments = ["compare", "--corpus", text_file, "--out", tmp_path / out, *TINY]
    refused_before_anything_is_written(command, tmp_path, arguments, [str(tmp_path / "file")])
