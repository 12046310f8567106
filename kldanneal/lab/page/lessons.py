"""The notebooks as pages, with their stored outputs and pictures: light, or dark where the reader's system is dark.

    python -m kldanneal.lab.page.lessons build/site/lessons

Each page is one file; for formulas it loads MathJax, as nbconvert's pages do.
"""

import argparse
import html
import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

from kldanneal.lab.files import write_atomically
from kldanneal.lab.page.make import repository

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
#: The index has no style of its own beyond this.
STYLE = "body{font:1.1rem/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"


def lesson(path: Path) -> str:
    """One notebook as a page. Links to other notebooks lead to their pages, other links into the repository."""
    exporter = HTMLExporter(theme="light", config=Config({"HTMLExporter": {"embed_images": True}}))
    notebook = nbformat.read(path, as_version=4)
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title(path)}})
    if body.count("</head>") < 1:
        raise ValueError(f"Expected nbconvert's page of {path.name} to have a head, but got none")
    head, rest = body.split("</head>", 1)
    dark = f"<style>@media (prefers-color-scheme: dark) {{\n{_dark_theme(exporter)}\n}}</style>"
    linked = re.sub(r'href="([^"]+)"', lambda found: f'href="{_target(found[1])}"', rest)
    return f"{head}{dark}</head>{linked}"


def title(path: Path) -> str:
    """The heading of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    found = next((re.match(r"#\s+(.+)", cell.source) for cell in cells if cell.source.startswith("# ")), None)
    return found[1].strip() if found else path.stem


def write(folder: Path, notebooks: Path = NOTEBOOKS) -> list[Path]:
    """Writes a page for each notebook, and an index. Returns their paths.

    Raises:
        FileNotFoundError: there are no notebooks.
    """
    paths = sorted(notebooks.glob("*.ipynb"))  # the lessons begin with a number, so they come first
    if not paths:
        raise FileNotFoundError(f"Expected the lessons in {notebooks}, but found no notebook")
    folder.mkdir(parents=True, exist_ok=True)
    pages = {folder / f"{path.stem}.html": lesson(path) for path in paths}
    lessons, others = ("".join(_item(path) for path in paths if path.name[0].isdigit() is numbered)
                       for numbered in (True, False))  # fmt: skip
    others = f"<h2>Beside the lessons</h2><ul>{others}</ul>" if others else ""
    pages[folder / "index.html"] = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"><title>The lessons</title><style>{STYLE}</style>'
        f"<h1>The lessons</h1><p>These pages show stored outputs. To run a lesson, open it in Colab or Binder by its "
        f'badges, or clone <a href="{repository()}">the repository</a>. '
        f'<a href="../index.html">The explorer</a> needs no install.</p><ol>{lessons}</ol>{others}</html>'
    )
    for page, text in pages.items():
        write_atomically(page, text.encode())
    return list(pages)


def _item(path: Path) -> str:
    return f'<li><a href="{path.stem}.html">{html.escape(title(path))}</a></li>'


def _target(address: str) -> str:
    """Where a link of a notebook leads from its page."""
    if re.match(r"[a-z]+:|#|//", address):
        return address
    if found := re.fullmatch(r"(?:\./)?(\w+)\.ipynb(#.*)?", address):
        return f"{found[1]}.html{found[2] or ''}"
    place = (NOTEBOOKS / address.split("#")[0]).resolve()
    inside = place.relative_to(NOTEBOOKS.parent) if place.is_relative_to(NOTEBOOKS.parent) else Path(address)
    return f"{repository()}/blob/main/{inside.as_posix()}"


def _dark_theme(exporter: HTMLExporter) -> str:
    """JupyterLab's dark colours, as nbconvert brings them."""
    for folder in exporter.template_paths:
        if (path := Path(folder) / "static" / "theme-dark.css").exists():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError("Expected static/theme-dark.css among the templates of nbconvert, but found none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder to write to")
    for page in write(parser.parse_args().folder):
        print(page)


if __name__ == "__main__":
    main()
