"""The checks of the coursework: what they see, what they leave behind, and the seal of a run's numbers."""

import subprocess
import sys
import warnings

import pytest
import torch

from kldanneal import Annealer
from kldanneal.lab.assignment import TinyVAE, check, seal

CHECK = """
from kldanneal.lab.assignment import check

@check
def check_9_9(double):
    secret = 4
    out = double(secret)
    assert isinstance(out, int) and sum([out]) == 8, f"Expected 8, but got {out}."
    print("9.9 passed")
"""


def run(notebook):
    """Runs the check with the notebook's variables, and returns them."""
    exec(compile(CHECK, "check", "exec"), notebook)
    return notebook


def test_a_check_passes_and_leaves_nothing_of_it(capsys):
    notebook = {"double": lambda x: 2 * x}
    before = set(notebook)
    assert set(run(notebook)) - before == {"__builtins__", "check", "check_9_9"} and notebook["check_9_9"] is None
    assert capsys.readouterr().out == "9.9 passed\n"


def test_a_check_sees_pythons_own_names_and_no_answer_sees_those_of_a_check():
    run({"double": lambda x: 2 * x, "sum": 3, "isinstance": None, "print": 7})
    notebook = {}
    exec("def double(x):\n    return secret", notebook)
    with pytest.raises(AssertionError, match=r"double stopped with an error\. NameError: name 'secret'"):
        run(notebook)


def test_a_check_says_what_is_wrong():
    with pytest.raises(AssertionError, match=r"^Expected 8, but got 5\.$"):
        run({"double": lambda x: x + 1})
    with pytest.raises(AssertionError, match=r"double is not defined\. Run the cell of your answer"):
        run({})


@pytest.mark.parametrize("error", [MemoryError, TimeoutError, KeyboardInterrupt])
def test_what_stops_a_cell_is_not_hidden(error):
    def double(x):
        raise error

    with pytest.raises(error):
        run({"double": double})


def test_a_check_has_settings_of_its_own():
    seen = {}

    def answer():
        seen["gradients"] = torch.is_grad_enabled()
        warnings.warn("ignored here", stacklevel=1)

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        exec("@check\ndef check_1_1(answer):\n    answer()", {"check": check, "answer": answer})
        assert not torch.is_grad_enabled()
    assert seen["gradients"]


def test_the_tiny_model_is_the_same_every_time_whatever_the_default_type():
    batch = torch.linspace(-1, 1, 12).view(3, 4)
    code = "import torch; torch.set_default_dtype(torch.float64); from kldanneal.lab.assignment import TinyVAE; "
    code += "print(TinyVAE()(torch.linspace(-1, 1, 12, dtype=torch.float32).view(3, 4))[0].sum().item())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(said) == TinyVAE()(batch)[0].sum().item() != TinyVAE(1)(batch)[0].sum().item()


def test_a_seal_belongs_to_its_numbers_and_schedules():
    numbers = {"a": {"kl": 0.25, "neg_elbo": 13.8, "active_units": 2}}
    mine = seal(numbers, {"a": Annealer(5)}, 10)
    assert mine == seal({"a": dict(reversed(numbers["a"].items()))}, {"a": Annealer(5)}, 10)
    others = [seal({"a": {**numbers["a"], key: 1}}, {"a": Annealer(5)}, 10) for key in numbers["a"]]
    assert mine not in [*others, seal(numbers, {"a": Annealer(6)}, 10), seal(numbers, {"a": Annealer(5)}, 4)]
