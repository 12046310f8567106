"""Another version of the assignment: it has other questions, and its own reference passes all of its checks."""

import sys

import pytest
from submissions import CHECKS, COURSEWORK, REFERENCE, SOURCE, named, text
from test_coursework import execute

sys.path.insert(0, str(COURSEWORK))

import variant


@pytest.fixture(scope="module")
def curves():
    """The curves of the public version, by schedule: a variant trains its own, which takes minutes."""
    namespace = {}
    exec(text(named(SOURCE)["q6-curves"]), namespace)
    runs = {"constant": "B", "monotonic": "D", "monotonic-long": "A", "cyclical": "C"}
    return {name: [float(value) for value in namespace["CURVES"][run].split()] for name, run in runs.items()}


@pytest.mark.parametrize("name", ["autumn", "spring", "x"])
def test_a_variant_has_other_questions_and_passes_its_own_checks(name, curves, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    other = variant.varied(SOURCE, name, curves, 4)
    assert other == variant.varied(SOURCE, name, curves, 4)
    assert [cell["id"] for cell in other["cells"]] == [cell["id"] for cell in SOURCE["cells"]]
    changed = [cell["id"] for cell, was in zip(other["cells"], SOURCE["cells"], strict=True) if text(cell) != text(was)]
    assert {check[:2] for check in set(CHECKS) & set(changed)} == {f"q{i}" for i in (1, 2, 3, 4, 5, 6, 8, 9)}
    assert "colab" not in text(other["cells"][0])  # the badge opens the public version
    monkeypatch.setattr("test_coursework.SOURCE", other)
    assert execute({})[0] == {}
    failing = set(execute(REFERENCE)[0])  # the answers of the public version
    assert {"q3-3", "q8-1", "q9-1"} <= failing and failing & {"q6-1", "q6-2"}


def test_two_names_give_two_assignments(curves):
    assert variant.varied(SOURCE, "autumn", curves, 4) != variant.varied(SOURCE, "spring", curves, 4)


def test_a_number_that_is_not_in_the_source_is_named(curves):
    cells = [{**cell, "source": text(cell).replace("= 4.0, 0.8069", "= 7.0, 2.0270")} for cell in SOURCE["cells"]]
    with pytest.raises(ValueError, match=r"'= 4\.0, 0\.8069' once in the cell q1-2, but it is there 0 times"):
        variant.varied({**SOURCE, "cells": cells}, "autumn", curves, 4)


def test_curves_that_cannot_be_read_are_refused(curves):
    assert variant.readable(curves)
    assert not variant.readable({**curves, "cyclical": curves["monotonic"]})
    assert not variant.readable({**curves, "constant": [0.1] * 50})


def test_a_name_that_is_no_name_is_refused():
    with pytest.raises(SystemExit, match="letters"):
        variant.main("../elsewhere")
