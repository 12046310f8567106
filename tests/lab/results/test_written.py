"""kldanneal.lab.results.written, page and advice: the files of a comparison, its page, and what to look at next."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import pytest
from matplotlib.image import imread

from kldanneal.diagnostics import REMEDIES
from kldanneal.lab.corpora import toy
from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.results import advice, report, verdict
from kldanneal.lab.results.written import ABOUT, Written
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.schedules import free_bits, parse_schedules
from kldanneal.lab.training.settings import Settings

SMALL = Settings(steps=12, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4)
QUICK = {"steps": 60, "lr": 0.05}  # long enough to beat word frequencies
NASTY = ["<script>alert(1)</script>", "</pre><h1>", "&amp;", '"><img', "\x1b[31m"]


def compared(corpus, names=("constant", "cyclical"), **options):
    settings = dataclasses.replace(SMALL, **{k: options.pop(k) for k in list(options) if hasattr(SMALL, k)})
    schedules = parse_schedules(list(names), steps=settings.steps, cycles=2)
    bits = {name: free_bits(name) for name in names}
    return Comparison(corpus, schedules, settings, free_bits=bits, **options).fit(progress=False)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """A comparison on a text of markup, written."""
    folder = tmp_path_factory.mktemp("nasty")
    lines = [f"{line} {NASTY[i % len(NASTY)]}" for i, line in enumerate(toy.sample(300, seed=0)[0])]
    (folder / "<b>.txt").write_text("\n".join(lines), encoding="utf-8")
    written = Written(compared(load_corpus(str(folder / "<b>.txt")), tail=4), folder, {"options": {"x": "<i>"}})
    written.numbers()
    written.pages()
    assert written.failed == {}
    return folder


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_the_page_opens_without_a_network_or_another_file(nasty):
    page = Page((nasty / "report.html").read_text(encoding="utf-8"))
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:image/png;base64,"[:5])
    assert "url(" not in (nasty / "report.html").read_text(encoding="utf-8")
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}


def test_the_page_shows_both_pictures_by_the_colours_of_the_reader(nasty):
    page = Page((nasty / "report.html").read_text(encoding="utf-8"))
    (source,) = [attributes for tag, attributes in page.tags if tag == "source"]
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert source["media"] == "(prefers-color-scheme: dark)"
    for inline, name in ((source["srcset"], "comparison-dark.png"), (image["src"], "comparison.png")):
        assert base64.b64decode(inline.partition(",")[2]) == (nasty / name).read_bytes()
    light, dark = (imread(nasty / name)[2, 2, :3].mean() for name in ("comparison.png", "comparison-dark.png"))
    assert light > 0.9 and dark < 0.2


def test_the_text_of_the_corpus_is_escaped(nasty):
    content = (nasty / "report.html").read_text(encoding="utf-8")
    page = Page(content)
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "ul", "li", "pre", "table", "tr", "th", "td", "p",
        "picture", "source", "img",
    }  # fmt: skip
    assert "<script>alert" in page.text and "&lt;script&gt;alert" in content and "<i>" in page.text
    for name in ("report.html", "samples.txt", "table.txt"):
        assert "\x1b" not in (nasty / name).read_text(encoding="utf-8")


def test_the_page_and_the_table_are_made_from_the_same_rows(nasty):
    page = Page((nasty / "report.html").read_text(encoding="utf-8"))
    table = (nasty / "table.txt").read_text(encoding="utf-8")
    for line in table.splitlines():
        for cell in re.split(r"\s{2,}", line) if line.startswith(("schedule", "constant  ", "cyclical  ")) else [line]:
            if not cell.startswith(("At the end of", "After the tail")):
                assert cell in page.text, cell
    assert (nasty / "samples.txt").read_text(encoding="utf-8") in page.text


def test_every_file_is_named_for_what_it_is(nasty):
    found = {path.name for path in nasty.iterdir()} - {"<b>.txt"}
    assert found == ABOUT.keys() - {"config.json", "checkpoints", "stdin.txt"}


# --- what to look at next ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vanished(tiny_corpus):
    """Long enough for the posterior to collapse under a constant weight."""
    return compared(tiny_corpus, ("constant",), steps=verdict.ENOUGH, hidden=8)


def test_if_the_kl_vanished_two_remedies_are_named(vanished):
    said = advice.look_next(vanished)
    assert "the posterior collapsed" in report.verdict(vanished.rows())
    assert said.startswith("The KL vanished under constant. kldanneal.diagnostics on constant, seed 0: collapsed")
    remedies = said.splitlines()[2:]
    assert [line[:4] for line in remedies] == ["  1.", "  2."]
    assert REMEDIES[0] in remedies[0] and "--schedules linear:total_steps=450" in remedies[0]
    assert REMEDIES[1] in remedies[1] and "--word-dropout 0.3" in remedies[1]


def test_no_remedy_is_named_that_was_tried(tiny_corpus, monkeypatch):
    monkeypatch.setattr(verdict, "ENOUGH", 1)
    monkeypatch.setattr(verdict, "COLLAPSED", 100.0)  # so that every run counts as collapsed
    tried = compared(tiny_corpus, ("linear:total_steps=60",), word_dropout=0.4, **QUICK)
    said = advice.look_next(tried)
    assert f"1. {REMEDIES[2]}: --schedules linear:total_steps=60:free_bits=0.1" in said
    assert "2. a smaller decoder: --hidden 6" in said and "--word-dropout" not in said
    both = compared(tiny_corpus, ("linear:total_steps=60:free_bits=0.1",), word_dropout=0.4, **QUICK)
    assert "1. a smaller decoder" in advice.look_next(both) and "2." not in advice.look_next(both)


def test_runs_that_are_too_short_get_no_remedies(tiny_corpus):
    said = advice.look_next(compared(tiny_corpus))
    assert "too short" in said and "Most likely" not in said


def test_a_kl_that_is_there_asks_whether_it_lasts(tiny_corpus, monkeypatch):
    monkeypatch.setattr(verdict, "ENOUGH", 1)
    monkeypatch.setattr(verdict, "COLLAPSED", 0.0)
    assert "--tail" in advice.look_next(compared(tiny_corpus, **QUICK))
    assert "--tail" not in advice.look_next(compared(tiny_corpus, tail=2, **QUICK))
