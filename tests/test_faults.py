"""What can go wrong around the package: kills, full disks, no network, bad servers, files of strangers, overflow.

``make soak`` runs the same tests for longer; KLDANNEAL_SOAK is then the number of kills.
"""

import csv
import errno
import http.server
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import same

import kldanneal
from kldanneal import Annealer, VAELoss
from kldanneal.lab.cli import main
from kldanneal.lab.corpora import ptb
from kldanneal.lab.results.tail import load_runs
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings

KILLS = int(os.environ.get("KLDANNEAL_SOAK", 3))
SMALL = Settings(steps=12, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4)
TINY = ["--steps=12", "--seeds=1", "--embedding=8", "--hidden=8", "--latent=2"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(kldanneal.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
TESTS = Path(__file__).parent


def tree(folder):
    """Everything below a folder: the content of the files by their path, None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT, **options
    )


# --- kill -9 ----------------------------------------------------------------------------------------------------------


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: value for key, value in row.items() if key not in ("seconds", "sentences_per_second")}
                for row in csv.DictReader(file)]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork of POSIX")
def test_killed_and_resumed_is_the_uninterrupted_comparison_bit_for_bit(text_file, tmp_path, record_property):
    started, seed = time.monotonic(), 0
    arguments = [tmp_path, text_file, f"--steps={300 if KILLS <= 3 else 1000}", f"--kills={KILLS}", f"--seed={seed}"]
    done = python(TESTS / "soak" / "kills.py", *arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["kills"]) == KILLS
    for out in report["finished"]:
        for name in ("history.csv", "samples.txt"):
            assert (tmp_path / out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert rows(tmp_path / out / "summary.csv") == rows(tmp_path / "whole" / "summary.csv")
        names = {path.name for path in (tmp_path / out / "checkpoints").iterdir()}
        assert names == {"constant-0.pt", "cyclical-0.pt"}  # what the killed left behind is gone
        for name in names:
            mine, theirs = (torch.load(tmp_path / f / "checkpoints" / name, weights_only=True) for f in (out, "whole"))
            assert same(mine, theirs)
    assert [point["code"] for point in report["points"]] == [-9, -9, -9]
    assert [point["partial"] for point in report["points"]] == [True, True, False]
    # killed inside its second write of 25 updates each: the first is on the disk, the second only with its name
    progress = [point["after"]["constant-0"] - point["before"].get("constant-0", 0) for point in report["points"]]
    assert progress == [25, 25, 50]
    for name, value in [
        ("kills", f"{KILLS} at random moments, {len(report['points'])} inside the write of a checkpoint"),
        ("steps on the disk", "; ".join("/".join(map(str, kill["steps"].values())) for kill in report["kills"])),
        ("seconds after which", ", ".join(f"{kill['life']:.1f}" for kill in report["kills"])),
        ("comparisons finished", len(report["finished"])),
        ("seconds of the test", round(time.monotonic() - started)),
    ]:
        record_property(name, value)


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full of Linux")
def test_a_disk_without_space_is_named_and_the_old_checkpoint_stays(tiny_corpus, tmp_path):
    run, path = Run(tiny_corpus, Annealer(4), SMALL, device="cpu"), tmp_path / "run.pt"
    run.save(path)
    good = path.read_bytes()
    run.update()
    (tmp_path / "run.pt.partial").symlink_to("/dev/full")  # where the kernel itself says ENOSPC
    with pytest.raises(OSError) as caught:
        run.save(path)
    assert str(path) in str(caught.value) and os.strerror(errno.ENOSPC) in str(caught.value)
    assert tree(tmp_path) == {"run.pt": good}


# --- no network -------------------------------------------------------------------------------------------------------

OFFLINE = """
import sys
from pathlib import Path

asked = []

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        asked.append((event, arguments))
        raise OSError(101, "Network is unreachable")

sys.addaudithook(refuse)  # below every library, and nothing can take it away

import kldanneal, kldanneal.lab
from kldanneal.lab.corpora import docstrings, ptb
from kldanneal.lab.cli import main
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.widgets.driver import DriveTheWeight
from kldanneal.lab.widgets.explorer import ScheduleExplorer
from kldanneal.lab.widgets.side_by_side import SideBySide

text, folder = sys.argv[1], Path(sys.argv[2])
docstrings.user_cache_path = ptb.user_cache_path = lambda *_: folder / "cache"
docstrings._roots = lambda: (Path(sys.modules[name].__file__).parent for name in ("email", "json"))
assert len(load_corpus("docstrings", max_length=30).train) > 50
assert len(load_corpus("toy").train) == 20_000
options = ["--steps=8", "--seeds=1", "--embedding=4", "--hidden=4", "--latent=2"]
assert main(["compare", "--corpus", text, "--out", str(folder / "out"), *options]) == 0
assert main(["schedule", "cyclical"]) == 0
corpus = load_corpus(text)
for widget in (ScheduleExplorer(), SideBySide(corpus), DriveTheWeight(corpus)):
    widget.close()
print("asked", len(asked), asked)

assert main(["compare", "--corpus=ptb", "--out", str(folder / "ptb"), *options]) == 2
assert asked, "the download went around the hook"
assert not list((folder / "cache").glob("penn-treebank*")) and not (folder / "ptb").exists()
"""


def test_everything_but_the_penn_treebank_works_without_a_network(text_file, tmp_path):
    done = python("-c", OFFLINE, text_file, tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "asked 0 []" in done.stdout
    last = done.stderr.splitlines()[-1]
    for words in ("kldanneal: error: The Penn Treebank could not be downloaded", "By hand", "--corpus docstrings"):
        assert words in last


class Server(http.server.ThreadingHTTPServer):
    """A server on this machine that answers every request as ``answer`` does."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                answer(handler, Path(handler.path).name)

            def log_message(handler, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.block_on_close = False


FILES = {name: f"the first line of {name}\n".encode() * 2000 for name in ptb.MD5}


def whole(handler, name):
    send(handler, FILES[name], len(FILES[name]))


def send(handler, content, promised, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(promised))
    handler.end_headers()
    handler.wfile.write(content)
    handler.wfile.flush()


def silent(handler, name):
    time.sleep(60)


def stalled(handler, name):
    send(handler, FILES[name][:20_000], len(FILES[name]))
    time.sleep(60)


def truncated(handler, name):
    send(handler, FILES[name][:-100], len(FILES[name]))
    handler.close_connection = True


def another(handler, name):
    send(handler, b"x" * 1000, 1000)


def missing(handler, name):
    send(handler, b"404: Not Found", 14, status=404)


def redirected_for_ever(handler, name):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def last_one_missing(handler, name):
    (missing if "test" in name else whole)(handler, name)


@pytest.fixture
def treebank_from(tmp_path, monkeypatch):
    """Has torchtext download from a server on this machine, into an empty cache."""
    servers = []

    def serve(answer):
        servers.append(Server(answer))
        threading.Thread(target=partial(servers[-1].serve_forever, poll_interval=0.01), daemon=True).start()
        address = f"http://127.0.0.1:{servers[-1].server_port}"
        monkeypatch.setattr(ptb.PennTreebank, "urls", [f"{address}/{name}" for name in FILES])

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ptb, "user_cache_path", lambda *_: tmp_path / "cache")
    monkeypatch.setattr(ptb, "MD5", {name: ptb.hashlib.md5(content).hexdigest() for name, content in FILES.items()})
    monkeypatch.setattr(ptb, "PATIENCE", 0.5)
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "answer, reason",
    [(silent, "timed out"), (stalled, "timed out"), (truncated, "IncompleteRead"), (missing, "404 Client Error"),
     (another, "ptb.train.txt arrived with the MD5 sum"), (redirected_for_ever, "redirects"),
     (last_one_missing, "404 Client Error")],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_a_bad_server_is_named_and_nothing_half_written_is_left(treebank_from, tmp_path, answer, reason):
    treebank_from(answer)
    started = time.monotonic()
    with pytest.raises(ConnectionError) as caught:
        ptb.read()
    assert time.monotonic() - started < 30  # not when the server gives up
    for words in ("Penn Treebank could not be downloaded", reason, "By hand", *FILES, "--root", "--corpus docstrings"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == {"cache": None}
    treebank_from(whole)
    assert [len(lines) for lines in ptb.read()] == [2000] * 3  # the next attempt is not harmed


# --- files of strangers -----------------------------------------------------------------------------------------------


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("write", [partial(pickle.dump, protocol=2), pickle.dump, torch.save], ids=["2", "5", "torch"])
def test_a_bomb_for_a_checkpoint_or_stored_runs_is_refused_unexecuted(text_file, tmp_path, capsys, write):
    arguments = ["compare", "--corpus", str(text_file), "--schedules=constant", "--out", str(tmp_path / "out"), *TINY]
    assert main(arguments) == 0
    checkpoint, runs, marker = (
        tmp_path / "out/checkpoints/constant-0.pt",
        tmp_path / "runs.json",
        tmp_path / "executed",
    )
    for path in (checkpoint, runs):
        with path.open("wb") as file:
            write({"identity": {}, "runs": [Bomb(marker)]}, file)
    capsys.readouterr()
    assert main(["compare", "--resume", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(checkpoint) in error and "cannot be read" in error
    with pytest.raises(ValueError, match=r"The stored runs .*runs\.json cannot be read"):
        load_runs("map", runs)
    assert not marker.exists()
    torch.load(checkpoint, weights_only=False) if write is torch.save else pickle.loads(checkpoint.read_bytes())
    assert marker.exists()  # the bomb is a real one


NASTY = [
    "..",
    "../../written",
    "/written",
    "~/written",
    "C:\\written",
    "$(touch written)",
    "`touch written`",
    "\x1b[2J",
]


@pytest.mark.parametrize("name", ["..txt", "-o written", "$(touch written)", "a,b;touch written", "toy\n.txt", "café"])
def test_a_text_file_cannot_have_anything_written_outside_the_folder(text_file, tmp_path, monkeypatch, name):
    """Neither by its name nor by its words, which become vocabulary, samples and pictures."""
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = text_file.read_text(encoding="utf-8").splitlines()
    (inside / name).write_text("\n".join(f"{line} {NASTY[i % len(NASTY)]}" for i, line in enumerate(lines)), "utf-8")
    before = tree(tmp_path)
    assert main(["compare", "--schedules=constant", *TINY, "--corpus", f"./{name}", "--out", "results"]) == 0
    written = {path for path, content in tree(tmp_path).items() if path not in before or before[path] != content}
    assert "a/b/results/samples.txt" in written
    assert [path for path in written if not (path + "/").startswith("a/b/results/")] == []


@pytest.mark.parametrize("name", ["../written", "/written", "a/b", "a\\b", "..\\written", "a\0b"])
def test_a_schedules_name_cannot_leave_the_folder_of_checkpoints(tiny_corpus, tmp_path, name):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    name = str(tmp_path / "written") if name == "/written" else name
    with pytest.raises(ValueError) as caught:
        Comparison(tiny_corpus, {"constant": Annealer(1), name: Annealer(1)}, SMALL, checkpoints=folder)
    assert repr(name) in str(caught.value) and "name" in str(caught.value)
    assert tree(tmp_path) == {"a": None, "a/b": None}


@pytest.mark.parametrize("name", ["../x", "/x", "linear:../../x", "linear:ratio=../x", "linear:total_steps=8/../../x"])
def test_the_command_has_no_schedule_of_such_a_name(text_file, tmp_path, capsys, name):
    assert (
        main(["compare", "--corpus", str(text_file), "--out", str(tmp_path / "o"), f"--schedules={name}", *TINY]) == 2
    )
    assert name in capsys.readouterr().err and tree(tmp_path) == {}


# --- numbers that are not finite --------------------------------------------------------------------------------------

DTYPES = [torch.bfloat16, torch.float32, torch.float64]
LOGVARS = (-math.inf, -1e30, -1000.0, -100.0, 0.0, 80.0, 88.0, 89.0, 1000.0, 1e30, math.inf, math.nan)


@pytest.mark.parametrize("weight", [0.0, 1e-6, 0.5, 1.0])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("logvar", LOGVARS)
def test_a_finite_loss_has_finite_gradients_whatever_the_posterior(logvar, dtype, weight):
    """Otherwise the loss itself says so: no step of an optimizer can go wrong without a sign of it."""
    annealer = Annealer(1, baseline=weight)
    inputs = [torch.zeros(2, 3, dtype=dtype), torch.zeros(2, 3), torch.ones(2, 4, dtype=dtype)]
    x, x0, mu = inputs
    spread = torch.full((2, 4), logvar, dtype=dtype)
    leaves = [tensor.requires_grad_() for tensor in (x, mu, spread)]
    bce, kld = VAELoss("bce_with_logits", validate=False)(x, x0, mu, spread)
    loss = bce + annealer(kld)
    loss.backward()
    limit = math.log(torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).max / 4)
    if math.isfinite(logvar) and logvar < limit:
        assert loss.isfinite()
    if loss.isfinite():
        assert all(leaf.grad.isfinite().all() for leaf in leaves)
    if not -1e30 <= logvar < limit:
        assert not loss.isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("huge", [1e3, 6e4])
def test_huge_losses_of_half_precision_keep_their_weight_and_their_gradients(dtype, huge):
    """Summed over 64 x 300 elements they are far beyond float16's largest number, 65504."""
    x = torch.full((64, 300), -huge, dtype=dtype, requires_grad=True)
    mu = torch.full((64, 8), 200.0, dtype=dtype, requires_grad=True)
    annealer = Annealer(3)
    annealer.step()
    bce, kld = VAELoss("bce_with_logits")(x, torch.ones(64, 300), mu, torch.zeros(64, 8, dtype=dtype))
    loss = bce + annealer(kld)
    loss.backward()
    assert loss.item() == pytest.approx(300 * -x[0, 0].item() + (1 / 3) * 8 * 200**2 / 2, rel=1e-5)
    torch.testing.assert_close(x.grad, torch.full_like(x, -1 / 64))
    torch.testing.assert_close(mu.grad, torch.full_like(mu, 200 / 64 / 3))


@pytest.mark.parametrize("logvar, kl", [(1000.0, "inf"), (math.inf, "(inf|nan)"), (-math.inf, "(inf|nan)")])
@pytest.mark.parametrize("baseline", [0.0, 1.0])
def test_a_run_stops_where_its_posteriors_explode(tiny_corpus, logvar, kl, baseline):
    run = Run(tiny_corpus, Annealer(10**6, baseline=baseline), SMALL, name="mine", device="cpu")
    run.update()
    with torch.no_grad():
        run.model.to_logvar.bias.fill_(logvar)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    with pytest.raises(FloatingPointError, match=rf"step 1 of mine \(seed 0\), KL weight .*kl {kl}.*logvar"):
        run.update()
    assert same(dict(run.model.state_dict()), before)  # no weight was touched
    assert run.step == 1


@pytest.mark.parametrize("logvar", [-80.0, -1000.0, -1e30])
def test_a_run_with_posteriors_of_no_variance_goes_on_with_finite_weights(tiny_corpus, logvar):
    run = Run(tiny_corpus, Annealer(6), SMALL, device="cpu")
    with torch.no_grad():
        run.model.to_logvar.bias.fill_(logvar)
    run.fit()
    assert run.step == SMALL.steps
    assert all(value.isfinite().all() for value in run.model.state_dict().values())
    assert all(map(math.isfinite, run.history()["kl"]))
