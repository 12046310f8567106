"""The missions of a drive: when each is met, and that a collapsed drive does not meet the one about its cost."""

import pytest

from kldanneal.lab.metrics import Metrics
from kldanneal.lab.results.drives import SEEDS, load_drives
from kldanneal.lab.widgets import records
from kldanneal.lab.widgets.missions import Missions


def metrics(kl=0.0, neg_elbo=14.0, active_units=0):
    names = (
        "reconstruction",
        "standard_error",
        "perplexity",
        "mutual_information",
        "iw_nll",
        "mutual_information_error",
    )
    return Metrics(kl=kl, neg_elbo=neg_elbo, active_units=active_units, kl_per_dimension=[], sentences=1, iw_samples=1,
                   **dict.fromkeys(names, 0.0))  # fmt: skip


def test_a_mission_is_ticked_once_it_is_met_and_stays():
    missions = Missions()
    missions.look(10, metrics(active_units=2), [0.0] * 10)
    assert missions.met == {} and missions.html(cyclical=False).count("\u2610") == 3
    missions.look(20, metrics(active_units=3), [0.0] * 20)
    missions.look(30, metrics(active_units=0), [0.0] * 30)
    assert missions.met == {"units": 20} and "met at update 20" in missions.html(cyclical=False)


@pytest.mark.parametrize(
    "kls, weights, met",
    [
        ([0.6] * 11, [0.0] * 100 + [1.0] * 1000, True),
        ([0.6] * 5 + [0.4] + [0.6] * 5, [0.0] * 100 + [1.0] * 1000, False),  # it fell below on the way
        ([0.6] * 11, [0.0] * 700 + [1.0] * 400, False),  # too short
        ([0.6] * 11, [1.0] * 600 + [0.9] + [1.0] * 499, True),  # met before the weight fell again
    ],
)
def test_the_kl_has_to_last_at_weight_1(kls, weights, met):
    missions = Missions()
    for i, kl in enumerate(kls, start=1):
        missions.look(100 * i, metrics(kl), weights[: 100 * i])
    assert ("lasts" in missions.met) == met


@pytest.mark.parametrize(
    "kl, neg_elbo, weight, met",
    [
        (0.7, 13.9, 1.0, True),
        (0.5, 14.09, 1.0, True),
        (0.7, 14.11, 1.0, False),  # too dear
        (0.0, 13.0, 1.0, False),  # collapsed, however low its -ELBO is
        (0.49, 13.0, 1.0, False),
        (0.7, 13.9, 0.99, False),  # the KL has not met weight 1
    ],
)
@pytest.mark.parametrize("kl_of_cyclical", [0.0, 1.0])
def test_z_is_cheap_only_if_it_is_used_at_weight_1(kl, neg_elbo, weight, met, kl_of_cyclical):
    cyclical = records.Moment(2000, metrics(kl_of_cyclical, 14.0))
    missions = Missions()
    missions.look(10, metrics(kl, neg_elbo), [0.0] * 9 + [weight])
    assert "cheap" not in missions.met  # there is nothing to compare with
    missions.look(10, metrics(kl, neg_elbo), [0.0] * 9 + [weight], cyclical)
    assert ("cheap" in missions.met) == met


@pytest.mark.parametrize("seed", SEEDS)
def test_no_collapsed_drive_of_the_stored_ones_meets_the_third_mission_and_the_patient_one_does(seed):
    drives = load_drives()
    cyclical = drives["cyclical", seed]["at_end"]
    moment = records.Moment(2000, metrics(cyclical["kl"], cyclical["neg_elbo"]))
    for name in ("impatient", "constant", "patient"):
        end, missions = drives[name, seed]["at_end"], Missions()
        missions.look(2000, metrics(end["kl"], end["neg_elbo"]), [1.0] * 2000, moment)
        assert ("cheap" in missions.met) == (name == "patient")
