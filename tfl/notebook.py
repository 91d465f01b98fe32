"""Tables as HTML, for notebooks."""

import dataclasses
import html
from collections.abc import Iterable, Sequence
from typing import Any

ROWS = 20  # most rows of a table


@dataclasses.dataclass(frozen=True)
class Picture:
    """A cell with a picture.

    Attributes:
        address: a data URI, which holds the picture itself.
        text: what stands in its place where pictures are not shown.
    """

    address: str
    text: str = ""


def html_table(header: Sequence[Any], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """Return a table as HTML; rows after the first 20 are only counted.

    Args:
        header: names of the columns; numbers in the rows are aligned to the right.
        rows: the cells, of any type; a `Picture` is shown.
        caption: text above the table.

    Example:
        >>> html_table(("class", "test"), [("ant", 3)])[:70]
        '<table><thead><tr><th>class</th><th>test</th></tr></thead><tbody><tr><'
    """
    rows = list(rows)
    shown = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:ROWS])
    more = f'<tr><td colspan="{len(header)}">and {len(rows) - ROWS} more</td></tr>' if len(rows) > ROWS else ""
    names = "".join(f"<th>{html.escape(str(name))}</th>" for name in header)
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead><tr>{names}</tr></thead><tbody>{shown}{more}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, Picture):
        return f'<td><img src="{html.escape(value.address)}" alt="{html.escape(value.text)}"></td>'
    style = ' style="text-align:right"' if isinstance(value, (int, float)) else ""
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)
    return f"<td{style}>{html.escape(text)}</td>"
