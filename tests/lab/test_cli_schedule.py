"""kldanneal schedule, and the program itself."""

import signal
import subprocess
import sys

import pytest
import torch
from test_cli import ENVIRONMENT, one_line_error, refused_before_anything_is_written, signals, tree

from kldanneal import Annealer
from kldanneal.shapes import Exponential, Logistic, Power, ZeroThenRamp


def numbers(stdout):
    """The table: what stands before the pictures."""
    return stdout.split("\n\n")[0].splitlines()


# --- schedule ---------------------------------------------------------------------------------------------------------


def test_schedule_prints_the_weights(command):
    annealers = {
        "constant": Annealer(1, disable=True),
        "monotonic": Annealer(50, ratio=0.5),
        "monotonic-long": Annealer(200, ratio=0.5),
        "cyclical": Annealer(50, cyclical=True, ratio=0.5),
        "cosine:total_steps=30:cyclical:baseline=0.1": Annealer(30, "cosine", 0.1, cyclical=True),
    }
    status, stdout, stderr = command("schedule", ",".join(annealers), "--steps=200", "--rows=9")
    assert (status, stderr) == (0, "")
    heading, *lines = numbers(stdout)
    assert heading.split() == ["step", *annealers]
    shown = [int(line.split()[0]) for line in lines]
    assert len(shown) == 9 and shown[0] == 0 and shown[-1] == 199 and shown == sorted(set(shown))
    for step, line in zip(shown, lines, strict=True):
        assert line.split()[1:] == [f"{annealer.schedule(200)[step]:.4f}" for annealer in annealers.values()]


def test_schedule_takes_shape_cycles_and_ratio(command):
    status, stdout, _ = command(
        "schedule", "cyclical", "--steps=30", "--rows=30", "--shape=logistic", "--cycles=3", "--ratio=0.8"
    )
    assert status == 0
    weights = [line.split()[1] for line in numbers(stdout)[1:]]
    annealer = Annealer(10, "logistic", cyclical=True, ratio=0.8)
    assert weights == [f"{weight:.4f}" for weight in annealer.schedule(30)]


@pytest.mark.parametrize("steps, count", [(1, 1), (2, 2), (21, 21), (1000, 21)])
def test_schedule_prints_no_step_twice(command, steps, count):
    lines = numbers(command("schedule", "constant", f"--steps={steps}", "--cycles=1")[1])[1:]
    shown = [int(line.split()[0]) for line in lines]
    assert len(shown) == count == len(set(shown)) and shown[0] == 0 and shown[-1] == steps - 1


def test_schedule_plots_into_a_file(command, tmp_path):
    status, stdout, _ = command("schedule", "constant,cyclical", "--plot", tmp_path / "schedules.png")
    assert status == 0 and str(tmp_path / "schedules.png") in stdout
    (content,) = tree(tmp_path).values()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and content[-8:-4] == b"IEND"


