"""kldanneal.lab.page.make and charts: one file that needs nothing else. What it does is tried in tests/browser."""

import json
import re
import shutil
from pathlib import Path

import pytest

from kldanneal.lab.metrics import COLLAPSED
from kldanneal.lab.page import charts
from kldanneal.lab.page import make as make_page
from kldanneal.lab.page.data import page_data
from kldanneal.lab.results.pool import stored_at


@pytest.fixture(scope="module")
def page(small_map, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "build" / "index.html"
    written = make_page.write(path, *small_map)
    assert path.read_text(encoding="utf-8") == written
    return written


def test_every_part_is_filled_in_and_nothing_is_loaded(page):
    assert "<!--" not in page
    markup = re.sub(r"(<script\b[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    assert re.findall(r"<(?:link|img|iframe|object|embed)\b|\bsrc=|@import|url\(", markup.split("<footer>")[0]) == []
    assert "default-src 'none'" in markup


def test_the_data_come_back_as_they_were(page, small_map):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(found) == json.loads(json.dumps(page_data(*small_map)))


def test_the_same_runs_give_the_same_page(page, small_map, tmp_path):
    assert make_page.write(tmp_path / "again.html", *small_map) == page


def test_it_says_where_the_numbers_come_from(page, small_map):
    about = page_data(*small_map)["about"]
    footer = re.search(r"<footer>.*</footer>", page, re.DOTALL)[0]
    links = "/kldanneal/tree/main/notebooks", "N19-1021"
    for text in (about["corpus"], about["updates"], "seeds 0, 1", *about["commits"], *links):
        assert text in footer


def test_a_page_that_is_too_large_is_not_written(small_map, tmp_path, monkeypatch):
    monkeypatch.setattr(make_page, "LARGEST", 100_000)
    monkeypatch.setattr(make_page, "render", lambda *_: "€" * 40_000)  # three bytes each
    with pytest.raises(ValueError, match="Expected the page to have at most 100,000 bytes, but got 120,000"):
        make_page.write(tmp_path / "index.html", *small_map)
    assert not (tmp_path / "index.html").exists()


def test_without_stored_runs_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected the stored runs of the map in .*none\.json"):
        make_page.write(tmp_path / "index.html", tmp_path / "none.json", None)


@pytest.mark.skipif(not stored_at("map").exists(), reason="the map is not trained yet")
def test_the_stored_map_makes_a_page_of_less_than_two_megabytes(tmp_path):
    written = make_page.write(tmp_path / "index.html", stored_at("map"), stored_at("remedies"))
    assert len(written.encode()) < 2_000_000


def test_our_own_javascript_is_one_short_file():
    files = [path for path in Path(make_page.HERE).iterdir() if path.suffix in (".js", ".ts", ".mjs")]
    assert [path.name for path in files] == ["page.js"]
    assert len(files[0].read_text(encoding="utf-8").splitlines()) < 150


def test_a_picture_is_taken_again_only_of_another_page(page, tmp_path):
    if not any(map(shutil.which, make_page.CHROMIUM)):
        pytest.skip("there is no Chromium")
    path, picture = tmp_path / "index.html", tmp_path / "page.png"
    path.write_text(page, encoding="utf-8")
    assert make_page.take_picture(path, picture)
    first = picture.stat().st_mtime_ns
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 300_000
    assert make_page.take_picture(path, picture) and picture.stat().st_mtime_ns == first
    path.write_text(page + "\n", encoding="utf-8")
    assert make_page.take_picture(path, picture) and picture.stat().st_mtime_ns != first


def test_without_chromium_the_picture_stays(page, tmp_path, monkeypatch):
    monkeypatch.setattr(make_page, "CHROMIUM", ())
    path = tmp_path / "index.html"
    path.write_text(page, encoding="utf-8")
    assert not make_page.take_picture(path, tmp_path / "page.png")
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------------------- charts


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [charts.LIGHT, charts.DARK], ids=["light", "dark"])
def test_words_and_lines_stand_out(palette):
    shades = range(len(charts.THRESHOLDS) + 1)
    assert min(contrast(palette[f"kl{i}"], palette[f"on{i}"]) for i in shades) >= 4.5
    assert min(contrast(palette[name], palette["paper"]) for name in ("ink", "soft")) >= 4.5
    assert contrast(palette["cover"], palette["ink"]) >= 4.5
    assert min(contrast(palette[role], palette["paper"]) for role in charts.ROLES) >= 3
    order = [luminance(palette[f"kl{i}"]) for i in shades]
    assert order in (sorted(order), sorted(order, reverse=True))  # the map can be read without its hues


def test_no_two_lines_have_the_same_dash():
    assert len({tuple(dash) for dash in charts.ROLES.values()}) == len(charts.ROLES)
    assert charts.LIGHT.keys() == charts.DARK.keys() and charts.THRESHOLDS[0] == COLLAPSED


@pytest.mark.parametrize("name", ["ramps", "constant", "weight", "kl", "reconstruction"])
def test_each_chart_is_vega_lite_with_every_parameter(name, small_map):
    grid = page_data(*small_map)["grid"]
    chart = {
        "ramps": lambda: charts.schedule_map(charts.RAMPS, grid),
        "constant": lambda: charts.schedule_map(charts.CONSTANT, grid),
        "weight": charts.weight_chart,
        "kl": charts.kl_chart,
        "reconstruction": lambda: charts.reconstruction_chart((10.0, 20.0)),
    }[name]()
    written = chart.to_dict()  # Altair checks it against the schema
    assert "vega-lite" in written["$schema"]
    assert {param["name"] for param in written["params"]} == set(charts.PARAMETERS)
