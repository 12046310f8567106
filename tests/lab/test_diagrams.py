"""kldanneal.lab.diagrams and linear_plot: what pictures and alternative text say, without looking at pixels."""

import base64
import io

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color, to_rgb
from matplotlib.text import Text
from PIL import Image
from torch.distributions import Normal, kl_divergence

from kldanneal import Annealer
from kldanneal.lab.diagrams import plot_gaussian_kl, plot_message, plot_model
from kldanneal.lab.drawing import DARK, LIGHT
from kldanneal.lab.linear import linear_optimum, rotated_data, train_linear_vae
from kldanneal.lab.linear_plot import plot_linear_kl, plot_linear_training
from kldanneal.lab.model import LSTMVAE

CASES = {"posterior collapse": (0.004, 13.734), "z is used": (3.76, 10.28)}
EIGENVALUES, VARIANCE = [2.0, 4.0, 0.3], 0.5
DIAGRAMS = {
    "model": lambda dark: plot_model(dark=dark),
    "message": lambda dark: plot_message(CASES, dark=dark),
    "gaussian_kl": lambda dark: plot_gaussian_kl(1.5, -1.4, dark=dark),
    "linear_kl": lambda dark: plot_linear_kl(EIGENVALUES, VARIANCE, {"constant": {1.0: [0.7, 1.0, 0]}}, dark=dark),
}


def texts(figure):
    """All that is written in a figure; matplotlib leaves out the numbers of ticks beyond the limits of an axis."""
    beyond = [
        label
        for axes in figure.axes
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim()))
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not low <= tick.get_loc() <= high
    ]
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [text for text in found if text not in beyond]


def written(figure):
    return [text.get_text() for text in texts(figure)]


# ---------------------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", DIAGRAMS)
def test_text_can_be_read_at_420_pixels_on_both_pages(name, dark):
    """At least 8 pixels high, with a contrast of 3 or more to the page (4.5 unless it is bold), and inside of it."""
    figure, _ = DIAGRAMS[name](dark)
    theme = DARK if dark else LIGHT
    figure.set_dpi(420 / figure.get_figwidth())
    assert same_color(figure.get_facecolor(), theme.page)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for text in texts(figure):
        assert text.get_size() * figure.dpi / 72 >= 8, text
        needed = 3 if text.get_weight() == "bold" else 4.5
        assert contrast(text.get_color(), theme.page) >= needed, text
        box = text.get_window_extent(renderer)
        assert box.x0 >= -1 and box.x1 <= 421 and box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text


def contrast(one, other):
    """The contrast ratio of WCAG 2."""

    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_notebook_shows_the_picture_with_its_alternative_text(name):
    diagram = DIAGRAMS[name](False)
    data, metadata = DisplayFormatter().format(diagram)
    png = data["image/png"]
    picture = Image.open(io.BytesIO(base64.b64decode(png) if isinstance(png, str) else png))
    assert picture.width == 840
    assert metadata["image/png"]["alt"] == data["text/plain"] == diagram.alt
    assert len(png) < 150_000


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_stored_picture_keeps_its_colours(theme):
    """256 colours are enough for those that carry a meaning."""
    picture = Image.open(io.BytesIO(plot_model(dark=theme is DARK).png())).convert("RGB")
    pixels = np.unique(np.asarray(picture).reshape(-1, 3), axis=0).astype(int)
    for color in theme:
        distance = np.abs(pixels - 255 * np.array(to_rgb(color))).max(axis=1).min()
        assert distance < 8, color


@pytest.mark.parametrize("width", [420, 1200])
def test_png_has_the_width_asked_for(width):
    assert Image.open(io.BytesIO(plot_message(CASES).png(width))).width == pytest.approx(width, abs=1)


# ----------------------------------------------------------------------------------------------------------- the model


def test_the_model_has_both_paths_and_both_terms():
    figure, alt = plot_model()
    labels = " ".join(written(figure)).replace("$", "").replace("\n", " ")
    for label in (
        "path from the words", "teacher forcing", "path from z", "sentence x", "mu", "logvar", "logits", "encoder LSTM",
        "KL term", "KL(q(z|x) || p(z))", "reconstruction term", "-log p(x|z)", "β ×", "KL weight", "loss =",
        "(B, T)", "(B, L)", "(B, T-1, H)", "(B, T-1, V)",
    ):  # fmt: skip
        assert label in labels, label
    for phrase in ("teacher forcing", "from z", "mu and logvar", "logits", "β times the KL term"):
        assert phrase in alt, phrase