WRITTEN_OUT = {
    "linear:total_steps=40:max_weight=0.5:delay=10": Annealer(40, max_weight=0.5, delay=10),
    "cosine:total_steps=30:cyclical:cycles=2:ratio=0.5": Annealer(30, "cosine", cyclical=True, ratio=0.5, cycles=2),
    "linear:total_steps=50:max_weight=4:baseline=1": Annealer(50, baseline=1, max_weight=4),
    "constant:max_weight=0.25": Annealer.constant(0.25),
    "logistic:steepness=20:midpoint=0.25": Annealer(100, Logistic(20, 0.25)),
    "power:exponent=2:total_steps=60": Annealer(60, Power(2)),
    "exponential:rate=5": Annealer(100, Exponential(5)),
    "zero-then-ramp:zero=0.3:shape=power:exponent=2": Annealer(100, ZeroThenRamp(0.3, Power(2))),
    "zero-then-ramp:zero=0.3:shape=cosine:total_steps=50:cyclical":
        Annealer(50, ZeroThenRamp(0.3, "cosine"), cyclical=True),
    "monotonic:free_bits=0.1": Annealer(25, ratio=0.5),
    "power:exponent=0.5:free_bits=0.2": Annealer(100, Power(0.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_each_schedule_is_shown_as_a_picture_and_as_a_line_of_python_that_makes_it(command, name):
    status, stdout, _ = command("schedule", f"constant,{name}", "--steps=100", "--rows=3")
    assert status == 0
    _, _, block = stdout.split("\n\n")
    title, line, *picture = block.splitlines()
    assert title == name
    made = {}
    exec(line.strip(), made)  # it stands on its own
    assert made["annealer"] == WRITTEN_OUT[name] and made["annealer"].schedule(100) == WRITTEN_OUT[name].schedule(100)
    if "free_bits" in name:
        assert made["criterion"].free_bits == float(name.partition("free_bits=")[2])
    weights = WRITTEN_OUT[name].schedule(100)
    highest = max(weights[i * 99 // 63] for i in range(64))
    assert picture[0].split("|")[0].strip() == f"{highest:.3g}" and picture[-1].split() == ["0", "step", "99"]
    *bars, axis, _ = picture
    assert len(bars) == 6 and axis.strip() == "+" + "-" * 64
    full = [sum(len(bar) > 6 + i and bar[6 + i] == "█" for bar in bars) for i in range(64)]
    for i, height in enumerate(full):  # as many full blocks as the weight at that step is high
        assert abs(height - 6 * weights[i * 99 // 63] / highest) <= 1


def test_the_line_of_python_stands_beside_a_plot_too(command, tmp_path):
    _, stdout, _ = command("schedule", "cyclical", "--plot", tmp_path / "a.png")
    assert "annealer = Annealer(total_steps=250" in stdout


def test_a_terminal_in_ascii_has_a_picture_too():
    done = subprocess.run(
        [sys.executable, "-m", "kldanneal", "schedule", "cyclical"],
        capture_output=True, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"####" in done.stdout and done.stdout.isascii()


BAD_SCHEDULES = [
    (["bananas"], ["'bananas'", "constant, monotonic, monotonic-long, cyclical"]),
    ([""], ["''"]),
    (["constant,constant"], ["constant", "more than once"]),
    (["cosine:total_steps=-3"], ["total_steps", "-3"]),
    (["linear:delay=-1"], ["delay", "-1"]),
    (["linear:max_weight=-1"], ["max_weight", "-1"]),
    (["linear:cycles=2"], ["cyclical=True with cycles", "linear:cycles=2"]),
    (["linear:exponent=2"], ["exponent", "no parameter of the shape linear"]),
    (["power"], ["power with :exponent=X"]),
    (["power:exponent=0"], ["exponent", "0"]),
    (["power:exponent=2:exponent=3"], ["exponent", "twice"]),
    (["zero-then-ramp:zero=0.5:shape=round"], ["'round'", "power"]),
    (["zero-then-ramp:zero=0.5:shape=zero-then-ramp"], ["zero-then-ramp with :zero=X"]),
    (["constant:total_steps=3"], ["constant takes :max_weight=X and :free_bits=X alone"]),
    (["cyclical:free_bits=-1"], ["free_bits", "-1"]),
    (["cyclical:free_bits=much"], ["much"]),
    (["cyclical:free_bits=1:free_bits=2"], ["free_bits once"]),
    (["cyclical:max_weight=2"], ["'cyclical:max_weight=2'", "a shape"]),
    (["cyclical", "--shape=square"], ["'square'", "linear"]),
    *((["cyclical", f"--steps={value}"], ["--steps", f"but got {value}"]) for value in (0, -1, 10**12)),
    *((["cyclical", f"--steps={value}"], ["--steps", repr(value)]) for value in ("nan", "1.5")),
    *((["cyclical", f"--rows={value}"], ["--rows", str(value)]) for value in (0, -1, "nan")),
    *((["cyclical", f"--cycles={value}"], ["cycles", f"but got {value}"]) for value in (0, -1, 1001)),
    *((["cyclical", f"--ratio={value}"], ["ratio", f"but got {value}"]) for value in ("0.0", "1.5", "nan")),
    (["cyclical", "--plot=file/picture.png"], ["picture.png"]),
    (["cyclical", "--plot=no/such/folder/picture.png"], ["picture.png"]),
    (["cyclical", "--plot=."], ["."]),
    ([], ["schedules"]),
]  # fmt: skip


@pytest.mark.parametrize("arguments, words", BAD_SCHEDULES, ids=[" ".join(a) or "nothing" for a, _ in BAD_SCHEDULES])
def test_schedule_refuses_bad_input(command, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    refused_before_anything_is_written(command, tmp_path, ["schedule", *arguments], words)


@signals
def test_schedule_answers_at_once_for_a_run_of_a_thousand_million_steps(command):
    """With the weights, or with one line that refuses; not by filling the memory."""

    def too_late(*_):
        raise AssertionError("no answer within 20 seconds")

    previous = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(20)
    try:
        status, stdout, stderr = command("schedule", "cyclical", "--steps=1000000000", "--rows=2", "--cycles=1")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    if status == 0:
        assert stdout.split() == ["step", "cyclical", "0", "0.0000", "999999999", "1.0000"]
    else:
        one_line_error(status, stderr, "--steps", "1000000000")


# --- the program ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["compare"], ["schedule"]])
def test_help(command, arguments):
    status, stdout, stderr = command(*arguments, "--help")
    assert (status, stderr) == (0, "")
    assert stdout.startswith("usage: kldanneal")
    promised = {
        (): ["compare", "schedule", "--version"],
        ("compare",): ["--corpus", "--schedules", "--steps", "--seeds", "--shape", "--cycles", "--ratio", "--lr",
                       "--lr-schedule", "--embedding", "--hidden", "--latent", "--batch-size", "--word-dropout",
                       "--vocab-size", "--max-length", "--device", "--out", "--resume"],
        ("schedule",): ["--steps", "--shape", "--cycles", "--ratio", "--plot"],
    }  # fmt: skip
    for word in promised[tuple(arguments)]:
        assert word in stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            "compare --epochs 3",
            ["--epochs 3", "did you mean --steps, which counts updates?", "kldanneal compare --help"],
        ),
        ("compare --sed 3", ["--sed", "did you mean --seeds?", "kldanneal compare --help"]),
        ("compare --device cuda", ["'cuda'", "no CUDA here"]),
        ("compare --steps 1", ["cycles", "1 steps"]),
        ("schedule cyclical --stesp 9", ["--stesp", "did you mean --steps?", "kldanneal schedule --help"]),
    ],
)
def test_a_message_names_what_helps(command, tmp_path, monkeypatch, arguments, words):
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    monkeypatch.chdir(tmp_path)
    status, _, stderr = command(*arguments.split())
    one_line_error(status, stderr, *words)
    assert len(stderr) < 400 and tree(tmp_path) == {}


def test_one_update_needs_no_cycles(command):
    status, stdout, _ = command("schedule", "constant,linear", "--steps=1")
    assert status == 0 and numbers(stdout)[1].split() == ["0", "1.0000", "0.0000"]


@pytest.mark.parametrize("arguments, word", [([], "COMMAND"), (["bananas"], "bananas"), (["--bananas"], "bananas")])
def test_a_command_that_does_not_exist_is_one_line(command, arguments, word):
    status, _, stderr = command(*arguments)
    one_line_error(status, stderr)


def test_the_program_prints_a_schedule():
    done = subprocess.run(
        [sys.executable, "-m", "kldanneal", "schedule", "linear:total_steps=8", "--steps=8", "--rows=3"],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in numbers(done.stdout)] == [
        ["step", "linear:total_steps=8"], ["0", "0.0000"], ["4", "0.5000"], ["7", "0.8750"],
    ]  # fmt: skip


def test_the_program_refuses_bad_input_with_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kldanneal", "compare", "--corpus=nowhere.txt", f"--out={tmp_path / 'out'}"],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    one_line_error(done.returncode, done.stderr, "nowhere.txt")
    assert done.stdout == "" and tree(tmp_path) == {}


@signals
@pytest.mark.parametrize(
    "arguments, lines",
    [("schedule constant --steps=100000 --rows=100000", 1), ("schedule constant", 0), ("--help", 0)],
)
def test_a_reader_that_has_seen_enough_ends_the_program_without_a_word(arguments, lines):
    """As ``| head -1`` does: in the middle of the output, or before what is written last of all."""
    command = [sys.executable, "-m", "kldanneal", *arguments.split()]
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": ""}  # what is written waits, as usual
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    with subprocess.Popen(command, **pipes) as process:
        assert [process.stdout.readline().split() for _ in range(lines)] == [[b"step", b"constant"]][:lines]
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 141)
