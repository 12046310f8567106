"""Writes the page: charts, data, styles and JavaScript in one file.

    python -m kldanneal.lab.page.make build/page/index.html --picture notebooks/figures/page.png

The file needs no server and no network.
"""

import argparse
import hashlib
import html
import itertools
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import vl_convert
from PIL import Image, PngImagePlugin

from kldanneal.lab.files import write_atomically
from kldanneal.lab.page import charts
from kldanneal.lab.page.data import page_data
from kldanneal.lab.results.pool import stored_at

HERE = Path(__file__).parent
LARGEST = 2_000_000  # bytes of the page: it must open at once
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: What the picture shows: long after the schedule, with something to compare.
PICTURED = "mode=cycles&shape=linear&steps=500&dropout=0&distance=1000&reference=0&covered="
PAPERS = {
    "Bowman et al. 2016": "https://aclanthology.org/K16-1002/",
    "Fu et al. 2019": "https://aclanthology.org/N19-1021/",
}


def render(data: Mapping[str, Any], site: bool = False) -> str:
    """The page as text.

    Args:
        data: what :func:`~kldanneal.lab.page.data.page_data` returns.
        site (bool): whether the lessons and the documentation are pages beside this one. Default: no, so it links to
            the repository.
    """
    parts = {
        "styles": _colours() + (HERE / "page.css").read_text(encoding="utf-8"),
        "schedule": _schedule_controls(data["grid"]),
        "dropout": _choice("dropout", data["grid"], "Word dropout", "the share of words hidden from the decoder"),
        "distance": _choice("distance", data["grid"], "Does it last? Updates since the last low weight (below 1)"),
        "references": _references(data["references"]),
        "legend": _legend(),
        "measures": "".join(f"<th scope=col>{html.escape(one['heading'])}</th>" for one in data["measures"].values()),
        "about": _about(data["about"], site),
        "runs": f"{data['about']['runs']:,}",
        "collapsed": f"{data['collapsed']:g}",
        "data": _json(data),
        "charts": _json(_specifications(data)),
        "vega": _script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")),
        "script": _script((HERE / "page.js").read_text(encoding="utf-8")),
    }
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"<!--(\w+)-->", lambda match: parts[match[1]], template)


def write(path: Path, runs: Path, remedies: Path | None, site: bool = False) -> str:
    """Writes the page of the stored runs, and returns it.

    Raises:
        FileNotFoundError: the map's runs are not stored.
        ValueError: the page would be too large.
    """
    if not runs.exists():
        raise FileNotFoundError(f"Expected the stored runs of the map in {runs}. Train them, or name another file")
    page = render(page_data(runs, remedies if remedies and remedies.exists() else None), site)
    size = len(page.encode())
    if size > LARGEST:
        raise ValueError(f"Expected the page to have at most {LARGEST:,} bytes, but got {size:,}: store fewer curves")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page.encode())
    return page


def take_picture(page: Path, picture: Path) -> bool:
    """A picture of the page in Chromium, 1,200 pixels wide. It is taken again only if the page has changed.

    Returns:
        Whether the picture shows this page. It does not if there is no Chromium.
    """
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    if picture.exists():
        with Image.open(picture) as image:
            if image.info.get("Source") == digest:
                return True
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        options = {"--user-data-dir": f"{folder}/profile", "--window-size": "1200,1130", "--screenshot": str(shot)}
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000",
            *(f"{name}={value}" for name, value in options.items()), f"{page.resolve().as_uri()}#{PICTURED}",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        info = PngImagePlugin.PngInfo()
        info.add_text("Source", digest)
        with Image.open(shot) as image:
            image.convert("RGB").save(picture, optimize=True, pnginfo=info)
    return True


def _specifications(data: Mapping[str, Any]) -> dict[str, Any]:
    """The charts as Vega, so that the page needs no compiler."""
    colours = {name: f"var(--{name})" for name in charts.LIGHT}
    every = {
        "ramps": charts.schedule_map(charts.RAMPS, data["grid"], colours),
        "constant": charts.schedule_map(charts.CONSTANT, data["grid"], colours),
        "weight": charts.weight_chart(colours),
        "kl": charts.kl_chart(colours),
        "reconstruction": charts.reconstruction_chart(limits(data["runs"]), colours),
    }
    return {name: chart.to_dict(format="vega") for name, chart in every.items()}


