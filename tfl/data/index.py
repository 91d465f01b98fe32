"""The table behind a data set: one row per example, in memory, without the pixels."""

import dataclasses
import functools
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from etils import epath
from scipy import sparse

from tfl.data.label_formats import label_format_of
from tfl.data.split_names import SPLITS
from tfl.errors import InputError
from tfl.files.reading import read_csv, refuse_file
from tfl.inputs import get_input, input_names
from tfl.registry import natural_key, normal_name
from tfl.workdir import write_csv

UNUSED = "unused"  # split of the rows beyond `train_examples_per_class`
EXCLUDED = "excluded"  # split of the rows that a person decided to leave out
COLUMNS = ("id", "path", "label", "split", "sha256")  # of splits.csv, followed by the facts


@dataclasses.dataclass(frozen=True)
class Index:
    """A table with the facts about every example; all columns are NumPy arrays of the same length N.

    Rows are sorted by class and then by id, in natural order, so that the order is the same on every machine and
    file system. The position of a row is the number of the example everywhere in tfl (`"id"` in a batch).

    Attributes:
        ids: str, unique: the path within the folder, or the number within the source.
        paths: str, "" if the example is not a file.
        labels: int64 (N,) class numbers, float32 (N, K) multi-label, float32 (N,) or (N, K) regression targets, str
            (N,) digests of masks, or strings of variable width (N,) with boxes.
        splits: str, "train", "validation", "test", "unused" or "excluded"; "" before the data is split.
        sha256: str, of the bytes of the file or of the pixels.
        facts: int64 columns with the results of the scan, by name: for images "width" and "height", in pixels as
            displayed (after EXIF orientation); 0 if unknown.
        class_names: K names; empty for regression targets.
        groups: str, examples of one group are never in two splits; "" for an example of no group. Empty: no groups.
        value_names: K names of regression targets, if the source names them; else empty.
        times: str, when each example was made, as its table says it. Empty: not known.
        weights: float32, how much each example counts in training and in choices on validation, with mean 1; metrics
            count every example once. Empty: all count the same.
    """

    ids: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    sha256: np.ndarray
    facts: Mapping[str, np.ndarray]
    class_names: tuple[str, ...]
    groups: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.str_))
    value_names: tuple[str, ...] = ()
    times: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.str_))
    weights: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_multiclass(self) -> bool:
        """Whether each label is the number of one class."""
        return np.issubdtype(self.labels.dtype, np.integer)

    def rows(self, split: str) -> np.ndarray:
        """Return the int64 positions of one split's examples, in index order."""
        return np.flatnonzero(self.splits == split).astype(np.int64)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the classes, or of the values; empty for values without names."""
        return self.class_names or self.value_names

    @functools.cached_property
    def seeds(self) -> np.ndarray:
        """A random seed for each example, int64 (N,), that depends on its content only.

        A seed from the row number would change with every added example. Images with equal content get equal seeds.
        """
        digests = zip(self.sha256.tolist(), self.ids.tolist(), strict=True)
        numbers = (
            int(sha256[:15], 16) if sha256 else zlib.crc32(name.encode("utf-8", "surrogateescape"))
            for sha256, name in digests
        )
        return np.fromiter(numbers, np.int64, len(self))

    def contents(self) -> np.ndarray:
        """Return int64 (N,) numbers, equal for examples with the same content, which must stay in the same split.

        Examples without a known digest count as different.
        """
        sized = zip(self.sha256, *self.facts.values(), strict=True)  # raw pixels do not contain their shape
        first: dict[object, int] = {}
        keys = (key if key[0] else row for row, key in enumerate(sized))
        return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], np.int64)

    def together(self) -> np.ndarray:
        """Return int64 (N,) numbers, equal for examples that must stay in the same split.

        These are examples with the same content or of the same group, also by way of other examples.
        """
        contents = self.contents()
        if not len(self.groups):
            return contents
        names, groups = np.unique(self.groups, return_inverse=True)
        rows, has_group = np.arange(len(self)), self.groups != ""
        size = 2 * len(self) + len(names)  # one node for each example, each content and each group
        ends = np.concatenate([len(self) + contents, 2 * len(self) + groups.reshape(-1)[has_group]])
        return _connect(np.concatenate([rows, rows[has_group]]), ends, size)[: len(self)]

    def rows_of(self, ids: Iterable[str]) -> np.ndarray:
        """Return the rows of some ids of the index, int64, in their order."""
        row_of = {name: row for row, name in enumerate(self.ids.tolist())}
        return np.array([row_of[name] for name in ids], np.int64)

    def united(self, sets: Iterable[Collection[str]]) -> "Index":
        """Return the index with more groups: the examples of each set, such as near duplicates, belong together.

        Sets that share an example, or examples of one group, become one group. So splits and folds keep them together.

        Args:
            sets: of ids.

        Returns:
            The same rows with other `groups`; an example that is in no set keeps its group.

        Raises:
            ValueError: an id is not in the index.

        Example:
            >>> index = tfl.load_data("folder:photos").index
            >>> index.united([index.ids[:2].tolist()]).groups[:3].tolist() == [f"set of {index.ids[0]}"] * 2 + [""]
            True
        """
        named = [list(names) for names in sets]
        try:
            members = self.rows_of(name for names in named for name in names)
        except KeyError as error:
            raise ValueError(f"`sets` must hold ids of the index. Received: {error.args[0]!r}.") from None
        if not len(members):
            return self
        numbers = np.repeat(np.arange(len(named)), [len(names) for names in named])
        old = self.groups if len(self.groups) else np.zeros(len(self), np.str_)
        names, groups = np.unique(old, return_inverse=True)
        grouped = np.flatnonzero(old != "")
        starts = np.concatenate([members, grouped])
        ends = len(self) + np.concatenate([numbers, len(named) + groups.reshape(-1)[grouped]])
        parts = _connect(starts, ends, len(self) + len(named) + len(names))[: len(self)]
        linked = np.unique(starts)
        linked = linked[np.isin(parts[linked], parts[members])]
        first = dict(reversed([*zip(parts[linked].tolist(), linked.tolist(), strict=True)]))
        new = old.astype(object)
        new[linked] = [str(old[first[part]] or f"set of {self.ids[first[part]]}") for part in parts[linked].tolist()]
        return dataclasses.replace(self, groups=new.astype(np.str_))

    def group_numbers(self, rows: np.ndarray) -> np.ndarray | None:
        """Return numbers for some rows, equal for examples that are not independent; None if there are no groups."""
        return self.together()[rows] if len(self.groups) else None

    def weights_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights of some rows, float32; 1 if all examples count the same."""
        return self.weights[rows] if len(self.weights) else np.ones(len(rows), np.float32)

    def write_csv(self, path: epath.PathLike) -> None:
        """Write the table as `splits.csv`, with class names as labels; groups and weights only if there are some."""
        more = self._more_columns()
        rows = zip(
            self.ids, self.paths, self.label_texts(), self.splits,
            self.sha256, *self.facts.values(), *more.values(), strict=True,
        )  # fmt: skip
        write_csv(path, (*COLUMNS, *self.facts, *more), rows)

    def _more_columns(self) -> dict[str, list[str]]:
        """Return the columns that a `splits.csv` has only if there are groups or weights, as text."""
        columns = {"group": self.groups, "weight": self.weights}
        return {name: [str(value) for value in column] for name, column in columns.items() if len(column)}

    def check_same(self, recorded: Sequence[Mapping[str, str]]) -> None:
        """Check that a table from an earlier run lists the same examples, so that its results are valid for them.

        Args:
            recorded: the rows of a `splits.csv`.

        Raises:
            InputError: some examples are new, gone or changed (in content, label, split or weight); the message says
                how many, and names one.
        """
        weights = self._more_columns().get("weight", [""] * len(self))
        now = dict(zip(self.ids, zip(self.sha256, self.label_texts(), self.splits, weights, strict=True), strict=True))
        then = {  # older runs wrote class names in the Unicode form of the file system
            row["id"]: (row["sha256"], normal_name(row["label"]), row["split"], row.get("weight", ""))
            for row in recorded
        }
        differing = {
            "new": [name for name in now if name not in then],
            "gone": [name for name in then if name not in now],
            "changed": [name for name, values in now.items() if name in then and tuple(values) != then[name]],
        }
        found = [f"{len(names)} {kind} (first: {names[0]})" for kind, names in differing.items() if names]
        if found:
            raise InputError(
                "`workdir` must be a new folder or the folder of a run on the same data. Received: examples that "
                f"differ from its splits.csv: {', '.join(found)}."
            )

    def label_texts(self) -> list[str]:
        """Return every label as text: the class, the present labels joined by "|", or the values joined by "|"."""
        if self.labels.ndim == 1 and self.labels.dtype.kind == "f":
            return [str(float(value)) for value in self.labels]  # as in the splits.csv of earlier versions
        labels = label_format_of(self.labels, self.class_names)
        return [labels.text(label, self.class_names) for label in self.labels]


