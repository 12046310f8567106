"""What lesson 3 says, checked on its stored outputs: values with a margin."""

import re

from lessons import DIFFERENCE, numbers, output, rows

LESSON = "03_monotonic_vs_cyclical"


def test_the_long_ramp_has_the_discount_of_the_cycles():
    found = re.findall(r"^(\S+) +discount +([\d,]+), below 1 until +([\d,]+)$",
                       output(LESSON, "schedules"), re.MULTILINE)  # fmt: skip
    numbers_of = {name: [int(value.replace(",", "")) for value in values] for name, *values in found}
    assert abs(numbers_of["cyclical"][0] - numbers_of["monotonic-long"][0]) < 10
    assert numbers_of["monotonic"][0] < 0.3 * numbers_of["cyclical"][0]
    assert [numbers_of[name][1] for name in ("monotonic", "monotonic-long", "cyclical")] == [500, 2000, 3500]


def test_ahead_of_the_short_ramp_and_not_of_the_long_one():
    short, long = numbers(DIFFERENCE, output(LESSON, "within-seeds"))
    assert short[1] > 0.05
    assert long[1] < -0.05 and long[2] > 0.05
    for text, other, _, result in rows(output(LESSON, "pairs-table")):
        if text.startswith("toy"):
            assert (result == "`cyclical` higher in 5 of 5 seeds") == (other == "monotonic")
            assert result.startswith("no winner; `cyclical` higher in ") == (other == "monotonic-long")


def test_the_kl_fades_without_word_dropout_and_lasts_with_it():
    pattern = r"toy language, [\d,]+ sentences, word dropout \S+, 5 seeds, cyclical: from (\S+) to (\d+\.\d+)"
    found = re.findall(pattern, output(LESSON, "tail"))
    (before, after), (kept_before, kept_after) = [tuple(map(float, pair)) for pair in found]
    assert after < 0.4 * before
    assert kept_after > kept_before


def test_docstrings_fade_without_word_dropout_too():
    pattern = r"docstrings, [\d,]+ sentences, word dropout \S+, \d seeds, \S+: from (\S+) to (\d+\.\d+)"
    found = [tuple(map(float, pair)) for pair in re.findall(pattern, output(LESSON, "tail"))]
    assert len(found) == 4
    assert all(after < 0.2 * before for before, after in found[:2])
    assert all(after > 0.6 * before for before, after in found[2:])


def test_on_docstrings_the_long_ramp_keeps_more_kl_and_has_the_higher_bound():
    kl, bounds = (
        [row for row in rows(output(LESSON, cell)) if row[0].startswith("docstrings")]
        for cell in ("pairs-table", "bounds")
    )
    assert len(kl) == len(bounds) == 4
    near = [row for row in kl if "; 2,000" in row[0]]
    assert [row[3] for row in near] == ["`monotonic-long` higher in 5 of 5 seeds"] * 2
    assert [row[3] for row in bounds] == ["`cyclical` lower in 5 of 5 seeds"] * 4
    assert all(numbers(DIFFERENCE, row[2])[0][2] < -0.02 for row in near + bounds)
    in_all = numbers(DIFFERENCE, output(LESSON, "bounds-in-all"))
    assert len(in_all) == 2 and all(low < 0 < high for _, low, high in in_all)


def test_the_lead_is_smaller_at_equal_distance():
    (
        total,
        *_,
    ) = numbers(DIFFERENCE, output(LESSON, "snapshots"))
    at_2000 = numbers(DIFFERENCE, output(LESSON, "snapshots"))[4]
    assert total[0] > at_2000[0] + 0.1


def test_no_winner_by_the_bounds():
    found = [row for row in rows(output(LESSON, "bounds")) if row[0].startswith("toy")]
    assert len(found) == 8
    for row in found:
        ((mean, _, _),) = numbers(DIFFERENCE, row[2])
        assert abs(mean) <= 0.04 and row[3].startswith("no winner; `cyclical` lower in ")
    assert "| result (lower is better) |" in output(LESSON, "bounds").splitlines()[0]
