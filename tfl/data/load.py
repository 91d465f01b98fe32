"""Open a source and divide it: `Splits`, and `load_data`, which makes them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.config import validate_split
from tfl.data.decisions import Change, decided
from tfl.data.groups import grouped
from tfl.data.index import Index
from tfl.data.label_formats import LabelFormat
from tfl.data.name_parts import describe_groups
from tfl.data.source import Source
from tfl.data.sources import load_source
from tfl.data.split_names import SPLITS
from tfl.data.splits import assign_splits
from tfl.inputs import Input
from tfl.notebook import html_table
from tfl.progress import say


@dataclasses.dataclass(frozen=True)
class Splits:
    """A source whose examples are divided into train, validation and test; each is an int64 array of index rows.

    Example:
        >>> splits = tfl.load_data("folder:photos")
        >>> splits.index.class_names
        ('ant', 'bee', 'wasp')
    """

    source: Source
    changes: tuple[Change, ...] = ()  # by the decisions of a person

    @property
    def index(self) -> Index:
        """One row per usable example."""
        return self.source.index

    @property
    def quarantine(self) -> tuple[tuple[str, str], ...]:
        """(path, reason) of each file that is left out."""
        return self.source.quarantine

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of the label numbers; empty for regression."""
        return self.index.class_names

    @property
    def train(self) -> np.ndarray:
        """Rows for fitting the model."""
        return self.index.rows("train")

    @property
    def validation(self) -> np.ndarray:
        """Rows for choosing between models and settings."""
        return self.index.rows("validation")

    @property
    def test(self) -> np.ndarray:
        """Rows for the reported results."""
        return self.index.rows("test")

    @property
    def outside_of_test(self) -> np.ndarray:
        """Rows of train and validation together, in order."""
        return np.sort(np.concatenate([self.train, self.validation]))

    def divided_as(self, parts: np.ndarray) -> "Splits":
        """Return the same examples in other splits.

        Args:
            parts: `(N,)`, the split of each row of the index.
        """
        return dataclasses.replace(self, source=self.source.with_index(dataclasses.replace(self.index, splits=parts)))

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {len(self.index.rows(name))}" for name in SPLITS)
        classes = f"; {len(self.class_names)} classes" if self.class_names else ""
        left_out = f"; {len(self.quarantine)} files left out" if self.quarantine else ""
        return f"Splits({len(self.index)} {self.source.kind.noun[1]}: {counts}{classes}{left_out})"

    def _repr_html_(self) -> str:
        rows = [self.index.rows(name) for name in SPLITS]
        table = [("all", *map(len, rows))]
        if self.index.is_multiclass:
            table += [
                (name, *(int(np.sum(self.index.labels[part] == label)) for part in rows))
                for label, name in enumerate(self.class_names)
            ]
        return html_table(("class", *SPLITS), table, repr(self))


def load_data(
    source: Any,
    *,
    split: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    split_by: str = "class",
    max_bad_fraction: float = 0.1,
    train_examples_per_class: int = 0,
    bit_depth: int = 16,
    kind: str | Input = "image",
    columns: str = "",
    label_pattern: str = "",
    group_pattern: str = "",
    tfds_splits: str = "",
    tfds_dir: str = "",
    labels: LabelFormat | None = None,
    ignore_label: int = -1,
    decisions: str = "",
    groups: str = "",
) -> Splits:
    """Open a source and divide it into train, validation and test.

    Args:
        source: as `load_source` takes it.
        split: fractions of train, validation and test, for a source without its own splits.
        seed: of the split.
        split_by: what decides the split: "class", "content", "time", or the path of the `splits.csv` or workdir of
            another run; see `assign_splits`.
        max_bad_fraction: more undecodable files than this fraction stop the run.
        train_examples_per_class: maximum number of training examples per class; 0: all.
        bit_depth: number of bits that 16-bit PNG files really use, 8 to 16; see `Source.at_depth`.
        kind: what an example is; see `tfl.inputs`.
        columns: which column of a table is what; see `load_source`.
        label_pattern: a regular expression that finds the label in the path of a file; see `load_source`.
        group_pattern: the same for the group; files of one group are never in two splits.
        tfds_splits: which splits of tfds become which split; see `load_source`.
        tfds_dir: the folder of prepared tfds data sets; "": the variable TFDS_DATA_DIR, or the folder of tfds.
        labels: the format of the labels of a table; None: the format that they seem to have.
        ignore_label: the value of a mask that does not count; -1: all count.
        decisions: a table of what a person decided about single examples, which are excluded or relabelled after the
            split; see `tfl.data.decisions`. Empty: none.
        groups: a table of examples that belong together, which are never divided by the split; see `tfl.data.groups`.
            Empty: none.

    Returns:
        The splits, with the source and its index.

    Raises:
        InputError: the data cannot be used; the message says why.

    Example:
        >>> splits = load_data("digits")
        >>> len(splits.train), len(splits.validation), len(splits.test)
        (1259, 269, 269)
    """
    validate_split(split)
    opened = load_source(
        source,
        max_bad_fraction,
        bit_depth=bit_depth,
        kind=kind,
        columns=columns,
        label_pattern=label_pattern,
        group_pattern=group_pattern,
        tfds_splits=tfds_splits,
        tfds_dir=tfds_dir,
        labels=labels,
        ignore_label=ignore_label,
    )
    whole = grouped(opened.index, groups)
    if opened.kind.has_sounds and (line := describe_groups(whole, opened.kind.noun)):
        say(line)
    index = assign_splits(
        whole,
        split=split,
        seed=seed,
        by=split_by,
        train_examples_per_class=train_examples_per_class,
        nouns=opened.kind.noun,
    )
    index, changes = decided(index, decisions, opened.kind.noun, labels)
    return Splits(opened.with_index(index), changes)
