"""The first cell of every notebook."""

import io
import sys
import types

import numpy as np
import torch
from PIL import Image

import kldanneal
from kldanneal.lab.notebook import small_png, start
from kldanneal.lab.results.tail_pictures import plot_map


def test_it_says_what_it_runs_on(capsys):
    start()
    (line,) = capsys.readouterr().out.splitlines()
    assert f"kldanneal {kldanneal.__version__} " in line and f"torch {torch.__version__};" in line
    assert f"training on {'cuda' if torch.cuda.is_available() else 'cpu'}" in line


def test_in_colab_it_turns_the_widget_manager_on(monkeypatch):
    output = types.ModuleType("google.colab.output")
    output.calls = 0

    def enable_custom_widget_manager():
        output.calls += 1

    output.enable_custom_widget_manager = enable_custom_widget_manager
    start()
    assert output.calls == 0
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    start()
    assert output.calls == 1


def test_a_small_png_looks_like_the_figure():
    figure = plot_map(1000)
    full, small = io.BytesIO(), small_png(figure)
    figure.savefig(full, format="png")
    a, b = (np.asarray(Image.open(png).convert("RGB")).astype(int) for png in (full, io.BytesIO(small)))
    assert a.shape == b.shape and np.abs(a - b).mean() < 2 and np.abs(a - b).max() < 64
    assert len(small) < len(full.getvalue()) / 2
