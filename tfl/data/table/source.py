"""`csv:PATH`: files on disk whose labels stand in a table."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfl import progress
from tfl.data.label_formats import LabelFormat
from tfl.data.quarantine import check_bad_fraction
from tfl.data.reading import Reading
from tfl.data.source import Source
from tfl.data.split_names import SPLITS, find_splits
from tfl.data.table.columns import Columns
from tfl.data.table.labels import find_problems, guess_format, read_cells
from tfl.data.table.names import read_meaning
from tfl.data.table.read import Table, column_of
from tfl.data.table.rows import FileRows
from tfl.data.table.texts import TextRows
from tfl.data.table.weights import normal_weights, problem_of_weight
from tfl.inputs import Input, Scanned

_AS_IT_IS = Reading()


def load_table(
    table: Table,
    kind: Input,
    *,
    folder: Path,
    reading: Reading = _AS_IT_IS,
    names_files: bool = False,
) -> Source:
    """Make a source from the rows of a table.

    A row that cannot be used is left out and listed in `quarantine` with its line: no file, a file that is no example,
    no label, an unknown split, a wrong weight, a file that another row has named.

    Args:
        table: the rows.
        kind: what the files hold.
        folder: the folder that relative paths start from.
        reading: which column is what, what is in the names of the files, the format of the labels, and the fraction
            of bad rows that stops the run.
        names_files: whether the rows name files, also if an example could stand in a cell, as a text can.

    Raises:
        InputError: a column does not exist, too many rows are bad, or there are fewer than two classes.
    """
    cell = "" if names_files else kind.cell
    table, meaning = read_meaning(table, reading, cell or "path")
    cells = [[row[table.names.index(name)] for name in meaning.labels] for row in table.rows]
    wanted = guess_format(cells) if reading.labels is None else reading.labels
    reasons = find_problems(cells, wanted, meaning.labels)
    examples = TextRows(kind, table, meaning) if cell else FileRows(kind, table, meaning, folder)
    splits = read_splits_of(table, meaning)
    has_splits = any(splits)
    weights = column_of(table, meaning.weight) if meaning.weight else []
    for row, split in enumerate(splits):
        wrong_split = problem_of_split(split) if has_splits else ""
        wrong_weight = problem_of_weight(weights[row]) if weights else ""
        reasons[row] = reasons[row] or examples.problem(row) or wrong_split or wrong_weight
        if not reasons[row]:
            examples.take(row)
    usable = [row for row, reason in enumerate(reasons) if not reason]
    scanned = dict(zip(usable, examples.scan(usable), strict=True))
    for row, result in scanned.items():
        reasons[row] = "" if isinstance(result, Scanned) else f"{examples.place(row)}: {result}"
    bad = [*table.bad, *((place, reason) for place, reason in zip(table.places, reasons, strict=True) if reason)]
    check_bad_fraction(bad, len(table.rows) + len(table.bad), reading.max_bad_fraction)
    good = [row for row in usable if not reasons[row]]
    numbers, names = read_cells([cells[row] for row in good], wanted, meaning.labels, table.name)
    source = examples.source(
        good,
        [splits[row] for row in good],
        [scanned[row] for row in good],
        tuple(bad),
        numbers,
        names if wanted.has_names else (),
    )
    row_of = {examples.name(row): row for row in good}
    rows = [row_of[name] for name in source.index.ids.tolist()]
    index = dataclasses.replace(source.index, **further_columns(table, meaning, rows, wanted, names))
    return dataclasses.replace(source, index=index)


def further_columns(
    table: Table, meaning: Columns, rows: Sequence[int], wanted: LabelFormat, names: tuple[str, ...]
) -> dict[str, Any]:
    """Return the columns of an index that only a table has; `rows` are the rows of the table in the index's order."""
    found: dict[str, Any] = {} if wanted.has_names else {"value_names": names}
    for name, column in (("groups", meaning.group), ("times", meaning.time)):
        if column:
            cells = column_of(table, column)
            found[name] = np.array([cells[row] for row in rows], np.str_)
    if meaning.weight:
        cells = column_of(table, meaning.weight)
        found["weights"] = normal_weights([float(cells[row]) for row in rows], f"{table.name}, column {meaning.weight}")
        progress.say(
            f"The column {meaning.weight!r} says how much each example counts in training. "
            "If it means something else, rename it."
        )
    return found


def read_splits_of(table: Table, columns: Columns) -> list[str]:
    """Return the split of each row: "" without a column of splits; a text that names no split is kept."""
    if not columns.split:
        return [""] * len(table.rows)
    texts = column_of(table, columns.split)
    known = find_splits(sorted(set(texts)))
    return [known.get(text, text) for text in texts]


def problem_of_split(split: str) -> str:
    """Return why a text names no split, or ""."""
    if split in SPLITS:
        return ""
    return f"the split {split!r} is not train, validation or test" if split else "no split"
