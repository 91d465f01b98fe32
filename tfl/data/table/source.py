"""`csv:PATH`: files on disk whose labels stand in a table."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfl.config.values import parse_columns
from tfl.data.folder import FileSource, make_file_source
from tfl.data.quarantine import check_bad_fraction
from tfl.data.reading import Reading
from tfl.data.split_names import SPLITS, find_splits
from tfl.data.table.columns import Columns, find_columns
from tfl.data.table.labels import find_problems, guess_format, read_cells
from tfl.data.table.names import with_names
from tfl.data.table.read import Table
from tfl.inputs import Input, Scanned
from tfl.inputs.scan import scan_files

_ADDRESS = re.compile(r"\w+://")
_AS_IT_IS = Reading()


def load_table(
    table: Table,
    kind: Input,
    *,
    folder: Path,
    reading: Reading = _AS_IT_IS,
) -> FileSource:
    """Make a source from the rows of a table.

    A row that cannot be used is left out and listed in `quarantine` with its line: no file, a file that is no example,
    no label, an unknown split, a file that another row has named.

    Args:
        table: the rows.
        kind: what the files hold.
        folder: the folder that relative paths start from.
        reading: which column is what, what is in the names of the files, the format of the labels, and the fraction
            of bad rows that stops the run.

    Raises:
        InputError: a column does not exist, too many rows are bad, or there are fewer than two classes.
    """
    table, given = with_names(table, parse_columns(reading.columns), reading.label_pattern, reading.group_pattern)
    meaning = find_columns(table.names, given, table.name)
    cells = [[row[table.names.index(name)] for name in meaning.labels] for row in table.rows]
    wanted = guess_format(cells) if reading.labels is None else reading.labels
    reasons = find_problems(cells, wanted, meaning.labels)
    paths, splits = _column(table, meaning.path), _splits(table, meaning)
    files = [_place(folder, path) for path in paths]
    has_splits, seen = any(splits), dict[str, str]()
    for row, (path, split) in enumerate(zip(paths, splits, strict=True)):
        wrong_split = problem_of_split(split) if has_splits else ""
        reasons[row] = reasons[row] or _problem_of_file(path, files[row], seen) or wrong_split
        if not reasons[row]:
            seen[files[row]] = table.places[row]
    usable = [row for row, reason in enumerate(reasons) if not reason]
    scanned = dict(zip(usable, scan_files(kind, [files[row] for row in usable]), strict=True))
    for row, result in scanned.items():
        reasons[row] = "" if isinstance(result, Scanned) else f"{files[row]}: {result}"
    bad = [*table.bad, *((place, reason) for place, reason in zip(table.places, reasons, strict=True) if reason)]
    check_bad_fraction(bad, len(table.rows) + len(table.bad), reading.max_bad_fraction)
    good = [row for row in usable if not reasons[row]]
    numbers, names = read_cells([cells[row] for row in good], wanted, meaning.labels, table.name)
    groups = _column(table, meaning.group) if meaning.group else []
    source = make_file_source(
        kind,
        [paths[row].replace("\\", "/") for row in good],
        [((splits[row], "", files[row]), scanned[row]) for row in good],
        tuple(bad),
        numbers,
        names if wanted.has_names else (),
        [groups[row] for row in good] if groups else None,
    )
    index = source.index if wanted.has_names else dataclasses.replace(source.index, value_names=names)
    if meaning.time:
        times, places = _column(table, meaning.time), {paths[row].replace("\\", "/"): row for row in good}
        index = dataclasses.replace(
            index, times=np.array([times[places[name]] for name in index.ids.tolist()], np.str_)
        )
    return dataclasses.replace(source, index=index)


def _column(table: Table, name: str) -> list[str]:
    place = table.names.index(name)
    return [row[place] for row in table.rows]


def _splits(table: Table, columns: Columns) -> list[str]:
    """Return the split of each row: "" without a column of splits; a text that names no split is kept."""
    if not columns.split:
        return [""] * len(table.rows)
    texts = _column(table, columns.split)
    known = find_splits(sorted(set(texts)))
    return [known.get(text, text) for text in texts]


def _place(folder: Path, path: str) -> str:
    """Return the place of a file; a table from Windows has backslashes."""
    file = folder / Path(path).expanduser()
    if "\\" in path and not file.exists():
        file = folder / path.replace("\\", "/")
    return str(file)


def _problem_of_file(path: str, file: str, seen: Mapping[str, str]) -> str:
    """Return why a file cannot be used, or ""; the file is not opened."""
    if not path:
        return "no file"
    if _ADDRESS.match(path):
        return f"{path} is an address on the web, not a file"
    if not Path(file).is_file():
        return f"{file}: {'a folder' if Path(file).is_dir() else 'there is no such file'}"
    return f"{path} stands also in {seen[file]}" if file in seen else ""


def problem_of_split(split: str) -> str:
    """Return why a text names no split, or ""."""
    if split in SPLITS:
        return ""
    return f"the split {split!r} is not train, validation or test" if split else "no split"
