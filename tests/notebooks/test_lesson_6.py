"""What lesson 6 says, checked on its stored outputs: values with a margin."""

import math
import re
from itertools import pairwise

from lessons import output, prose

from kldanneal.lab.questions import questions

LESSON = "06_what_does_z_know"
COLLAPSED, USED = "β = 1", "β = 0.5"


def test_one_model_is_collapsed_and_one_uses_z():
    found = re.findall(r"^(β = \S+) +KL (\S+) nats, (\d+) active units", output(LESSON, "written"), re.MULTILINE)
    kl, units = ({name: float(values[i]) for name, *values in found} for i in (0, 1))
    assert kl[COLLAPSED] < 0.02 and units[COLLAPSED] == 0
    assert kl[USED] > 1 and units[USED] >= 1


def test_the_collapsed_decoder_writes_one_sentence_and_the_other_a_few():
    pattern = r"^(β = \S+) .*\n +from the means: (\d+) different .*\n +from random z: (\d+), .* (\d+) times"
    written = re.findall(pattern, output(LESSON, "written"), re.MULTILINE)
    found = {name: list(map(int, values)) for name, *values in written}
    assert found[COLLAPSED][0] == 1 and 2 <= found[USED][0] <= 50
    assert 1 < found[COLLAPSED][1] < found[USED][1] <= 100
    assert "give 7 sentences." in prose(LESSON) and found[COLLAPSED][1] == found[USED][0] == 7


def information():
    """For each model what the cell prints, as numbers."""
    pattern = (
        r"^(β = \S+) +KL (\S+); 20 estimates of I: (\S+) to (\S+), mean (\S+)\n"
        r" +standard error of one: (\S+); their standard deviation: (\S+)\n"
        r" +below 0: (\d+); above the KL: (\d+); KL minus mean I: (\S+)$"
    )
    found = re.findall(pattern, output(LESSON, "information"), re.MULTILINE)
    names = ("kl", "lowest", "highest", "mean", "error", "deviation", "below", "above", "rest")
    return {name: dict(zip(names, map(float, values), strict=True)) for name, *values in found}


def test_at_a_kl_of_almost_0_the_estimate_is_sampling_error():
    found = information()[COLLAPSED]
    assert found["below"] >= 1 and found["above"] >= 1 and found["lowest"] < 0 < found["mean"] < found["kl"]
    assert 0.3 * found["error"] < found["kl"] < 5 * found["error"]
    assert 0.5 * found["error"] < found["deviation"] < 2 * found["error"]


def test_the_used_z_carries_close_to_log_6_and_its_kl_is_larger():
    found = information()[USED]
    assert math.log(6) - 0.2 < found["mean"] < math.log(6) + 3 * found["error"]
    assert found["below"] == found["above"] == 0 and found["rest"] > 0.3
    assert found["error"] < 0.02 * found["mean"]


def readable():
    """For each hidden choice: always the same, z of the collapsed model, z of the other."""
    pattern = r"(\w+): always the same (\S+), z, β = 1 (\S+), z, β = 0\.5 (\d\.\d+)"
    return {choice: tuple(map(float, values)) for choice, *values in re.findall(pattern, output(LESSON, "readable"))}


def test_the_used_z_tells_tense_and_negation_and_the_collapsed_z_nothing():
    found = readable()
    assert len(found) == 11
    for choice, (always, collapsed, used) in found.items():
        assert abs(collapsed - always) < 0.08
        assert used > 0.9 if choice in ("tense", "negation") else abs(used - always) < 0.08
    accuracies = " and ".join(f"{found[choice][2]:.2f}" for choice in ("tense", "negation"))
    assert questions(6)["choices"].why == f"Accuracy of the probe: {accuracies}."


def scales():
    """The rows of the table by name: topic, tense, negation."""
    pattern = r"^(\S.*?) +(\d\.\d\d) +(\d\.\d\d) +(\d\.\d\d)$"
    found = re.findall(pattern, output(LESSON, "scales"), re.MULTILINE)
    return {name: list(map(float, values)) for name, *values in found}


def test_a_probe_of_mu_is_fooled_and_dividing_by_sigma_does_not_help():
    found = scales()
    always, mu, scaled, z = (found[name] for name in ("always the same", *(f"{COLLAPSED}, {what}"
                                                      for what in ("mu", "mu / sigma", "z"))))  # fmt: skip
    assert mu[1] > 0.6, "the answer to the prediction"
    assert all(read > base + 0.3 for read, base in zip(mu, always, strict=True))
    assert all(abs(read - other) < 0.03 for read, other in zip(mu, scaled, strict=True))
    assert all(abs(read - base) < 0.08 for read, base in zip(z, always, strict=True))


