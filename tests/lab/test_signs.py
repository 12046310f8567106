"""kldanneal.lab.signs: the signs of posterior collapse, on models that are made to ignore z or to copy it."""

import pytest
import torch

from kldanneal import Annealer
from kldanneal.lab import QUICK, Run, evaluate, load_corpus
from kldanneal.lab.signs import signs, table_of_signs


@pytest.fixture(scope="module")
def run():
    return Run(load_corpus("toy"), Annealer.constant(0.2), QUICK, seed=0, device="cpu").fit(until=250)


@pytest.fixture(scope="module")
def collapsed():
    """Every posterior is the prior, whatever the sentence is."""
    made = Run(load_corpus("toy"), Annealer.constant(1), QUICK, seed=0, device="cpu")
    with torch.no_grad():
        for layer in (made.model.to_mu, made.model.to_logvar, made.model.z_to_state):
            layer.weight.zero_()
            layer.bias.zero_()
        made.model.decoder_lstm.weight_ih_l0[:, QUICK.embedding :] = 0
    return made


def test_a_model_without_a_message_has_all_six_signs(collapsed):
    kl, active, information, cost, *different = signs(collapsed.model, collapsed.corpus).values()
    assert (kl, active) == ("0.000", "0 of 8")
    assert information.lstrip("-") == cost.lstrip("-") == "0.000 ± 0.000"
    assert different == ["1", "1"]


def test_the_numbers_are_those_of_evaluate(run):
    run.model.train()
    found = signs(run.model, run.corpus, seed=3)
    assert run.model.training
    metrics = evaluate(run.model, run.corpus.test, iw_samples=1, seed=3)
    assert found["KL"] == f"{metrics.kl:.3f}"
    assert found["active units"] == f"{metrics.active_units} of 8"
    assert found["mutual information I(x; z)"].startswith(f"{metrics.mutual_information:.3f} ± ")
    assert float(found["cost of exchanging z"].split()[0]) > 5 * float(found["cost of exchanging z"].split()[2])


def test_the_table_has_a_column_for_each_run(run, collapsed):
    lines = table_of_signs({"β = 0.2": run, "collapsed": collapsed}).splitlines()
    assert lines[0] == "| sign (± standard error) | β = 0.2 | collapsed |"
    assert len(lines) == 8 and all(line.count("|") == 4 for line in lines)
    assert lines[-1].endswith("from 1,000 z of the prior | " + signs(run.model, run.corpus).popitem()[1] + " | 1 |")
