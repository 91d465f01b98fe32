"""`Source`, the base class of all data sources, and helpers for their class names."""

import abc
import collections
import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.index import Index
from tfl.data.label_formats import LabelFormat
from tfl.errors import InputError
from tfl.inputs import Geometry, Input
from tfl.registry import appearance, natural_key, normal_name


@contextlib.contextmanager
def reading_explained() -> Iterator[None]:
    """Turn TensorFlow's error about an example that can no longer be read into one line; also works as a decorator.

    Data is checked when it is opened. If files are deleted or changed later, or a stream changes its order, only the
    graph notices it, in the middle of the work.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        text = error.message.partition("\n\t [[")[0]  # the rest are names of graph nodes
        text = re.sub(r"^.*Iterator::\S+: ", "", text, flags=re.DOTALL)
        line = re.search(r"assertion failed: \[(`.+)\]", text, re.DOTALL)  # of `graph_checks.guarded`
        if line is not None:
            raise InputError(line[1].replace("\\'", "'")) from error
        found = re.search(r"assertion failed: \[(.+?):\] \[(.+)\]", text, re.DOTALL)
        gone = re.search(r"([^{}]+); No such file or directory", text)
        if found is None and gone is None:
            raise
        reason = f"{found[2]}: {found[1]}" if found else f"{gone[1].strip()}: the file no longer exists" if gone else ""
        raise InputError(f"`data` must stay as it is while it is read. Received: {reason}.") from error


@dataclasses.dataclass(frozen=True)
class Source(abc.ABC):
    """An index, and a method that reads the undecoded examples of its rows.

    Attributes:
        index: one row per usable example.
        kind: what an example is, with the formats and the bit depth of the files.
        quarantine: (path, reason) of each file that is left out.
        peaks: int64 (N,), the largest value in each file of 16 bits a sample, 0 for other files; empty if there are
            no files.
    """

    index: Index
    kind: Input
    quarantine: tuple[tuple[str, str], ...] = ()
    peaks: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    # Whether `examples` can return any rows in any order. A stream returns its rows in its own order.
    has_random_access = True
    # Whether a label says where something is, as a mask and boxes do: augmentation then changes the label, too.
    labels_have_places = False

    @abc.abstractmethod
    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return undecoded examples; a source with random access returns them in the order of `rows`.

        Args:
            rows: int64 positions in the index.

        Returns:
            Dataset of {"input": scalar string (a file's bytes) or the values of an example, "label", "id": int64 row}.
        """

    def labels(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the labels of some rows without their examples, in the order of `rows`, unprepared.

        Returns:
            Dataset of {"label", "id": int64 row}.
        """
        return tf.data.Dataset.from_tensor_slices({"label": self.index.labels[rows], "id": rows})

    def prepare_label(self, label: tf.Tensor, size: int, places: Geometry | None = None) -> tf.Tensor:
        """Return the label that belongs to a prepared example; runs in a graph.

        Args:
            label: from `examples` or `labels`.
            size: of the prepared example, see `Input.size`.
            places: what augmentation did to the places of the example, if `labels_have_places`; None: it was only
                resized.
        """
        return label

    def numbered_as(self, labels: LabelFormat, order: np.ndarray) -> "Source":
        """Return the source with its labels as those of a model.

        Args:
            labels: the format of the labels.
            order: from `LabelFormat.match`.
        """
        after = labels.in_order_of_model(self.index.labels, order)
        return self.with_index(dataclasses.replace(self.index, labels=after))

    def at_depth(self, bit_depth: int) -> "Source":
        """Return the same source for files that use `bit_depth` bits a sample; see `Input.with_depth`.

        Raises:
            InputError: a file uses more bits.
        """
        peaks = self.peaks if len(self.peaks) else np.zeros(len(self.index), np.int64)
        kind = self.kind.with_depth(bit_depth, peaks, self.index.ids, self.index.splits)
        return dataclasses.replace(self, kind=kind)

    def with_index(self, index: Index) -> "Source":
        """Return the same source with another index, which has the same rows and other splits."""
        return dataclasses.replace(self, index=index)


def number_classes(labels: Sequence[str] | np.ndarray, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn class names, or whole numbers that name classes, into 0..K-1 in natural order.

    Names that are equal after Unicode normalisation are one class. Names that differ only in case, blanks or invisible
    characters stay separate classes, and a warning names them.

    Args:
        labels: N names or numbers.
        source: name of the data, for the error message.

    Returns:
        int64 (N,) and the K names, in the Unicode form NFC.

    Raises:
        InputError: there are fewer than two classes.
    """
    labels = np.asarray(labels)
    values, numbers = np.unique(labels.astype(np.str_), return_inverse=True)
    names = [normal_name(str(value)) for value in values]
    order = sorted(set(names), key=int if labels.dtype.kind in "iu" else natural_key)  # -1 comes before 1
    if len(order) < 2:
        raise InputError(
            f"`data.source` must have at least two classes. Received: {source} with {', '.join(order) or 'none'}."
        )
    warn_of_names_alike(order)
    rank = {name: number for number, name in enumerate(order)}
    return np.array([rank[name] for name in names], np.int64)[numbers.reshape(-1)], tuple(order)


def check_distinct(names: Sequence[str], argument: str) -> tuple[str, ...]:
    """Return the column names of multi-label targets in the Unicode form NFC.

    Raises:
        InputError: two names are equal after Unicode normalisation.
    """
    names = tuple(map(normal_name, names))
    twice = next((name for name, count in collections.Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(
            f"`{argument}` must be different names, after Unicode normalisation. Received: {twice!r} twice."
        )
    warn_of_names_alike(names)
    return names


def warn_of_names_alike(names: Sequence[str]) -> None:
    """Warn about different class names that look the same to a reader."""
    groups = collections.defaultdict(list)
    for name in names:
        groups[appearance(name)].append(name)
    for group in groups.values():
        if len(group) > 1:
            listing = " and ".join(map(repr, group))
            progress.say(
                f"Warning: {listing} are different classes, although they differ only in case, blanks or similar "
                "characters."
            )