def limits(runs: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Of the axis of the reconstruction: all values after the first tenth of each run, where it falls steeply."""
    values = [value for run in runs for value in run["reconstruction"][len(run["reconstruction"]) // 10 :]]
    margin = 0.03 * (max(values) - min(values))
    return round(min(values) - margin, 2), round(max(values) + margin, 2)


def _colours() -> str:
    """The palettes as variables of CSS: light, and dark where the reader's system is dark. Print is light."""
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in of.items()) for of in (charts.LIGHT, charts.DARK))
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def _choice(name: str, grid: Mapping[str, Sequence[Any]], legend: str, note: str = "") -> str:
    """Radio buttons for the values of the grid; the first is chosen. The grid's names are plurals."""
    buttons = "".join(
        f'<label><input type=radio name={name} value="{_value(value)}"{" checked" * (i == 0)}>'
        f"<span>{_shown(value)}</span></label>"
        for i, value in enumerate(grid[name if name in grid else f"{name}s"])
    )
    heading = html.escape(legend) + (f" <small>{html.escape(note)}</small>" if note else "")
    return f"<fieldset id={name}><legend>{heading}</legend><div class=choice>{buttons}</div></fieldset>"


def _schedule_controls(grid: Mapping[str, Sequence[Any]]) -> str:
    return "".join((
        _choice("mode", grid, "KL weight"),
        _choice("shape", grid, "Shape of the ramp"),
        _choice("steps", grid, "total_steps", "updates of the ramp, or of one cycle"),
        _choice("weight", grid, "Constant weight, then 1"),
    ))  # fmt: skip


def _value(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _shown(value: Any) -> str:
    words = {"once": "one ramp", "cycles": "in cycles", "constant": "constant"}
    return words.get(value, value) if isinstance(value, str) else f"{value:,g}"


def _references(references: Sequence[Mapping[str, str]]) -> str:
    boxes = "".join(
        f"<label><input type=checkbox name=reference value={i}> {html.escape(one['label'])}</label>"
        for i, one in enumerate(references)
    )
    return f"<fieldset id=references><legend>Compare with</legend>{boxes}</fieldset>" if boxes else ""


def _legend() -> str:
    first, *_, last = charts.THRESHOLDS
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(charts.THRESHOLDS)]
    texts = [f"below {first:g}: collapsed", *between, f"{last:g} or more"]
    return "".join(f"<li><i style='background:var(--kl{i})'></i>{text}</li>" for i, text in enumerate(texts))


def _about(about: Mapping[str, Any], site: bool) -> str:
    """Where the numbers come from, and where to read on."""
    links = {"the lessons": f"{repository()}/tree/main/notebooks", "the code": repository()}
    if site:
        links |= {"the lessons": "lessons/index.html", "the documentation": "docs/kldanneal.html"}
    to_read, papers = (
        "; ".join(f'<a href="{address}">{name}</a>' for name, address in of.items()) for of in (links, PAPERS)
    )
    seeds, commits = (", ".join(map(str, about[name])) for name in ("seeds", "commits"))
    return (
        f"<p>Every number is that of a stored run, or a mean over stored runs: {about['runs']:,} runs, seeds {seeds}. "
        f"Corpus: {html.escape(about['corpus'])}. {html.escape(about['model'])}. Updates of a run: {about['updates']}. "
        f"Trained at commit {html.escape(commits)}, {html.escape(', '.join(about['dates']))}, with "
        f"{html.escape('; '.join(about['versions']))}.</p>"
        f"<p>Read on: {to_read}. The papers: {papers}.</p>"
    )


def repository() -> str:
    """The address of the code: in pyproject.toml if this is a clone, else in the installed package."""
    project = HERE.parents[2] / "pyproject.toml"
    text = project.read_text(encoding="utf-8") if project.exists() else "\n".join(
        metadata.metadata("kldanneal").get_all("Project-URL") or [])  # fmt: skip
    found = re.search(r"^Repository\b[^h]*(https://[^\s\"]+)", text, re.MULTILINE)
    if found is None:
        raise ValueError("Expected the address of the repository in pyproject.toml, but got none")
    return found[1]


def _json(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _script(text: str) -> str:
    """JavaScript that cannot end the element it stands in."""
    if "<!--" in text:
        raise ValueError("Expected JavaScript without <!--, which changes how a browser reads what follows")
    return text.replace("</script", "<\\/script")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="the file to write")
    parser.add_argument("--runs", type=Path, default=stored_at("map"), help="the stored runs of the map")
    parser.add_argument("--remedies", type=Path, default=stored_at("remedies"), help="the stored runs with free bits")
    parser.add_argument("--site", action="store_true", help="link to lessons/ and docs/ beside the page")
    parser.add_argument("--picture", type=Path, help="a PNG file to take a picture of the page")
    given = parser.parse_args()
    try:
        page = write(given.page, given.runs, given.remedies, given.site)
    except (FileNotFoundError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{given.page}: {len(page.encode()):,} bytes. Open {given.page.resolve().as_uri()}")
    if given.picture and not take_picture(given.page, given.picture):
        print(f"There is no Chromium here, so {given.picture} is left as it was.")


if __name__ == "__main__":
    main()
