"""kldanneal.lab.results.sweep: complete, small, and what training gives."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from kldanneal import Annealer
from kldanneal.annealing import SHAPES
from kldanneal.lab.results import sweep as sweep_module
from kldanneal.lab.results.sweep import (
    CELLS,
    CONSTANT,
    EVERY,
    PATH,
    RATIO,
    SEEDS,
    TOTAL_STEPS,
    Cell,
    load_sweep,
    make_sweep,
    save_sweep,
)
from kldanneal.lab.training.settings import QUICK


@pytest.fixture(scope="module")
def sweep():
    return load_sweep()


def test_it_holds_every_shape_six_lengths_both_modes_and_three_seeds(sweep):
    assert len(SHAPES) == 3 and len(TOTAL_STEPS) >= 6 and len(SEEDS) >= 3
    assert list(sweep.runs) == CELLS
    assert len(CELLS) == len(SHAPES) * len(TOTAL_STEPS) * 2 + 1
    for outcomes in sweep.runs.values():
        assert [outcome.seed for outcome in outcomes] == list(SEEDS)
        for outcome in outcomes:
            assert len(outcome.kl_curve) == len(outcome.reconstruction_curve) == len(sweep.steps)
            assert outcome.neg_elbo == pytest.approx(outcome.kl + outcome.reconstruction, abs=2e-4)


def test_it_is_small_and_says_how_it_was_made(sweep):
    assert PATH.stat().st_size < 500_000
    assert sweep.about["settings"] == asdict(QUICK)
    assert sweep.about["ratio"] == RATIO
    assert sweep.about["corpus"].startswith("toy ")
    assert {"kldanneal", "python", "torch"} <= sweep.about["versions"].keys()
    assert sweep.about["machine"] and sweep.about["date"]
    assert list(sweep.steps) == list(range(EVERY, QUICK.steps + 1, EVERY))


def test_one_cycle_as_long_as_the_run_is_one_ramp(sweep):
    """These were trained twice, from two Annealers that give the same weights."""
    for shape in SHAPES:
        assert sweep.runs[Cell(shape, True, QUICK.steps)] == sweep.runs[Cell(shape, False, QUICK.steps)]


def test_a_cell_trained_again_begins_as_it_is_stored(sweep, tmp_path, monkeypatch):
    """The same up to rounding, which another machine does differently and training amplifies."""
    monkeypatch.setattr(sweep_module, "QUICK", replace(QUICK, steps=200))
    cell, seed = Cell("cosine", True, 250), 1
    (again,) = make_sweep(tmp_path, [cell], [seed]).runs[cell]
    for column in ("kl_curve", "reconstruction_curve"):
        now, then = (torch.tensor(getattr(run, column)[: 100 // EVERY]) for run in (again, sweep.runs[cell][seed]))
        torch.testing.assert_close(now, then, rtol=0.02, atol=0.02)
    assert len(again.kl_curve) == 200 // EVERY
    assert again.neg_elbo == pytest.approx(again.kl + again.reconstruction, abs=2e-4)


def test_a_cell_is_closest_to_its_own_schedule(sweep):
    for cell in CELLS:
        if (cell.cyclical, cell.total_steps) != (True, 0):
            assert sweep.closest(cell.annealer()) == cell


@pytest.mark.parametrize(
    ("annealer", "cell"),
    [
        (Annealer(10), Cell("linear", False, 50)),
        (Annealer(10**6, "cosine"), Cell("cosine", False, 2000)),
        (Annealer(700, "logistic", cyclical=True), Cell("logistic", True, 500)),  # 700/500 < 1000/700
        (Annealer(710, "logistic", cyclical=True), Cell("logistic", True, 1000)),
        (Annealer(2000, ratio=0.25), Cell("linear", False, 500)),  # a ramp of 500, whatever its total_steps
        (Annealer(2000, ratio=0.25, cyclical=True), Cell("linear", True, 2000)),
        (Annealer(7, disable=True), CONSTANT),
    ],
)
def test_the_closest_cell(sweep, annealer, cell):
    assert sweep.closest(annealer) == cell


def test_saving_and_loading_changes_nothing(sweep, tmp_path):
    save_sweep(sweep, tmp_path / "sweep.json")
    assert load_sweep(tmp_path / "sweep.json") == sweep
    assert (tmp_path / "sweep.json").read_bytes() == PATH.read_bytes()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\x80\x04}\x94.", b'{"about": {}}'])
def test_what_is_no_sweep_is_refused_by_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"The stored runs .*other\.json cannot be read"):
        load_sweep(path)


def test_the_file_is_plain_json():
    data = json.loads(PATH.read_text(encoding="utf-8"))
    assert data.keys() == {"about", "runs"}
