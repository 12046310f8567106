"""The form that every lesson has: short, honest about its numbers, and readable without a kernel."""

import re

import pytest
from lessons import ANSWER, NOTEBOOKS, WORD, code, load, prose, shown, source

from kldanneal.lab.questions import questions

LESSONS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]


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
    """One prediction or more, then something to look at, then the answer, folded."""
    order = ""
    for cell in load(name):
        if cell["cell_type"] == "code":
            predicts = re.findall(r"\bpredict\(", source(cell))
            order += "?" * len(predicts) or ("." if cell["outputs"] and "start()" not in source(cell) else "")
            continue
        marks = [(m.start(), "!") for m in ANSWER.finditer(source(cell))]
        marks += [(m.start(), ".") for m in re.finditer(r"^\|(?:---\|)+$", source(cell), re.MULTILINE)]
        order += "".join(mark for _, mark in sorted(marks))
    assert order.count("?") >= 5 and order.count("!") >= 4
    assert re.fullmatch(r"\.{0,3}(\.*(\?\.*)+\.!)+\.*", order), order


@pytest.mark.parametrize("name", LESSONS)
def test_numbers_in_predictions_stand_in_an_output(name):
    seen = "".join(shown(cell) for cell in load(name) if cell["cell_type"] == "code")
    seen += "".join(source(cell) for cell in load(name) if cell["cell_type"] == "markdown")
    for one in questions(int(name[:2])).values():
        assert [number for number in re.findall(r"\d+\.\d{2,}", one.why) if number not in seen] == []


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
