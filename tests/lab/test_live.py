"""kldanneal.lab.live: the picture of a run while it trains."""

import pytest

from kldanneal.lab.live import plot_live
from kldanneal.lab.plots import EMPTY

HISTORY = {
    "step": [0, 1, 2],
    "kl_weight": [1.0, 1.0, 0.5],
    "reconstruction": [70.0, 50.0, 30.0],
    "kl": [0.1, 0.9, 0.02],
}
OF_ALL = {"updates": 100, "entropy": 13.5, "title": "toy language, seed 0"}


def test_the_first_update_is_1_and_the_axis_is_logarithmic():
    figure, _ = plot_live(HISTORY, **OF_ALL)
    weight, kl, reconstruction = figure.axes
    assert reconstruction.get_xscale() == kl.get_xscale() == "log" and kl.get_yscale() == "linear"
    assert kl.get_xlim() == (1, 100)
    for axes, column in ((weight, "kl_weight"), (kl, "kl"), (reconstruction, "reconstruction")):
        drawn = [line for line in axes.lines if list(line.get_xdata()) == [1, 2, 3]]
        assert [list(line.get_ydata()) for line in drawn] == [HISTORY[column]]
    assert kl.get_ylim()[1] > 0.9


def test_costs_are_drawn_up_to_now():
    figure, alt = plot_live(HISTORY, {1: -0.2, 3: 1.5, 50: 9.0}, **OF_ALL)
    (points,) = [line for line in figure.axes[1].lines if line.get_marker() == "D"]
    assert list(points.get_xdata()) == [1, 3] and list(points.get_ydata()) == [-0.2, 1.5]
    low, high = figure.axes[1].get_ylim()
    assert low <= -0.2 and high > 1.5
    assert "Exchanging z cost at most 1.50 nats" in alt


def test_the_words_are_made_from_the_numbers():
    alt = plot_live(HISTORY, **OF_ALL).alt
    for words in ("toy language, seed 0", "After 3 updates", "highest at update 2, 0.90 nats", "from 70.0 to 30.0"):
        assert words in alt
    assert "Exchanging" not in alt


@pytest.mark.parametrize("exchanged", [None, {}, {1: 0.1}])
def test_before_the_first_update_there_are_axes_alone(exchanged):
    diagram = plot_live(EMPTY, exchanged, **OF_ALL)
    assert "No update so far" in diagram.alt
    assert diagram.png()[:4] == b"\x89PNG"
