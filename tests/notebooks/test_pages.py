"""The pages beside the lessons, diagnose.ipynb, glossary.ipynb and TEACHING.md; and every link to a heading."""

import json
import re
from urllib.parse import unquote

import pytest
from lessons import ANSWER, DIFFERENCE, NOTEBOOKS, load, numbers, output, rows, shown, source
from test_lesson_form import LESSONS

STORED = sorted(
    path for path in NOTEBOOKS.rglob("*.ipynb") if "release" not in path.parts and "variants" not in path.parts
)
PROSE = [*STORED, NOTEBOOKS / "TEACHING.md", NOTEBOOKS.parent / "README.md"]
LINK = re.compile(r"\]\(((?:[^()\s]|\([^()\s]*\))+)\)")  # an address may have parentheses in pairs
QUESTIONS = [
    "How do I weight the KL against the reconstruction?",
    "Why is my KL near 0 although its weight is 0?",
    "Why do I get the same sentence whatever z is?",
    "Can the mutual information be negative or exceed the KL?",
    "Which weight do I use for validation?",
    "Why does the loss rise while I train?",
    "What if the warm-up is longer than the run?",
    "How do I change the weight while training?",
    "How can a schedule be silently wrong?",
    "May the weight end at a value other than 1?",
    "Does keeping the KL up contradict minimising it?",
    "Does the rescued KL last?",
]


