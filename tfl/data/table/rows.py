"""The examples of a table whose cells name files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfl.data.folder import Bad, make_file_source
from tfl.data.source import Source
from tfl.data.table.columns import Columns
from tfl.data.table.read import Table, column_of
from tfl.inputs import Input, Scanned
from tfl.inputs.scan import scan_files

_ADDRESS = re.compile(r"\w+://")


class Rows(Protocol):
    """The examples of a table, by their rows."""

    def name(self, row: int) -> str:
        """Return the id of an example."""
        ...

    def place(self, row: int) -> str:
        """Return where an example stands, for messages."""
        ...

    def problem(self, row: int) -> str:
        """Return why a row has no example, or ""; the example is not read yet."""
        ...

    def take(self, row: int) -> None:
        """Remember that a row is used."""
        ...

    def scan(self, rows: Sequence[int]) -> Sequence[Any]:
        """Check examples; see `scan_files`."""
        ...

    def source(
        self,
        rows: Sequence[int],
        splits: Sequence[str],
        scanned: Sequence[Scanned],
        bad: Bad,
        labels: np.ndarray,
        class_names: Sequence[str],
    ) -> Source:
        """Make a source of some rows; see `make_file_source`."""
        ...


class FileRows:
    """Cells that name files; see `Rows`.

    Args:
        kind: what the files hold.
        table: the rows.
        meaning: of its columns.
        folder: the folder that relative paths start from.
    """

    def __init__(self, kind: Input, table: Table, meaning: Columns, folder: Path) -> None:
        self._kind, self._places = kind, table.places
        self._paths = column_of(table, meaning.path)
        self._files = [place_of(folder, path) for path in self._paths]
        self._seen: dict[str, str] = {}

    def name(self, row: int) -> str:
        """Return the path in the table."""
        return id_of(self._paths[row])

    def place(self, row: int) -> str:
        """Return the file."""
        return self._files[row]

    def problem(self, row: int) -> str:
        """Return why a file cannot be used, or ""; the file is not opened."""
        return problem_of_file(self._paths[row], self._files[row], self._seen)

    def take(self, row: int) -> None:
        """Remember a file, which no other row may name."""
        self._seen[self._files[row]] = self._places[row]

    def scan(self, rows: Sequence[int]) -> Sequence[Any]:
        """Check files."""
        return scan_files(self._kind, [self._files[row] for row in rows])

    def source(
        self,
        rows: Sequence[int],
        splits: Sequence[str],
        scanned: Sequence[Scanned],
        bad: Bad,
        labels: np.ndarray,
        class_names: Sequence[str],
    ) -> Source:
        """Make a source of files."""
        files = [(split, "", self._files[row]) for row, split in zip(rows, splits, strict=True)]
        good = list(zip(files, scanned, strict=True))
        return make_file_source(self._kind, [self.name(row) for row in rows], good, bad, labels, class_names)


def id_of(path: str) -> str:
    """Return the id of a file: its path in the table, with slashes."""
    return path.replace("\\", "/")


def place_of(folder: Path, path: str) -> str:
    """Return the place of a file; a table from Windows has backslashes."""
    file = folder / Path(path).expanduser()
    if "\\" in path and not file.exists():
        file = folder / path.replace("\\", "/")
    return str(file)


def problem_of_file(path: str, file: str, seen: Mapping[str, str]) -> str:
    """Return why a file cannot be used, or ""; the file is not opened."""
    if not path:
        return "no file"
    if _ADDRESS.match(path):
        return f"{path} is an address on the web, not a file"
    if not Path(file).is_file():
        return f"{file}: {'a folder' if Path(file).is_dir() else 'there is no such file'}"
    return f"{path} stands also in {seen[file]}" if file in seen else ""
