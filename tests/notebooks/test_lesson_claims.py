"""What the lessons say, checked on their stored outputs: values with a margin, and the form that every lesson has."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FAIR, PAPER = "03_monotonic_vs_cyclical", "07_penn_treebank"
LESSONS = (FAIR, PAPER)
WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
DIFFERENCE = re.compile(r"([+-]\d+\.\d+) \[([+-]\d+\.\d+), ([+-]\d+\.\d+)\]")
RATIO = re.compile(r"x(\d+\.\d+) \[(\d+\.\d+), (\d+\.\d+)\]")
ANSWER = re.compile(r"<details><summary><b>Answer</b></summary>(.*?)</details>", re.DOTALL)


def load(name):
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def shown(cell):
    """What a code cell shows, as text: printed, Markdown, or the alternative text of a picture."""
    parts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        parts.append("".join(output.get("text", data.get("text/markdown", data.get("text/plain", "")))))
    return "\n".join(part.rstrip("\n") for part in parts)  # what is printed may be stored in pieces


def output(name, cell_id):
    (found,) = [cell for cell in load(name) if cell["id"] == cell_id]
    return shown(found)


def rows(text):
    """The cells of a table in Markdown, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[re.sub("^`([^`]*)`$", r"\1", cell.strip()) for cell in line.strip("|").split("|")] for line in lines][2:]


def numbers(pattern, text):
    return [tuple(map(float, found)) for found in pattern.findall(text)]


def code(name):
    return [source(cell) for cell in load(name) if cell["cell_type"] == "code"]


def prose(name):
    """What is read: Markdown cells, the folded answers included, and text that a cell writes, without its tables."""
    texts = [source(cell) for cell in load(name) if cell["cell_type"] == "markdown"]
    written = [
        "".join(o.get("data", {}).get("text/markdown", "")) for cell in load(name) for o in cell.get("outputs", [])
    ]
    texts += ["\n".join(line for line in text.splitlines() if not line.startswith("|")) for text in written]
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"^\[!\[.*$", "", "\n".join(texts), flags=re.MULTILINE))


# -- the form --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_takes_twenty_minutes(name):
    assert len(WORD.findall(prose(name))) <= 1500
    assert sum(len(cell.splitlines()) for cell in code(name)) <= 120


@pytest.mark.parametrize("name", LESSONS)
def test_no_code_that_is_not_about_the_subject(name):
    wanted = r"\bassert\b|\bthreading\b|\bLock\b|\bEvent\b|\.observe\(|on_click|\bcallback\b"
    assert [cell for cell in code(name) if re.search(wanted, cell)] == []


@pytest.mark.parametrize("name", LESSONS)
def test_the_fields_words(name):
    text = prose(name).lower()
    assert re.findall(r"\bknobs?\b|\banecdot\w+|\bbank\b|\bpredict:|\blatter\b", text) == []
    for term in ("posterior collapse** (kl vanishing)", "kl weight (β)"):
        assert term in text


