"""kldanneal.lab.page.data: every number is that of a stored run, or a mean of stored runs."""

from statistics import mean

import pytest

from kldanneal.lab.page.data import COLUMNS, TOLERANCE, corners, page_data, schedule_of
from kldanneal.lab.results import stored
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.parts import fair_map


@pytest.fixture(scope="module")
def data(small_map):
    return page_data(*small_map)


@pytest.fixture(scope="module")
def runs(small_map):
    return [run for path in small_map for run in stored.load(path)[1]]


def test_the_grid_is_that_of_the_stored_runs(data):
    assert data["grid"] == {
        "modes": ["once", "cycles", "constant"], "shapes": ["linear", "cosine"], "steps": [10, 50],
        "weights": [0.5, 1.0], "dropouts": [0.0, 0.2], "distances": [0, 25, 50],
    }  # fmt: skip
    assert data["about"]["seeds"] == [0, 1] and data["about"]["runs"] == 40
    assert data["about"]["commits"] == [stored.provenance()["commit"]]


def test_every_schedule_of_the_map_has_a_name_of_its_own():
    jobs = [job for job in fair_map() if job.seed == 0 and not job.settings["word_dropout"]]
    assert len({schedule_of(job) for job in jobs}) == len(jobs) == 40


def test_runs_keep_their_numbers(data, runs):
    assert len(data["runs"]) == len(runs)
    for shown, run in zip(data["runs"], runs, strict=True):
        assert (shown["kl"], shown["reconstruction"]) == (run["kl_curve"], run["reconstruction_curve"])
        assert shown["measured"] == [[row[name] for name in COLUMNS] for row in run["measured"]]


def test_a_cell_is_the_mean_over_its_seeds(data, runs):
    assert len(data["cells"]) == 10 * 2 * 3
    for cell in data["cells"]:
        kl = [
            row["kl"] for run in runs for row in run["measured"]
            if (schedule_of(from_dict(run["job"])), run["job"]["settings"].get("word_dropout"), row["distance"])
            == (cell["schedule"], cell["dropout"], cell["distance"])
        ]  # fmt: skip
        assert cell["seeds"] == len(kl)
        assert cell["kl"] == (pytest.approx(mean(kl), abs=1e-4) if kl else None)
    missing = {cell["schedule"] for cell in data["cells"] if cell["kl"] is None}
    assert missing == {"constant-1"}  # before training there is no measurement


def test_the_drawn_weight_is_the_weight_of_training(data, runs):
    for run in runs:
        job = from_dict(run["job"])
        drawn, weights = data["schedules"][schedule_of(job)], job.weights()
        assert (drawn["low"], drawn["updates"]) == (job.last_low(), job.updates)
        assert drawn["x"][0] == 1 and drawn["x"][-1] == job.updates
        for (x0, y0), (x1, y1) in zip(
            zip(drawn["x"], drawn["y"], strict=True), zip(drawn["x"][1:], drawn["y"][1:], strict=True), strict=False
        ):
            for update in range(x0, x1 + 1):
                between = y0 + (y1 - y0) * (update - x0) / (x1 - x0)
                assert between == pytest.approx(weights[update - 1], abs=TOLERANCE + 1e-4)


def test_corners_are_few():
    ramp = [i / 1000 for i in range(1001)] + [1.0] * 1000
    assert corners(ramp) == [0, 1000, 2000]
    assert corners([0.5]) == [0]


def test_references_name_runs_that_are_there(data):
    keys = {run["key"] for run in data["runs"]}
    labels = [one["label"] for one in data["references"]]
    assert labels == ["constant weight 1", "fixed β = 0.5", "free bits 0.1 (larger model: 4 hidden units)",
                      "word dropout 0.2, constant weight 1"]  # fmt: skip
    for one in data["references"]:
        assert one.get("key", f"{one.get('schedule')}-wd0") in keys


def test_a_map_that_is_not_complete(small_map, tmp_path):
    about, runs = stored.load(small_map[0])
    some = [run for run in runs if run["job"]["seed"] == 0 and run["job"]["label"] != "constant 1"]
    stored.save(tmp_path / "some.json", about, some[:-3])
    data = page_data(tmp_path / "some.json")
    assert data["grid"]["weights"] == [0.5] and len(data["runs"]) == len(some) - 3
    assert [one["label"] for one in data["references"]] == ["fixed β = 0.5"]


def test_what_cannot_be_shown_is_refused(small_map, tmp_path):
    about, runs = stored.load(small_map[0])
    stored.save(tmp_path / "none.json", about, [])
    with pytest.raises(ValueError, match=r"Expected stored runs of the map in .*none\.json, but got none"):
        page_data(tmp_path / "none.json")
    stored.save(tmp_path / "two.json", about, [runs[0], {**runs[1], "digest": "another"}])
    with pytest.raises(ValueError, match="Expected stored runs of one corpus, but got the digests"):
        page_data(tmp_path / "two.json")
