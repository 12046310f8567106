"""The recipes of kldanneal.guides.training_loops, run as they stand there; and the script for Lightning."""

import doctest
import functools
import re
import subprocess
import sys

import pytest
import torch
from torch._dynamo.testing import CompileCounter

import kldanneal
from kldanneal import Annealer
from kldanneal.guides import training_loops

FOLDER = kldanneal.__file__.rpartition("kldanneal")[0]


def recipe(*headings):
    """The code of sections of the page, without what it prints; the first section has no heading."""
    _, *parts = re.split(r"^(.+)\n-+\n", "Model\n-\n" + training_loops.__doc__, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    examples = [doctest.DocTestParser().get_examples(sections[heading]) for heading in ("Model", *headings)]
    return "".join(example.source for section in examples for example in section)


def test_lightning_script_gives_a_report(capsys):
    from kldanneal.guides import vae_in_lightning

    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    report = vae_in_lightning.main(400, **options, enable_progress_bar=False, enable_model_summary=False)
    assert report.verdict == "in use" and report.sure == "sure"
    assert (
        report.mutual_information.value > 2
    )  # the position of a blob within 8 x 8 pixels to about a pixel: log 64 is 4.2
    assert report.exchange_cost.value > 10


# ------------------------------------------------------------------------------------------ DistributedDataParallel

RANK = """
import sys
{recipe}
def forward(self, x0):  # without noise, which differs between processes
    mu, logvar = self.encoder(x0).chunk(2, dim=1)
    return torch.sigmoid(self.decoder(mu)), mu, logvar
DigitVAE.forward = forward
torch.set_num_threads(1)
torch.manual_seed(0)
rank, world_size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
model, weight = train(rank, world_size, f"{{folder}}/rendezvous{{world_size}}")
torch.save((model.state_dict(), weight), f"{{folder}}/{{rank}} of {{world_size}}")
"""


def test_two_processes_train_as_one_does_with_the_whole_batch(tmp_path):
    code = re.sub(r"with tempfile.*\n(    .*\n)+|weight\n$", "", recipe("DistributedDataParallel"))
    (tmp_path / "train.py").write_text(RANK.format(recipe=code), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", str(tmp_path / "train.py")]
    started = [subprocess.Popen([*command, rank, size, str(tmp_path)], cwd=FOLDER, env={"PYTHONPATH": FOLDER})
               for rank, size in (("0", "1"), ("0", "2"), ("1", "2"))]  # fmt: skip
    assert [process.wait(900) for process in started] == [0, 0, 0]
    alone, first, second = (torch.load(tmp_path / name) for name in ("0 of 1", "0 of 2", "1 of 2"))
    assert alone[1] == first[1] == second[1] == 1.0
    for name, value in alone[0].items():
        assert torch.equal(first[0][name], second[0][name])
        torch.testing.assert_close(first[0][name], value)


# ------------------------------------------------------------------------------------------------------- Accelerate


def accelerated(monkeypatch, fused=False, bad=()):
    """What the recipe for Accelerate leaves behind, with a gradient scaler; the loss of some batches is not finite."""
    import accelerate

    make, seen = accelerate.Accelerator, []

    def with_scaler(**options):
        accelerator = make(**options)
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
        return accelerator

    monkeypatch.setattr(accelerate, "Accelerator", with_scaler)
    monkeypatch.setattr(torch.optim, "Adam", functools.partial(torch.optim.Adam, fused=fused))

    class Spoiled(kldanneal.VAELoss):
        def forward(self, *args):
            bce, kld = super().forward(*args)
            seen.append(names["annealer"].weight)
            return bce * (float("inf") if len(seen) - 1 in bad else 1.0), kld

    monkeypatch.setattr(kldanneal, "VAELoss", Spoiled)
    names = {}
    exec(recipe("Accelerate").replace("total_steps=6", "total_steps=10"), names)
    return names, seen


@pytest.mark.parametrize("fused", [False, True])
def test_accelerate_counts_updates_and_not_batches_or_skipped_updates(monkeypatch, fused):
    names, seen = accelerated(monkeypatch, fused, bad=(4, 11))  # of the third and of the last update of 6
    assert seen == [0, 0, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4]
    assert names["annealer"].current_step == 4
    assert all(parameter.isfinite().all() for parameter in names["model"].parameters())


def test_accelerate_saves_and_loads_the_annealer(monkeypatch, tmp_path):
    names, _ = accelerated(monkeypatch)
    names["accelerator"].save_state(str(tmp_path))
    names["annealer"].step()
    names["accelerator"].load_state(str(tmp_path))
    assert names["annealer"].current_step == 6


# ---------------------------------------------------------------------------------------------------- torch.compile


def test_24_compiled_updates_take_one_graph_and_no_recompilation():
    counter = CompileCounter()
    names = {"counter": counter}
    code = recipe("torch.compile").replace("backend='eager'", "backend=counter").replace("range(6)", "range(24)")
    torch._dynamo.reset()
    exec(code, names)
    assert names["annealer"].weight == 1.0
    assert len(names["dataloader"]) == 24 and counter.frame_count == 1


def test_the_weight_as_a_tensor_takes_one_graph_too():
    counter = CompileCounter()
    torch._dynamo.reset()
    step = torch.compile(lambda kld, weight: kld * weight, backend=counter, fullgraph=True)
    annealer, kld = Annealer(24), torch.tensor(2.0)
    for _ in range(24):
        assert step(kld, torch.tensor(annealer.weight)) == annealer(kld)
        annealer.step()
    assert counter.frame_count == 1
