"""A class of 60, made by a script: right, wrong, odd and hostile submissions, and the marks that each should get.

    python tests/classroom.py FOLDER        writes what they hand in, to be graded by hand

12 of them are graded in every test; all of them by `make soak`.
"""

import io
import json
import sys
import warnings
import zipfile
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from submissions import (
    CHECKS,
    DISTRIBUTIONS,
    DOUBLE,
    IN_PLACE,
    LOOPS,
    NOISY,
    POINTS,
    RELEASE,
    SCIPY,
    SHADOWS,
    STUCK,
    UNSTOPPABLE,
    WRONG,
    edited,
    named,
    submission,
    text,
    together,
)

FULL = sum(POINTS[name] for name in CHECKS)
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Pupil:
    """What one of them hands in, and what comes of it.

    `files` are paths and contents, `lost` the checks that fail (None: it cannot be graded), `notes` are words that the
    table must hold.
    """

    name: str
    kind: str
    files: dict[str, bytes]
    lost: str | None = ""
    notes: tuple[str, ...] = ()
    often: bool = False  # graded in every test

    @property
    def points(self) -> float | None:
        return None if self.lost is None else FULL - sum(POINTS[name] for name in self.lost.split())


def packed(notebook: dict, **options: object) -> bytes:
    return json.dumps(notebook, **options).encode("utf-8", "surrogatepass")


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


def colab(notebook: dict, move: int = 9) -> dict:
    """As Colab saves it: no ids, an older minor version, metadata of its own; with cells of their own, one moved."""
    cells = [{key: value for key, value in cell.items() if key != "id"} for cell in notebook["cells"]]
    cells.append(cells.pop(move))
    mine = {"cell_type": "code", "metadata": {"id": "x"}, "source": ["1 / 0"], "outputs": [], "execution_count": 3}
    cells[5:5] = [mine, {"cell_type": "markdown", "metadata": {}, "source": ["my notes"]}]
    return {**notebook, "nbformat_minor": 0, "cells": cells, "metadata": {"colab": {"provenance": []}}}


def anonymous(notebook: dict) -> dict:
    """All cells copied into a new notebook: no metadata, no ids, each text changed a little."""
    cells = deepcopy(notebook["cells"])
    for cell in cells:
        cell["metadata"] = {}
        cell.pop("id")
        cell["source"] = text(cell) + ("\n# mine" if cell["cell_type"] == "code" else "\n\nmine")
    return {**notebook, "cells": cells}


