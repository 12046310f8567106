"""What lesson 2 says, checked on its stored outputs: values with a margin."""

import re
from itertools import pairwise

import pytest
from lessons import load, output, shown, source

from kldanneal import Annealer

LESSON = "02_annealing_schedules"


def means(cell, word_dropout, label):
    """The means that a picture's alternative text gives, by what is on the x axis."""
    (found,) = re.findall(
        rf"word dropout {word_dropout}, {label}: ([^a-z]+(?:at [\d,.]+[^a-z]*)+)", output(LESSON, cell)
    )
    return {int(x.replace(",", "")): float(kl) for kl, x in re.findall(r"(\d+\.\d+) at (\d[\d,]*\d)", found)}


def test_the_third_update_uses_a_half_and_the_loss_rises():
    found = re.findall(r"^update (\d): weight (\d\.\d+), loss (\d+\.\d)$", output(LESSON, "loop"), re.MULTILINE)
    assert found[2][:2] == ("3", "0.50")
    assert [float(loss) for *_, loss in found] == [50, 52, 54, 56, 58, 58]


def test_word_dropout_is_explained_before_it_is_printed():
    cells = [source(cell) + shown(cell) for cell in load(LESSON)]
    first = next(i for i, text in enumerate(cells) if "word dropout" in text.lower())
    assert "**Word dropout** hides" in cells[first] and "glossary.ipynb#Word-dropout" in cells[first]


def test_the_step_restarts_in_each_cycle():
    cycles = Annealer(1000, cyclical=True, ratio=0.5, cycles=4).schedule(5000)
    assert cycles[0] == cycles[1000] == cycles[3000] == 0 and cycles[250] == cycles[1250] == 0.5
    assert cycles[4000:] == [1.0] * 1000


def test_the_shapes_have_one_discount_and_the_logistic_is_lowest_at_first():
    found = re.findall(r"^(\w+) +weight at step 250: (\S+) +discount (\S+)$", output(LESSON, "shapes"), re.MULTILINE)
    weights = {shape: float(weight) for shape, weight, _ in found}
    assert weights["logistic"] < weights["cosine"] - 0.05 < weights["linear"] - 0.1
    assert {float(discount) for *_, discount in found} == {500.5}
    assert Annealer(1000, "logistic").weight_at(750) > Annealer(1000, "cosine").weight_at(750) > 0.75


def test_counted_in_epochs_and_stepped_for_each_update():
    mixed, smooth, stairs, too_long = output(LESSON, "epochs").splitlines()
    used = [re.findall(r"\d\.\d\d", line) for line in (mixed, smooth, stairs)]
    assert [weights.index("1.00") for weights in used] == [2, 8, 8]
    assert too_long.endswith("last weight 0.40")


def test_a_kl_from_below_weight_1_falls_at_weight_1():
    found = re.findall(r"KL (\S+) at weight 0.5; (\S+) after", output(LESSON, "half"))
    assert len(found) == 2
    assert all(float(later) < 0.85 * float(half) for half, later in found)


@pytest.mark.parametrize("word_dropout", ["0", "0.2"])
def test_short_ramps_collapse_and_the_longest_keeps_the_most(word_dropout):
    every = [means("ramps", word_dropout, shape) for shape in ("linear", "cosine", "logistic")]
    assert [list(kl) for kl in every] == [[62, 125, 250, 500, 1000, 2000]] * 3
    assert max(kl[size] for kl in every for size in (62, 125, 250, 500)) < 0.1
    assert min(kl[2000] for kl in every) > 0.2
    over_shapes = [sum(kl[size] for kl in every) / 3 for size in (250, 1000, 2000)]
    assert all(before < after for before, after in pairwise(over_shapes))


def test_the_partner_of_four_cycles_has_twice_their_length():
    text = output(LESSON, "partner").replace(",", "")
    discounts = {int(steps): float(value) for steps, value in re.findall(r"one ramp of (\d+) +discount (\S+)", text)}
    (cycles,) = map(float, re.findall(r"4 cycles of 1000  discount (\S+)", text))
    assert discounts == {500: 250.5, 1000: 500.5, 2000: 1000.5, 4000: 2000.5}
    assert cycles == 4 * 250.5


