"""What mypy --strict and pyright say about a program that uses the package, where the package is installed.

Each line that ends with ``# is T`` has an expression of type T, each that ends with ``# wrong`` is an error, and no
other line is. ``make test`` runs both checkers on the package itself.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from kldanneal import Annealer, VAELoss, gaussian_kl
from kldanneal.diagnostics import Posteriors
from kldanneal.shapes import Logistic


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.criterion = VAELoss("cross_entropy", "elbo", ignore_index=0, free_bits=0.1)
        self.annealer = Annealer(total_steps=10, shape="cosine", cyclical=True, ratio=0.5, max_weight=2, delay=1)

    def loss(self, x: Tensor, x0: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        bce, kld = self.criterion(x, x0, mu, logvar)
        reveal_type(bce)  # is Tensor
        reveal_type(self.annealer(kld))  # is Tensor
        return bce + self.annealer(kld)


def train(model: Model, batches: list[Tensor], optimizer: torch.optim.Adam) -> list[float]:
    weights: list[float] = []
    posteriors = Posteriors()
    for x0 in batches:
        mu = logvar = x0
        loss = model.loss(x0, x0, mu, logvar)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        weights.append(model.annealer.weight)
        model.annealer.step()
        posteriors.add(mu, logvar)
    reveal_type(weights)  # is list[float]
    reveal_type(posteriors.report().verdict == "collapsed")  # is bool
    print(posteriors.report())
    return weights


ones = torch.ones(1, 1)
shape: Callable[[float], float] = lambda p: p**2
annealer = Annealer(10, shape)
reveal_type(annealer.weight)  # is float
reveal_type(annealer.weight_at(3))  # is float
reveal_type(annealer.schedule(3))  # is list[float]
reveal_type(annealer(ones))  # is Tensor
reveal_type(annealer(1.5))  # is float
reveal_type(annealer.state_dict()["current_step"])  # is Any
reveal_type(Annealer.constant(0.5))  # is Annealer
reveal_type(VAELoss()(ones, ones, ones, ones))  # is tuple[Tensor, Tensor]
reveal_type(gaussian_kl(ones, ones))  # is Tensor
Annealer(np.int64(10), baseline=np.float32(0.1))
Annealer(10, np.square)
Annealer(10, Logistic(steepness=20))
annealer.set_cyclical(True)
annealer.load_state_dict(annealer.state_dict(), strict=False)
annealer.current_step = 3
Annealer(10, "sigmoid")  # wrong
Annealer(10.5)  # wrong
Annealer("10")  # wrong
Annealer(10, "linear", 0.0, False, False, 0.5)  # wrong
Annealer(10, ratio="half")  # wrong
VAELoss("l1")  # wrong
VAELoss("bce", "sum")  # wrong
VAELoss()(ones, ones, ones)  # wrong
VAELoss()(ones, ones, 1.0, ones)  # wrong
gaussian_kl(1.0, 1.0)  # wrong
annealer.stpe()  # wrong
"""

CALLBACKS = """
import lightning.pytorch
import pytorch_lightning
import transformers

from kldanneal import Annealer
from kldanneal.integrations import lightning as ours, transformers as ours_too

annealer = Annealer(10)
lightning.pytorch.Trainer(callbacks=[ours.AnnealerCallback(annealer)])
pytorch_lightning.Trainer(callbacks=[ours.AnnealerCallback(), ours.AnnealerCallback(annealer, "beta")])
transformers.Trainer(callbacks=[ours_too.AnnealerCallback(annealer, name="beta")])
ours.AnnealerCallback(10)  # wrong
ours_too.AnnealerCallback(annealer, 10)  # wrong
"""

CACHE = Path(__file__).resolve().parents[1] / ".mypy_cache" / "programs"  # torch alone takes 15 s without it
pytestmark = pytest.mark.skipif(
    not importlib.metadata.packages_distributions().get("kldanneal"), reason="not installed"
)


def mypy(file, python):
    command = ["mypy", "--strict", "--output=json", "--cache-dir", str(CACHE), "--python-executable", str(python)]
    said = [json.loads(line) for line in run([*command, str(file)], file.parent).splitlines()]
    return [(one["line"], one["severity"], one["message"]) for one in said]


def pyright(file, python):
    command = ["pyright", "--outputjson", "--pythonpath", str(python), str(file)]
    said = json.loads(run(command, file.parent))["generalDiagnostics"]
    return [(one["range"]["start"]["line"] + 1, one["severity"], one["message"]) for one in said]


def run(command, folder):
    """What a checker prints, in a folder of its own: it finds the package as it is installed, and no settings."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    ran = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=variables, capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def check(checker, program, folder, python=sys.executable):
    """Asserts what a checker says of a program that runs in the environment of ``python``."""
    file = folder / "program.py"
    file.write_text(program, encoding="utf-8")
    lines = dict(enumerate(program.splitlines(), start=1))
    said = checker(file, python)
    errors = {line: message for line, severity, message in said if severity == "error"}
    assert errors.keys() == {line for line, text in lines.items() if text.endswith("# wrong")}, errors
    types = {}
    for line, _, message in said:
        if found := re.search(r'(?:Revealed type|Type of ".*") is "(.*)"', message):
            types[line] = re.sub(r"(builtins|torch\._tensor|kldanneal\.annealing)\.", "", found[1])
    assert types == {line: text.partition("# is ")[2] for line, text in lines.items() if "# is " in text}


@pytest.mark.parametrize(
    ("checker", "program"),
    [(mypy, PROGRAM), (pyright, PROGRAM), (pyright, CALLBACKS)],  # mypy takes 45 s for the libraries of CALLBACKS
    ids=["mypy", "pyright", "pyright, callbacks"],
)
def test_types_of_a_program(tmp_path, checker, program):
    check(checker, program, tmp_path)
