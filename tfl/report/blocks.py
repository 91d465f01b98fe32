"""The parts of the page: sections, which are lists of blocks. `templates/blocks.html` has one macro for each kind."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from tfl.report.charts import Chart
from tfl.report.finding import Finding

LONG = 14  # a table with more rows scrolls inside its box


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of a section; a subclass names the macro that shows it."""

    kind: ClassVar[str]


@dataclasses.dataclass(frozen=True)
class Heading(Block):
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclasses.dataclass(frozen=True)
class Text(Block):
    """A paragraph; a note is smaller."""

    kind: ClassVar[str] = "text"
    text: str
    is_note: bool = False


@dataclasses.dataclass(frozen=True)
class Link:
    """A cell of a table that leads to another file.

    Attributes:
        text: of the link.
        address: of the file, relative to the page.
    """

    text: str
    address: str


@dataclasses.dataclass(frozen=True)
class Table(Block):
    """A table; the first cell of a row names the row. A cell may be a `Link`.

    Attributes:
        caption: what the table shows.
        columns: the names of the columns.
        rows: the cells of each row, as many as columns.
        has_numbers: whether the columns after the first hold numbers, which are aligned on the right.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    has_numbers: bool = True

    @property
    def is_long(self) -> bool:
        """Whether the table scrolls inside its box."""
        return len(self.rows) > LONG


@dataclasses.dataclass(frozen=True)
class ShadedTable(Block):
    """A square table of counts, such as a confusion matrix.

    Attributes:
        caption: what the table shows.
        corner: the name of the rows and of the columns.
        names: the name of each row, which is also that of its column.
        counts: `(C, C)`.
        shades: `(C, C)`, the opacity behind each count, in [0, 1].
    """

    kind: ClassVar[str] = "shaded_table"
    caption: str
    corner: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    shades: Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Charts(Block):
    """Charts side by side."""

    kind: ClassVar[str] = "charts"
    charts: Sequence[Chart]


@dataclasses.dataclass(frozen=True)
class Picture(Block):
    """A picture with a caption.

    Attributes:
        address: the picture itself, as a data URI.
        alt: what it shows, for a reader who cannot see it.
        caption: the caption below it.
    """

    kind: ClassVar[str] = "picture"
    address: str
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Details(Block):
    """Blocks that are shown on a click."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Columns(Block):
    """Lists of blocks side by side."""

    kind: ClassVar[str] = "columns"
    columns: Sequence[Sequence[Block]]


@dataclasses.dataclass(frozen=True)
class Findings(Block):
    """Findings, in the given order."""

    kind: ClassVar[str] = "findings"
    findings: Sequence[Finding]


@dataclasses.dataclass(frozen=True)
class Code(Block):
    """A command or code."""

    kind: ClassVar[str] = "code"
    text: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page: its id, its title, and its blocks."""

    name: str
    title: str
    blocks: Sequence[Block]
