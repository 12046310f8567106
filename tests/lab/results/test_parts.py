"""kldanneal.lab.results.parts: the runs that are trained, before any is."""

import pytest

from kldanneal.lab.results.parts import MAP_STEPS, PARTS, durability, fair_map
from kldanneal.lab.training.settings import Settings


@pytest.mark.parametrize("part", PARTS)
def test_every_job_is_another_run_and_can_be_made(part):
    jobs = list(PARTS[part]())
    assert len({job.key() for job in jobs}) == len(jobs)
    for job in jobs:
        Settings(**{"steps": job.updates} | job.settings)
        assert job.marks()[-1] == job.updates


def test_no_two_cells_of_the_map_are_the_same_run():
    cells = [job for job in fair_map() if job.seed == 0]
    assert len({(tuple(job.weights()), job.settings["word_dropout"]) for job in cells}) == len(cells) == 80


def test_the_map_has_the_same_tail_everywhere():
    assert {job.updates - job.last_low() for job in fair_map() if "cycles" not in job.annealer} == {4000}
    for job in fair_map():
        assert job.last_low() + 4000 in job.marks()


def test_two_lengths_of_the_map_have_one_discount_once_and_in_cycles():
    cells = {(job.label, job.annealer["total_steps"], job.annealer.get("shape")): job for job in fair_map()}
    for shape in ("linear", "cosine", "logistic"):
        for steps in MAP_STEPS[:-1]:
            if 2 * steps in MAP_STEPS:
                cycles = sum(1 - weight for weight in cells["in cycles", steps, shape].weights())
                once = sum(1 - weight for weight in cells["once", 2 * steps, shape].weights())
                assert cycles == pytest.approx(once, abs=2)


def test_claims_rest_on_five_paired_seeds():
    runs = [job for job in durability() if job.settings.get("lr_schedule") is None]
    assert {job.seed for job in runs} == set(range(5))
    for seed in range(5):
        assert [job.label for job in runs if job.seed == seed] == [job.label for job in runs if job.seed == 0]
