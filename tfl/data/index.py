"""The table behind a data set: one row per example, in memory, without the pixels."""

import dataclasses
import functools
import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from tfl.errors import InputError
from tfl.files.reading import read_csv, refuse_file
from tfl.inputs.image.image_input import FACTS
from tfl.registry import normal_name
from tfl.workdir import write_csv

SPLITS = ("train", "validation", "test")
UNUSED = "unused"  # the split of rows that a cap on the labels left out
COLUMNS = ("id", "path", "label", "split", "sha256")  # of splits.csv, which has the facts behind them


@dataclasses.dataclass(frozen=True)
class Index:
    """What is known of every example; all columns are NumPy arrays of one length N.

    Rows are sorted by class and id, naturally, so that the order is the same on every machine and file
    system. A position in these arrays is the example's number everywhere in tfl (`"id"` in a batch).

    Attributes:
        ids: str, unique: the path within the folder, or the number within the source.
        paths: str, "" where the example is no file.
        labels: int64 (N,) class numbers, or float32 (N, K) multi-label or (N,) regression targets.
        splits: str, "train", "validation", "test" or "unused"; "" where not yet split.
        sha256: str, of the file's (or the pixels') bytes.
        facts: int64 columns of what the scan found, by name: of images "width" and "height", in pixels as displayed
            (after EXIF orientation); 0 where unknown.
        class_names: K names; empty for regression targets.
    """

    ids: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    sha256: np.ndarray
    facts: Mapping[str, np.ndarray]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_multiclass(self) -> bool:
        """Whether a label is the number of one class."""
        return np.issubdtype(self.labels.dtype, np.integer)

    def rows(self, split: str) -> np.ndarray:
        """Return the int64 positions of one split's examples, in index order."""
        return np.flatnonzero(self.splits == split).astype(np.int64)

    @functools.cached_property
    def seeds(self) -> np.ndarray:
        """For each example a number that its content alone decides, int64 (N,), for what is random about it.

        A row number would change with every example that is added; images of equal content are varied alike.
        """
        digests = zip(self.sha256.tolist(), self.ids.tolist(), strict=True)
        numbers = (
            int(sha256[:15], 16) if sha256 else zlib.crc32(name.encode("utf-8", "surrogateescape"))
            for sha256, name in digests
        )
        return np.fromiter(numbers, np.int64, len(self))

    def contents(self) -> np.ndarray:
        """Return int64 (N,), equal for examples of the same content: what must not stand on both sides of a cut.

        Examples whose digest is not known count as different.
        """
        sized = zip(self.sha256, *self.facts.values(), strict=True)  # bytes of raw pixels do not tell their shape
        first: dict[object, int] = {}
        keys = (key if key[0] else row for row, key in enumerate(sized))
        return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], np.int64)

    def write_csv(self, path: epath.PathLike) -> None:
        """Write the table as `splits.csv`, with class names for labels."""
        rows = zip(
            self.ids, self.paths, self.label_texts(), self.splits,
            self.sha256, *self.facts.values(), strict=True,
        )  # fmt: skip
        write_csv(path, (*COLUMNS, *self.facts), rows)

    def check_same(self, recorded: Sequence[Mapping[str, str]]) -> None:
        """Check that a table written earlier lists these very examples, so that its results are theirs too.

        Args:
            recorded: the rows of a `splits.csv`.

        Raises:
            InputError: says how many examples are new, gone or changed (in content, label or split), and names one.
        """
        labels = self.label_texts()
        now = dict(zip(self.ids, zip(self.sha256, labels, self.splits, strict=True), strict=True))
        # Older runs recorded class names as the file system had them.
        then = {row["id"]: (row["sha256"], normal_name(row["label"]), row["split"]) for row in recorded}
        differing = {
            "new": [name for name in now if name not in then],
            "gone": [name for name in then if name not in now],
            "changed": [name for name, values in now.items() if name in then and tuple(values) != then[name]],
        }
        found = [f"{len(names)} {kind} (first: {names[0]})" for kind, names in differing.items() if names]
        if found:
            raise InputError(
                f"`workdir` must be a new folder or one of the same data. Received: other examples than in its "
                f"splits.csv: {', '.join(found)}."
            )

    def label_texts(self) -> list[str]:
        """Return every label as a text: the class, the labels that are present joined by "|", or the value."""
        return [self._label_text(label) for label in self.labels]

    def _label_text(self, label: np.ndarray) -> str:
        if self.is_multiclass:
            return self.class_names[int(label)]
        if label.ndim:
            return "|".join(name for name, value in zip(self.class_names, label, strict=True) if value)
        return str(float(label))


