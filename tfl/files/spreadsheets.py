"""Cells of a CSV file that a spreadsheet would run as formulas, written so that it does not.

Excel, LibreOffice and Google Sheets run a cell that begins with =, +, -, @, a tab or a carriage return, and a formula
can send the table elsewhere. The name of a photo or a class may be such a text. An apostrophe before it makes it text.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = r"[+-]?(\d+(\.\d*)?(e[+-]?\d+)?|\.\d+|inf|nan)"
_NUMBERS = re.compile(rf"{_NUMBER}(\|{_NUMBER})*")  # several values of one example stand in one cell


def guard_cells(rows: Iterable[Sequence[Any]]) -> Iterable[list[Any]]:
    """Put an apostrophe before every text that would be a formula; numbers stay numbers.

    A text that already looks guarded gets one more, so that `unguard_cells` gives every text back.

    Args:
        rows: of cells; what is no `str` stays as it is.

    Example:
        >>> list(guard_cells([["=1+1", "-0.5", "ants", -3]]))
        [["'=1+1", '-0.5', 'ants', -3]]
    """
    return ([f"'{cell}" if _is_formula(cell) else cell for cell in row] for row in rows)


def unguard_cells(rows: Iterable[Sequence[str]]) -> Iterable[list[str]]:
    """Give every text back as it was before `guard_cells`.

    Args:
        rows: of cells, as `csv.reader` gives them.

    Example:
        >>> list(unguard_cells([["'=1+1", "-0.5", "ants"]]))
        [['=1+1', '-0.5', 'ants']]
    """
    return ([cell[1:] if _GUARDED.match(cell) else cell for cell in row] for row in rows)


def _is_formula(cell: Any) -> bool:
    return isinstance(cell, str) and bool(_FORMULA.match(cell)) and not _NUMBERS.fullmatch(cell)
