"""Read a table of any format as columns of text. A row that cannot be read is named, and the others are read."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfl.errors import InputError
from tfl.files.existing import existing_table
from tfl.files.parquet import import_parquet
from tfl.files.reading import first_twice, holds_bytes
from tfl.files.spreadsheets import unguard_cells

NUMBERED = re.compile(r"#\d")  # the name of a column of a table without a header
LONGEST = 100  # most lines of one record
LARGEST_CELL = 2**31 - 1  # characters


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of a table, all cells as text; a missing cell is "".

    Attributes:
        name: of the table, for messages.
        names: of the columns.
        rows: the cells of each usable row, in the order of `names`.
        places: where each row stands, as "labels.csv:7", 7 being the line.
        bad: (place, reason) of each row that cannot be read.
    """

    name: str
    names: tuple[str, ...]
    rows: list[list[str]]
    places: list[str]
    bad: list[tuple[str, str]]


def read_table(path: str, *, columns: str = "") -> Table:
    """Read a file; its suffix says its format.

    Args:
        path: a file of comma-, semicolon- or tab-separated values, of JSON objects (one in each line), or Parquet.
        columns: what `data.columns` names; "#1" is the first column of a table without a header.

    Raises:
        InputError: there is no such file, it has no header, or a column occurs twice.
    """
    file = existing_table(path, "data.source")
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(file)
    try:
        content = file.read_bytes()
        is_utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = content.decode("utf-16") if is_utf16 else content.decode("utf-8-sig", "surrogateescape")
    except (OSError, UnicodeError) as error:
        raise InputError(f"`data.source` must name a table that can be read. Received: {file}: {error}.") from error
    if suffix in (".jsonl", ".ndjson"):
        return _read_json_lines(file, text)
    return _read_csv(file, text, has_header=NUMBERED.search(columns) is None)


def column_of(table: Table, name: str) -> list[str]:
    """Return the cells of a column."""
    place = table.names.index(name)
    return [row[place] for row in table.rows]


def table_of_frame(frame: Any) -> Table:
    """Return the rows of a pandas DataFrame.

    Raises:
        InputError: a column occurs twice.
    """
    names = [str(name) for name in frame.columns]
    rows = [[_text(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    places = [f"row {number}" for number in range(len(rows))]
    reasons = [_strange(row) for row in rows]
    bad = [(place, reason) for place, reason in zip(places, reasons, strict=True) if reason]
    good = [number for number, reason in enumerate(reasons) if not reason]
    return _checked("DataFrame", names, [rows[number] for number in good], [places[number] for number in good], bad)


def _read_csv(file: Path, text: str, *, has_header: bool) -> Table:
    lines = list(io.StringIO(text, newline=""))  # `splitlines` would also divide a text at U+2028
    header = lines[0] if lines else ""
    is_by_tabs = file.suffix.lower() == ".tsv" and "\t" in header  # a text in the first line may have many commas
    delimiter = "\t" if is_by_tabs else max(",;\t", key=header.count)
    rows, places, bad = [], [], []
    names: list[str] = []
    limit = csv.field_size_limit(LARGEST_CELL)  # 131,072 characters by default, less than some texts have
    try:
        records = list(_records(lines, delimiter))
    finally:
        csv.field_size_limit(limit)
    for number, cells, reason in records:
        place = f"{file.name}:{number}"
        if not names and has_header:
            names = [name.strip() for name in cells]
            continue
        names = names or [f"#{column}" for column in range(1, len(cells) + 1)]
        if reason or len(cells) != len(names):
            bad.append((place, reason or f"{len(cells)} cells, but the header has {len(names)}"))
        elif strange := _strange(cells):
            bad.append((place, strange))
        else:
            rows.append([cell.strip() for cell in cells])
            places.append(place)
    return _checked(str(file), names, rows, places, bad)


def _records(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """Yield the number of the first line of each record, its cells, and why it cannot be read, or "".

    A quotation mark that is never closed would swallow the lines below it. So a record of several lines that does not
    fit the header is read again, line by line.
    """
    width, start = 0, 0
    while start < len(lines):
        cells, used, reason = *_record(lines, start, delimiter), ""
        if used == 0 or (used > 1 and width and len(cells) != width):
            cells, used, reason = [], 1, "a quotation mark that is not closed or not doubled"
        if reason or any(cell.strip() for cell in cells):
            width = width or len(cells)
            yield start + 1, next(iter(unguard_cells([cells]))), reason
        start += used


def _record(lines: Sequence[str], start: int, delimiter: str) -> tuple[list[str], int]:
    """Return the cells of a record and the number of its lines; 0 if its quotation marks do not fit.

    Many tables with tabs are written without quoting: a line there whose marks do not fit is read as it is, and a
    record of several lines has no tab inside a cell.
    """
    marks = 0
    for end in range(start + 1, min(len(lines), start + LONGEST) + 1):
        marks += lines[end - 1].count('"')
        if end > start + 1 and marks % 2:
            continue
        try:
            (cells,) = csv.reader(lines[start:end], delimiter=delimiter, strict=True) if lines[start].strip() else ([],)
        except (csv.Error, ValueError) as error:
            if "unexpected end of data" in str(error):
                continue
            break
        if end > start + 1 and delimiter == "\t" and any("\t" in cell for cell in cells):
            break
        return cells, end - start
    if delimiter == "\t":
        return next(csv.reader([lines[start]], delimiter="\t", quoting=csv.QUOTE_NONE)), 1
    return [], 0


def _read_json_lines(file: Path, text: str) -> Table:
    objects, places, bad = [], [], []
    for number, line in enumerate(io.StringIO(text), start=1):
        place = f"{file.name}:{number}"
        try:
            found = json.loads(line) if line.strip() else {}
        except ValueError as error:
            bad.append((place, f"no JSON: {error}"))
            continue
        if not isinstance(found, dict):
            bad.append((place, "no JSON object"))
        elif strange := _strange([_text(value) for value in found.values()]):
            bad.append((place, strange))
        elif found:
            objects.append(found)
            places.append(place)
    names = list(dict.fromkeys(name for found in objects for name in found))
    return _checked(str(file), names, [[_text(found.get(name)) for name in names] for found in objects], places, bad)


def _read_parquet(file: Path) -> Table:
    pyarrow, parquet = import_parquet("data.source", f"csv:{file}")
    try:
        columns = parquet.read_table(file).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"`data.source` must name a table that can be read. Received: {file}: {error}.") from error
    rows = [[_text(value) for value in row] for row in zip(*columns.values(), strict=True)]
    return _checked(str(file), list(columns), rows, [f"{file.name}:row {number}" for number in range(len(rows))], [])


def _checked(
    name: str, names: Sequence[str], rows: list[list[str]], places: list[str], bad: list[tuple[str, str]]
) -> Table:
    twice = first_twice(names)
    if twice is not None:
        raise InputError(
            f"`data.source` must have different columns. Received: {name} with the column {twice!r} twice."
        )
    if not rows and not bad:
        raise InputError(f"`data.source` must have a header and at least one row. Received: {name}, which has none.")
    return Table(name, tuple(names), rows, places, bad)


def _strange(cells: Sequence[str]) -> str:
    """Return what is wrong with the characters of a row, "" if nothing is."""
    if any("\0" in cell for cell in cells):
        return "it contains NUL characters"
    strange = next(filter(holds_bytes, cells), None)
    return "" if strange is None else f"{strange!r} is not UTF-8"


def _text(value: Any) -> str:
    """Return a value as the text that a CSV file would have: "" for a missing one, "a|b" for a list."""
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        return "|".join(map(_text, value))
    return str(value).strip()