def test_each_decoder_step_reads_the_word_before_the_one_that_it_predicts():
    sentence = ["<bos>", "a", "cat", "runs", "home", "<eos>"]
    figure, alt = plot_model(sentence, beta=0.25)
    (axes,) = figure.axes
    rows = {}  # words at the same height, from left to right
    for text in axes.texts:
        if text.get_text() in sentence:
            rows.setdefault(text.get_position()[1], []).append(text)
    whole, before, predicted = (rows[height] for height in sorted(rows, reverse=True))
    assert [text.get_text() for text in whole] == sentence
    assert [text.get_text() for text in before] == sentence[:-1]
    assert [text.get_text() for text in predicted] == sentence[1:]
    assert [t.get_position()[0] for t in before] == [t.get_position()[0] for t in predicted]
    assert sum(text.get_text() == "LSTM" for text in axes.texts) == 5
    assert "0.25 ×" in written(figure)
    assert "a to predict cat" in alt and "home to predict <eos>" in alt and "0.25 times the KL term" in alt


def test_the_shapes_in_the_diagram_are_those_of_the_model():
    """B 2, T 5, H 7, L 3, V 11: the states, mu, logvar and logits of the model, in the letters of the diagram."""
    sizes = {"B": 2, "T-1": 4, "T": 5, "H": 7, "L": 3, "V": 11}
    model, seen = LSTMVAE(11, embedding=6, hidden=7, latent=3), {}
    for name in ("encoder_lstm", "decoder_lstm"):
        getattr(model, name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out[0]}))
    x = torch.full((2, 5), 6)
    logits, _, mu, logvar = model(x)
    labels = " ".join(written(plot_model().figure))
    for tensor, letters in (
        (x, "(B, T)"),
        (seen["encoder_lstm"], "(B, T-1, H), pooled"),
        (seen["decoder_lstm"], "decoder\n(B, T-1, H)"),
        (mu, "mu (B, L)"),
        (logvar, "logvar (B, L)"),
        (logits.reshape(2, -1, 11), "logits of the\nnext words\n(B, T-1, V)"),
    ):
        assert letters in labels
        inside = letters[letters.index("(") + 1 : letters.index(")")].split(", ")
        assert tuple(tensor.shape) == tuple(sizes[letter] for letter in inside)


@pytest.mark.parametrize("tokens", [["<bos>", "<eos>"], ["a"] * 7])
def test_a_sentence_that_does_not_fit_is_refused(tokens):
    with pytest.raises(ValueError, match=f"3 to 6 tokens, but got {len(tokens)}"):
        plot_model(tokens)


# ---------------------------------------------------------------------------------------------------------- the message


def test_the_bars_of_the_message_are_the_numbers():
    figure, alt = plot_message(CASES)
    (axes,) = figure.axes
    bars = [[patch for container in axes.containers[i : i + 2] for patch in container] for i in (0, 2)]
    for (first, second), (name, (kl, reconstruction)) in zip(bars, CASES.items(), strict=True):
        assert (first.get_x(), first.get_width()) == (0, kl)
        assert (second.get_x(), second.get_width()) == pytest.approx((kl, reconstruction))
        assert first.get_y() == second.get_y()
        assert same_color(first.get_facecolor(), LIGHT.z) and same_color(second.get_facecolor(), LIGHT.reconstruction)
        assert name in written(figure) and name in alt
    assert "posterior collapse: KL 0.004 + reconstruction 13.73 = -ELBO 13.74." in alt
    for label in ("KL 0.004", "+ reconstruction 13.73", "= -ELBO 13.74", "KL 3.760", "= -ELBO 14.04"):
        assert label in written(figure)
    assert axes.get_xlim()[1] >= 14.04 and axes.get_xlabel() == "nats per sentence"
    tops = [axes.transData.transform((0, first.get_y()))[1] for first, _ in bars]
    assert tops[0] > tops[1]  # the first case is at the top


@pytest.mark.parametrize(
    ("cases", "words"),
    [({}, "at least one case"), ({"mine": (-0.1, 3.0)}, "the KL of mine"), ({"mine": (1.0, float("nan"))}, "of mine")],
)
def test_a_message_that_cannot_be_is_refused(cases, words):
    with pytest.raises(ValueError, match=words):
        plot_message(cases)


# ------------------------------------------------------------------------------------------------ KL of one dimension


