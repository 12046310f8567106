"""Bad inputs that no other table has: gaussian_kl, the bank of runs, the widgets.

The other tables stand beside what they are about: test_annealing, test_loss, test_training (settings, checkpoints),
test_schedules, test_corpora, test_cli, test_driver.
"""

import json

import pytest
import torch

from kldanneal import gaussian_kl
from kldanneal.lab.bank import load_bank
from kldanneal.lab.widgets.side_by_side import SideBySide

LATENT = torch.zeros(2, 3)


def bank(content):
    def load(folder, corpus):
        (folder / "bank.json").write_text(json.dumps(content))
        load_bank(folder / "bank.json")

    return load


BAD = [
    (lambda *_: gaussian_kl(1.0, LATENT), TypeError, ["mu", "torch.Tensor", "float"]),
    (lambda *_: gaussian_kl(LATENT, [0.0]), TypeError, ["logvar", "torch.Tensor", "list"]),
    (lambda *_: gaussian_kl(LATENT, torch.zeros(3)), ValueError, ["same shape", "(2, 3)", "(3,)"]),
    (lambda *_: gaussian_kl(LATENT, torch.zeros(2, 4)), ValueError, ["same shape", "(2, 3)", "(2, 4)"]),
    (bank({"about": {}, "steps": [], "runs": 3}), ValueError, ["bank.json", "cannot be read", "int"]),
    (bank({"about": {}, "steps": [], "runs": ["x"]}), ValueError, ["bank.json", "cannot be read"]),
    (bank({"about": {}, "runs": []}), ValueError, ["bank.json", "cannot be read", "'steps'"]),
    (lambda folder, _: load_bank(folder / "no.json"), FileNotFoundError, ["no.json"]),
    (lambda _, corpus: SideBySide(corpus, device="tpu9"), ValueError, ["device", "'auto', 'cpu' or 'cuda'", "'tpu9'"]),
]  # fmt: skip


@pytest.mark.parametrize("call, error, words", BAD)
def test_bad_input_is_refused_by_name_and_value(tiny_corpus, tmp_path, call, error, words):
    with pytest.raises(error) as caught:
        call(tmp_path, tiny_corpus)
    assert [word for word in words if word not in str(caught.value)] == []