def _connect(starts: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
    """Return the number of the connected part, int64 (size,), of each node of a graph with these edges."""
    graph = sparse.coo_matrix((np.ones(len(starts), bool), (starts, ends)), shape=(size, size))
    return sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)


def read_splits(path: epath.PathLike) -> list[dict[str, str]]:
    """Read a table of images from `Index.write_csv`: id, path, label, split, sha256 and the facts of each example.

    Raises:
        InputError: a column is missing, an id occurs twice, or a split or size is not valid.
    """
    rows = read_csv(path, COLUMNS, key="id")
    facts = _facts_in(rows[0]) if rows else []
    if missing := [name for name in facts if name not in rows[0]]:
        raise refuse_file(path, f"it has no column {missing[0]!r}")
    for row in rows:
        if row["split"] not in (*SPLITS, UNUSED, EXCLUDED):
            raise refuse_file(path, f"{row['id']!r} has the split {row['split']!r}")
        for name in facts:
            if not row[name].isdecimal():
                raise refuse_file(path, f"{row['id']!r} has the {name} {row[name]!r}, which is not a whole number")
    return rows


def _facts_in(row: Mapping[str, str]) -> list[str]:
    """Return the facts of the kind of example that a table is of: it has at least one of them as a column."""
    kinds = (get_input(name).facts for name in input_names())
    return list(next((facts for facts in kinds if any(name in row for name in facts)), ()))


