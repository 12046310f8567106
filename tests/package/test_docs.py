"""The pages of `make docs`, with the formulas as they stand in the docstrings."""

import html
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import kldanneal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folder that the command of `make docs` fills."""
    folder = tmp_path_factory.mktemp("docs")
    says = subprocess.run(["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (command,) = re.findall(r"/python (-W .+ -m pdoc .+)$", says, re.MULTILINE)
    assert command.count("build/docs") == 1
    command = [sys.executable, *shlex.split(command.replace("build/docs", shlex.quote(str(folder))))]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stderr) == (0, "")  # a module that cannot be imported is a warning
    return folder


def described(page):
    """What a page says, without the source code that it also shows."""
    parts = re.findall(r'<div class="docstring">(.*?)</div>\n', page.read_text(encoding="utf-8"), re.DOTALL)
    return html.unescape("\n".join(parts))


def squeezed(formula):
    return re.sub(r"\s|\\(?=_)", "", formula)


@pytest.mark.parametrize("documented", [kldanneal.Annealer, kldanneal.VAELoss, kldanneal.gaussian_kl])
def test_a_formula_reaches_its_page_unchanged(pages, documented):
    page = pages / "kldanneal.html"
    assert f'id="{documented.__name__}"' in page.read_text(encoding="utf-8")
    (formula,) = re.findall(r"\.\. math::\n((?:    .+\n)+)", inspect.getdoc(documented))
    shown = [squeezed(found) for found in re.findall(r"\$\$(.+?)\$\$", described(page), re.DOTALL)]
    assert squeezed(formula) in shown


def test_every_module_has_a_page_that_keeps_no_markup(pages):
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "kldanneal").rglob("*.py")]
    public = [path for path in modules if path.name == "__init__" or not path.name.startswith("_")]
    names = {(path.parent if path.name == "__init__" else path).as_posix() for path in public}
    written = {path.relative_to(pages).with_suffix("").as_posix() for path in pages.rglob("*.html")} - {"index"}
    assert written == names
    left = re.compile(r"\.\. \w+::|:(?:math|class|meth|func|mod):`")
    assert [name for name in sorted(names) if left.search(described(pages / f"{name}.html"))] == []