def test_the_spread_of_mu_in_units_of_sigma_tells_the_models_apart():
    pattern = r"^(β = \S+): standard .*\n.*at most (\S+) sigma\n +the spread costs (\S+) nats of KL, the centre (\S+)"
    printed = re.findall(pattern, output(LESSON, "scales"), re.MULTILINE)
    found = {name: list(map(float, values)) for name, *values in printed}
    assert found[COLLAPSED][0] <= 0.034 and 0.0005 < found[COLLAPSED][1] < 0.0015, "0.03, and a thousandth of a nat"
    rest = information()[COLLAPSED]["kl"] - found[COLLAPSED][1]
    assert 0.5 * rest < found[COLLAPSED][2] < 1.1 * rest, "most of the other KL"
    assert found[USED][0] > 3 and found[USED][1] > 0.5


def test_two_hills_are_two_hundredths_apart_and_the_noise_covers_them():
    found = re.findall(r"(mu|z), negation: (no|yes): mean (\S+), deviation (\d+\.\d+)", output(LESSON, "direction"))
    mean, deviation = ({(what, value): float(row[i]) for what, value, *row in found} for i in (0, 1))
    apart = {what: mean[what, "yes"] - mean[what, "no"] for what in ("mu", "z")}
    assert abs(apart["mu"] - 0.02) < 0.006 and apart["mu"] > 1.5 * (deviation["mu", "no"] + deviation["mu", "yes"])
    assert all(abs(deviation["z", value] - 1) < 0.1 for value in ("no", "yes")) and abs(apart["z"]) < 0.15


def test_tense_and_negation_survive_and_the_topic_by_chance():
    found = re.findall(r"^(\w+) +(\d\.\d\d) +(\d\.\d\d)$", output(LESSON, "survives"), re.MULTILINE)
    assert len(found) == 11
    for choice, collapsed, used in found:
        always = readable()[choice][0]
        assert abs(float(collapsed) - always) < 0.08
        assert float(used) > 0.95 if choice in ("tense", "negation") else abs(float(used) - always) < 0.08


def test_the_walk_jumps_and_passes_sentences_that_the_language_has_not():
    collapsed, used = re.split(r"^β = 0\.5$", output(LESSON, "walks").partition("β = 1\n")[2], flags=re.MULTILINE)
    assert len(re.findall(r"^ +\d+ %", collapsed, re.MULTILINE)) == 1
    lines = re.findall(r"^ +\d+ % .*$", used, re.MULTILINE)
    assert 2 <= len(lines) <= 10
    outside = [line for line in lines[1:-1] if "not in the language" in line]
    assert any("will not paint" in line and "last week" in line for line in outside)
    assert "did" not in lines[0] and "painted" in lines[0] and "will not" in lines[-1]  # the ends: past; future, not
    first, second, *_ = output(LESSON, "walks").splitlines()
    assert "planted" in first and "will not" in second
    assert "not in the language" not in lines[0] + lines[-1] and "will not" in collapsed and "every day" in collapsed


def test_the_curves_are_flat_for_the_collapsed_model_only():
    found = re.findall(r"(β = \S+): \d+ jumps, nats of the two sentences (\S+) to (\S+), (\S+) to (\d+\.\d+)",
                       output(LESSON, "walks"))  # fmt: skip
    nats = {name: list(map(float, values)) for name, *values in found}
    assert abs(nats[COLLAPSED][0] - nats[COLLAPSED][1]) < 0.2 and abs(nats[COLLAPSED][2] - nats[COLLAPSED][3]) < 0.2
    assert nats[USED][1] > nats[USED][0] + 3 and nats[USED][2] > nats[USED][3] + 3


def test_another_seed_keeps_the_negation_in_a_way_that_a_linear_probe_misses():
    assert re.search(r"survives:\n.*\bnegation (?:0\.9\d|1\.00)", output(LESSON, "again"))
    assert "tense 0.64" in output(LESSON, "again"), "the text says so"
    solved = output(f"solutions/{LESSON}", "two-code")
    linear, survives, powers = (
        float(re.search(rf"{what}: +(\S+)", solved)[1]) for what in ("linear probe of z", "survives", "probe of powers")
    )
    assert "active units: 1" in solved and linear < survives - 0.2 and powers > linear + 0.15


def test_on_the_line_of_the_other_seed_no_and_yes_take_turns():
    values = re.findall(r"negation: (\w+)$", output(f"solutions/{LESSON}", "two-groups"), re.MULTILINE)
    assert len(values) == 6 and sum(a != b for a, b in pairwise(values)) >= 2


def test_the_two_parts_add_up_to_the_kl():
    solved = output(f"solutions/{LESSON}", "three-code")
    kl, total = (float(re.search(rf"{what} (\d\.\d+)", solved)[1]) for what in ("KL", "sum"))
    assert abs(kl - total) < 0.01
