"""The small widgets of the lessons: predictions, closed forms, and sentences from trained models."""

import re

import pytest
import torch

from kldanneal import Annealer, gaussian_kl
from kldanneal.lab.linear import linear_optimum
from kldanneal.lab.training.run import Run
from kldanneal.lab.training.settings import Settings
from kldanneal.lab.widgets import predictions
from kldanneal.lab.widgets.predictions import Prediction, score
from kldanneal.lab.widgets.sentences import changed_words, kept
from kldanneal.lab.widgets.small import GaussianKL, LinearSwitches
from kldanneal.lab.widgets.writers import OwnSentence, ZSliders

SMALL = Settings(steps=60, batch_size=32, lr=0.02, embedding=8, hidden=12, latent=3)


@pytest.fixture(scope="module")
def runs(tiny_corpus):
    weights = {"free": Annealer.constant(0), "full": Annealer.constant(1)}
    return {
        name: Run(tiny_corpus, annealer, SMALL, name=name, device="cpu").fit() for name, annealer in weights.items()
    }


@pytest.fixture(autouse=True)
def no_scores(monkeypatch):
    monkeypatch.setattr(predictions, "_scores", {})


# --------------------------------------------------------------------------------------------------------- predictions


def answered(prediction, **given):
    for name, value in given.items():
        prediction[name.replace("_", " ")] = value
    prediction.press("check")
    return prediction


def test_the_answer_is_hidden_until_one_is_given():
    ask = Prediction("Will it survive?", "no", ["yes", "no"], why="The ramp is too short.")
    assert ask.right is None and "too short" not in ask.words() and "no" not in ask.contents["text:question"]
    answered(ask, answer="no")
    assert ask.right and "Right. The answer: no. The ramp is too short." in ask.words()
    assert ask.inputs["answer"].disabled and ask.inputs["check"].hidden


@pytest.mark.parametrize(("given", "right"), [(0.45, True), (0.41, True), (0.52, False)])
def test_a_number_is_right_within_what_is_said(given, right):
    assert answered(Prediction("How much?", 0.45, within=0.05), answer=given).right is right


def test_an_order_needs_each_once():
    ask = Prediction("From the lowest KL?", ["b", "a", "c"], ["a", "b", "c"])
    ask["place 1"] = "b"
    with pytest.raises(ValueError, match="Use each of them once"):
        ask.press("check")
    assert ask.right is None
    assert answered(ask, place_2="a").right


def test_a_choice_has_to_be_made_first():
    ask = Prediction("Which?", "a", ["a", "b"])
    ask._heard(ask, {"name": "check", "value": None}, [])
    assert ask.right is None and ">Choose an answer first." in ask.contents["text:error"]


def test_neither_an_empty_number_nor_the_order_of_the_question_is_an_answer():
    number, order = Prediction("How much?", 0, within=0.5), Prediction("Which order?", ["b", "a"], ["a", "b"])
    assert number.controls["answer"]["value"] is None
    for ask, says in ((number, "Type a number first"), (order, "Bring them into your order first")):
        ask._heard(ask, {"name": "check", "value": None}, [])
        assert ask.right is None and f">{says}" in ask.contents["text:error"]
    assert answered(number, answer=0.2).right
    assert answered(order, place_1="b", place_2="a").right


def test_a_lesson_keeps_its_score_and_only_the_first_answer_counts():
    answered(Prediction("1?", "a", ["a", "b"], lesson="Lesson 1"), answer="a")
    answered(Prediction("2?", 3, lesson="Lesson 1"), answer=4)
    answered(Prediction("3?", 3, lesson="Lesson 2"), answer=3)
    assert score("Lesson 1") == (1, 2) and score("Lesson 2") == (1, 1) and score("Lesson 3") == (0, 0)
    again = Prediction("2?", 3, lesson="Lesson 1")  # the cell is run again
    assert again.right is False and "Lesson 1: 1 of 2 predictions right" in again.words()
    answered(again)
    assert score("Lesson 1") == (1, 2)


def test_without_a_kernel_the_answer_is_folded_away():
    data, _ = Prediction("Is 1 < 2?", "yes", ["yes", "no"], why="It is.")._repr_mimebundle_()
    assert "<details><summary>Show the answer</summary>The answer: yes. It is.</details>" in data["text/html"]
    assert "Is 1 &lt; 2?" in data["text/html"] and "yes / no" in data["text/html"]
    assert data["text/plain"] == "Predict: Is 1 < 2?"


@pytest.mark.parametrize(
    "arguments, message",
    [(("q", "c", ["a", "b"]), "answer to be one of 'a', 'b', but got 'c'"),
     (("q", ["a"], ["a", "b"]), r"the choices .* in some order, but got"), (("q", "x"), "answer to be a number")],
)  # fmt: skip
def test_a_question_without_a_right_answer_is_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Prediction(*arguments)


# --------------------------------------------------------------------------------------------------- closed forms


