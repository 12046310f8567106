"""Every command in the `sh` blocks of the README pages, and those in MORE, run as it stands, in a copy.

What trains for an hour is begun, and interrupted once it has saved something; a server is asked for its pages.
"""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from elsewhere import ROOT, copy_of_the_repository, environment, environment_on_top
from submissions import STUCK, WRONG, submission

pytestmark = pytest.mark.skipif(os.name == "nt", reason="make, and the signals of POSIX")
README, COURSEWORK, BENCHMARKS = (
    (ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "notebooks/coursework/README.md", "tests/benchmarks/README.md")
)

#: What CONTRIBUTING and `kldanneal compare --help` say, in blocks whose commands belong together.
MORE = [
    [
        "kldanneal compare --corpus toy --seeds 5 --out toy",
        "kldanneal compare --resume --out toy",
        "kldanneal compare --resume --out toy --tail 2000",
    ],
    ["kldanneal compare --corpus reviews.tsv.gz --text-column 2 --out reviews"],
    ["kldanneal compare --corpus my.txt --schedules constant,cosine:total_steps=500:cyclical --out mine"],
    ["kldanneal schedule cyclical,cosine:total_steps=500 --plot schedules.png"],
    ['python -m pip install -e ".[test]"', "python -m pytest"],
    ["make evidence"],
    ["make results"],
]


def blocks(language, page):
    """The commands of each code block of a page, without comments; or, of text, its lines."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page, re.DOTALL | re.MULTILINE)
    lines = [[re.sub(r"\s+# .*", "", line).strip() for line in block.splitlines()] for _, block in found]
    return [[line for line in block if line] for block in lines]


class Shell:
    """A folder, and the variables and the lines (of `cd`, and the like) that a command starts with."""

    def __init__(self, folder, variables):
        self.folder, self.variables, self.before = folder, variables, []

    @contextmanager
    def started(self, command):
        """A command, as a process whose output goes to a file; nothing of it is left when the context ends."""
        log = self.folder / "output.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", " && ".join([*self.before, command])], cwd=self.folder, env=self.variables,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                # a shell that runs tests in the background has its children ignore SIGINT
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        process.said = lambda: log.read_text(encoding="utf-8")
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def until(what, process, seconds=180):
    """What a function returns, once it is true, while a process runs."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None, f"it ended with {process.returncode}:\n{process.said()}"
        assert time.monotonic() < end, f"not within {seconds} s:\n{process.said()}"
        time.sleep(0.1)
    return found


# ----------------------------------------------------------------------------------- the ways in which a command is run


def to_its_end(shell, command, seconds=300):
    with shell.started(command) as process:
        assert process.wait(seconds) == 0, process.said()
        return process.said()


def remembered(shell, command):
    """For `cd` and the like: every command after it begins with it."""
    to_its_end(shell, command)
    shell.before.append(command)


def one_test_file(form):
    """For what runs all tests: they are not run inside themselves, so it is told to run one file, in some form."""

    def how(shell, command):
        said = to_its_end(shell, f"{command} {form.format('tests/test_loss.py')}")
        assert re.search(r"\b[1-9]\d* passed", said), said

    return how


def as_ci_does(how):
    """The same, if .ci/run has the command as it stands."""

    def checked(shell, command):
        assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        how(shell, command)

    return checked


def read(url):
    """A page, or nothing while no server answers."""
    try:
        with urllib.request.urlopen(url, timeout=60) as page:
            return page.read().decode()
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        return ""


def serves(url, expected):
    """JupyterLab, until what it serves at a path holds a text; its own address is the one that it prints."""

    def how(shell, command):
        with shell.started(command) as process:
            printed = until(lambda: re.search(r"http://127\.0\.0\.1:\d+/lab\S*\?token=\w+", process.said()), process)[0]
            assert "JupyterLab" in until(lambda: read(printed), process)
            assert expected in read(re.sub(r"/lab[^?]*", url, printed))
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    return how


def interrupted(shell, command, pattern):
    """Training, until a checkpoint is there that was not, and then Ctrl-C; its exit status, and what it said."""

    def saved():
        return {path: path.stat().st_mtime_ns for path in shell.folder.glob(pattern)}

    before = saved()
    with shell.started(command) as process:
        until(lambda: saved() != before, process)
        os.killpg(process.pid, signal.SIGINT)
        return process.wait(60), process.said()


def begins(pattern):
    """For what trains longer than a test may take."""
    return lambda shell, command: interrupted(shell, command, pattern)


def compare(shell, command):
    out = re.search(r"--out (\S+)", command)[1]
    status, said = interrupted(shell, command, f"{out}/checkpoints/*.pt")
    assert status == 130, said
    assert f"kldanneal compare --resume --out {out}" in said and "Traceback" not in said


def resume(shell, command):
    def steps():
        paths = (shell.folder / re.search(r"--out (\S+)", command)[1] / "checkpoints").glob("*.pt")
        return sum(torch.load(path, weights_only=True)["step"] for path in paths)

    before = steps()
    assert before > 0
    compare(shell, command)
    assert steps() > before


def plot(shell, command):
    to_its_end(shell, command)
    assert (shell.folder / command.split()[-1]).read_bytes().startswith(b"\x89PNG")


def grade(shell, command):
    """Three submissions as in the table of the coursework's page, which is then what is printed."""
    inbox = shell.folder / re.search(r"(?:SUBMISSIONS=|grade\.py )(\S+)", command)[1]
    inbox.mkdir(parents=True, exist_ok=True)
    handed_in = {"right": {}, "wrong": WRONG["kl-sign"][0], "hanging": STUCK["endless-loop"][0]}
    for student, answers in handed_in.items():
        (inbox / f"{student}.ipynb").write_text(json.dumps(submission(answers)), encoding="utf-8")
    said = to_its_end(shell, command)
    (table,) = blocks("text", COURSEWORK)
    assert re.search(r"^student  .*?(?=\n\n)", said, re.DOTALL | re.MULTILINE)[0].splitlines() == table
    for student in handed_in:
        assert (shell.folder / f"notebooks/coursework/feedback/{student}/annealing/annealing.html").is_file()


