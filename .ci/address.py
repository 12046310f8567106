#!/usr/bin/env python3
"""The repository's address is written in pyproject.toml; this carries it to every file that names it.

    python .ci/address.py                                  after a change of pyproject.toml
    python .ci/address.py https://github.com/me/kldanneal  writes it to pyproject.toml, too
    python .ci/address.py --check                          writes nothing; names what differs, with status 1

The badges of a notebook are made to point at that notebook itself. Nothing else of a file changes.
"""

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
NAME = r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+"  # an owner, and a repository of theirs
ADDRESS = re.compile(rf"https://github\.com/({NAME})(?<!\.git)(?<!/\.)(?<!/\.\.)")
IN_PROJECT = re.compile(r'^(Repository *= *")([^"\n]*)', re.MULTILINE)
IN_SETUP_CELL = re.compile(rf"kldanneal(?:\[[\w,]+\])? @ git\+https://github\.com/({NAME})")
BADGES = re.compile(
    rf"(\]\(https://(?:colab\.research\.google\.com/github|mybinder\.org/v2/gh)/){NAME}(?P<branch>/blob/[^/)\s]+/|"
    r"/[^/?)\s]+\?urlpath=lab/tree/)[^)\s]*\.ipynb(?=\))"
)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message}\n")


def repository_files() -> list[Path]:
    """What git would commit or, in a copy without git, everything but what .gitignore names."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    files = [ROOT / name for name in sorted(listed) if (ROOT / name).is_file()]
    if files:
        return files
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(line.strip("/") for line in lines if line)]
    files = []
    for folder, folders, names in os.walk(ROOT):
        for some in (folders, names):
            some[:] = sorted(one for one in some if not any(fnmatch.fnmatch(one, pattern) for pattern in ignored))
        files += [Path(folder) / name for name in names]
    return files


def carried(path: Path, text: str, olds: set[str], new: str) -> str:
    """The text of a file, with the repository at its new place. Names are given as OWNER/REPOSITORY."""
    hosts = r"(github(?:usercontent)?\.com[/:]|api\.github\.com/repos/|/github/|/gh/)"
    for old in olds:
        text = re.sub(rf"{hosts}{re.escape(old)}(?![\w-]|\.(?!git\b)\w)", lambda found: found[1] + new, text)
    if path.suffix == ".ipynb":
        itself = quote(path.relative_to(ROOT).as_posix())
        itself = itself.replace("/coursework/source/", "/coursework/release/")  # students get the one without solutions
        text = BADGES.sub(lambda found: found[1] + new + found["branch"] + itself, text)
        text = IN_SETUP_CELL.sub(lambda found: found[0].removesuffix(found[1]) + new, text)
    return text


def main() -> int:
    parser = Parser(prog="address", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", nargs="?", help="such as https://github.com/me/kldanneal")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if something differs")
    arguments = parser.parse_args()

    project = ROOT / "pyproject.toml"
    texts = {}
    for path in repository_files():
        try:
            texts[path] = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:  # a picture
            continue
    written = IN_PROJECT.findall(texts[project])
    if len(written) != 1:
        parser.error("expected one line 'Repository = ...' in pyproject.toml")
    former = written[0][1]
    address = arguments.repository or former
    wanted = ADDRESS.fullmatch(address)
    if not wanted:
        parser.error(f"expected https://github.com/OWNER/REPOSITORY, got {address!r}")

    # A file names the repository by the address that pyproject.toml had, or by the one in the set-up cells.
    olds = {name for path, text in texts.items() if path.suffix == ".ipynb" for name in IN_SETUP_CELL.findall(text)}
    olds |= set(ADDRESS.findall(former))
    olds.discard(wanted[1])
    changed = {path: carried(path, text, olds, wanted[1]) for path, text in texts.items()}
    changed[project] = IN_PROJECT.sub(lambda found: found[1] + address, changed[project])
    changed = {path: text for path, text in changed.items() if text != texts[path]}

    for path in sorted(changed, key=lambda path: path == project):  # pyproject.toml last: stopped, it can be repeated
        print(path.relative_to(ROOT).as_posix())
        if not arguments.check:
            temporary = path.with_name(f"{path.name}.address")
            temporary.write_bytes(changed[path].encode("utf-8"))
            shutil.copymode(path, temporary)
            os.replace(temporary, path)
    if not arguments.check and any("coursework/source" in path.as_posix() for path in changed):
        print("the coursework has changed: run make assignment")
    print(f"{address}: {len(changed)} files {'differ' if arguments.check else 'rewritten'}")
    return int(arguments.check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