def test_mu_and_logvar_give_the_kl_of_the_library():
    panel = GaussianKL()
    for mu, logvar in ((0, 0), (2.5, 0), (0, -3), (-1.2, 1.5)):
        panel["mu"], panel["logvar"] = mu, logvar
        kl = gaussian_kl(torch.tensor(float(mu)), torch.tensor(float(logvar))).item()
        assert panel.kl() == pytest.approx(kl, abs=1e-5) and f"KL = {kl:.3f} nats" in panel.words()
    peak = max(panel.contents["chart:densities"]["panels"][0]["lines"][1]["y"])
    assert peak == pytest.approx(0.3989 / 2.718281828 ** (1.5 / 2), rel=0.01)
    data, metadata = panel._repr_mimebundle_()
    assert "mu = -1.20" in metadata["image/png"]["alt"] and data["image/png"][:4] == b"\x89PNG"


def test_beta_and_the_variance_switch_dimensions_off():
    panel = LinearSwitches([4.0, 2.0, 0.5])
    for beta, variance in ((1, 1), (3, 1), (1, 3), (8, 4), (0.1, 0.1)):
        panel["beta"], panel["variance"] = beta, variance
        expected = linear_optimum([4.0, 2.0, 0.5], beta=beta, variance=variance)
        assert f"{expected.used.sum()} of 3 dimensions are used; KL {expected.kl.sum():.3f}" in panel.words()
        bars = panel.contents["chart:directions"]["panels"][0]["bars"]
        assert [bar["color"] == "blue" for bar in bars] == expected.used.tolist()
    with pytest.raises(ValueError, match="an eigenvalue"):
        LinearSwitches([1.0, -1.0])


# ------------------------------------------------------------------------------------------------------ trained models


def test_ones_own_sentence_is_encoded_reconstructed_and_its_kl_told_by_dimension(runs, tiny_corpus):
    panel = OwnSentence(runs)
    sentence = tiny_corpus.decode(tiny_corpus.test[3])
    panel["sentence"] = sentence + " zebra"
    ids = tiny_corpus.encode(sentence + " zebra")
    for name, run in runs.items():
        mu, logvar = run.model.eval().encode(ids[None])
        kl = gaussian_kl(mu, logvar)[0].tolist()
        assert f"{name}: KL {sum(kl):.3f}" in panel.words()
        heights = [bar["y"] for bar in panel.contents["chart:dimensions"]["panels"][0]["bars"]]
        assert all(any(abs(value - height) < 1e-3 * value for height in heights) for value in kl)
    assert "Not in the vocabulary: zebra." in panel.words()
    drawn = panel.contents["chart:dimensions"]
    (low, high) = drawn["panels"][0]["y"]
    assert low == 0 and high >= max(1, *(bar["y"] for bar in drawn["panels"][0]["bars"]))
    assert sentence in drawn["alt"] and "free writes: " in drawn["alt"]
    panel["sentence"] = "  "
    assert "Type at least one word" in panel.words()


def test_z_sliders_write_under_each_model(runs, tiny_corpus):
    panel = ZSliders(runs, dimensions=2)
    assert len([name for name in panel.inputs if name != "zero"]) == 2
    first = panel.dimensions[0]
    panel[f"z{first + 1}"] = 2.5
    z = torch.zeros(1, 3)
    z[0, first] = 2.5
    shown = panel.contents["text:written"]
    assert shown.count("kl-kept") > 0 and "Marked: words that differ" in shown
    unmarked = re.sub("<span class='kl-kept'>|</span>", "", shown)
    for name, run in runs.items():
        with torch.no_grad():
            written = tiny_corpus.decode(run.model.eval().generate(z)[0])
        assert f"<b>{name}</b>" in unmarked and written in unmarked
    panel.press("zero")
    assert panel[f"z{first + 1}"] == 0 and "All sliders are at 0" in panel.words()


def test_the_sliders_move_the_dimensions_that_any_model_uses(runs, tiny_corpus):
    x = tiny_corpus.valid.batch(torch.arange(len(tiny_corpus.valid)))
    with torch.no_grad():
        spread = runs["free"].model.eval().encode(x)[0].var(dim=0)
    for order in (("free", "full"), ("full", "free")):
        panel = ZSliders({name: runs[name] for name in order}, dimensions=1)
        assert panel.dimensions == [int(spread.argmax())]


def test_runs_of_other_corpora_are_refused(runs, toy_corpus):
    other = Run(toy_corpus, Annealer(1), SMALL, device="cpu")
    with pytest.raises(ValueError, match="runs of one corpus, but got free, other"):
        OwnSentence({"free": runs["free"], "other": other})
    with pytest.raises(ValueError, match="at least one trained run"):
        ZSliders({})


def test_only_words_that_z_brought_across_are_marked():
    marked = "<span class='kl-kept'>red</span>"
    assert kept("the red cat", "the red dog", without="the old dog") == f"the {marked} dog"
    assert kept("a", "") == "(nothing)" and "&lt;" in kept("<b>", "<b>")
    assert kept("the red cat", "the red cat", without="the red cat").count("span") == 0


def test_words_that_changed_are_marked():
    marked = "<span class='kl-kept'>dog</span>"
    assert changed_words("the red cat", "the red dog") == f"the red {marked}"
    assert changed_words("a", "a") == "a" and "&lt;b&gt;" in changed_words("a", "<b>")
    assert changed_words("a", "") == "(nothing)"