@pytest.mark.parametrize("name", LESSONS)
def test_the_reader_commits_before_each_answer(name):
    """A question, then something to look at, then the answer, folded; and a picture or table in between."""
    order = []
    for cell in load(name):
        if cell["cell_type"] == "code":
            order += ["look"] if cell["outputs"] and "start()" not in source(cell) else []
            continue
        marks = [(m.start(), "commit") for m in re.finditer(r"\*\*Commit\.\*\*", source(cell))]
        marks += [(m.start(), "answer") for m in ANSWER.finditer(source(cell))]
        marks += [(m.start(), "look") for m in re.finditer(r"^\|(?:---\|)+$", source(cell), re.MULTILINE)]
        order += [what for _, what in sorted(marks)]
    asked = [what for what in order if what != "look"]
    assert len(asked) >= 10 and asked == ["commit", "answer"] * (len(asked) // 2)
    assert order.index("commit") < order.index("look")


@pytest.mark.parametrize("name", LESSONS)
def test_numbers_in_answers_stand_in_an_output_or_table_above(name):
    above, missing = "", []
    for cell in load(name):
        if cell["cell_type"] == "code":
            above += shown(cell)
            continue
        above += "\n".join(line for line in source(cell).splitlines() if line.strip().startswith("|"))
        for answer in ANSWER.findall(source(cell)):
            missing += [number for number in re.findall(r"\d+\.\d{2,}", answer) if number not in above]
    assert missing == []


@pytest.mark.parametrize("name", LESSONS)
def test_every_picture_has_an_alternative_text(name):
    pictures = [o for cell in load(name) for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 4
    for picture in pictures:
        assert len(picture["metadata"]["image/png"]["alt"]) > 40


@pytest.mark.parametrize("name", LESSONS)
def test_figures_of_runs_say_text_size_and_seeds(name):
    for cell in load(name):
        alt = shown(cell)
        if re.search(r"plot_(?:pairs|over_tail|cells|two_runs)\(", source(cell)) and alt:
            assert re.search(r"[\d,]+ (?:Penn Treebank )?(?:sentences|docstrings)", alt), cell["id"]
            assert re.search(r"\d seeds|seed \d", alt) and "updates" in alt, cell["id"]


@pytest.mark.parametrize("name", LESSONS)
def test_three_exercises_with_solutions(name):
    exercises = source(load(name)[-1]).partition("## Exercises")[2].partition("\n## ")[0]
    assert f"(solutions/{name}.ipynb)" in exercises
    assert re.findall(r"^(\d)\. \*\*(?:Recall|Apply|Open)", exercises, re.MULTILINE) == ["1", "2", "3"]
    solved = "\n".join(source(cell) for cell in load(f"solutions/{name}") if cell["cell_type"] == "markdown")
    assert re.findall(r"^## (\d)\. ", solved, re.MULTILINE) == ["1", "2", "3"]
    assert f"(../{name}.ipynb)" in solved


def test_penn_treebank_is_never_named_without_the_number_of_its_sentences():
    """In the tables and pictures of our runs. The whole corpus may be named in the text."""
    for cell in load(PAPER):
        for before in re.findall(r"([^\s*]+) Penn Treebank", shown(cell)):
            assert before == "2,742"


# -- lesson 3 --------------------------------------------------------------------------------------------------------


def test_the_long_ramp_has_the_discount_of_the_cycles():
    found = re.findall(r"^(\S+) +discount +([\d,]+), below 1 until +([\d,]+)$",
                       output(FAIR, "schedules"), re.MULTILINE)  # fmt: skip
    numbers_of = {name: [int(value.replace(",", "")) for value in values] for name, *values in found}
    assert abs(numbers_of["cyclical"][0] - numbers_of["monotonic-long"][0]) < 10
    assert numbers_of["monotonic"][0] < 0.3 * numbers_of["cyclical"][0]
    assert [numbers_of[name][1] for name in ("monotonic", "monotonic-long", "cyclical")] == [500, 2000, 3500]


def test_ahead_of_the_short_ramp_and_not_of_the_long_one():
    short, long = numbers(DIFFERENCE, output(FAIR, "within-seeds"))
    assert short[1] > 0.05
    assert long[1] < -0.05 and long[2] > 0.05
    for text, other, _, higher in rows(output(FAIR, "pairs-table")):
        if text.startswith("toy"):
            assert (higher == "`cyclical` (5 of 5 seeds)") == (other == "monotonic")
            assert higher.startswith("no winner (") == (other == "monotonic-long")


def test_the_kl_fades_without_word_dropout_and_lasts_with_it():
    pattern = r"toy language, [\d,]+ sentences, word dropout \S+, 5 seeds, cyclical: from (\S+) to (\d+\.\d+)"
    found = re.findall(pattern, output(FAIR, "tail"))
    (before, after), (kept_before, kept_after) = [tuple(map(float, pair)) for pair in found]
    assert after < 0.4 * before
    assert kept_after > kept_before


def test_docstrings_fade_without_word_dropout_too():
    pattern = r"docstrings, [\d,]+ sentences, word dropout \S+, \d seeds, \S+: from (\S+) to (\d+\.\d+)"
    found = [tuple(map(float, pair)) for pair in re.findall(pattern, output(FAIR, "tail"))]
    assert len(found) == 4
    assert all(after < 0.2 * before for before, after in found[:2])
    assert all(after > 0.6 * before for before, after in found[2:])


def test_on_docstrings_the_long_ramp_keeps_more_kl_and_has_the_higher_bound():
    kl, bounds = (
        [row for row in rows(output(FAIR, cell)) if row[0].startswith("docstrings")]
        for cell in ("pairs-table", "bounds")
    )
    assert len(kl) == len(bounds) == 4
    assert all(numbers(DIFFERENCE, row[2])[0][0] < -0.05 for row in kl + bounds)
    at_distance = [numbers(DIFFERENCE, row[2])[0][0] for row in bounds if "-ELBO" in row[0]]
    in_all = [mean for mean, _, _ in numbers(DIFFERENCE, output(FAIR, "bounds-in-all"))]
    assert all(abs(later) < abs(before) - 0.05 for before, later in zip(at_distance, in_all, strict=True))


def test_the_lead_is_smaller_at_equal_distance():
    (
        total,
        *_,
    ) = numbers(DIFFERENCE, output(FAIR, "snapshots"))
    at_2000 = numbers(DIFFERENCE, output(FAIR, "snapshots"))[4]
    assert total[0] > at_2000[0] + 0.1


def test_no_winner_by_the_bounds():
    found = [row for row in rows(output(FAIR, "bounds")) if row[0].startswith("toy")]
    assert len(found) == 8
    for row in found:
        ((mean, _, _),) = numbers(DIFFERENCE, row[2])
        assert abs(mean) <= 0.04 and row[3].startswith("no winner (")


# -- lesson 7 --------------------------------------------------------------------------------------------------------


def test_the_two_scripts_differ_twice():
    monotonic, cyclical = output(PAPER, "scripts-picture").splitlines()[:2]
    assert "after 9.0 epochs; learning rate 0.001000 to 0.001000" in monotonic
    assert "after 4.5 epochs; learning rate 0.001000 to 0.000024" in cyclical


def test_the_four_arms():
    small, _, docstrings = output(PAPER, "cells-table").partition("docstrings, ")
    for text, sign in ((small, -1), (docstrings, 1)):
        found = [row for row in rows("||\n||\n" + text) if row[0] in ("monotonic", "cyclical")]
        cells = {(weight, lr): (float(kl), float(bound)) for weight, lr, kl, bound, _ in found}
        mc, mr, cc, cr = (cells[w, lr] for w in ("monotonic", "cyclical") for lr in ("constant", "restarts"))
        assert mc[0] < mr[0] and mr[0] * 1.5 < cc[0] and cc[0] * 1.5 < cr[0]
        assert sign * (mr[1] - mc[1]) > 0.6 and sign * (cr[1] - cc[1]) > 0.6  # restarts change the -ELBO
        assert abs(cc[1] - mc[1]) < 0.15 and abs(cr[1] - mr[1]) < 0.2  # the cyclical weight does not, or little


def test_the_interaction_depends_on_the_scale():
    found = [row for row in rows(output(PAPER, "effects")) if row[0] == "interaction"]
    assert len(found) == 2  # both texts
    for row in found:
        ((_, low, _),), ((_, low_ratio, high_ratio),) = numbers(DIFFERENCE, row[1]), numbers(RATIO, row[2])
        assert low > 0.05
        assert low_ratio < 0.8 and high_ratio > 1.5


def test_a_falling_learning_rate_keeps_more_of_the_kl():
    decays, constant = rows(output(PAPER, "decay"))
    assert float(decays[4].split()[0]) > float(constant[4].split()[0]) + 0.05
    assert float(decays[5].split()[0]) < float(constant[5].split()[0]) - 0.05
