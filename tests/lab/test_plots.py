"""kldanneal.lab.plots: what the lines of the pictures carry, without looking at pixels."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import same_color
from matplotlib.figure import Figure

import kldanneal
from kldanneal.lab.plots import STYLES, plot_comparison, plot_schedules, smooth, styles
from kldanneal.lab.training.schedules import NAMED, parse_schedules

NAMES = [*NAMED, "cosine:total_steps=30:cyclical"]


def history(steps, seed=0, kl=1.0):
    rng = np.random.default_rng(seed)
    return {
        "step": list(range(steps)),
        "kl_weight": [min(1.0, step / 20) for step in range(steps)],
        "reconstruction": (30 + rng.random(steps)).tolist(),
        "kl": (kl * (0.5 + rng.random(steps))).tolist(),
    }


EMPTY = {"step": [], "kl_weight": [], "reconstruction": [], "kl": []}


def colours(figure):
    """The colour of each schedule, as the legend says it."""
    legend = figure.legends[0]
    entries = zip(legend.get_texts(), legend.get_lines(), strict=True)
    return {text.get_text().split(": KL")[0]: line.get_color() for text, line in entries}


def drawable(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue().startswith(b"\x89PNG")


# ---------------------------------------------------------------------------------------------------------- schedules


def test_plot_schedules_shows_the_weights_of_the_annealers():
    schedules = parse_schedules(NAMES, steps=100)
    schedules["cyclical"].step()  # a schedule under way is shown from where it is
    figure = plot_schedules(schedules, 60)
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == NAMES
    for line in axes.lines:
        assert line.get_xdata().tolist() == list(range(60))
        assert list(line.get_ydata()) == schedules[line.get_label()].schedule(60)
    assert schedules["cyclical"].current_step == 1  # drawing moves nothing on
    low, high = axes.get_ylim()
    assert low < 0 and high > 1
    assert list(colours(figure)) == NAMES
    assert drawable(figure)


# --------------------------------------------------------------------------------------------------------- comparison


def test_plot_comparison_shows_weight_kl_and_reconstruction():
    runs = [history(90, seed) for seed in range(3)]  # short: nothing is smoothed
    figure = plot_comparison({"cyclical": runs}, title="my title")
    assert isinstance(figure, Figure)
    weight, kl, reconstruction = figure.axes
    assert weight.get_title() == "my title"
    np.testing.assert_allclose(weight.lines[0].get_ydata(), runs[0]["kl_weight"], rtol=1e-12)
    for axes, column in ((kl, "kl"), (reconstruction, "reconstruction")):
        assert list(axes.lines[0].get_xdata()) == runs[0]["step"]
        mean = np.mean([run[column] for run in runs], axis=0)
        np.testing.assert_allclose(axes.lines[0].get_ydata(), mean, rtol=1e-9)
        assert "nats per sentence" in axes.get_ylabel()
    assert kl.get_yscale() == "log"
    assert drawable(figure)


def band(axes):
    """The lowest and the highest value at each step of the one band."""
    (collection,) = axes.collections
    vertices = collection.get_paths()[0].vertices
    steps = np.unique(vertices[:, 0])
    at = [vertices[vertices[:, 0] == step, 1] for step in steps]
    return [values.min() for values in at], [values.max() for values in at]


def test_bands_run_from_the_lowest_to_the_highest_seed():
    runs = [history(50, seed) for seed in range(3)]
    _, kl, reconstruction = plot_comparison({"cyclical": runs}).axes
    for axes, column in ((kl, "kl"), (reconstruction, "reconstruction")):
        low, high = band(axes)
        values = np.array([run[column] for run in runs])
        np.testing.assert_allclose(low, values.min(axis=0), rtol=1e-9)
        np.testing.assert_allclose(high, values.max(axis=0), rtol=1e-9)
        assert same_color(axes.collections[0].get_facecolor()[0][:3], axes.lines[0].get_color())


def test_one_seed_has_no_band():
    assert not any(axes.collections for axes in plot_comparison({"cyclical": [history(50)]}).axes)


def test_long_runs_are_smoothed_over_a_hundredth():
    runs = [history(1000, seed) for seed in range(2)]
    _, kl, _ = plot_comparison({"cyclical": runs}).axes
    expected = np.mean([naive_running_mean(run["kl"], 10) for run in runs], axis=0)
    np.testing.assert_allclose(kl.lines[0].get_ydata(), expected, rtol=1e-9)


def test_seeds_of_different_length_are_drawn_as_far_as_all_of_them_go():
    """A comparison that was interrupted."""
    runs = [history(80, 0), history(50, 1)]
    _, kl, _ = plot_comparison({"cyclical": runs}).axes
    expected = (np.array(runs[0]["kl"][:50]) + np.array(runs[1]["kl"])) / 2
    np.testing.assert_allclose(kl.lines[0].get_ydata(), expected, rtol=1e-9)


def test_the_legend_tells_the_final_kl():
    histories = {"constant": [history(50)], "cyclical": [history(50)]}
    figure = plot_comparison(histories, {"constant": 0.004, "cyclical": 2.346})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["constant: KL 0.00", "cyclical: KL 2.35"]


@pytest.mark.parametrize("kl", [10.0, 1e-3, 1e-6, 0.0])
def test_the_axis_of_a_kl_that_vanished_is_not_upside_down(kl):
    figure = plot_comparison({"constant": [history(50, kl=kl), history(50, 1, kl=kl)]})
    low, high = figure.axes[1].get_ylim()
    assert 0 < low < high
    assert drawable(figure)


@pytest.mark.parametrize(
    "histories",
    [{"constant": [EMPTY]}, {"constant": [EMPTY, EMPTY], "cyclical": [EMPTY, EMPTY]}, {"constant": []}],
    ids=["one", "all", "no seeds"],
)
def test_empty_histories_are_tolerated(histories):
    """The picture of a comparison that has not begun."""
    figure = plot_comparison(histories, {"constant": 0.1, "cyclical": 0.2})
    assert not any(axes.lines for axes in figure.axes)
    assert drawable(figure)


def test_a_run_that_has_not_begun_is_left_out():
    """While the others have: the runs of a comparison do not all start at once."""
    figure = plot_comparison({"constant": [history(50), EMPTY], "monotonic": [EMPTY], "cyclical": [history(50)]})
    assert list(colours(figure)) == ["constant", "cyclical"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]


# ------------------------------------------------------------------------------------------------------------ colours


def test_a_schedule_has_one_colour_in_all_panels_and_pictures():
    comparison = plot_comparison({name: [history(50, seed) for seed in range(2)] for name in NAMES})
    schedules = plot_schedules(parse_schedules(NAMES, steps=50), 50)
    assert colours(comparison) == colours(schedules)
    assert list(colours(comparison)) == NAMES
    for axes in comparison.axes:
        assert [line.get_color() for line in axes.lines] == [colours(comparison)[name] for name in NAMES]


@pytest.mark.parametrize("names", [["cyclical"], ["monotonic", "cyclical", "linear"], list(reversed(NAMES))])
def test_named_schedules_keep_their_colour_whatever_stands_beside_them(names):
    found = styles(names)
    assert list(found) == names
    for name in set(names) & set(NAMED):
        assert found[name]["color"] == STYLES[name][0]


def test_schedules_can_be_told_apart():
    names = [*NAMED, *(f"linear:total_steps={n}" for n in range(1, 9))]
    looks = {tuple(sorted(style.items())) for style in styles(names).values()}
    assert len(looks) == len(names)


# ------------------------------------------------------------------------------------------------------------- smooth


def naive_running_mean(values, window):
    windows = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
    return [sum(values) / len(values) for values in windows]


@given(st.lists(st.floats(-1000, 1000), max_size=50), st.integers(1, 60))
def test_smooth_is_the_running_mean(values, window):
    np.testing.assert_allclose(smooth(values, window), naive_running_mean(values, window), rtol=1e-9, atol=1e-9)


def test_drawing_does_not_import_pyplot():
    """pyplot keeps every figure in memory and picks a window toolkit; a Figure by itself needs neither."""
    code = (
        "import io, sys\n"
        "from kldanneal import Annealer\n"
        "from kldanneal.lab.plots import plot_comparison, plot_schedules\n"
        "plot_schedules({'linear': Annealer(5)}, 9).savefig(io.BytesIO())\n"
        "run = {name: [1.0, 2.0] for name in ('step', 'kl_weight', 'kl', 'reconstruction')}\n"
        "plot_comparison({'linear': [run]}).savefig(io.BytesIO())\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    root = Path(kldanneal.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