def script(notebook: dict) -> bytes:
    """What Jupyter exports as a Python file."""
    parts = [text(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "\n\n".join(f"# In[{i}]:\n\n\n{part}" for i, part in enumerate(parts)).replace("%", "# %").encode()


def old_format(notebook: dict) -> bytes:
    """nbformat 3, with worksheets."""
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cells without ids, which this format does not have
        return nbformat.writes(nbformat.convert(nbformat.from_dict(notebook), 3), version=3).encode()


def odd_cells(notebook: dict) -> dict:
    """Cells without metadata, of unknown kinds, empty, half an emoji, and no list of outputs."""
    cells = [{key: value for key, value in cell.items() if key != "outputs"} for cell in notebook["cells"]]
    half = {"cell_type": "markdown", "source": "half an emoji \ud83d", "metadata": {}}
    cells[3:3] = [{"cell_type": "code", "source": "x = 1"}, {"cell_type": "poem", "source": "roses"}, None, {}, half]
    for cell in cells:
        if cell and cell.get("cell_type") == "markdown" and not cell["metadata"].get("nbgrader", {}).get("solution"):
            cell.pop("metadata")
    return {**notebook, "cells": cells}


def pasted(notebook: dict) -> dict:
    """A written answer with a picture, and more of it in two new cells, one of them code that is prose."""
    cells, at = deepcopy(notebook["cells"]), [cell["id"] for cell in notebook["cells"]].index("q7-3")
    cells[at]["source"] = "My curve: ![image.png](attachment:image.png)"
    cells[at]["attachments"] = {"image.png": {"image/png": PICTURE}}
    more = {
        "cell_type": "markdown",
        "metadata": {},
        "source": "The second half of my answer. <script>alert(1)</script>",
    }
    cells[at + 1 : at + 1] = [
        more,
        {"cell_type": "code", "metadata": {}, "source": "And this is the end of it", "outputs": []},
    ]
    return {**notebook, "cells": cells}


SPIES = """
import glob, os, socket
found = []
for place in ({course!r}, {inbox!r}):
    for folder, _, files in os.walk(place):
        found += [os.path.join(folder, file) for file in files if file.endswith((".ipynb", ".db", ".csv", ".zip"))]
print("SPIED", len(found))
try:
    socket.create_connection(("192.0.2.1", 9), timeout=1)
except OSError as error:
    print("NETWORK", error.errno)
"""
PIP = """%pip install left-pad
!pip uninstall -y torch
import subprocess, sys
subprocess.run([sys.executable, "-m", "pip", "install", "left-pad"])"""
BROWSER = """
from IPython.display import HTML, Javascript, display
display(HTML("<script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"))
display(Javascript("window.stolen = 1"))
"""
FLOOD = "print('x' * {size})"
WRITES = """
import os, sys
for place in (sys.prefix, os.path.expanduser("~"), "/tmp", {course!r}):
    try:
        open(os.path.join(place, "left-behind"), "w").close()
    except OSError:
        pass
"""
SLEEPER = edited("q8-weight", ("return min", "__import__('time').sleep(10**6)\n    return min"))
ENDS_KERNEL = edited("q8-weight", ("return min", "__import__('os')._exit(0)\n    return min"))
SEGFAULT = edited("q8-weight", ("return min", "__import__('ctypes').string_at(0)\n    return min"))
RECURSION = edited("q8-weight", ("return min(1.0, update / warm_up)", "return mended_kl_weight(update, warm_up)"))
FORKS = "import os, time\nif os.fork() == 0:\n    time.sleep(10**6)"
STYLES = {**NOISY, **SCIPY, "q2-elbo-terms": IN_PLACE["q2-elbo-terms"], "q4-counter": LOOPS["q4-counter"],
          "q5-training-step": DISTRIBUTIONS["q5-training-step"]}  # fmt: skip
STRICT = "import warnings\nwarnings.simplefilter('error')\ntorch.set_grad_enabled(False)"
PLOTS = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
ELSEWHERE = {"cell_type": "markdown", "metadata": {}, "source": "My experiment. " + "I think that it lasts. " * 20}
#: A right notebook, but some of the given cells are gone.
GONE = ["setup", "pad", "q1-1", "q4-2", "q6-curves"]
#: A mistake in each question, checks that were made to pass, checks that are gone, answers that are gone or not given.
MISTAKES = together(
    "kl-sign", "padding-counted", "cosine-downwards", "syntax-error", "runs-mixed-up", "invented-numbers"
)
BERT = {name: text(named(RELEASE)[name]) for name in ("q5-training-step", "q7-3")} | MISTAKES[0]
BERT_LOST = " ".join(sorted([*MISTAKES[1].split(), "q5-1", "q5-2", "q5-3"]))
BERT_TAMPERED = {"q1-1": "print('1.1 passed')", "q1-2": "pass"}
BERT_GONE = ["q3-2", "q3-4", "q5-training-step"]
#: Memory, and then time without end.
HANS = together("memory-eater", "endless-loop", among=STUCK)
#: It computes for long, but not for too long.
SLOW = "import time\n\nstart = time.process_time()\nwhile time.process_time() < start + 1.5:\n    pass"


def pupils(course: Path, inbox: Path) -> list[Pupil]:
    """The class; the two folders are what the hostile ones look for."""
    where = {"course": str(course), "inbox": str(inbox)}
    spies = [("setup", SPIES.format(**where)), ("pad", PIP), ("q1-3", BROWSER), ("q2-4", FLOOD.format(size=10**7))]
    spies += [("q3-4", WRITES.format(**where))]
    class_ = [Pupil(*entry, often=True) for entry in seen_often(spies)]
    class_ += [Pupil(name, "right", ipynb(name, *given, **options)) for name, given, options in right_ones()]
    class_ += [Pupil(*entry) for entry in odd_ones()]
    class_ += [Pupil(name, "hostile", ipynb(name, *given), lost, notes) for name, given, lost, notes in hostile_ones()]
    wrong = [name for name in WRONG if name not in ("kl-sign", "padding-counted")][: 60 - len(class_)]
    return class_ + [Pupil(name, "wrong", ipynb(name, WRONG[name][0]), WRONG[name][1]) for name in wrong]


def ipynb(name: str, *given: object, **options: object) -> dict[str, bytes]:
    """A file with a student's notebook: see `submissions.submission`."""
    return {f"{name}.ipynb": packed(submission(*given, **options))}


def seen_often(spies: list[tuple[str, str]]) -> list[tuple]:
    colabs = {"my work/annealing.ipynb": packed(colab(submission(without=GONE))), "__MACOSX/._annealing.ipynb": b"x"}
    put_back = [f"{name} was missing and put back" for name in GONE]
    bert = [f"{name} was changed" for name in BERT_TAMPERED] + [f"{name} was missing" for name in BERT_GONE]
    styles = submission(STYLES, own=[("q1-3", "torch.set_default_dtype(torch.float64)"), ("q2-why", SHADOWS)])
    utf16 = json.dumps(odd_cells(pasted(submission(LOOPS)))).encode("utf-16")
    stopped = ("q3-1, q3-2, q3-4 needed too much memory", "q4-1, q4-2, q4-3, q4-4 ran too long")
    no_ids = packed(anonymous(submission(DISTRIBUTIONS)))
    return [
        ("Anna_Müller", "right", {"Anna Müller.zip": zipped(colabs)}, "", put_back),
        ("bert", "wrong", ipynb("bert/annealing (1)", BERT | BERT_TAMPERED, BERT_GONE), BERT_LOST, bert),
        ("cleo", "right", {"cleo.IPYNB": packed(styles)}),
        ("dora", "odd", {"dora.ipynb.txt": utf16}),
        ("emil", "odd", {"emil/": b""}, None, ["handed in: nothing", "Ask for"]),
        ("faye", "odd", {"faye.ipynb": b"not a notebook"}, None, ["cannot be read", "Ask for"]),
        ("gina", "odd", {"gina.ipynb": packed({**RELEASE, "cells": []})}, None, ["none of the assignment's cells"]),
        ("hans", "hostile", ipynb("hans", HANS[0], own=[("end", SLOW)]), HANS[1], stopped),
        ("ines", "hostile", ipynb("ines", ENDS_KERNEL), "q8-2", ["q8-2 ended the kernel"]),
        ("jo", "hostile", ipynb("jo", own=spies)),
        ("k_l", "odd", {"k l.ipynb": no_ids}, "", ["found elsewhere"]),
        ("k_l-", "odd", {"k_l.py": script(submission())}, "", ["is a script"]),
    ]


def right_ones() -> list[tuple]:
    answers = {"reference": {}, "loops": LOOPS, "distributions": DISTRIBUTIONS, "noisy": NOISY, "in-place": IN_PLACE,
               "double": DOUBLE, "scipy": SCIPY}  # fmt: skip
    own = {"shadows": ("q2-why", SHADOWS), "strict": ("setup", STRICT), "plots": ("q3-4", PLOTS)}
    return [(name, [given], {}) for name, given in answers.items()] + [
        (name, [], {"own": [cell]}) for name, cell in own.items()
    ]


def odd_ones() -> list[tuple]:
    right = packed(submission())
    two = {"work/draft.ipynb": packed(RELEASE), "work/final.ipynb": right}
    without_q1 = submission({"q1-gaussian-kl": text(named(RELEASE)["q1-gaussian-kl"])})
    return [
        ("folder-zip", "odd", {"folder-zip.zip": zipped({"a/b/annealing.ipynb": right})}),
        ("plain-zip", "odd", {"plain-zip.zip": zipped({"annealing.ipynb": right})}),
        ("two-in-a-zip", "odd", {"two-in-a-zip.zip": zipped(two)}, "", ["2 notebooks were handed in"]),
        ("nbformat3", "odd", {"nbformat3.ipynb": old_format(anonymous(submission()))}),
        ("broken-zip", "odd", {"broken-zip.zip": b"PK\x03\x04 and no more"}, None, ["cannot be opened", "Ask for"]),
        ("pdf", "odd", {"pdf.pdf": b"%PDF-1.4"}, None, ["handed in: pdf.pdf", "Ask for"]),
        ("cut", "odd", {"cut.ipynb": right[:5000]}, None, ["cannot be read"]),
        ("a-list", "odd", {"a-list.ipynb": b"[1, 2]"}, None, ["Ask for"]),
        ("cmd", "odd", {"=cmd()/annealing.ipynb": right}),
        ("elsewhere", "odd", ipynb("elsewhere", without=["q7-3"], own=[("end", ELSEWHERE)])),
        ("empty-release", "wrong", {"empty-release.ipynb": packed(RELEASE)}, " ".join(CHECKS)),
        ("forgot-one", "wrong", {"forgot-one.ipynb": packed(without_q1)}, "q1-1 q1-2"),
    ]


def hostile_ones() -> list[tuple]:
    return [
        ("sleeps", [SLEEPER], "q8-2", ["q8-2 ran too long"]),
        ("swallows", [UNSTOPPABLE], "q4-1 q4-2 q4-3 q4-4", ["q4-1, q4-2, q4-3, q4-4 ended the kernel"]),
        ("segfault", [SEGFAULT], "q8-2", ["q8-2 ended the kernel"]),
        ("recursion", [RECURSION], "q8-2", []),
        ("forks", [{}, (), [("q5-3", FORKS)]], "", []),
        ("asks", [{}, (), [("q5-3", "input('name?')\nexit()")]], "", []),
    ]


def hand_in(class_: list[Pupil], inbox: Path) -> None:
    """Writes what they hand in."""
    for pupil in class_:
        for name, data in pupil.files.items():
            path = inbox / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if name.endswith("/") else path.write_bytes(data)


def find(rows: dict[str, dict[str, str]], name: str) -> dict[str, str]:
    """A pupil's row; the second of two whose names become one has a number after it."""
    (row,) = [row for key, row in rows.items() if key == name or (name.endswith("-") and key.startswith(name))]
    return row


if __name__ == "__main__":
    inbox = Path(sys.argv[1])
    hand_in(pupils(inbox.parent, inbox), inbox)
    print(f"{len(pupils(inbox.parent, inbox))} submissions in {inbox}; full marks of the checks are {FULL}")
