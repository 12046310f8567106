"""Writes another version of the assignment: other numbers, curves, letters and hidden tests, decided by its name.

    python notebooks/coursework/variant.py NAME         # make assignment VARIANT=NAME

The repository is public, and so are its tests and curves. A variant is written to variants/NAME, which git ignores. The
same name gives the same questions on the same machine; the curves are trained anew, which takes a few minutes.
"""

import json
import math
import random
import re
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NOTEBOOK = Path("annealing", "annealing.ipynb")
Edit = tuple[str, str, str]  # the name of a cell, a text in it, and what stands there instead
Curves = dict[str, list[float]]


def varied(source: dict[str, Any], name: str, curves: Curves, cycles: int) -> dict[str, Any]:
    """The source with other numbers. `curves` has 50 values for each schedule, of runs with that number of cycles."""
    rng = random.Random(name)
    letters = {"q2-4-text": dict(zip("abcd", rng.sample("abcd", 4), strict=True)),
               "q9-answer-text": dict(zip("abcde", rng.sample("abcde", 5), strict=True))}  # fmt: skip
    texts = {cell["id"]: "".join(cell["source"]) for cell in source["cells"]}
    edits = [*kl_edits(rng), *loss_edits(rng, letters["q2-4-text"]), *ramp_edits(rng), *counter_edits(rng)]
    edits += [*step_edits(rng), *curve_edits(rng, curves, cycles, texts["q6-curves"]), *bug_edits(rng)]
    edits += lasting_edits(rng, letters["q9-answer-text"])
    for cell, new in letters.items():
        texts[cell] = lettered(texts[cell], new)
    texts["opening"] = re.sub(r"\[!\[.*\n", "", texts["opening"])  # the badges open the public version
    for cell, old, new in edits:
        if texts[cell].count(old) != 1:
            raise ValueError(
                f"Expected {old!r} once in the cell {cell}, but it is there {texts[cell].count(old)} times"
            )
        texts[cell] = texts[cell].replace(old, new)
    cells = [{**cell, "source": texts[cell["id"]].splitlines(True)} for cell in source["cells"]]
    return {**source, "cells": cells}


def number(value: float) -> str:
    return f"{value:.4f}"


def kl_edits(rng: random.Random) -> list[Edit]:
    mu = [rng.choice([0.8, 1.2, 1.4]), 0.0, rng.choice([1.6, 2.4, 3.0])]
    swapped = [round((math.exp(m) - 1 - m) / 2, 4) for m in mu]
    variance = rng.choice([2.0, 3.0, 5.0, 6.0])
    log = math.log(variance)
    likely = {
        "1.5": (variance - 1) / 2, "1.6137": variance - 1 - log, "1.3069": (variance - log) / 2,
        "6.1137": (variance**2 - 1 - 2 * log) / 2, "0.0298": (log - 1 - math.log(log)) / 2, "0.9609": log**2 / 2,
    }  # fmt: skip
    kl = [[rng.randint(1, 9) / 2 for _ in range(3)] for _ in range(2)]
    hidden = [[round(rng.uniform(-3, 3), 1) for _ in range(2)] for _ in range(3)]
    return [
        ("q1-1", "[1.0, 0.0, 2.0], [0.5, 0.0, 2.0], [0.3591, 0.0, 2.1945]",
         f"{mu}, {[round(m * m / 2, 4) for m in mu]}, {swapped}"),
        ("q1-1", "[[-3.0, 0.1], [0.7, -0.2], [4.0, 0.0]]", str(hidden)),
        ("q1-2", "= 4.0, 0.8069", f"= {variance}, {number((variance - 1 - log) / 2)}"),
        *[("q1-2", f"{old}: ", f"{number(new)}: ") for old, new in likely.items()],
        ("q1-2", "manual_seed(1)", f"manual_seed({rng.randint(2, 10**6)})"),
        ("q1-3", "[[1.0, 2.0, 0.5], [3.0, 4.0, 0.5]], [3.5, 7.5]", f"{kl}, {[sum(row) for row in kl]}"),
        ("q1-3", "manual_seed(2)", f"manual_seed({rng.randint(3, 10**6)})"),
    ]  # fmt: skip


