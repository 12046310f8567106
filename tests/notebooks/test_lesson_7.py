"""What lesson 7 says, checked on its stored outputs: values with a margin."""

import re

from lessons import DIFFERENCE, RATIO, load, numbers, output, prose, rows, shown

LESSON = "07_penn_treebank"


def test_the_two_scripts_differ_twice():
    monotonic, once, little, cyclical, cycles, much = output(LESSON, "scripts-picture").splitlines()[:6]
    assert "below 1 in 9.0 epochs; then at 1 for 31.0" in once
    assert "below 1 in 18.0 epochs; then at 1 for 5.5" in cycles
    assert "after 9.0 epochs; learning rate 0.001000 to 0.001000" in monotonic
    assert (little.strip(), much.strip()) == ("discount: 4.0 epochs", "discount: 8.1 epochs")
    assert "after 4.5 epochs; learning rate 0.001000 to 0.000024" in cyclical


def test_the_four_arms():
    small, _, docstrings = output(LESSON, "cells-table").partition("docstrings, ")
    for text, sign in ((small, -1), (docstrings, 1)):
        found = [row for row in rows("||\n||\n" + text) if row[0] in ("monotonic", "cyclical")]
        cells = {(weight, lr): (float(kl), float(bound)) for weight, lr, _, _, kl, bound, _ in found}
        (once, once_later), (cycles, cycles_later) = ([int(cell.replace(",", "")) for cell in row[2:4]]
                                                      for row in (found[0], found[2]))  # fmt: skip
        assert 1.9 < cycles / once < 2.1 and 5 < once_later / cycles_later < 6  # "more discount, a shorter distance"
        assert all(found[i][2:4] == found[i + 1][2:4] for i in (0, 2))  # the restarts: at equal ones
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
    decays, constant, difference = rows(output(LESSON, "decay"))
    ((_, low, _),) = numbers(DIFFERENCE, difference[4])
    assert low > 0.02
    assert float(decays[4].split()[0]) > float(constant[4].split()[0]) + 0.05
    bounds = [row[5].split()[0] for row in (decays, constant)]
    assert float(bounds[0]) < float(bounds[1]) - 0.05 and f"falls further ({' against '.join(bounds)})" in prose(LESSON)


def test_penn_treebank_is_never_named_without_the_number_of_its_sentences():
    """In the tables and pictures of our runs. The whole corpus may be named in the text."""
    for cell in load(LESSON):
        for before in re.findall(r"([^\s*]+) Penn Treebank", shown(cell)):
            assert before == "2,742"
