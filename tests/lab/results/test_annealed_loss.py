"""kldanneal.lab.results.annealed_loss: a stored run's loss and its -ELBO, and the picture of both."""

import numpy as np
import pytest

from kldanneal.lab.results.annealed_loss import Course, course, plot_annealed_loss
from kldanneal.lab.results.jobs import EVERY
from kldanneal.lab.results.tail import durable


def test_the_loss_is_the_neg_elbo_where_the_weight_is_1():
    shown = Course(np.array([50, 100]), np.array([0.25, 1.0]), np.array([10.0, 11.0]), np.array([4.0, 2.0]))
    assert shown.loss.tolist() == [11.0, 13.0] and shown.neg_elbo.tolist() == [14.0, 13.0]


def test_the_weights_are_means_over_the_updates_of_a_point():
    run = durable("toy", "monotonic-long", 0.0)[0]  # weight: update / 2,000
    shown = course(run, 4000)
    assert len(shown.update) == len(shown.kl) == 4000 // EVERY and shown.update[-1] == 4000
    assert shown.weight[0] == pytest.approx((EVERY - 1) / 2 / 2000) and shown.weight[-1] == 1
    assert (shown.loss <= shown.neg_elbo).all()


def test_the_picture_says_where_each_is_lowest():
    figure, alt = plot_annealed_loss("cyclical", seed=0)
    shown = course(durable("toy", "cyclical", 0.0)[0], 4000)
    assert f"lowest at update {shown.update[shown.loss.argmin()]:,}, where" in alt
    assert "20,000 sentences, 4,000 updates, seed 0: cyclical" in alt
    drawn = figure.axes[2].lines[1].get_ydata()
    assert drawn.tolist() == shown.loss.tolist()
    assert all(low <= drawn[20:].min() and drawn[20:].max() <= high for low, high in [figure.axes[2].get_ylim()])
