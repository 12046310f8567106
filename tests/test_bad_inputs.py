"""What a person or a program may get wrong, and the error that it must give: its type, and words that it must hold.

The words are the value that was given, what was expected, and where there are some, the choices. Long lists of bad
values of one argument stand beside what they are about (test_annealing, test_loss, test_training, test_cli, ...).
"""

from pathlib import Path

import pytest
import torch

from kldanneal import Annealer, VAELoss, gaussian_kl
from kldanneal.lab.cli import main
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.results.tail import load_runs
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.hand import HandWeight, Replay
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.schedules import parse_schedule, parse_schedules
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets.driver import DriveTheWeight
from kldanneal.lab.widgets.side_by_side import SideBySide

X = torch.full((2, 5), 0.5)
MU = torch.zeros(2, 3)
IDS = torch.zeros(2, 4, dtype=torch.long)
LOGITS = torch.zeros(2, 4, 6)


class Refused(Exception):
    """The command ended with status 2 and one line on stderr, which is the message."""


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            status = main(list(arguments))
        except SystemExit as ended:  # argparse
            status = ended.code
        said = capsys.readouterr()
        assert (status, said.out) == (2, ""), (status, said)
        (line,) = said.err.splitlines()
        raise Refused(line)

    return run


def stored_runs(content):
    Path("runs.json").write_bytes(content)
    load_runs("map", "runs.json")


def text(content, **options):
    Path("text.txt").write_bytes(content)
    load_corpus("text.txt", **options)


LIBRARY = [
    (lambda _: Annealer(-1), ValueError, ["total_steps", "at least 0", "-1"]),
    (lambda _: Annealer(10.5), TypeError, ["total_steps", "integer", "10.5"]),
    (lambda _: Annealer("10"), TypeError, ["total_steps", "integer", "'10'"]),
    (lambda _: Annealer(10, "sigmoid"), ValueError, ["shape", "'linear', 'cosine', 'logistic'", "'sigmoid'"]),
    (lambda _: Annealer(10, 3), TypeError, ["shape", "'linear', 'cosine', 'logistic'", "3"]),
    (lambda _: Annealer(10, lambda p: 1 - p), ValueError, ["shape(0) = 0 and shape(1) = 1"]),
    (lambda _: Annealer(10, baseline=1.5), ValueError, ["baseline", "[0, 1]", "1.5"]),
    (lambda _: Annealer(10, baseline=float("nan")), ValueError, ["baseline", "[0, 1]", "nan"]),
    (lambda _: Annealer(10, ratio=0), ValueError, ["ratio", "(0, 1]", "0"]),
    (lambda _: Annealer(10, cyclical="yes"), TypeError, ["cyclical", "True or False", "'yes'"]),
    (lambda _: Annealer(10).cyclical_setter(1), TypeError, ["True or False", "1"]),
    (lambda _: Annealer(10).weight_at(-1), ValueError, ["step", "at least 0", "-1"]),
    (lambda _: Annealer(10, cyclical=True).schedule("all"), TypeError, ["integer", "'all'"]),
    (lambda _: Annealer(10).load_state_dict({}), ValueError, ["state of an Annealer", "total_steps"]),
    (lambda _: Annealer(10).load_state_dict(Annealer(20).state_dict()), ValueError, ["total_steps", "10", "20"]),
    (lambda _: Annealer(10).load_state_dict({**Annealer(10).state_dict(), "current_step": 11}), ValueError,
     ["current_step", "at most 10", "11"]),
    (lambda _: VAELoss("l1"), ValueError, ["reconstruction", "'cross_entropy'", "'l1'"]),
    (lambda _: VAELoss(reduction="sum"), ValueError, ["reduction", "'elbo', 'mean'", "'sum'"]),
    (lambda _: VAELoss("cross_entropy", ignore_index=1.5), TypeError, ["ignore_index", "integer", "1.5"]),
    (lambda _: VAELoss()(X.tolist(), X, MU, MU), TypeError, ["x", "Tensor", "list"]),
    (lambda _: VAELoss()(X, X[:, :4], MU, MU), ValueError, ["x0", "(2, 5)", "(2, 4)"]),
    (lambda _: VAELoss()(X + 1, X, MU, MU), ValueError, ["probabilities x", "[0, 1]", "1.5"]),
    (lambda _: VAELoss()(X, X - 1, MU, MU), ValueError, ["targets x0", "[0, 1]", "-0.5"]),
    (lambda _: VAELoss()(X, X, MU, MU[:, :2]), ValueError, ["mu", "logvar", "(2, 3)", "(2, 2)"]),
    (lambda _: VAELoss()(X, X, MU.long(), MU), TypeError, ["mu", "floating point", "int64"]),
    (lambda _: VAELoss("cross_entropy")(LOGITS, IDS.float(), MU, MU), TypeError, ["x0", "integer", "float32"]),
    (lambda _: VAELoss("cross_entropy")(LOGITS, IDS + 6, MU, MU), ValueError, ["x0", "6"]),
    (lambda _: gaussian_kl(1.0, MU), TypeError, ["mu", "Tensor", "float"]),
    (lambda _: gaussian_kl(MU, [0.0]), TypeError, ["logvar", "Tensor", "list"]),
    (lambda _: gaussian_kl(MU, torch.zeros(3)), ValueError, ["same shape", "(2, 3)", "(3,)"]),
    (lambda _: gaussian_kl(MU, torch.zeros(2, 4)), ValueError, ["same shape", "(2, 3)", "(2, 4)"]),
]  # fmt: skip

