"""What lesson 7 says, checked on its stored outputs: values with a margin."""

import re

from lessons import DIFFERENCE, RATIO, load, numbers, output, rows, shown

LESSON = "07_penn_treebank"


def test_the_two_scripts_differ_twice():
    monotonic, cyclical = output(LESSON, "scripts-picture").splitlines()[:2]
    assert "after 9.0 epochs; learning rate 0.001000 to 0.001000" in monotonic
    assert "after 4.5 epochs; learning rate 0.001000 to 0.000024" in cyclical


def test_the_four_arms():
    small, _, docstrings = output(LESSON, "cells-table").partition("docstrings, ")
    for text, sign in ((small, -1), (docstrings, 1)):
        found = [row for row in rows("||\n||\n" + text) if row[0] in ("monotonic", "cyclical")]
        cells = {(weight, lr): (float(kl), float(bound)) for weight, lr, kl, bound, _ in found}
        mc, mr, cc, cr = (cells[w, lr] for w in ("monotonic", "cyclical") for lr in ("constant", "restarts"))
        assert mc[0] < mr[0] and mr[0] * 1.5 < cc[0] and cc[0] * 1.5 < cr[0]
        assert sign * (mr[1] - mc[1]) > 0.6 and sign * (cr[1] - cc[1]) > 0.6  # restarts change the -ELBO
        assert abs(cc[1] - mc[1]) < 0.15 and abs(cr[1] - mr[1]) < 0.2  # the cyclical weight does not, or little


def test_the_interaction_depends_on_the_scale():
    found = [row for row in rows(output(LESSON, "effects")) if row[0] == "interaction"]
    assert len(found) == 2  # both texts
    for row in found:
        ((_, low, _),) = numbers(DIFFERENCE, row[1])
        assert low > 0.05
    (_, low, high), (_, low_on_docstrings, _) = (numbers(RATIO, row[2])[0] for row in found)
    assert low < 0.8 and high > 1.5 and low_on_docstrings > 1.05


def test_a_falling_learning_rate_keeps_more_of_the_kl():
    decays, constant = rows(output(LESSON, "decay"))
    assert float(decays[4].split()[0]) > float(constant[4].split()[0]) + 0.05
    assert float(decays[5].split()[0]) < float(constant[5].split()[0]) - 0.05


def test_penn_treebank_is_never_named_without_the_number_of_its_sentences():
    """In the tables and pictures of our runs. The whole corpus may be named in the text."""
    for cell in load(LESSON):
        for before in re.findall(r"([^\s*]+) Penn Treebank", shown(cell)):
            assert before == "2,742"
