"""The pictures of lesson 2 show the stored runs."""

from statistics import mean

import numpy as np
import pytest

from kldanneal.lab.drawing import Diagram
from kldanneal.lab.results import schedule_pictures
from kldanneal.lab.results.annealed_loss import course
from kldanneal.lab.results.fair_map import CYCLES, ONCE, Cell, load_map
from kldanneal.lab.results.tail import durable


@pytest.fixture(scope="module")
def stored():
    return load_map()


def means(axes):
    """The lines through the means, by their label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_a_line_for_each_shape_against_the_length_of_the_ramp(stored):
    picture = schedule_pictures.plot_ramps(1000)
    assert isinstance(picture, Diagram) and len(picture.figure.axes) == len(stored.word_dropouts)
    for axes, word_dropout in zip(picture.figure.axes, stored.word_dropouts, strict=True):
        lines = means(axes)
        assert list(lines) == stored.shapes
        for shape, line in lines.items():
            assert list(line.get_xdata()) == stored.sizes
            wanted = [stored.kl(Cell(ONCE, shape, size), word_dropout, 1000) for size in stored.sizes]
            assert list(line.get_ydata()) == pytest.approx(wanted)
            assert f"word dropout {word_dropout:g}, {shape}: {wanted[0]:.2f} at 62" in picture.alt
    assert "1,000 updates" in picture.alt and "20,000 sentences" in picture.alt and "seed" in picture.alt
    assert {run["job"]["settings"]["hidden"] for runs in stored.runs.values() for run in runs} == {32}
    assert "32 LSTM units, learning rate 0.01" in picture.alt


def test_a_mark_for_each_run(stored):
    for draw, courses, fewer in (
        (schedule_pictures.plot_ramps, (ONCE,), 0),
        (schedule_pictures.plot_discounts, (ONCE, CYCLES), 1),
    ):
        runs = len(stored.runs[Cell(ONCE, "linear", 500), 0.0])
        lines = draw(500).figure.axes[0].lines
        marks = [line for line in lines if line.get_linestyle() == "None"]
        wanted = runs * len(stored.shapes) * len(courses) * (len(stored.sizes) - fewer)
        assert sum(len(line.get_xdata()) for line in marks) == wanted


def test_ramp_and_cycles_stand_at_the_same_discount(stored):
    picture = schedule_pictures.plot_discounts(4000)
    for axes, word_dropout in zip(picture.figure.axes, stored.word_dropouts, strict=True):
        lines = means(axes)
        assert list(lines) == ["one ramp", "4 cycles"]
        for (_, line), kind, size in zip(lines.items(), (ONCE, CYCLES), (2000, 1000), strict=True):
            assert line.get_xdata()[-1] == 1000
            wanted = mean(stored.kl(Cell(kind, shape, size), word_dropout, 4000) for shape in stored.shapes)
            assert line.get_ydata()[-1] == pytest.approx(wanted)
    assert "4,000 updates" in picture.alt


def test_two_losses_of_one_run():
    (run, *_) = durable("toy", "cyclical", 0.0)
    found = course(run, 4000)
    kl, reconstruction = (np.array(run[name][:80]) for name in ("kl_curve", "reconstruction_curve"))
    assert list(found.update) == list(range(50, 4001, 50))
    assert found.neg_elbo == pytest.approx(kl + reconstruction)
    assert found.weight[20] == pytest.approx(mean(update / 500 for update in range(50)))  # after the first restart
    assert found.loss == pytest.approx(reconstruction + found.weight * kl)
    assert found.loss[int(found.loss.argmin())] == min(found.loss)


def test_the_picture_of_the_losses_says_what_it_shows():
    picture = schedule_pictures.plot_losses("cyclical", seed=1)
    found = course(durable("toy", "cyclical", 0.0)[1], 4000)
    _, loss = picture.figure.axes
    assert list(means(loss)["at weight 1 (-ELBO)"].get_ydata()) == list(found.neg_elbo)
    assert list(means(loss)["at the current weight"].get_ydata()) == list(found.loss)
    low = int(found.loss.argmin())
    assert f"lowest at update {found.update[low]:,}: {found.loss[low]:.2f} nats" in picture.alt
    assert "toy language, 20,000 sentences, 4,000 updates, seed 1, cyclical" in picture.alt
    bottom, top = loss.get_ylim()
    assert bottom < found.loss[low] and found.neg_elbo[low] < top
