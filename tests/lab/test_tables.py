"""kldanneal.lab.tables: what a reader of the table gets back."""

from xml.etree import ElementTree

from kldanneal.lab.tables import table


def test_html_gives_every_cell_back_whatever_is_in_it():
    rows = [["schedule", "I(x; z) < 1 & more"], ["<b>mine</b>", "\"0.1\" ± 'it'"], ["&lt;", ""]]
    parsed = [list(row) for row in ElementTree.fromstring(table(rows, "html"))]
    assert [[cell.text or "" for cell in row] for row in parsed] == rows
    assert [[cell.tag for cell in row] for row in parsed] == [["th", "th"], ["td", "td"], ["td", "td"]]