def loss_edits(rng: random.Random, letters: dict[str, str]) -> list[Edit]:
    likely = rng.choice([3.0, 6.0, 8.0])  # as many times as likely as each of four other words
    right, other = likely / (likely + 4), 1 / (likely + 4)
    nats, pad = -math.log(right), math.log(5)
    twice = -math.log(math.exp(right) / (math.exp(right) + 4 * math.exp(other)))
    wrong = {"2.6430": 2 * twice, "2.7726": 4 * nats, "2.9957": 2 * nats + pad, "5.9915": 4 * nats + 2 * pad,
             "0.6931": nats, "-1.3863": -2 * nats}  # fmt: skip
    kl = [[rng.randint(1, 9) / 2 for _ in range(2)] + [0.0] for _ in range(2)]
    words = rng.choice([1, 3])
    right_letter = letters["c"]
    second = [4, 2, 6][:words] + [0] * (5 - words)
    lengths = tuple(tuple(rng.randint(1, 15) for _ in range(n)) for n in (3, 4, 1, 5))
    return [
        ("q2-1", "[[1, 2, 3], [4, 0, 0]], 4.0, 1.3863", f"[[1, 2, 3], [4, 0, 0]], {likely}, {number(2 * nats)}"),
        *[("q2-1", f"        {old}: ", f"        {number(new)}: ") for old, new in wrong.items()],
        ("q2-1", "manual_seed(3)", f"manual_seed({rng.randint(4, 10**6)})"),
        ("q2-2", "[[1.0, 2.0, 0.0], [3.0, 0.5, 0.0]], [3.0, 3.5]", f"{kl}, {[sum(row) for row in kl]}"),
        ("q2-2", "manual_seed(4)", f"manual_seed({rng.randint(5, 10**6)})"),
        ("q2-3", "[4, 2, 6, 0, 0]], 4", f"{second}], {(5 + words) // 2}"),
        ("q2-3", "((1, 1, 1), (9, 2, 4, 1), (20,), (3, 12, 6))", str(lengths)),
        ("q2-why", 'why = "c"', f'why = "{right_letter}"'),
        ("q2-4", 'why == "c"', f'why == "{right_letter}"'),
    ]  # fmt: skip


def lettered(text: str, letters: dict[str, str]) -> str:
    """A list of statements under other letters, in the order of the letters."""
    lines = text.splitlines()
    at = [i for i, line in enumerate(lines) if re.match(r'\s*- `"[a-e]"`', line)]
    changed = [re.sub(r'`"([a-e])"`', lambda found: f'`"{letters[found[1]]}"`', lines[i]) for i in at]
    for i, line in zip(at, sorted(changed), strict=True):
        lines[i] = line
    return "\n".join(lines)


def ramp_edits(rng: random.Random) -> list[Edit]:
    steps, half = rng.choice([40, 80, 200, 400]), rng.choice([4, 5, 8])
    end = 1 / (1 + math.exp(half))
    quarter = 0.5 + 0.5 * math.tanh(-half / 4) / math.tanh(half / 2)
    edits: list[Edit] = [
        ("q3", "from -6 to 6", f"from -{half} to {half}"),
        ("q3-ramps", "sigmoid(-6), sigmoid(6)", f"sigmoid(-{half}), sigmoid({half})"),
        ("q3-ramps", "sigmoid(12 *", f"sigmoid({2 * half} *"),
        ("q3-3", "0.045", number(quarter)),
        ("q3-3", "- 0.0025)", f"- {number(end)})"),
        ("q3-3", "half = 6", f"half = {half}"),
        ("q3-4", "(7, 1_420, 123_457, 10**9)", f"(7, {rng.randint(800, 9000)}, {rng.randint(10**5, 10**6)}, 10**9)"),
    ]
    for n in (1, 2, 3):
        more = sorted(rng.sample(range(4, 900), 2))
        edits += [
            (f"q3-{n}-text", "steps of 100", f"steps of {steps}"),
            (f"q3-{n}", "= 100,", f"= {steps},"),
            (f"q3-{n}", "(1, 3, 10, 777)", f"(1, 3, {more[0]}, {more[1]})"),
        ]
    return edits


