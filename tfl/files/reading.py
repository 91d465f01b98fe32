"""Read the files of a run and of its user; refuse a damaged or edited file in one line, and never use part of it."""

import collections
import contextlib
import csv
import io
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from tfl.errors import InputError
from tfl.files.spreadsheets import unguard_cells

_LARGEST = 2**63  # whole numbers from here on do not fit into int64


def refuse_file(path: epath.PathLike, reason: object, argument: str = "workdir") -> InputError:
    """Return an error that says in one line which file is damaged and why.

    Args:
        path: of the file.
        reason: what is wrong, without the full stop.
        argument: the option that names the file.
    """
    text = " ".join(str(reason).split()).rstrip(".")
    return InputError(f"`{argument}` must have only complete, readable files. Received: {str(path)!r}: {text}.")


@contextlib.contextmanager
def naming_file(path: epath.PathLike) -> Iterator[None]:
    """Add the name of the file in a workdir to errors about its values."""
    try:
        yield
    except InputError as error:
        raise refuse_file(path, error) from error


def read_json(path: epath.PathLike, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        schema: JSON Schema of its content; see `tfl/files/schemas.py`. None: any object.

    Raises:
        InputError: the file is missing or damaged, is not a JSON object, has a name twice, NaN or infinity, or breaks
            the schema.
    """
    try:
        content = epath.Path(path).read_text("utf-8")
        values = parse_json(content)
    except (ValueError, OSError, RecursionError) as error:
        raise refuse_file(path, error) from error
    if not isinstance(values, dict):
        raise refuse_file(path, "it is not a JSON object")
    if schema is not None and (reason := find_breach(values, schema)):
        raise refuse_file(path, reason)
    return values


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON: no NaN, no infinity, no name twice, no whole number beyond 64 bits.

    Raises:
        ValueError: the text is not strict JSON.
    """

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{digits[:40]} is not a finite number")
        return value

    def whole(digits: str) -> int:
        if abs(value := int(digits)) >= _LARGEST:
            raise ValueError(f"{digits[:40]} is not a number of 64 bits")
        return value

    return json.loads(text, parse_float=number, parse_int=whole, parse_constant=number, object_pairs_hook=_refuse_twice)


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"{first_twice([name for name, _ in pairs])!r} occurs twice")
    return values


def find_breach(values: Any, schema: Mapping[str, Any]) -> str:
    """Return where and how values break a JSON Schema; an empty string if they follow it."""
    from jsonschema import (
        Draft202012Validator,  # imported here: files are read seldom, and the import takes as long as all of tfl
    )
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(values))
    if error is None:
        return ""
    where = ".".join(map(str, error.absolute_path))
    return f"{where or 'the object'}: {error.message[:200]}"


def read_csv(
    path: epath.PathLike, columns: Sequence[str] = (), *, key: str = "", argument: str = "workdir"
) -> list[dict[str, str]]:
    """Read a table with a header.

    Args:
        path: a CSV file in UTF-8; file names in it may be other bytes.
        columns: that the header must have.
        key: a column whose values must differ; empty: none.
        argument: the option that names the file, for messages.

    Returns:
        One dict per row, with the names in the header as keys.

    Raises:
        InputError: the file is missing or damaged, a column is missing or occurs twice, a row has more or fewer cells
            than the header, or two rows have the same value of `key`.
    """
    try:
        text = epath.Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")  # Excel starts UTF-8 with a BOM
    except OSError as error:
        raise refuse_file(path, error, argument) from error
    return parse_csv(text, path, columns, key=key, argument=argument)


def check_header(path: epath.PathLike, columns: Sequence[str], argument: str = "workdir") -> None:
    """Check the first line of a table, however large the table is.

    Args:
        path: a CSV file.
        columns: that the header must have.
        argument: the option that names the file, for messages.

    Raises:
        InputError: the file is missing or damaged, or a column is missing or occurs twice.
    """
    try:
        with epath.Path(path).open("rb") as file:
            header = file.readline().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise refuse_file(path, error, argument) from error
    parse_csv(header, path, columns, argument=argument)


def read_spreadsheet(
    path: epath.PathLike, columns: Sequence[str], *, key: str, argument: str, known: Collection[str] = ()
) -> list[dict[str, str]]:
    """Read a table from a spreadsheet program or a person: commas, semicolons or tabs, in UTF-8 or UTF-16.

    Args:
        path: the file; UTF-16 is recognised by its byte order mark.
        columns: to read, including the key.
        key: the column whose values must differ.
        argument: the option that names the file, for messages.
        known: values of the key that may hold bytes that are not UTF-8, because they are file names.

    Raises:
        InputError: as for `read_csv`; or the file has another encoding, which is never guessed.
    """
    try:
        content = epath.Path(path).read_bytes()
        is_utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = content.decode("utf-16") if is_utf16 else content.decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError) as error:
        raise refuse_file(path, error, argument) from error
    header = text.partition("\n")[0].strip()
    delimiter = next((mark for mark in ",;\t" if key in [cell.strip('"') for cell in header.split(mark)]), "")
    rows = parse_csv(text, path, key=key if delimiter else "", argument=argument, delimiter=delimiter or ",")
    for number, row in enumerate(rows):
        cells = (*row, *(row[name] for name in columns if name in row and not (name == key and row[name] in known)))
        if strange := next((cell for cell in cells if holds_bytes(cell)), ""):
            place = "in its header" if strange in row and not number else f"in row {number + 2}"
            raise InputError(
                f"`{argument}` must name a CSV file in UTF-8 (spreadsheet programs call this format 'CSV UTF-8'). "
                f"Received: {path} with {strange!r} {place}."
            )
    return rows


def holds_bytes(text: str) -> bool:
    """Return whether a text contains bytes that were not UTF-8, or half a character, as of a JSON escape."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def parse_csv(
    text: str, path: epath.PathLike, columns: Sequence[str] = (), *, key: str = "", argument: str, delimiter: str = ","
) -> list[dict[str, str]]:
    """Read the text of a table; see `read_csv`.

    Args:
        text: of the table.
        path: of the file, for messages.
        columns: that the header must have.
        key: a column whose values must differ.
        argument: the option that names the file, for messages.
        delimiter: between two cells.
    """
    try:
        cells = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = list(unguard_cells(cells))
    except csv.Error as error:
        raise refuse_file(path, error, argument) from error
    header, *rows = lines or [[]]
    missing = [name for name in columns if name not in header]
    if missing or len(set(header)) < len(header):
        found = f"it has no column {missing[0]!r}" if missing else f"it has the column {first_twice(header)!r} twice"
        raise refuse_file(path, f"{found}; its columns: {', '.join(map(repr, header[:20])) or 'none'}", argument)
    if "\0" in text:
        raise refuse_file(path, "it contains NUL characters", argument)
    for number, row in enumerate(rows, start=2):
        if row and len(row) != len(header):
            raise refuse_file(path, f"row {number} has {len(row)} cells and the header has {len(header)}", argument)
    table = [dict(zip(header, row, strict=True)) for row in rows if row]
    if key and (name := first_twice([row[key] for row in table])) is not None:
        raise refuse_file(path, f"{key} {name!r} occurs twice", argument)
    return table


def first_twice(names: Sequence[str]) -> str | None:
    """Return the first name that occurs more than once, or None."""
    return next((name for name, count in collections.Counter(names).items() if count > 1), None)