@pytest.mark.parametrize(("mu", "logvar"), [(1.5, -1.4), (-2.0, 1.5), (0.0, 0.0), (0.02, -0.01), (4.0, -6.0)])
def test_the_densities_and_the_parts_of_the_kl(mu, logvar):
    figure, alt = plot_gaussian_kl(mu, logvar)
    densities, bars = figure.axes
    prior, posterior = Normal(0.0, 1.0), Normal(mu, float(np.exp(logvar / 2)))
    for line, distribution in zip(densities.lines, (prior, posterior), strict=True):
        z = torch.tensor(line.get_xdata())
        np.testing.assert_allclose(line.get_ydata(), distribution.log_prob(z).exp(), rtol=1e-5, atol=1e-9)
        assert torch.trapezoid(torch.tensor(line.get_ydata()), z).item() == pytest.approx(
            1, abs=0.01
        )  # the whole of it is in sight
        assert densities.get_ylim()[1] > line.get_ydata().max()
        low, high = densities.get_xlim()
        assert low < distribution.mean - 2 * distribution.stddev and high > distribution.mean + 2 * distribution.stddev
    kl = kl_divergence(posterior, prior).item()
    mean, width = (patch for container in bars.containers for patch in container)
    assert mean.get_width() == pytest.approx(mu**2 / 2, abs=1e-6)
    assert width.get_x() == mean.get_width()
    assert mean.get_width() + width.get_width() == pytest.approx(kl, abs=1e-6)
    assert f"KL = ½ (mu² + exp(logvar) - 1 - logvar) = {kl:.3f} nats" in written(figure)
    assert f"mu = {mu:.2f}" in written(figure) and f"{kl:.3f} nats" in alt and f"logvar = {logvar:.2f}" in alt


@pytest.mark.parametrize("arguments", [(float("nan"), 0.0), (0.0, 30.0)])
def test_a_posterior_that_cannot_be_drawn_is_refused(arguments):
    with pytest.raises(ValueError, match=r"mu|logvar"):
        plot_gaussian_kl(*arguments)


# --------------------------------------------------------------------------------------------------- the linear VAE


def test_lines_are_the_closed_form_and_points_the_trained_models():
    x, beta = rotated_data(EIGENVALUES, n=8), 0.5
    kl = train_linear_vae(x, Annealer(50, max_weight=beta), variance=VARIANCE, updates=1500).kl_per_dimension[-1]
    figure, alt = plot_linear_kl(EIGENVALUES, VARIANCE, {"monotonic": {beta: kl}})
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines if line.get_label().startswith("λ")}
    points = [line for line in axes.lines if not line.get_label().startswith("λ")]
    for eigenvalue, point in zip(sorted(EIGENVALUES, reverse=True), points, strict=True):
        line = lines[f"λ = {eigenvalue:g}"]
        betas, kls = line.get_data()
        expected = [linear_optimum([eigenvalue], b, VARIANCE).kl[0] for b in betas]
        np.testing.assert_allclose(kls, expected)
        assert betas[kls > 0].max() < eigenvalue / VARIANCE == betas[kls == 0].min()
        assert same_color(point.get_color(), line.get_color())
        assert point.get_xdata()[0] == beta
        assert point.get_ydata()[0] == pytest.approx(np.interp(beta, betas, kls), abs=5e-3)
        assert f"{eigenvalue / VARIANCE:g} for eigenvalue {eigenvalue:g}" in alt
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["closed form", "trained, monotonic"]
    farthest = np.abs(np.sort(kl)[::-1] - linear_optimum(sorted(EIGENVALUES)[::-1], beta, VARIANCE).kl).max()
    assert f"schedule monotonic differ from it by {farthest:.3f} nats" in alt


def test_more_than_can_be_told_apart_is_refused():
    with pytest.raises(ValueError, match="at most 5 eigenvalues, but got 6"):
        plot_linear_kl([1.0] * 6, 1.0)
    with pytest.raises(ValueError, match="at most 3 schedules, but got a, b, c, d"):
        plot_linear_kl([1.0], 1.0, {name: {} for name in "abcd"})


def test_the_linear_training_shows_every_update_and_the_closed_form():
    optimum = linear_optimum([4.0, 0.5])  # ln 2 = 0.693 nats
    histories = {
        "constant": {"step": [0, 1, 2], "kl_weight": [1, 1, 1], "kl": [0.1, 0.4, 0.69], "reconstruction": [1, 1, 1]},
        "collapsed first": {
            "step": [0, 1, 2],
            "kl_weight": [10, 1, 1],
            "kl": [0, 0.2, 0.7],
            "reconstruction": [1, 1, 1],
        },
    }
    figure, alt = plot_linear_training(histories, optimum, "3 examples.")
    weight, kl = figure.axes
    for drawn, other, history in zip(weight.lines, kl.lines, histories.values(), strict=False):
        assert list(drawn.get_ydata()) == history["kl_weight"] and list(other.get_ydata()) == history["kl"]
    assert kl.lines[-1].get_ydata()[0] == pytest.approx(0.6931, abs=1e-4)
    assert "over 3 updates. 3 examples." in alt
    assert "constant 0.690; collapsed first 0.700. The closed form gives 0.693." in alt
