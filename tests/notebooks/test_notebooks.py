"""What every notebook looks like as it is stored."""

import base64
import importlib
import json
import re
import struct
import sys
import warnings
from collections import Counter
from copy import deepcopy
from functools import reduce
from pathlib import Path

import nbformat
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PAGES = [ROOT / "notebooks" / f"{name}.ipynb" for name in ("diagnose", "glossary")]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
COURSEWORK = sorted((ROOT / "notebooks" / "coursework" / "source").glob("*/*.ipynb"))
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
NAME = ADDRESS.removeprefix("https://github.com/")
CLOSING = ["What we saw", "What this does not show", "Exercises", "Where it lives in the package", "References"]
WIDGET = "application/vnd.jupyter.widget-view+json"


def text_of(cell):
    return "".join(cell["source"])


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def markdown(notebook):
    return "\n\n".join(text_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def tags(cell):
    return cell["metadata"].get("tags", [])


def holds(cell, mimetype):
    return any(mimetype in output.get("data", {}) for output in cell["outputs"])


def shows_a_widget(cell):
    """A widget other than tqdm's bar, which a reader can do without."""
    shown = [output["data"] for output in cell["outputs"] if WIDGET in output.get("data", {})]
    return any("%|" not in "".join(data.get("text/plain", [])) for data in shown)


def stands_without_a_kernel(output):
    """Whether an output has a picture with alternative text, or a text, beside the widget that it may be."""
    data, metadata = output.get("data", {}), output.get("metadata", {})
    return "text/html" in data or ("image/png" in data and bool(metadata.get("image/png", {}).get("alt")))


def section(notebook, title):
    """The cells from the heading of a section on, up to the next heading of its level."""
    found, inside = [], False
    for cell in notebook["cells"]:
        headings = re.findall(r"^## (.+)$", text_of(cell), re.MULTILINE) if cell["cell_type"] == "markdown" else []
        inside = title in headings or (inside and not headings)
        found += [cell] if inside else []
    return found


# -------------------------------------------------- checks: of a notebook and its path; they say what is wrong with it


def is_valid(notebook, path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a cell without an id is a warning
            nbformat.validate(deepcopy(notebook))
    except Exception as error:
        yield f"not valid: {str(error).splitlines()[0]}"
    ids = Counter(cell.get("id") for cell in notebook["cells"])
    yield from (f"{count} cells have the id {name}" for name, count in ids.items() if count > 1)
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if "widgets" in notebook["metadata"]:
        yield "widget states are stored; GitHub shows no such notebook"


def is_small(notebook, path):
    size = len(as_stored(notebook).encode("utf-8"))
    if size > 400_000:
        yield f"{size:,} bytes"


def is_clean(notebook, path):
    for cell in notebook["cells"]:
        texts = [text_of(cell)]
        for output in cell.get("outputs", []):
            if output["output_type"] == "error" and "raises-exception" not in tags(cell):
                yield f"{cell['id']}: stores an error"
            if output.get("name") == "stderr":
                yield f"{cell['id']}: stores warnings or errors"
            data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
            texts.append(json.dumps([output.get("text"), data]))
        path_of_a_machine = re.search(
            r"(?<![\w.])/(?:work|root|home|tmp|usr|opt|mnt|Users|private)/\w+|\b[A-Z]:\\+\w+", "\n".join(texts)
        )
        if path_of_a_machine:
            yield f"{cell['id']}: names {path_of_a_machine[0]}"
        if re.search(r"\b(?:TODO|FIXME|XXX)\b", texts[0]):
            yield f"{cell['id']}: says that something is missing"


def links_lead_somewhere(notebook, path):
    for link in re.findall(r"\]\(([^)\s]+)\)", markdown(notebook)):
        inside = re.fullmatch(rf"{re.escape(ADDRESS)}/(?:blob|tree)/main/(.*)", link)
        target = ROOT / inside[1] if inside else path.parent / link
        if (inside or not re.match(r"https?:|mailto:|#", link)) and not Path(str(target).partition("#")[0]).exists():
            yield f"there is no {link}"


def is_executed(notebook, path):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not run once, in order: {counts}"
    checked = [cell for cell in code_cells(notebook) if "nbval-check-output" in tags(cell)]
    yield from (f"{cell['id']}: nothing stored to check" for cell in checked if not cell["outputs"])
    if not checked:
        yield "no output is checked"


def pictures_are_png(notebook, path):
    widths = []
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            data = output.get("data", {})
            drawn = [kind for kind in data if kind.startswith("image/")]
            is_figure = "".join(data.get("text/plain", "")).startswith("<Figure")
            if drawn not in ([], ["image/png"]) or (is_figure and not drawn):
                yield f"{cell['id']}: a picture is stored as {drawn}"
            elif drawn:
                widths.append(struct.unpack(">I", base64.b64decode("".join(data["image/png"]))[16:20])[0])
                if widths[-1] > 1600:
                    yield f"{cell['id']}: a picture is {widths[-1]} pixels wide"
    if not widths:
        yield "there is no picture"


def cells_are_short(notebook, path):
    lines = {cell["id"]: len(text_of(cell).splitlines()) for cell in code_cells(notebook)}
    yield from (f"{name}: {count} lines" for name, count in lines.items() if not 0 < count <= 25)


def has_badges(notebook, path):
    first = text_of(notebook["cells"][0])
    itself = f"notebooks/{path.name}"
    for where in (
        f"https://colab.research.google.com/github/{NAME}/blob/main/{itself}",
        f"https://mybinder.org/v2/gh/{NAME}/main?urlpath=lab/tree/{itself}",
    ):
        if not re.search(rf"^\[!\[[^\]]+\]\(https://\S+\.svg\)\]\({re.escape(where)}\)$", first, re.MULTILINE):
            yield f"there is no badge to {where}"


def says_what_it_takes(notebook, path):
    first = text_of(notebook["cells"][0])
    if not says_the_minutes(first):
        yield "the minutes on a CPU and on a GPU are not said"
    if not re.search(r"^After this you can\n+(?:- .+\n?){2,}", first, re.MULTILINE):
        yield "what one can do after it is not said"
    if not re.search(rf"%pip install .*kldanneal.* @ git\+{re.escape(ADDRESS)}[\"@]", text_of(code_cells(notebook)[0])):
        yield f"the first code cell does not install from {ADDRESS}"


def opens_well(notebook, path):
    if not re.match(r"# [^\n]+\?\n", text_of(notebook["cells"][0])):
        yield "the title is no question"


def says_the_minutes(text):
    """Whether a paragraph in italics has a time for a CPU and one for a GPU."""
    paragraph = re.search(r"^\*[^*]+\*$", text, re.MULTILINE)
    words = paragraph[0] if paragraph else ""
    times = re.findall(r"\d+|\b(?:half )?an? (?:minute|hour)|\bthe same\b|\bas long\b", words)
    return all(word in words for word in ("CPU", "GPU", "minute")) and len(times) >= 2


def closes_well(notebook, path):
    headings = re.findall(r"^## (.+)$", markdown(notebook), re.MULTILINE)
    if headings[-len(CLOSING) :] != CLOSING:
        yield f"it ends with {headings[-len(CLOSING) :]}"
    seen = [cell for cell in section(notebook, "What we saw") if cell["cell_type"] == "code"]
    if not any(holds(cell, "text/markdown") for cell in seen):
        yield "what we saw is not written from the run's numbers"
    if not any("nbval-check-output" in tags(cell) for cell in seen):
        yield "what we saw is not checked"
    if "*Check" not in markdown(notebook).partition("## Exercises")[2]:
        yield "no exercise says how to check the answer"
    if not re.search(r"^- .+", markdown(notebook).partition("## References")[2], re.MULTILINE):
        yield "there are no references"


def the_package_has_what_it_names(notebook, path):
    table = markdown(notebook).partition(f"## {CLOSING[3]}\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[2] for row in table.splitlines() if "`" in row and row.startswith("|")]
    if not rows:
        yield "no row of the table names anything"
    for row in rows:
        names = re.findall(r"`([^`]+)`", row)
        files = [name for name in names if "/" in name]
        yield from (f"there is no {name}" for name in files if not (ROOT / name).exists())
        sources = [name for name in files if name.endswith(".py") and (ROOT / name).exists()]
        modules = [importlib.import_module(name.removesuffix(".py").replace("/", ".")) for name in sources]
        for name in names:
            # a name of the package, or of a module in this row; a command such as `kldanneal schedule` is not looked up
            homes = [importlib.import_module("kldanneal")] if name.startswith("kldanneal.") else modules
            steps = name.removeprefix("kldanneal.").split(".")
            if re.fullmatch(r"[\w.]+", name) and not any(holds_name(home, steps) for home in homes):
                yield f"{name} is not in{row}"


def holds_name(home, steps):
    try:
        reduce(getattr, steps, home)
    except AttributeError:
        return False
    return True


def widgets_have_a_picture(notebook, path):
    """GitHub shows no widgets, so a picture is stored with each; and its tag lets `make test-browser` find it."""
    for cell in code_cells(notebook):
        tagged = "widget" in tags(cell)
        if tagged and not any(map(stands_without_a_kernel, cell["outputs"])):
            yield f"{cell['id']}: no picture of the widget is stored with it"
        if shows_a_widget(cell) and not tagged:
            yield f"{cell['id']}: the tag 'widget' is for cells that show a widget, and for all of them"


FOR_ALL = [is_valid, is_small, is_clean, links_lead_somewhere]
FOR_PAGES = [has_badges]  # of one page there is no picture and nothing to run
FOR_DIAGNOSE = [is_executed, pictures_are_png, cells_are_short, the_package_has_what_it_names, widgets_have_a_picture]
FOR_DIAGNOSE += [says_what_it_takes]
FOR_LESSONS = [*FOR_PAGES, *FOR_DIAGNOSE, opens_well, closes_well]


def as_stored(notebook):
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


STORED = LESSONS + PAGES + SOLUTIONS + COURSEWORK
CASES = [(path, check) for path in STORED for check in FOR_ALL]
CASES += [(path, check) for path in LESSONS for check in FOR_LESSONS]
CASES += [(path, check) for path in PAGES for check in FOR_PAGES]
CASES += [(PAGES[0], check) for check in FOR_DIAGNOSE]
CASES += [(path, is_executed) for path in SOLUTIONS]


def test_there_are_notebooks_in_order():
    assert LESSONS
    assert [path.name[:3] for path in LESSONS] == [f"{i:02}_" for i in range(1, len(LESSONS) + 1)]
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == LESSONS + PAGES


@pytest.mark.parametrize(
    ("path", "check"), CASES, ids=[f"{path.parent.name}/{path.stem}-{check.__name__}" for path, check in CASES]
)
def test_notebook(path, check):
    assert list(check(load(path), path)) == []


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notebook_is_stored_as_jupyter_stores_it(path):
    assert path.read_bytes().decode("utf-8") == as_stored(load(path))


# --------------------------------------------------------------------------------------- proof that each check can fail

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 700, 300)).decode()
WIDE = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1601, 300)).decode()


def stream(name, text):
    return {"output_type": "stream", "name": name, "text": text}


def shown(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def error():
    return {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}


def write(old, new, first=0):
    """Another text, in every cell from the first one on."""

    def mutate(notebook):
        for cell in notebook["cells"][first:]:
            cell["source"] = text_of(cell).replace(old, new)

    return mutate


def output(what, i=1):
    return lambda notebook: code_cells(notebook)[i]["outputs"].append(what)


def set_in(*keys, to):
    def mutate(notebook):
        reduce(lambda here, key: here[key], keys[:-1], notebook)[keys[-1]] = to

    return mutate


def every_code_cell(**fields):
    return lambda notebook: [cell.update(deepcopy(fields)) for cell in code_cells(notebook)]


def widget(tag="widget", **stored):
    def mutate(notebook):
        cells = code_cells(notebook)
        for cell in cells:
            cell["outputs"], cell["metadata"] = [], {}
        cells[2]["metadata"] = {"tags": [tag]}
        cells[2]["outputs"] = [shown(**{WIDGET: {"model_id": "1"}, **stored})]

    return mutate


def described(notebook):
    widget(**{"image/png": PNG})(notebook)
    code_cells(notebook)[2]["outputs"][0]["metadata"] = {"image/png": {"alt": "What it shows."}}


MUTATIONS = [
    (is_valid, set_in("cells", 1, "outputs", to=None), "not valid"),
    (is_valid, lambda notebook: notebook["cells"][0].pop("id"), "not valid"),
    (is_valid, lambda notebook: notebook["cells"].append(deepcopy(notebook["cells"][0])), "2 cells have the id"),
    (is_valid, set_in("metadata", "kernelspec", "name", to="conda-env"), "the kernel"),
    (is_valid, set_in("metadata", "widgets", to={}), "widget states"),
    (is_small, output(stream("stdout", "x" * 400_001)), " bytes"),
    (is_clean, output(error()), "stores an error"),
    (is_clean, output(stream("stderr", "a warning")), "stores warnings"),
    (is_clean, output(stream("stdout", "read '/ho" + "me/ann/data.txt'")), "names /ho" + "me/ann"),
    (is_clean, output(shown(**{"text/html": '<img src="/tm' + 'p/a.png">'})), "names /tm" + "p/a"),
    (is_clean, write("import torch", r"open('C:\data')"), r"names C:\data"),
    (is_clean, write("import torch", "import torch  # TO" + "DO"), "something is missing"),
    (links_lead_somewhere, write("After this", "[See](figures/none.png). After this"), "no figures/none.png"),
    (links_lead_somewhere, write("After this", f"[See]({ADDRESS}/blob/main/none.md#a)"), "/blob/main/none.md"),
    (is_executed, set_in("cells", 1, "execution_count", to=None), "not run once"),
    (is_executed, set_in("cells", 1, "execution_count", to=7), "not run once"),
    (is_executed, every_code_cell(outputs=[]), "nothing stored to check"),
    (is_executed, every_code_cell(metadata={}), "no output is checked"),
    (pictures_are_png, output(shown(**{"image/svg+xml": "<svg/>", "image/png": PNG})), "image/svg+xml"),
    (pictures_are_png, output(shown(**{"text/plain": "<Figure size 700x300 with 1 Axes>"})), "stored as []"),
    (pictures_are_png, output(shown(**{"image/png": WIDE})), "1601 pixels"),
    (pictures_are_png, every_code_cell(outputs=[]), "no picture"),
    (cells_are_short, set_in("cells", 1, "source", to="pass\n" * 26), "26 lines"),
    (cells_are_short, set_in("cells", 1, "source", to=""), "0 lines"),
    (opens_well, write("?\n", "\n"), "no question"),
    (has_badges, write("/blob/main/notebooks/", "/blob/main/notebooks/0"), "no badge to https://colab"),
    (has_badges, write("lab/tree/notebooks/", "lab/tree/notebooks/0"), "no badge to https://mybinder"),
    (has_badges, write(NAME, "some/fork"), "no badge to https://colab"),
    (says_what_it_takes, write("\n*", "\n"), "the minutes"),
    (says_what_it_takes, write("After this you can", "Contents"), "after it is not said"),
    (says_what_it_takes, write(ADDRESS, "https://github.com/some/fork", first=1), "does not install from"),
    *((closes_well, write(f"## {title}", f"### {title}"), "it ends with") for title in CLOSING),
    (closes_well, write("## Exercises", "## References\n\n## Exercises"), "it ends with"),
    (closes_well, every_code_cell(outputs=[]), "not written"),
    (closes_well, every_code_cell(metadata={}), "not checked"),
    (closes_well, write("*Check", "*Look"), "no exercise"),
    (closes_well, write("\n- ", "\n"), "no references"),
    (the_package_has_what_it_names, write("annealing.py", "annealed.py"), "there is no kldanneal/annealed.py"),
    (the_package_has_what_it_names, write("`kldanneal.Annealer`", "`kldanneal.Annealed`"), "kldanneal.Annealed is not"),
    (the_package_has_what_it_names, write("`Run.", "`Run.no_"), "Run.no_"),
    (the_package_has_what_it_names, write("`", ""), "no row"),
    (widgets_have_a_picture, widget(), "no picture of the widget"),
    (widgets_have_a_picture, widget(**{"image/png": PNG}), "no picture of the widget"),  # no alternative text
    (widgets_have_a_picture, widget(tag="other"), "the tag 'widget'"),
]


@pytest.mark.parametrize(("check", "mutate", "expected"), MUTATIONS, ids=[f"{m[0].__name__}-{m[2]}" for m in MUTATIONS])
def test_a_check_can_fail(check, mutate, expected):
    path = LESSONS[0]
    notebook = load(path)
    before = list(check(notebook, path))
    mutate(notebook)
    assert any(expected in complaint for complaint in check(notebook, path) if complaint not in before)


@pytest.mark.parametrize("mutate", [described, widget(**{"text/html": "<p>Words</p>"})])
def test_a_widget_with_a_picture_is_fine(mutate):
    notebook = load(LESSONS[0])
    mutate(notebook)
    assert list(widgets_have_a_picture(notebook, LESSONS[0])) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("*2 minutes of computing on a CPU with two cores, 1 on a GPU.*", True),
        ("*Less than half a minute of computing on a CPU, and the same on a GPU: nothing is trained.*", True),
        ("*3 minutes on a CPU with two cores. On a GPU,\nmore of them are trained, in 20.*", True),
        ("*2 minutes of computing on a CPU. No GPU is needed.*", False),
        ("*Half a minute of computing on a CPU. No GPU is needed.*", False),
        ("*It takes 2 minutes, or 3.*", False),
        ("2 minutes on a CPU, 1 on a GPU.", False),
    ],
)
def test_the_minutes_are_said_for_both(line, said):
    assert says_the_minutes(f"# Why?\n\n{line}\n\nAfter this you can") == said


def test_no_check_goes_unproved():
    assert {mutation[0] for mutation in MUTATIONS} == {*FOR_ALL, *FOR_LESSONS}
