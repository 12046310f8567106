"""A student who does anything in any order, in JupyterLab and Chromium. `make soak` tries more seeds."""

import os

import nbformat.v4 as nb
import pytest
from random_actions import PANELS, SETUP, Student

SEEDS = range(int(os.environ.get("SEEDS", "1")))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("panel", PANELS)
def test_nothing_that_a_student_does_breaks_a_panel(opened, panel, seed):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nb.new_code_cell(SETUP.strip()), nb.new_code_cell(PANELS[panel])]
    page = opened(nb.new_notebook(cells=cells, metadata={"kernelspec": kernel}), f"random-{panel}-{seed}")
    student = Student(page, seed)
    student.everything()
    student.compare()
    page.reload()
    student.area.locator(".kl-result").wait_for(timeout=60_000)
    student.compare()
    assert min(student.acted.values()) >= 5 and student.rows > 1
    assert {name for name in student.acted if not student.changed[name]} == set()
    assert page.complaints() == []
    page.shut_down()