def counter_edits(rng: random.Random) -> list[Edit]:
    def pairs(n: int) -> tuple[tuple[int, int], ...]:
        return tuple((total, rng.randint(0, total - 1)) for total in (rng.randint(2, 9) for _ in range(n)))

    on = tuple((total, total + rng.randint(0, 6)) for total in (rng.randint(2, 9) for _ in range(4)))
    total = rng.choice([5, 6, 7])
    return [
        ("q4-1", "total_steps = 4\n", f"total_steps = {total}\n"),
        ("q4-1", "(1, 2, 9)", f"(1, {rng.randint(2, 4)}, {rng.randint(8, 12)})"),
        ("q4-2", "total_steps, off = 4, 2", f"total_steps, off = {total}, {rng.randint(2, 4)}"),
        ("q4-2", "((5, 0), (5, 4), (1, 0), (6, 3))", str(((5, 0), *pairs(3)))),
        ("q4-3", "total_steps = 3\n", f"total_steps = {rng.choice([2, 4, 5])}\n"),
        ("q4-3", "((4, 4), (4, 9), (1, 1), (7, 12))", str(on)),
        ("q4-4", "total_steps, at = 6, 3", f"total_steps, at = {total + 2}, {rng.randint(2, 4)}"),
        ("q4-4", "range(30)", f"range({(start := rng.randint(100, 10**6))}, {start + 30})"),
    ]


def step_edits(rng: random.Random) -> list[Edit]:
    return [
        ("q5-1", "VAELoss(\"mse\"), 4\n", f"VAELoss(\"mse\"), {rng.choice([5, 8, 10])}\n"),
        ("q5-2", "before - 0.01 *", "before - 0.02 *"),
        ("q5-2", "lr=0.01", "lr=0.02"),
        ("q5-3", "steps, batch = 3,", f"steps, batch = {rng.choice([4, 5])},"),
        ("q5-3", "manual_seed(i)", f"manual_seed(i + {rng.randint(100, 10**6)})"),
    ]  # fmt: skip


def curve_edits(rng: random.Random, curves: Curves, cycles: int, old: str) -> list[Edit]:
    letters = dict(zip(rng.sample("ABCD", 4), curves, strict=True))
    runs = {letter: letters[letter] for letter in "ABCD"}
    shown = {letter: [f"{v:.2f}" if v >= 0.05 else f"{v:.1g}" for v in curves[runs[letter]]] for letter in runs}
    kl = {letter: [float(value) for value in values] for letter, values in shown.items()}
    text = "CURVES = {\n"
    for letter, values in shown.items():
        lines = [" ".join(values[i : i + 17]) for i in range(0, 50, 17)]
        text += f'    "{letter}": """' + "\n    ".join(lines) + '""",\n'
    early = {letter: values[11] < 0.1 for letter, values in kl.items()}
    late = {letter: values[-1] < 0.1 for letter, values in kl.items()}
    cyclical = kl[next(letter for letter in runs if runs[letter] == "cyclical")]
    low = next(i for i, value in enumerate(cyclical) if value < 0.1)
    rose = 80 * next(i for i, value in enumerate(cyclical) if i > low and value > 0.1) + 40
    kept = {letter: round(values[-1] / max(values[5:]), 2) for letter, values in kl.items() if not late[letter]}
    length = 4000 // cycles
    quoted = json.dumps
    given = '{"A": "monotonic-long", "B": "constant", "C": "cyclical", "D": "monotonic"}'
    return [
        ("q6", "the first 500 updates", f"the first {length // 2} updates"),
        ("q6-curves", old, text + "}"),
        ("q6-reading", given, quoted(runs)),
        ("q6-reading", "cycle_length = 1000", f"cycle_length = {length}"),
        ("q6-reading", "rose_again = 1080", f"rose_again = {rose}"),
        ("q6-reading", "with seed 0. To make them", "that variant.py trained. To make the public ones"),
        ("q6-1", given, quoted(runs)),
        ("q6-2", given, quoted(runs)),
        ("q6-3", '{"A": False, "B": True, "C": True, "D": True}', str(early)),
        ("q6-3", '{"A": False, "B": True, "C": False, "D": True}', str(late)),
        ("q6-4", "length, rose = 1000, 1080", f"length, rose = {length}, {rose}"),
        ("q6-5", '{"A": 0.37, "C": 0.38}', quoted(kept)),
    ]


def bug_edits(rng: random.Random) -> list[Edit]:
    warm_up = rng.choice([800, 400, 1600])
    half, weights = warm_up // 2, [1.0, 1.0, 2000 / warm_up]
    second = rng.choice([(11.2, 2), (12.4, 1)])
    fifth = rng.choice([(13.16, 6), (13.02, 5)])
    old = "[12.60, 12.40, 12.70, 12.95, 13.02, 13.12]"
    return [
        ("q8", "the first 1,000 updates", f"the first {warm_up:,} updates"),
        ("q8", "0, 500 and 2,000, with `warm_up=1000`", f"0, {half} and 2,000, with `warm_up={warm_up}`"),
        ("q8-weight", "[1.0, 1.0, 2.0]", str(weights)),
        ("q8-1", "(0, 500, 2000), 1000", f"(0, {half}, 2000), {warm_up}"),
        ("q8-validation", "| 12.40 |", f"| {second[0]:.2f} |"),
        ("q8-validation", "| 13.02 |", f"| {fifth[0]:.2f} |"),
        ("q8-3", old, old.replace("12.40", f"{second[0]:.2f}").replace("13.02", f"{fifth[0]:.2f}")),
        ("q8-best", "= 1, 5", f"= {second[1]}, {fifth[1]}"),
    ]