def read_splits(path: epath.PathLike) -> list[dict[str, str]]:
    """Read what `Index.write_csv` wrote of images: id, path, label, split, sha256 and the facts of each.

    Raises:
        InputError: a column is missing, an id stands there twice, or there is no such split or size.
    """
    rows = read_csv(path, (*COLUMNS, *FACTS), key="id")
    for row in rows:
        if row["split"] not in (*SPLITS, UNUSED):
            raise refuse_file(path, f"{row['id']!r} is of the split {row['split']!r}")
        if not all(row[name].isdecimal() for name in FACTS):
            raise refuse_file(path, f"{row['id']!r} is of {' x '.join(repr(row[name]) for name in FACTS)} pixels")
    return rows


def index_of_splits(rows: Sequence[Mapping[str, str]]) -> Index:
    """Return the index of a table that `read_splits` has read; every label, of whatever kind, is a class."""
    ids, paths, texts, splits, sha256 = (np.array([row[name] for row in rows], np.str_) for name in COLUMNS)
    names, labels = np.unique(texts, return_inverse=True)
    facts = {name: np.array([int(row[name]) for row in rows], np.int64) for name in FACTS}
    return Index(ids, paths, labels, splits, sha256, facts, tuple(map(str, names)))


def make_index(
    ids: Sequence[str],
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    splits: Sequence[str],
    sha256: Sequence[str],
    facts: Mapping[str, Sequence[int]],
    paths: Sequence[str] | None = None,
) -> tuple[Index, np.ndarray]:
    """Build an index in its fixed order.

    Args:
        ids: N names.
        labels: int (N,), float (N, K) or (N,).
        class_names: K names, in the order of the label numbers.
        splits: N names of the source's own splits, or "".
        sha256: N digests.
        facts: N whole numbers for each thing that the scan found.
        paths: N paths, or None where there are no files.

    Raises:
        InputError: a class name is no UTF-8.

    Returns:
        The index, and int64 (N,): for each of its rows, the position in the arguments.
    """
    _check_utf8(class_names)
    classes = labels if np.issubdtype(labels.dtype, np.integer) else np.zeros(len(ids), np.int64)
    order = sorted(range(len(ids)), key=lambda row: (classes[row], natural_key(ids[row])))
    order = np.array(order, np.int64)

    def column(values: Sequence[str]) -> np.ndarray:
        return np.array(values, dtype=np.str_)[order]

    index = Index(
        ids=column(ids),
        paths=column(paths if paths is not None else [""] * len(ids)),
        labels=labels[order],
        splits=column(splits),
        sha256=column(sha256),
        facts={name: np.asarray(values, np.int64)[order] for name, values in facts.items()},
        class_names=tuple(class_names),
    )
    return index, order


def describe_order(class_names: Sequence[str]) -> str:
    """Say in one line that classes are in natural order, where Python and Keras would sort them otherwise; else "".

    Args:
        class_names: in the order of the outputs.

    Example:
        >>> describe_order(["2", "10"])
        "Classes are numbered in natural order: number 0 is '2', which in Keras' order of text is '10'. Map by name."
    """
    names = list(class_names)
    if names == sorted(names) or names != sorted(names, key=natural_key):
        return ""
    by_text = sorted(names)
    number = next(number for number, name in enumerate(names) if name != by_text[number])
    return (
        f"Classes are numbered in natural order: number {number} is {names[number]!r}, which in Keras' order of text "
        f"is {by_text[number]!r}. Map by name."
    )


def _check_utf8(class_names: Sequence[str]) -> None:
    """Refuse a class name that no model file, report or answer could hold: a file may be named so, a class may not."""
    for name in class_names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise InputError(
                f"`data.source` must have class names in UTF-8. Received: {shown!r}. "
                "Did you mean to rename the folder (`convmv` does it for many)?"
            ) from error


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which "2" stands before "10", and "img9" before "img10".

    Example:
        >>> sorted(["10", "2", "a"], key=natural_key)
        ['2', '10', 'a']
    """
    parts = enumerate(re.split(r"([0-9]+)", text))  # numbers stand at the odd places
    return tuple((0, int(part), part) if place % 2 else (1, 0, part) for place, part in parts if part)
