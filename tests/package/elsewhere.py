"""What the tests of this folder share: copies of the repository, environments, and commands that run in them."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(**more):
    """The variables of this environment without what they say about where modules are."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))} | more


def run(*command, cwd, succeeds=True, **variables):
    """A command, by default one that must end well."""
    ran = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=900
    )
    assert not (succeeds and ran.returncode), f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran


def copy_of_the_repository(folder):
    """The repository's files without what a build or a test left beside them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def new_environment(folder):
    """The Python of a new virtual environment."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    return next(folder / path for path in ("bin/python", "Scripts/python.exe") if (folder / path).exists())


def environment_on_top(folder):
    """The Python of a new virtual environment that has all packages of this one too, and its site-packages."""
    python = new_environment(folder)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip()
    (Path(site) / "below.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python, Path(site)
