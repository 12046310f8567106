"""What the tests of the lessons share: they read the stored outputs, as a reader does."""

import json
import re
from pathlib import Path

from kldanneal.lab.questions import questions

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
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
    parts, printing = [], False
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        text = "".join(output.get("text", data.get("text/markdown", data.get("text/plain", ""))))
        printed = output["output_type"] == "stream"
        if printed and printing:  # what is printed may be stored in pieces
            parts[-1] += text
        else:
            parts.append(text)
        printing = printed
    return "\n".join(part.rstrip("\n") for part in parts)


def cell_of(name, cell_id):
    (found,) = [cell for cell in load(name) if cell["id"] == cell_id]
    return found


def output(name, cell_id):
    return shown(cell_of(name, cell_id))


def rows(text):
    """The cells of a table in Markdown, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[re.sub("^`([^`]*)`$", r"\1", cell.strip()) for cell in line.strip("|").split("|")] for line in lines][2:]


def numbers(pattern, text):
    return [tuple(map(float, found)) for found in pattern.findall(text)]


def code(name):
    return [source(cell) for cell in load(name) if cell["cell_type"] == "code"]


def prose(name):
    """What is read: Markdown cells, folded answers, predictions, and text that a cell writes, without its tables."""
    texts = [f"{one.question} {' '.join(one.choices or [])} {one.why}" for one in questions(int(name[:2])).values()]
    texts += [source(cell) for cell in load(name) if cell["cell_type"] == "markdown"]
    written = [
        "".join(o.get("data", {}).get("text/markdown", "")) for cell in load(name) for o in cell.get("outputs", [])
    ]
    texts += ["\n".join(line for line in text.splitlines() if not line.startswith("|")) for text in written]
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"^\[!\[.*$", "", "\n".join(texts), flags=re.MULTILINE))
