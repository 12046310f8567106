"""Rows of text as a table: aligned for a terminal, in Markdown, or in HTML."""

import html
from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], form: str = "text") -> str:
    """Writes rows as a table; the first row is the heading.

    Args:
        rows: the cells, as many in each row.
        form (str): ``'text'``, ``'markdown'`` or ``'html'``. Default: ``'text'``.

    Example::

        >>> print(table([["schedule", "KL"], ["cyclical", "0.67"]]))
        schedule  KL
        cyclical  0.67
        >>> print(table([["schedule", "KL"], ["cyclical", "0.67"]], "markdown"))
        | schedule | KL |
        |---|---|
        | cyclical | 0.67 |
        >>> table([["KL"], ["< 0.1"]], "html")
        '<table><tr><th>KL</th></tr><tr><td>&lt; 0.1</td></tr></table>'
    """
    if form == "text":
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    head, *body = rows
    if form == "markdown":
        rule = "|" + "---|" * len(head)
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], rule, *lines[1:]])
    cells = [[f"<th>{html.escape(cell)}</th>" for cell in head]]
    cells += [[f"<td>{html.escape(cell)}</td>" for cell in row] for row in body]
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in cells) + "</table>"
