"""SIGKILL against ``kldanneal compare``: one process imports everything once, and forks the commands that are killed.

    python tests/soak/kills.py FOLDER TEXT --steps 300 --kills 20 --seed 0

Every command is a process of its own that runs ``kldanneal.lab.cli.main`` and saves its runs every 25 updates. It is
killed inside the write of a checkpoint, or at a moment drawn at random from its life, and resumed. Prints one JSON
object; test_faults.py judges what is left in FOLDER.
"""

import argparse
import json
import os
import random
import signal
import time
from pathlib import Path

import torch
import torch._dynamo  # the first optimizer imports it

from kldanneal.lab import plots  # noqa: F401  # the first picture imports it
from kldanneal.lab.cli import main
from kldanneal.lab.training.run import Run

EVERY = 25  # updates between two checkpoints
OPTIONS = ["--seeds=1", "--schedules=constant,cyclical", "--embedding=4", "--hidden=8", "--latent=2", "--batch-size=4",
           "--word-dropout=0.3", "--lr-schedule=cosine-restarts"]  # fmt: skip
#: Where in the write of a checkpoint a process dies: half of it written, all of it, or when it has its name already.
POINTS = ("half", "before the rename", "after the rename")


def forked(arguments: list[str], log: Path, life: float | None = None, point: str | None = None) -> int:
    """Runs the command in a process of its own, killed after ``life`` seconds or at a point: its exit code."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(said, 1)
            os.dup2(said, 2)
            Run.fit.__kwdefaults__.update(every_updates=EVERY, every_seconds=float("inf"))
            if point:
                die_inside_the_second_checkpoint(point)
            status = main(arguments)
        finally:
            os._exit(status)
    if life is not None:
        time.sleep(life)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_inside_the_second_checkpoint(point: str) -> None:
    save, replace, times = torch.save, os.replace, {"save": 0, "replace": 0}

    def second(call: str, path: str) -> bool:
        if "constant-0.pt" not in path:
            return False
        times[call] += 1
        return times[call] == 2

    def saved(content, file):
        save(content, file)
        if second("save", file.name) and point == "half":
            file.truncate(file.tell() // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def replaced(source, target):
        now = second("replace", str(target))
        if now and point == "before the rename":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if now and point == "after the rename":
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save, os.replace = saved, replaced


def saved_steps(out: Path) -> dict[str, int]:
    """The step of every checkpoint; one that is not whole raises."""
    paths = (out / "checkpoints").glob("*.pt")
    return {path.stem: torch.load(path, weights_only=True)["step"] for path in paths}


def kill_and_resume(folder: Path, text: str, steps: int, kills: int, seed: int) -> dict:
    """A comparison that is left alone, and one that is killed; the latter begins anew when it outlives its killer."""
    draw, log = random.Random(seed), folder / "log"
    new = ["compare", f"--corpus={text}", f"--steps={steps}", *OPTIONS]
    started = time.monotonic()
    if forked([*new, f"--out={folder / 'whole'}"], log) != 0:
        raise RuntimeError(log.read_text())
    whole = time.monotonic() - started
    report = {"seconds": round(whole, 2), "finished": [], "points": [], "kills": []}
    out = folder / "killed-0"

    def go_on(**death) -> int:
        begun = (out / "config.json").exists()
        return forked(["compare", "--resume", f"--out={out}"] if begun else [*new, f"--out={out}"], log, **death)

    for point in POINTS:
        before = saved_steps(out)
        code = go_on(point=point)
        partial = (out / "checkpoints" / "constant-0.pt.partial").exists()
        report["points"].append({"code": code, "before": before, "after": saved_steps(out), "partial": partial})
    while len(report["kills"]) < kills:
        life = draw.uniform(0, 0.75 * whole)  # before the first update, between two checkpoints, or after the last
        code = go_on(life=life)
        if code == -signal.SIGKILL:
            report["kills"].append({"life": round(life, 3), "steps": saved_steps(out)})
        elif code == 0:  # done before it was killed: the next one
            report["finished"].append(out.name)
            out = folder / f"killed-{len(report['finished'])}"
        else:
            raise RuntimeError(log.read_text())
    if go_on() != 0:
        raise RuntimeError(log.read_text())
    report["finished"].append(out.name)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("text")
    for option in ("steps", "kills", "seed"):
        parser.add_argument(f"--{option}", type=int, required=True)
    given = vars(parser.parse_args())
    print(json.dumps(kill_and_resume(**given)))