def index_of_splits(rows: Sequence[Mapping[str, str]]) -> Index:
    """Return the index of a table from `read_splits`; every label, of any kind, becomes a class."""
    ids, paths, texts, splits, sha256 = (np.array([row[name] for row in rows], np.str_) for name in COLUMNS)
    names, labels = np.unique(texts, return_inverse=True)
    known = _facts_in(rows[0]) if rows else []
    facts = {name: np.array([int(row[name]) for row in rows], np.int64) for name in known}
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
    groups: Sequence[str] | None = None,
) -> tuple[Index, np.ndarray]:
    """Build an index with its rows in the fixed order of `Index`.

    Args:
        ids: N names.
        labels: int (N,), float (N, K) or (N,).
        class_names: K names, in the order of the label numbers.
        splits: N names of the source's own splits, or "".
        sha256: N digests.
        facts: by name, N whole numbers that the scan found.
        paths: N paths, or None if there are no files.
        groups: N names of groups, or None if there are no groups.

    Returns:
        The index, and int64 (N,): for each row of the index, its position in the arguments.

    Raises:
        InputError: a class name is not UTF-8.
    """
    _check_utf8(class_names)
    classes = labels if np.issubdtype(labels.dtype, np.integer) else np.zeros(len(ids), np.int64)
    order = _order(classes, ids)
    places = order.tolist()

    def column(values: Sequence[str]) -> np.ndarray:
        return np.array([values[place] for place in places], np.str_)

    index = Index(
        ids=column(ids),
        paths=column(paths if paths is not None else [""] * len(ids)),
        labels=labels[order],
        splits=column(splits),
        sha256=column(sha256),
        facts={name: np.asarray(values, np.int64)[order] for name, values in facts.items()},
        class_names=tuple(class_names),
        groups=column(groups) if groups is not None else np.zeros(0, np.str_),
    )
    return index, order


def _order(classes: np.ndarray, ids: Sequence[str]) -> np.ndarray:
    """Return the rows by class and then by id, int64; only one class at a time has its keys in memory."""
    by_class = np.argsort(classes, kind="stable")
    parts = np.split(by_class, np.flatnonzero(np.diff(classes[by_class])) + 1)
    rows = (row for part in parts for row in sorted(part.tolist(), key=lambda row: natural_key(ids[int(row)])))
    return np.fromiter(rows, np.int64, len(ids))


def describe_order(class_names: Sequence[str]) -> str:
    """Return one line if the classes are in natural order but Python and Keras would sort them differently; else "".

    Args:
        class_names: in the order of the outputs.

    Example:
        >>> describe_order(["2", "10"])
        "Classes are numbered in natural order: number 0 is '2', but '10' if Keras sorts them. Match them by name."
    """
    names = list(class_names)
    if names == sorted(names) or names != sorted(names, key=natural_key):
        return ""
    by_text = sorted(names)
    number = next(number for number, name in enumerate(names) if name != by_text[number])
    return (
        f"Classes are numbered in natural order: number {number} is {names[number]!r}, but {by_text[number]!r} if "
        "Keras sorts them. Match them by name."
    )


def _check_utf8(class_names: Sequence[str]) -> None:
    """Refuse a class name that is not UTF-8: file names may be so, but model files and reports cannot hold it."""
    for name in class_names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise InputError(
                f"`data.source` must have class names in UTF-8. Received: {shown!r}. "
                "Did you mean to rename the folder (`convmv` does it for many)?"
            ) from error
