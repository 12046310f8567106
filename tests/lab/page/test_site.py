"""kldanneal.lab.page.lessons: each notebook as a page, with its pictures, light and dark; its links lead somewhere."""

import html
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from kldanneal.lab.page import lessons
from kldanneal.lab.page.make import repository

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    written = lessons.write(tmp_path_factory.mktemp("site") / "lessons")
    return {path.name: path.read_text(encoding="utf-8") for path in written}


def test_every_notebook_has_a_page_with_its_title_and_pictures(pages):
    assert {"01_kl_vanishing.ipynb", "diagnose.ipynb", "glossary.ipynb"} < {path.name for path in NOTEBOOKS}
    assert pages.keys() == {"index.html", *(f"{path.stem}.html" for path in NOTEBOOKS)}
    for path in NOTEBOOKS:
        page = pages[f"{path.stem}.html"]
        outputs = [output for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
                   for output in cell.get("outputs", [])]  # fmt: skip
        pictures = sum("image/png" in output.get("data", {}) for output in outputs)
        assert len(re.findall(r'<img\b[^>]*src="?data:image/png', page)) >= pictures
        assert pictures or path.stem == "glossary"
        assert "<title>" in page and lessons.title(path) != path.stem
        assert f'href="{path.stem}.html"' in pages["index.html"]


def test_they_are_light_and_dark(pages):
    for name, page in pages.items():
        if name == "index.html":
            assert 'content="light dark"' in page
            continue
        head = page.split("</head>")[0]
        (dark,) = re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*)\}</style>", head, re.DOTALL)
        assert "--jp-layout-color0:" in dark
        assert dark.count("{") == dark.count("}")


def test_the_index_numbers_the_lessons_alone(pages):
    lessons_of_the_index, others = pages["index.html"].split("</ol>")
    assert "01_kl_vanishing.html" in lessons_of_the_index and "diagnose.html" not in lessons_of_the_index
    assert "diagnose.html" in others and "glossary.html" in others


def test_a_link_to_a_heading_leads_to_it(pages):
    """A browser looks for the id as it stands in the address, then for its decoded form."""
    ids = {name: {html.unescape(one) for one in re.findall(r'\bid="([^"]+)"', page)} for name, page in pages.items()}
    found = [(name, target, html.unescape(heading))
             for name, page in pages.items()
             for target, heading in re.findall(r'href="([^"#:]*)#([^"]+)"', page.split("</head>")[-1])
             if not target or target in pages]  # fmt: skip
    assert ("diagnose.html", "", "Sums-and-means") in found
    assert [link for link in found if not {link[2], unquote(link[2])} & ids[link[1] or link[0]]] == []


def test_links_lead_to_pages_or_into_the_repository(pages):
    for page in pages.values():
        for address in re.findall(r'href="([^"#]+)', page.split("</head>")[-1]):
            if address.startswith(repository() + "/blob/main/"):
                assert (ROOT / address.removeprefix(repository() + "/blob/main/")).exists(), address
            elif not re.match(r"https?:|mailto:|data:", address):
                assert address in pages or address == "../index.html", address


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("02_annealing_schedules.ipynb", "02_annealing_schedules.html"),
        ("02_annealing_schedules.ipynb#Cycles", "02_annealing_schedules.html#Cycles"),
        ("../kldanneal/loss.py", f"{repository()}/blob/main/kldanneal/loss.py"),
        ("RESULTS.md", f"{repository()}/blob/main/notebooks/RESULTS.md"),
        ("#here", "#here"),
        ("https://example.org/a.ipynb", "https://example.org/a.ipynb"),
    ],
)
def test_where_a_link_leads(address, target):
    assert lessons._target(address) == target


def test_a_folder_without_lessons(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected the lessons in .* but found no notebook"):
        lessons.write(tmp_path / "out", tmp_path)
