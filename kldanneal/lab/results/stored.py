"""The one form in which runs are stored: JSON with a head that says where they come from, then one run a line."""

import datetime
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchtext

import kldanneal
from kldanneal.lab.files import write_atomically
from kldanneal.lab.threads import cores


def provenance() -> dict[str, Any]:
    """Versions, commit, machine and date."""
    where = Path(__file__).parent
    git = ["git", "-C", str(where), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        commit = ""
    return {
        "versions": {"kldanneal": kldanneal.__version__, "python": platform.python_version(),
                     "torch": torch.__version__, "torchtext": torchtext.__version__},
        "commit": commit or "unknown",
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {cores()} cores",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }  # fmt: skip


def save(path: str | Path, about: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in runs)
    write_atomically(Path(path), f'{{"about": {json.dumps(about, indent=1)},\n"runs": [\n{lines}\n]}}\n'.encode())


def load(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The head and the runs of a file that :func:`save` wrote."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return data["about"], data["runs"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"The stored runs {path} cannot be read: {error!r}") from None


def as_stored(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run as it is after it was saved and loaded: its tuples are lists then."""
    return json.loads(json.dumps(run))