def test_cycles_keep_more_kl_in_some_pairs_and_not_in_all():
    found = [tuple(map(int, pair)) for pair in re.findall(r"in (\d+) of (\d+) pairs", output(LESSON, "pairs"))]
    assert len(found) == 2
    more, pairs = (sum(column) for column in zip(*found, strict=True))
    assert 0 < more < pairs
    (without, _), (hidden, of) = found
    assert without == 0 and 0 < hidden < of


def test_the_summary_has_the_range_over_the_shapes():
    found = re.findall(
        r"Word dropout (\S+): (\S+) to (\S+) after a ramp of 250, (\S+) to (\S+) after 2,000", output(LESSON, "summary")
    )
    assert [word_dropout for word_dropout, *_ in found] == ["0", "0.2"]
    for word_dropout, *values in found:
        every = [means("ramps", word_dropout, shape) for shape in ("linear", "cosine", "logistic")]
        wanted = [end(kl[size] for kl in every) for size in (250, 2000) for end in (min, max)]
        assert list(map(float, values)) == wanted


def test_cycles_lead_a_ramp_of_their_own_length_which_has_half_their_discount():
    for word_dropout in ("0", "0.2"):
        ramp, cycles = (means("discounts", word_dropout, label) for label in ("one ramp", "4 cycles"))
        assert list(ramp) == list(cycles) == [63, 126, 250, 500, 1000]
        assert cycles[1000] > ramp[500] + 0.05  # 4 cycles of 1,000, and one ramp of 1,000


def test_the_loss_at_the_current_weight_is_lowest_after_the_last_restart():
    pattern = r"lowest at update ([\d,]+), mean weight (\S+); -ELBO there (\S+), at the end (\S+)$"
    found = re.findall(pattern, output(LESSON, "lowest"), re.MULTILINE)
    assert len(found) == 5
    for update, weight, there, end in found:
        assert 3000 < int(update.replace(",", "")) <= 3250 and float(weight) < 0.5
        assert float(there) > float(end) + 0.3
    assert "seed 0" in output(LESSON, "losses") and found[0][0] in output(LESSON, "losses")


def test_a_run_that_ends_inside_its_ramp_has_the_higher_kl_and_the_higher_bound():
    (short, long) = re.findall(r"last weight (\S+), KL (\S+), -ELBO (\S+)$", output(LESSON, "train"), re.MULTILINE)
    assert float(short[0]) == 1 and float(long[0]) < 0.4
    assert float(long[1]) > float(short[1]) + 0.5 and float(long[2]) > float(short[2]) + 0.1


def test_figures_say_text_size_updates_and_seeds():
    drawn = [cell for cell in load(LESSON) if re.search(r"^plot_\w+\(", source(cell), re.MULTILINE)]
    assert [cell["id"] for cell in drawn] == ["ramps", "discounts", "losses"]
    for cell in drawn:
        assert "toy language, 20,000 sentences" in shown(cell) and "updates" in shown(cell)
        assert re.search(r"\d seeds?|seed \d", shown(cell))


def test_the_bug_is_one_that_the_exercise_describes():
    (code,) = re.findall(r"```python\n(.*?)```", source(load(LESSON)[-1]), re.DOTALL)
    lines = [line[3:] for line in code.splitlines()]

    def used(lines):
        there = {}
        exec("\n".join(lines), there)
        return there["used"]

    assert used(lines).count(0) == 8 and len(used(lines)) == 24
    restart = [line.removeprefix("    ") for line in lines if "epoch % 3" in line or "a new cycle" in line]
    mended = [line for line in lines if "epoch % 3" not in line and "a new cycle" not in line]
    assert used([*mended[:2], *restart, *mended[2:]]) == pytest.approx(
        Annealer(12, cyclical=True, ratio=0.5).schedule(24)
    )
