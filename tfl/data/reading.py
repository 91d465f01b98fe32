"""How a source is read: what the user says about the labels and groups of its files."""

import dataclasses
from collections.abc import Collection
from typing import Self

from tfl.data.label_formats import LabelFormat
from tfl.errors import InputError

OPTIONS = {  # of `data`: the kinds of sources for which it has a meaning, and what these sources have
    "columns": (("csv", "tfrecord"), "columns"),
    "label_pattern": (("csv", "folder"), "files"),
    "group_pattern": (("csv", "folder", "masks", "boxes"), "files"),
    "tfds_splits": (("tfds",), "splits of tfds"),
    "tfds_dir": (("tfds",), "splits of tfds"),
}


@dataclasses.dataclass(frozen=True)
class Reading:
    """The options of a source that do not say where it is.

    Attributes:
        max_bad_fraction: more unusable files than this fraction stop the run.
        columns: which column of a table is what, see `parse_columns`; what is not given is found by its usual name.
        label_pattern: a regular expression that finds the label in a path; "": labels are folders or a column.
        group_pattern: the same for the group; "": groups are a column, or there are none.
        tfds_splits: which splits of tfds become which split, see `parse_tfds_splits`; "": those with such names.
        tfds_dir: the folder of prepared tfds data sets; "": TFDS_DATA_DIR, or the folder of tfds.
        labels: the format of the labels of a table; None: the format that they seem to have.
        ignore_label: the value of a mask that does not count; -1: all count.
    """

    max_bad_fraction: float = 0.1
    columns: str = ""
    label_pattern: str = ""
    group_pattern: str = ""
    tfds_splits: str = ""
    tfds_dir: str = ""
    labels: LabelFormat | None = None
    ignore_label: int = -1

    def of(self, kind: str) -> Self:
        """Return the options that have a meaning for a kind of source, "csv" for example."""
        return dataclasses.replace(self, **{name: "" for name, (kinds, _) in OPTIONS.items() if kind not in kinds})

    def check(self, kinds: Collection[str]) -> None:
        """Refuse options that have no meaning for any of the sources.

        Raises:
            InputError: one of them is given.
        """
        for name, (others, what) in OPTIONS.items():
            if getattr(self, name) and not set(others) & set(kinds):
                raise InputError(
                    f"`data.{name}` must be empty for a source without {what}. Received: {getattr(self, name)!r}."
                )
