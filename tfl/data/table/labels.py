"""Turn the cells of a table into labels of one format."""

import math
from collections.abc import Sequence

import numpy as np

from tfl.data.label_formats import SEPARATOR, ClassLabels, LabelFormat, SetLabels, ValueLabels
from tfl.data.source import check_distinct, number_classes
from tfl.errors import InputError
from tfl.registry import natural_key

_SEPARATORS = (SEPARATOR, ";", ",")  # between the labels of one cell
_MISSING = ("", "nan", "<na>", "nat")  # "none" may be a class
_YES = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def guess_format(cells: Sequence[Sequence[str]]) -> LabelFormat:
    """Return the format that the labels of a table seem to have.

    Several columns of 0 and 1 are labels, several other columns are values. One column is of labels if a cell has
    several names, of values if it has numbers with a decimal point, and of classes otherwise.

    Args:
        cells: the cells of the label columns of each row.
    """
    if not cells:
        return ClassLabels()
    if len(cells[0]) > 1:
        return SetLabels() if all(cell.lower() in _YES for row in cells for cell in row if cell) else ValueLabels()
    texts = [row[0] for row in cells if row[0].lower() not in _MISSING]
    if any(SEPARATOR in text for text in texts):
        return SetLabels()
    is_number = [read_number(text) is not None for text in texts]
    return ValueLabels() if all(is_number) and any("." in text for text in texts) else ClassLabels()


def find_problems(cells: Sequence[Sequence[str]], wanted: LabelFormat, names: Sequence[str]) -> list[str]:
    """Return for each row why its cells are no label, or "".

    Args:
        cells: the cells of the label columns of each row.
        wanted: the format of the labels.
        names: of the label columns.

    Raises:
        InputError: the format takes only one column, or the cells are numbers where classes are expected.
    """
    if wanted.has_one_class:
        _check_classes(cells, names)
    return [_problem(row, wanted, names) for row in cells]


def _check_classes(cells: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    is_value = isinstance(guess_format(cells), ValueLabels)
    hint = f"Did you mean task.name={'regression' if is_value else 'multilabel'}?"
    if len(names) > 1:
        raise InputError(
            "`data.columns` must name one column of labels, because each example has one class. Received: "
            f"label={'+'.join(names)}. {hint}"
        )
    different = {row[0] for row in cells}
    if is_value and len(different) > len(cells) / 2:  # fewer may be sizes of shoes
        raise InputError(
            f"`data.columns` must name a column of classes. Received: label={names[0]} with {len(different)} different "
            f"numbers in {len(cells)} rows, such as {cells[0][0]}. {hint}"
        )


def read_cells(
    cells: Sequence[Sequence[str]], wanted: LabelFormat, names: Sequence[str], table: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels of an index, and the names of classes, labels or values.

    Args:
        cells: the cells of the label columns of each row; none of them has a problem.
        wanted: the format of the labels.
        names: of the label columns.
        table: its name, for messages.

    Raises:
        InputError: there are fewer than two classes or labels.
    """
    if not wanted.has_names:
        values = np.array([[float(cell) for cell in row] for row in cells], np.float32)
        return (values[:, 0] if len(names) == 1 else values), check_distinct(names, "data.columns")
    if wanted.has_one_class:
        return number_classes([row[0] for row in cells], table)
    if len(names) > 1:
        return np.array([[_YES[cell.lower()] for cell in row] for row in cells], np.float32), check_distinct(
            names, "data.columns"
        )
    separator = next((mark for mark in _SEPARATORS if any(mark in row[0] for row in cells)), SEPARATOR)
    sets = [[part.strip() for part in row[0].split(separator) if part.strip()] for row in cells]
    known = check_distinct(sorted({name for row in sets for name in row}, key=natural_key), "data.columns")
    if len(known) < 2:
        raise InputError(f"`data.source` must have at least two labels. Received: {table} with {', '.join(known)}.")
    return SetLabels().parse([SEPARATOR.join(row) for row in sets], known), known


def _problem(row: Sequence[str], wanted: LabelFormat, names: Sequence[str]) -> str:
    for cell, name in zip(row, names, strict=True):
        if cell.lower() in _MISSING and (wanted.has_one_class or not wanted.has_names or len(names) > 1):
            return f"no {name}"
        if not wanted.has_names and read_number(cell) is None:
            return f"{name} is {cell!r}, which is not a number"
        if wanted.has_names and len(names) > 1 and cell.lower() not in _YES:
            return f"{name} is {cell!r}, which is neither 0 nor 1"
    return ""


def read_number(text: str) -> float | None:
    """Return a finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