def assignment(shell, command):
    release = shell.folder / "notebooks/coursework/release/annealing/annealing.ipynb"
    before = release.read_bytes()
    release.unlink()
    to_its_end(shell, command)
    assert release.read_bytes() == before


def results(shell, command):
    pages = [shell.folder / name for name in ("README.md", "notebooks/RESULTS.md")]
    before = [page.read_bytes() for page in pages]
    pages[1].unlink()
    to_its_end(shell, command)
    assert [page.read_bytes() for page in pages] == before


#: Each command by a pattern, and how it is run. A command in README that none of them fits is a failure: add it here.
def page(shell, command):
    """The page, in the file that its last line names."""
    if not (ROOT / "kldanneal" / "lab" / "results" / "map.json").exists():
        pytest.skip("the runs of the map are not stored yet")
    named = re.search(r"^(\S+): [\d,]+ bytes", to_its_end(shell, command), re.MULTILINE)[1]
    assert f"open `{named}`" in README
    assert (shell.folder / named).read_text(encoding="utf-8").startswith("<!doctype html>")


HOW = {
    r"make page": page,
    r"make lab": serves("/api/contents", "01_kl_vanishing.ipynb"),
    r"make test": as_ci_does(one_test_file("ARGS={}")),
    # what these two install is there already: that it can be had is seen where .venv is made
    r"python -m pip install torch": to_its_end,
    r'python -m pip install -e "\.\[(notebooks|test|coursework)\]"': to_its_end,
    r"python -m pytest": one_test_file("{}"),
    r"jupyter lab notebooks": serves("/api/contents", "01_kl_vanishing.ipynb"),
    r"kldanneal compare (?!--resume).+": compare,
    r"kldanneal compare --resume --out \w+( --tail \d+)?": resume,
    r"kldanneal schedule .+ --plot \w+\.png": plot,
    r"make evidence": begins("evidence/**/*.pt"),
    r"make results": results,
    r"make bench": lambda shell, command: to_its_end(shell, f"QUICK=1 {command}"),
    r"make soak": lambda shell, command: to_its_end(
        shell, f'{command} ARGS="--kills 1 --examples 20 --pupils 2" SEEDS=0'
    ),
    r"make assignment VARIANT=autumn": begins("notebooks/coursework/variants/autumn/curves/**/*.pt"),
    r"make assignment": assignment,
    r"make grade SUBMISSIONS=\S+": grade,
    r"python notebooks/coursework/grade\.py \S+": grade,
    r"\. \.venv/bin/activate": remembered,
    r"cd notebooks/coursework": remembered,
    r"jupyter lab": serves("/lab", "@jupyter/nbgrader"),
}

BLOCKS = [*(block for page in (README, COURSEWORK, BENCHMARKS) for block in blocks("sh", page)), *MORE]

# ------------------------------------------------------------------------------------------------------------ the tests


@pytest.fixture(scope="module")
def clone(tmp_path_factory, text_file):
    """A copy of the repository whose .venv is this environment, and a text of one's own beside it."""
    folder = copy_of_the_repository(tmp_path_factory.mktemp("readme") / "kldanneal")
    (folder / ".venv").mkdir()
    for stamp in ("lab", "ready"):
        (folder / ".venv" / stamp).touch()
    for part in Path(sys.prefix).iterdir():
        if part.name not in ("lab", "ready"):
            (folder / ".venv" / part.name).symlink_to(part)
    shutil.copy(text_file, folder / "my.txt")
    reviews = "".join(f"5\t{line}" for line in text_file.read_text(encoding="utf-8").splitlines(keepends=True))
    (folder / "reviews.tsv.gz").write_bytes(gzip.compress(reviews.encode()))
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The PATH of an environment of one's own."""
    python, _ = environment_on_top(tmp_path_factory.mktemp("environment") / "own")
    return os.pathsep.join(map(str, [python.parent, Path(sys.executable).parent, os.environ["PATH"]]))


@pytest.fixture
def shell(clone, tmp_path, commands, request):
    settings = tmp_path / "jupyter_server_config.json"  # root, as in a container, must say that it means it
    settings.write_text(json.dumps({"ServerApp": {"allow_root": True, "ip": "127.0.0.1"}}), encoding="utf-8")
    own = {name: str(tmp_path) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    if not commands[0].startswith(("make", ". ")):  # those name the environment by themselves
        own["PATH"] = request.getfixturevalue("programs")
    return Shell(clone, environment(PYTHONPATH=str(clone), BROWSER="true", **own))


@pytest.mark.parametrize("commands", BLOCKS, ids=lambda commands: commands[0])
def test_the_commands_of_a_block(shell, commands):
    for command in commands:
        fitting = [how for pattern, how in HOW.items() if re.fullmatch(pattern, command)]
        assert len(fitting) == 1, f"a page says {command}: add to HOW how that is run"
        fitting[0](shell, command)


@pytest.mark.parametrize(
    ("page", "kinds"), [(README, {"python", "sh"}), (COURSEWORK, {"sh", "text"}), (BENCHMARKS, {"sh"})]
)
def test_there_is_no_other_kind_of_code_block(page, kinds):
    fences = re.findall(r"^ *```(.*)$", page, re.MULTILINE)
    assert set(fences[::2]) == kinds and set(fences[1::2]) == {""}  # python: doctests of README.md
