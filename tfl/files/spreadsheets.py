"""Guard the cells of a CSV file that a spreadsheet program would run as formulas.

Excel, LibreOffice and Google Sheets run a cell that begins with =, +, -, @, a tab or a carriage return, and a formula
can send the table to somebody else. The name of a photo or a class may be such a text. An apostrophe before it makes
it plain text.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = r"[+-]?(\d+(\.\d*)?(e[+-]?\d+)?|\.\d+|inf|nan)"
_NUMBERS = re.compile(rf"{_NUMBER}(\|{_NUMBER})*")  # one cell may hold several values of an example


def guard_cells(rows: Iterable[Sequence[Any]]) -> Iterable[list[Any]]:
    """Put an apostrophe before every text that would be a formula; numbers stay numbers.

    A text that already looks guarded gets one more apostrophe, so that `unguard_cells` restores every text.

    Args:
        rows: of cells; a cell that is not a `str` does not change.

    Example:
        >>> list(guard_cells([["=1+1", "-0.5", "ants", -3]]))
        [["'=1+1", '-0.5', 'ants', -3]]
    """
    return ([f"'{cell}" if _is_formula(cell) else cell for cell in row] for row in rows)


def unguard_cells(rows: Iterable[Sequence[str]]) -> Iterable[list[str]]:
    """Restore every text to its form before `guard_cells`.

    Args:
        rows: of cells, from `csv.reader`.

    Example:
        >>> list(unguard_cells([["'=1+1", "-0.5", "ants"]]))
        [['=1+1', '-0.5', 'ants']]
    """
    return ([cell[1:] if _GUARDED.match(cell) else cell for cell in row] for row in rows)


def _is_formula(cell: Any) -> bool:
    return isinstance(cell, str) and bool(_FORMULA.match(cell)) and not _NUMBERS.fullmatch(cell)