def text_of(path):
    """What a page says: of a notebook its Markdown cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return "\n\n".join(source(cell) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def headings(text):
    return [title.strip() for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]


def anchors(path):
    """As Jupyter makes them: hyphens for spaces. For Markdown files as GitHub does: lower case, no punctuation."""
    titles = headings(text_of(path))
    if path.suffix == ".md":
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return {title.replace(" ", "-") for title in titles}


def lost_links(path, text):
    """The links of a page to a heading that is not there."""
    for address in LINK.findall(text):
        file, _, heading = address.partition("#")
        target = (path.parent / file).resolve() if file else path
        if heading and not re.match(r"https?:", file) and target.exists() and unquote(heading) not in anchors(target):
            yield address


@pytest.mark.parametrize("path", PROSE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_link_to_a_heading_leads_to_one(path):
    assert list(lost_links(path, text_of(path))) == []


@pytest.mark.parametrize(
    "address, lost",
    [
        ("glossary.ipynb#Posterior-collapse", False),
        ("glossary.ipynb#posterior-collapse", True),
        ("diagnose.ipynb#Does-the-rescued-KL-last?", False),
        ("diagnose.ipynb#Does-the-rescued-KL-last%3F", False),
        ("glossary.ipynb#KL-weight-(β)", True),
        ("coursework/README.md#hand-out", False),
        ("#The-lessons", True),
        ("#the-lessons", False),
    ],
)
def test_a_lost_link_is_found(address, lost):
    assert list(lost_links(NOTEBOOKS / "TEACHING.md", f"See [here]({address}).")) == [address] * lost


# ------------------------------------------------------------------------------------------------------- the glossary

TERMS = {title: source(cell) for cell in load("glossary") for title in re.findall(r"^## (.+)$", source(cell), re.M)}
TERMS.pop("Notation")
WHERE = re.compile(r"\*First used in \[[^\]]+\]\(([^)]+)\)\.\*$")


def plain(term):
    return re.sub(r"\s+", " ", term).casefold()


def names(title):
    """What a term of the glossary is called: its heading, and what its text has in bold."""
    return {plain(title), *(plain(bold) for bold in re.findall(r"\*\*([^*]+)\*\*", TERMS[title]))}


NAMES = set().union(*map(names, TERMS))


def test_the_terms_are_in_alphabetical_order():
    assert list(TERMS) == sorted(TERMS, key=plain) and len(TERMS) >= 40


def introduced(called):
    """The first lesson that uses a term, in bold or not; or None."""
    for name in LESSONS:
        if any(re.search(rf"(?<!\w){re.escape(term)}s?(?!\w)", everything(name)) for term in called):
            return name
    return None


def everything(name):
    """What a lesson says and shows, without the names of files, functions and parts of addresses."""
    text = re.sub(r"\]\([^)]*\)|`[^`]*`|\*\*", " ", text_of(NOTEBOOKS / f"{name}.ipynb"))
    return plain(" ".join([text, *map(shown, load(name))]))


@pytest.mark.parametrize("title", TERMS)
def test_a_term_has_few_sentences_and_says_where_it_is_used_first(title):
    text = re.sub(r"\$\$.+?\$\$", "", TERMS[title].partition("\n")[2], flags=re.DOTALL)
    said = re.sub(r"`[^`]+`|\([^)]*\)", "", WHERE.sub("", text.strip()))
    assert 1 <= len(re.findall(r"[.:](?=\s|$)", said)) <= 5
    (where,) = WHERE.findall(TERMS[title].strip())
    if lesson := introduced(names(title)):
        assert where == f"{lesson}.ipynb"
    else:
        page = plain((NOTEBOOKS / where).read_text(encoding="utf-8"))
        assert any(name.removesuffix(" trick") in page for name in names(title)), f"{where} does not use {title}"


EMPHASIS = {"together", "lower", "optimum", "path", "start", "new drive"}  # no terms: stress, buttons


def terms_in_bold(text):
    """Bold within a sentence, of four words or fewer: so a lesson marks a term. Not what begins a line or ends one."""
    text = re.sub(r"\]\([^)]*\)", "]", ANSWER.sub(lambda found: found[1], text))
    text = re.sub(r"^\s*(?:[-*]|\d+\.) ", "", text, flags=re.MULTILINE)  # of a list
    for bold in re.findall(r"(?<=\S )\[?\*\*([^*\n]+[^*\n.:?!])\*\*", text):
        if len(bold.split()) <= 4 and not bold.startswith("$"):
            yield bold


@pytest.mark.parametrize("name", [*LESSONS, "diagnose"])
def test_what_a_lesson_has_in_bold_is_in_the_glossary(name):
    missing = [
        bold for bold in terms_in_bold(text_of(NOTEBOOKS / f"{name}.ipynb")) if plain(bold) not in NAMES | EMPHASIS
    ]
    assert missing == [], "bold within a sentence is for terms: add them to the glossary"


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_a_link_to_a_term_leads_to_its_own_entry(name):
    entries = {title.replace(" ", "-"): title for title in TERMS}
    text = text_of(NOTEBOOKS / f"{name}.ipynb")
    for term, heading in re.findall(r"\[\*\*([^*\]]+)\*\*\]\(glossary\.ipynb#([^\s]+?)\)", text):
        assert plain(term) in names(entries[unquote(heading)])


def test_the_code_of_the_notation_is_in_the_package():
    table = source(load("glossary")[0]).partition("## Notation")[2]
    used = set(re.findall(r"`([^`]+)`", table))
    assert {"mu", "logvar", "kl_weight", "neg_elbo", "total_steps"} < used
    package = "\n".join(path.read_text(encoding="utf-8") for path in (NOTEBOOKS.parent / "kldanneal").rglob("*.py"))
    assert [name for name in used if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", package)] == []


# ------------------------------------------------------------------------------------------ diagnose your own model


NUMBER = re.compile(r"\d+\.\d{2,}")


def parts():
    """Each piece of text under a heading: its level, its title, the text, and all that is shown above it."""
    level, title, above = 0, "", ""
    for cell in load("diagnose"):
        if cell["cell_type"] == "code":
            above += shown(cell)
            continue
        for piece in re.split(r"^(?=#+ )", source(cell), flags=re.MULTILINE):
            if found := re.match(r"(#+) (.+)\n?", piece):
                level, title, piece = len(found[1]), found[2], piece[found.end() :]
            yield level, title, piece, above


def test_the_questions_are_headings_in_order():
    assert list(dict.fromkeys(title for level, title, _, _ in parts() if level == 3)) == QUESTIONS


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_short_and_has_a_number_that_is_shown(question):
    said = "".join(text for _, title, text, _ in parts() if title == question).strip()
    shown_so_far = [above for _, title, _, above in parts() if title == question][-1]
    assert 2 <= len(re.findall(r"[.?](?=\s|$)", said)) <= 5
    numbers = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", re.sub(r"\([^)]*\)|`[^`]*`", "", said))
    assert any(number in shown_so_far for number in numbers)


def test_a_number_in_prose_stands_in_an_output_above():
    missing = [n for _, _, text, above in parts() for n in NUMBER.findall(text) if n not in above and n != "0.25"]
    assert missing == []


def test_each_check_of_the_list_has_a_section_with_a_cell_that_runs():
    text = text_of(NOTEBOOKS / "diagnose.ipynb")
    linked = re.findall(r"^\d\. \[\*\*[^*]+\*\*\]\(#([^)]+)\)", text, re.MULTILINE)
    assert len(linked) == 7
    titles = list(dict.fromkeys(title.replace(" ", "-") for level, title, _, _ in parts() if level == 2))
    assert [title for title in titles if title in linked] == linked
    own = None
    for cell in load("diagnose"):
        if cell["cell_type"] == "markdown":
            own = (headings(source(cell)) or [own])[-1]
        elif own and own.replace(" ", "-") in linked:
            linked.remove(own.replace(" ", "-"))
            assert cell["outputs"]
    assert linked == []


# --------------------------------------------------------------------------- what diagnose.ipynb says, with a margin


def said_by(cell_id):
    return output("diagnose", cell_id)


def floats(text):
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", text)]


def test_the_preset_has_a_hidden_weight():
    right, own, kl, own_kl, hidden = floats(said_by("sums-check"))
    assert kl == own_kl < 0.02 and 10 < hidden < 16
    assert hidden == pytest.approx(right / own, abs=0.06)


def test_without_a_penalty_the_kl_grows():
    at_zero, at_one = (floats(line) for line in said_by("zero-check").splitlines())
    assert at_zero[0] == at_one[0] and at_zero[-1] > 20 and at_one[-1] < 0.02


def test_the_verdicts():
    collapsed, partly, large = rows(said_by("three-models"))
    assert said_by("report").startswith("Verdict: collapsed (sure)")
    assert (collapsed[-1], collapsed[-2], large[-1]) == ("collapsed", "0", "in use")
    assert partly[-3:] == ["7", "3", "partly collapsed"]  # as the text says
    for row in (collapsed, partly, large):
        kl, information, distance = map(float, row[1:4])
        assert kl == pytest.approx(information + distance, abs=0.02)
    assert float(partly[4]) > float(partly[2]) > 0.5  # a wrong code costs more than a right one saves
    assert float(large[3]) > 5 * float(large[2])  # most of a KL at weight 0 is distance


def test_one_model_writes_one_sentence():
    first, second = re.split(r"trained at weight [\d.]+:", said_by("sentences"))[1:]
    assert len({line.strip() for line in first.strip().splitlines()}) == 1
    assert len({line.strip() for line in second.strip().splitlines()}) > 1


def test_more_kl_and_no_lower_nll():
    none, nll, dropout, nll_with_dropout = numbers(DIFFERENCE, said_by("nothing-to-say"))
    assert dropout[1] > 0 and nll[1] < 0 < nll[2] and nll_with_dropout[1] < 0 < nll_with_dropout[2]
    assert none[0] < dropout[0]


def test_an_estimate_can_leave_its_range():
    above, below, closer = (floats(line) for line in said_by("information").splitlines())
    assert above[1] > above[0] and below[1] < 0 and closer[2] < below[2] / 2


def test_the_loss_in_training_chooses_another_checkpoint():
    low, best = (floats(line) for line in said_by("checkpoints").splitlines())
    assert low[0] < 0.5 and best[0] == 1 and low[1] < best[1] - 0.5 and low[2] > best[2] + 0.5


def test_only_without_word_dropout_the_kl_fades():
    fading, lasting = (floats(line.partition("mean KL:")[2]) for line in said_by("lasting").splitlines())
    assert fading[-1] < fading[0] / 2 and lasting[-1] > 0.9 * lasting[0]