CORPORA = [
    (lambda _: load_corpus("docstring"), ValueError, ["toy, docstrings, ptb", "docstring"]),
    (lambda _: load_corpus("."), ValueError, ["text file", "folder"]),
    (lambda _: load_corpus("toy", max_length="ten"), TypeError, ["max_length", "integer", "'ten'"]),
    (lambda _: load_corpus("toy", max_length=0), ValueError, ["max_length", "at least 1", "0"]),
    (lambda _: load_corpus("toy", vocab_size=1), ValueError, ["vocab_size", "at least 2", "1"]),
    (lambda _: load_corpus("toy", vocab_size=2.5), TypeError, ["vocab_size", "integer", "2.5"]),
    (lambda _: load_corpus("ptb", root="nowhere"), FileNotFoundError, ["nowhere", "ptb.train.txt"]),
    (lambda _: text(b""), ValueError, ["text.txt", "empty"]),
    (lambda _: text(b"\0" * 99), ValueError, ["text.txt", "binary", "line 1"]),
    (lambda _: text(b"caf\xe9 au lait\n" * 200), ValueError, ["text.txt", "UTF-8"]),
    (lambda _: text(b"the same line\n" * 200), ValueError, ["text.txt", "at least 100 distinct sentences", "got 1"]),
    (lambda _: text(b"word " * 10_000), ValueError, ["text.txt", "one sentence a line", "10,001"]),
]

RUNS = [
    (lambda _: Settings(steps=0), ValueError, ["steps", "at least 1", "0"]),
    (lambda _: Settings(hidden=64.0), TypeError, ["hidden", "integer", "64.0"]),
    (lambda _: Settings(lr=-1), ValueError, ["lr", "positive finite", "-1"]),
    (lambda _: Settings(word_dropout=1.0), ValueError, ["word_dropout", "[0, 1)", "1.0"]),
    (lambda _: Settings(pooling="mean"), ValueError, ["pooling", "'max', 'last'", "'mean'"]),
    (lambda _: Settings(lr_schedule="cosine"), ValueError, ["lr_schedule", "'cosine-restarts'", "'cosine'"]),
    (lambda _: LSTMVAE(10, pooling="sum"), ValueError, ["pooling", "'max', 'last'", "'sum'"]),
    (lambda _: Run("toy", Annealer(1)), TypeError, ["corpus", "Corpus", "'toy'"]),
    (lambda corpus: Run(corpus, Annealer(1), {"steps": 5}), TypeError, ["settings", "Settings", "{'steps': 5}"]),
    (lambda corpus: Run(corpus, Annealer(1), seed=-1), ValueError, ["seed", "at least 0", "-1"]),
    (lambda corpus: Run(corpus, Annealer(1), device="gpu"), ValueError, ["device", "'auto', 'cpu' or 'cuda'", "'gpu'"]),
    (lambda corpus: Comparison(corpus, {}), ValueError, ["at least one schedule"]),
    (lambda corpus: Comparison(corpus, {"a": Annealer(1)}, seeds=[0.5]), TypeError, ["seed", "int", "0.5"]),
    (lambda _: parse_schedule("cyclic", steps=100), ValueError, ["constant, monotonic", "'cyclic'"]),
    (lambda _: parse_schedule("linear:total_steps=ten", steps=100), ValueError, ["'ten'", "not a number"]),
    (lambda _: parse_schedule("cyclical", steps=100, cycles=0), ValueError, ["cycles", "at least 1", "0"]),
    (lambda _: parse_schedules(["constant"] * 2, steps=100), ValueError, ["every schedule once", "constant"]),
    (lambda _: stored_runs(b'{"about": {}}'), ValueError, ["runs.json", "cannot be read", "'runs'"]),
    (lambda _: stored_runs(b"[]"), ValueError, ["runs.json", "cannot be read", "list"]),
    (lambda _: stored_runs(b"{"), ValueError, ["runs.json", "cannot be read", "JSON"]),
    (lambda _: stored_runs(b"\x80\x04}\x94."), ValueError, ["runs.json", "cannot be read", "utf-8"]),
]

