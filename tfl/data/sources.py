"""Open the source that a source string or a Python object describes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfl.config import validate_source
from tfl.data.arrays import load_arrays, load_digits
from tfl.data.folder import load_folder, load_known_classes
from tfl.data.label_formats import LabelFormat
from tfl.data.records.source import load_records
from tfl.data.source import Source
from tfl.data.stream import load_streams
from tfl.data.table.read import read_table, table_of_frame
from tfl.data.table.source import load_table
from tfl.data.tfds import load_tfds
from tfl.errors import InputError
from tfl.files.writing import expand_home
from tfl.inputs import Input, get_input


def load_source(
    source: Any,
    max_bad_fraction: float = 0.1,
    class_names: Sequence[str] = (),
    bit_depth: int = 16,
    kind: str | Input = "image",
    columns: str = "",
    labels: LabelFormat | None = None,
) -> Source:
    """Open a source and index it.

    Args:
        source: "digits", "digits:0-4", "digits:5,6,9", "folder:PATH", "csv:FILE", "tfrecord:GLOB" or "tfds:NAME"; from
            Python also a pandas DataFrame with paths and labels, (examples, labels) arrays, a `tf.data.Dataset` of
            unbatched (example, label) or {"input", "label"}, or a dict of arrays or data sets with the keys "train",
            "validation", "test".
        max_bad_fraction: more undecodable files than this fraction stop the run.
        class_names: class names of a trained model that will predict the images: a folder may then hold only one of
            these classes, or class folders without images. Empty: at least two classes, each with images.
        bit_depth: number of bits that 16-bit PNG files really use, 8 to 16.
        kind: what an example is.
        columns: which column of a table (or key of records) is what, as in "path=file,label=red+green"; the others are
            found by their usual names.
        labels: the format of the labels of a table; None: the format that they seem to have.

    Returns:
        The source; its index holds the source's own splits, or "" if it has none.

    Raises:
        InputError: the source cannot be used; the message says why.

    Example:
        >>> load_source("digits:0-4").index.class_names
        ('0', '1', '2', '3', '4')
    """
    input_ = get_input(kind)
    read = _open_table(source, input_, max_bad_fraction, columns, labels)
    if read is None:
        read = _open(source, input_, max_bad_fraction, class_names)
    return read.at_depth(bit_depth)


def _open_table(
    source: Any, kind: Input, max_bad_fraction: float, columns: str, labels: LabelFormat | None
) -> Source | None:
    """Open a table; return None for another source, which has no columns."""
    options = {"columns": columns, "labels": labels, "max_bad_fraction": max_bad_fraction}
    if type(source).__name__ == "DataFrame":  # by name: pandas is not imported
        return load_table(table_of_frame(source), kind, folder=Path(), **options)
    place, _, path = source.partition(":") if isinstance(source, str) else ("", "", "")
    if place.lower() == "csv":
        return load_table(read_table(path), kind, folder=Path(expand_home(path, "data.source")).parent, **options)
    if place.lower() == "tfrecord":
        return load_records(validate_source(source, "data.source").partition(":")[2], kind, **options)
    if columns:
        raise InputError(f"`data.columns` must be empty for a source without columns. Received: {columns!r}.")
    return None


def _open(source: Any, kind: Input, max_bad_fraction: float, class_names: Sequence[str]) -> Source:
    if isinstance(source, str):
        place, _, name = validate_source(source, "data.source").partition(":")
        if place == "digits":
            return load_digits(name, kind)
        if place == "tfds":
            return load_tfds(name, kind, max_bad_fraction)
        known = load_known_classes(name, kind, class_names, max_bad_fraction) if class_names else None
        return load_folder(name, kind, max_bad_fraction) if known is None else known
    splits = source if isinstance(source, Mapping) else {"": source}
    if splits and all(isinstance(part, tf.data.Dataset) for part in splits.values()):
        return load_streams(splits, kind, max_bad_fraction=max_bad_fraction)
    if splits and all(isinstance(part, (tuple, list)) and len(part) == 2 for part in splits.values()):
        return load_arrays(splits, kind)
    raise InputError(
        f"`source` must be a source string, ({kind.noun[1]}, labels), a tf.data.Dataset, or a dict from split to one "
        f"of these. Received: {type(source).__name__}."
    )
