"""A student who does anything in any order, in JupyterLab and Chromium. `make soak` tries more seeds."""

import os

import pytest
from cells import RANDOM, with_panels
from random_actions import Student

SEEDS = range(int(os.environ.get("SEEDS", "1")))


@pytest.fixture(scope="module", params=SEEDS)
def seeded(lab, request):
    """A notebook with all panels, for one seed, and that seed."""
    with lab.open(with_panels(RANDOM), f"random-{request.param}") as page:
        page.run_all()
        yield page, request.param
        page.shut_down()


@pytest.mark.parametrize("panel", RANDOM)
def test_nothing_that_a_student_does_breaks_a_panel(seeded, panel):
    page, seed = seeded
    student = Student(page, panel, 1 + list(RANDOM).index(panel), seed)
    student.everything()
    student.compare()
    page.reload()
    student.area.locator(".kl-result").wait_for(timeout=60_000)
    student.compare()
    assert min(student.acted.values()) >= 5 and student.rows > 1
    assert {name for name in student.acted if not student.changed[name]} == set()
    assert page.complaints() == []