WIDGETS = [
    (lambda _: SideBySide("toy"), TypeError, ["corpus", "Corpus", "'toy'"]),
    (lambda corpus: SideBySide(corpus, 2000), TypeError, ["settings", "Settings", "2000"]),
    (lambda corpus: SideBySide(corpus, seed="x"), TypeError, ["seed", "int", "'x'"]),
    (lambda corpus: SideBySide(corpus, seed=-1), ValueError, ["seed", "-1"]),
    (lambda corpus: SideBySide(corpus, device="tpu9"), ValueError, ["device", "'auto', 'cpu' or 'cuda'", "'tpu9'"]),
    (lambda _: DriveTheWeight("toy"), TypeError, ["corpus", "Corpus", "'toy'"]),
    (lambda corpus: DriveTheWeight(corpus, settings=3), TypeError, ["settings", "Settings", "3"]),
    (lambda corpus: DriveTheWeight(corpus, device="tpu9"), ValueError, ["device", "'auto', 'cpu' or 'cuda'", "'tpu9'"]),
    (lambda _: HandWeight(1.5), ValueError, ["position", "[0, 1]", "1.5"]),
    (lambda _: HandWeight("low"), TypeError, ["position", "number", "'low'"]),
    (lambda _: Replay([]), ValueError, ["at least one weight"]),
    (lambda _: Replay([0.5, 2]), ValueError, ["weights[1]", "[0, 1]", "2"]),
]


@pytest.mark.parametrize("call, error, words", [*LIBRARY, *CORPORA, *RUNS, *WIDGETS])
def test_bad_input_is_refused_by_name_and_value(tiny_corpus, tmp_path, monkeypatch, call, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        call(tiny_corpus)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("compare --steps many", ["--steps", "'many'"]),
        ("compare --steps 0", ["steps", "at least 1", "0"]),
        ("compare --seeds 0", ["--seeds", "at least 1", "0"]),
        ("compare --schedules cyclic", ["constant, monotonic", "'cyclic'"]),
        ("compare --schedules constant,constant", ["every schedule once", "constant"]),
        ("compare --corpus nowhere.txt", ["toy, docstrings, ptb", "nowhere.txt"]),
        ("compare --device gpu", ["device", "'auto', 'cpu' or 'cuda'", "'gpu'"]),
        ("compare --lr nan", ["lr", "positive finite", "nan"]),
        ("compare --shape square", ["--shape", "'square'", "linear"]),
        ("compare --resume --out nowhere", ["--resume", "nowhere", "config.json"]),
        ("compare --max-length 0 --corpus toy", ["max_length", "at least 1", "0"]),
        ("schedule cyclical --steps 0", ["--steps", "at least 1", "0"]),
        ("schedule cyclical --steps 9 --cycles 4", ["cycles", "9 steps", "4"]),
        ("schedule linear:baseline=2", ["baseline", "[0, 1]", "2"]),
        ("schedule", ["schedules"]),
        ("compere", ["'compere'", "compare"]),
    ],
)
def test_the_command_refuses_bad_input_in_one_line(command, tmp_path, arguments, words):
    with pytest.raises(Refused) as caught:
        command(*arguments.split())
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert str(caught.value).startswith("kldanneal") and list(tmp_path.iterdir()) == []
