"""A comparison as one HTML page that needs nothing else: no network, no other file. All text in it is escaped."""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

from kldanneal.lab.tables import table

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  background: #ffffff; color: #1a1a1a; }
@media (prefers-color-scheme: dark) { body { background: #17191c; color: #e8e8e8; } }
h1, h2 { line-height: 1.2; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { text-align: left; white-space: nowrap; padding: 0.2rem 0.8rem 0.2rem 0; border-bottom: 1px solid #88888866; }
pre { overflow-x: auto; white-space: pre-wrap; }
"""


def page(
    *,
    corpus: str,
    verdict: str,
    advice: str,
    tables: Mapping[str, tuple[Sequence[Sequence[str]], str]],
    pictures: Sequence[bytes | None],
    samples: str,
    settings: Mapping[str, Any],
) -> str:
    """The page.

    Args:
        corpus, verdict, advice, samples (str): plain text of several lines.
        tables: for each heading, the cells of a table and a note below it.
        pictures: the PNG for a light page and the PNG for a dark page; None for one that is not there.
        settings: names and values, which may be mappings themselves.
    """
    blocks = [
        "<h1>KL annealing: a comparison of schedules</h1>",
        "<h2>Verdict</h2>",
        _list(verdict),
        "<h2>What to look at next</h2>",
        _pre(advice),
    ]
    for heading, (cells, note) in tables.items():
        blocks += [f"<h2>{html.escape(heading)}</h2>", table(cells, "html"), f"<p>{html.escape(note)}</p>"]
    blocks += ["<h2>KL weight, KL and reconstruction</h2>", _picture(*pictures)]
    blocks += ["<h2>Text</h2>", _pre(corpus), "<h2>Samples</h2>", _pre(samples)]
    if settings:
        rows = [["setting", "value"], *([name, str(value)] for name, value in _flat(settings))]
        blocks += ["<h2>Settings</h2>", table(rows, "html")]
    body = "\n".join(blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>kldanneal compare</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _list(text: str) -> str:
    return "<ul>\n" + "\n".join(f"<li>{html.escape(line)}</li>" for line in text.splitlines()) + "\n</ul>"


def _pre(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def _picture(light: bytes | None, dark: bytes | None) -> str:
    light = light or dark
    if light is None:
        return "<p>The picture could not be drawn.</p>"
    sources = [f'<source media="(prefers-color-scheme: dark)" srcset="{_inline(dark)}">'] if dark else []
    alt = "KL weight, KL and reconstruction of each schedule over the updates"
    return f'<picture>{"".join(sources)}<img alt="{alt}" src="{_inline(light)}"></picture>'


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else [(f"{before}{name}", value)]
    return found
