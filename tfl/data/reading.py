"""How a source is read: what the user says about the labels and groups of its files."""

import dataclasses
from typing import Self

from tfl.data.label_formats import LabelFormat
from tfl.errors import InputError


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
    """

    max_bad_fraction: float = 0.1
    columns: str = ""
    label_pattern: str = ""
    group_pattern: str = ""
    tfds_splits: str = ""
    tfds_dir: str = ""
    labels: LabelFormat | None = None

    def of(self, kind: str) -> Self:
        """Return the options that have a meaning for a kind of source, "csv" for example."""
        has_files = kind in ("csv", "folder")
        return dataclasses.replace(
            self,
            columns=self.columns if kind in ("csv", "tfrecord") else "",
            label_pattern=self.label_pattern if has_files else "",
            group_pattern=self.group_pattern if has_files else "",
            tfds_splits=self.tfds_splits if kind == "tfds" else "",
            tfds_dir=self.tfds_dir if kind == "tfds" else "",
        )

    def refuse(self, *names: str, what: str) -> None:
        """Refuse options that have no meaning for a source.

        Raises:
            InputError: one of them is given.
        """
        for name in names:
            if getattr(self, name):
                raise InputError(
                    f"`data.{name}` must be empty for a source without {what}. Received: {getattr(self, name)!r}."
                )
