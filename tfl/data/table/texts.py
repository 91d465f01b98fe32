"""The examples of a table whose cells are the examples themselves, such as texts."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.folder import Bad
from tfl.data.index import make_index
from tfl.data.source import Source
from tfl.data.table.columns import Columns
from tfl.data.table.read import Table, column_of
from tfl.errors import BadExampleError
from tfl.inputs import Input, Scanned


@dataclasses.dataclass(frozen=True)
class TextSource(Source):
    """Encoded examples in memory, in the order of the index."""

    encoded: tuple[bytes, ...] = ()

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the bytes of the rows, in their order."""
        with tf.device("CPU"):
            texts = tf.constant([self.encoded[row] for row in rows.tolist()], tf.string, (len(rows),))
        return tf.data.Dataset.from_tensor_slices({"input": texts, "label": self.index.labels[rows], "id": rows})


class TextRows:
    """Cells that are the examples; their names are the places of their rows. See `Rows`.

    Args:
        kind: what the cells hold.
        table: the rows.
        meaning: of its columns.
    """

    def __init__(self, kind: Input, table: Table, meaning: Columns) -> None:
        self._kind, self._places = kind, table.places
        self._cells = [cell.encode() for cell in column_of(table, meaning.path)]

    def name(self, row: int) -> str:
        """Return the line of the table."""
        return self._places[row]

    def place(self, row: int) -> str:
        """Return the line of the table."""
        return self._places[row]

    def problem(self, row: int) -> str:
        """Return why a cell is no example, or ""."""
        return "" if self._cells[row] else f"no {self._kind.noun[0]}"

    def take(self, row: int) -> None:
        """Do nothing: two rows may have the same text."""

    def scan(self, rows: Sequence[int]) -> Sequence[Any]:
        """Check examples."""
        cells = [self._cells[row] for row in rows]
        return list(map(self._scan, progress.track(cells, f"Checking {self._kind.noun[1]}", unit=self._kind.noun)))

    def _scan(self, cell: bytes) -> Any:
        try:
            return self._kind.scan(cell)
        except BadExampleError as error:
            return error

    def source(
        self,
        rows: Sequence[int],
        splits: Sequence[str],
        scanned: Sequence[Scanned],
        bad: Bad,
        labels: np.ndarray,
        class_names: Sequence[str],
    ) -> Source:
        """Make a source of the cells; see `make_file_source`."""
        index, order = make_index(
            [self.name(row) for row in rows],
            labels,
            class_names,
            splits=splits,
            sha256=[result.sha256 for result in scanned],
            facts={name: [result.facts[name] for result in scanned] for name in self._kind.facts},
        )
        return TextSource(index, self._kind, bad, encoded=tuple(self._cells[rows[place]] for place in order.tolist()))