def lasting_edits(rng: random.Random, letters: dict[str, str]) -> list[Edit]:
    data = {
        "no word dropout": [[0.67, 0.46, 0.40, 0.33], [0.74, 0.41, 0.38, 0.17], [0.48, 0.22, 0.12, 0.02]],
        "word dropout 0.2": [[0.87, 1.17, 1.30, 1.48], [0.76, 0.78, 0.87, 0.92], [0.94, 1.01, 1.03, 1.08]],
    }
    at, when = rng.choice([(2, "8,000"), (1, "6,000")])
    kept = {name: round(statistics.median(kl[at] / kl[0] for kl in runs), 2) for name, runs in data.items()}
    shown = "{" + ", ".join(f'"{letter}"' for letter in sorted(letters[letter] for letter in "ace")) + "}"
    return [
        ("q9-answer-text", "is left at 12,000 updates", f"is left at {when} updates"),
        ("q9-lasting", "kl[-1] / kl[0]", f"kl[{at}] / kl[0]"),
        ("q9-lasting", '{"a", "c", "e"}', shown),
        ("q9-1", '{"no word dropout": 0.23, "word dropout 0.2": 1.21}', json.dumps(kept)),
        ("q9-3", '{"a", "c", "e"}', shown),
    ]


def trained(name: str, folder: Path) -> tuple[Curves, int]:
    """The curves of four runs whose seed and number of cycles the name decides; clear enough to be read.

    The runs are saved in the folder while they train, so that a training that was stopped goes on.
    """
    from kldanneal.lab import Comparison, Settings, load_corpus
    from kldanneal.lab.training.schedules import NAMED, parse_schedules

    rng = random.Random(f"curves of {name}")
    for seed in rng.sample(range(1, 10**6), 5):
        cycles = rng.choice([4, 5])
        schedules = parse_schedules(list(NAMED), steps=4000, cycles=cycles)
        saved = folder / str(seed)
        saved.mkdir(parents=True, exist_ok=True)
        settings = Settings(steps=4000)
        comparison = Comparison(
            load_corpus("toy"), schedules, settings, seeds=[seed], device="cpu", checkpoints=saved
        ).fit()
        history = {name: runs[0]["kl"] for name, runs in comparison.histories().items()}
        curves = {name: [sum(kl[i : i + 80]) / 80 for i in range(0, 4000, 80)] for name, kl in history.items()}
        if readable(curves):
            return curves, cycles
    raise SystemExit(f"No seed of {name!r} gave curves that can be told apart: choose another name")


def readable(curves: Curves) -> bool:
    """Whether the questions have one answer: who collapsed, and when, is not a matter of taste."""
    high = all(min(curves[name][-6:]) > 0.15 for name in ("monotonic-long", "cyclical"))
    low = all(max(curves[name][-6:]) < 0.06 for name in ("monotonic", "constant"))
    early = [kl[11] for kl in curves.values()]
    cyclical = curves["cyclical"]
    fell = [i for i, value in enumerate(cyclical) if value < 0.05]
    return bool(high and low and not any(0.07 < value < 0.14 for value in early) and early[3] < 0.1 and fell)


def main(name: str) -> int:
    if not re.fullmatch(r"[\w-]+", name):
        raise SystemExit(f"Expected VARIANT to be letters, digits, - and _, but got {name!r}")
    source = json.loads((HERE / "source" / NOTEBOOK).read_text(encoding="utf-8"))
    print("training the curves of question 6, some minutes ...", flush=True)
    folder = HERE / "variants" / name
    curves, cycles = trained(name, folder / "curves")
    path = folder / "source" / NOTEBOOK
    path.parent.mkdir(parents=True, exist_ok=True)
    written = json.dumps(varied(source, name, curves, cycles), indent=1, ensure_ascii=False)
    path.write_text(written + "\n", encoding="utf-8")
    shutil.copy(HERE / "nbgrader_config.py", folder)
    print(f"written: {path}. make grade VARIANT={name} SUBMISSIONS=folder grades by it.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
