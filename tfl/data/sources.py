"""Open the source that a source string or a Python object describes."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfl.config import PYTHON_DATA, validate_source
from tfl.config.values import split_source
from tfl.data.arrays import load_arrays, load_digits
from tfl.data.boxes.source import load_boxes
from tfl.data.folder import load_folder, load_known_classes
from tfl.data.joined import join, with_splits_of_names
from tfl.data.label_formats import LabelFormat
from tfl.data.masks.source import load_mask_table, load_masks
from tfl.data.reading import Reading
from tfl.data.records.source import load_records
from tfl.data.source import Source
from tfl.data.stream import load_streams
from tfl.data.table.names import table_of_folder
from tfl.data.table.read import read_table, table_of_frame
from tfl.data.table.source import load_table
from tfl.data.tfds import load_tfds
from tfl.data.tree import read_tree
from tfl.errors import InputError
from tfl.files.existing import existing_folder
from tfl.files.writing import expand_home
from tfl.inputs import Input, get_input


def load_source(
    source: Any,
    max_bad_fraction: float = 0.1,
    class_names: Sequence[str] = (),
    bit_depth: int = 16,
    kind: str | Input = "image",
    columns: str = "",
    label_pattern: str = "",
    group_pattern: str = "",
    tfds_splits: str = "",
    tfds_dir: str = "",
    labels: LabelFormat | None = None,
    ignore_label: int = -1,
) -> Source:
    """Open a source and index it.

    Args:
        source: "digits", "digits:0-4", "digits:5,6,9", "folder:PATH", "masks:PATH", "boxes:PATH", "csv:FILE",
            "tfrecord:GLOB" or "tfds:NAME", or several of these joined by commas, as in "folder:a,csv:b.csv"; from
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
        label_pattern: a regular expression that finds the label in the path of a file, relative to the folder or the
            table, as in ``(?P<label>[a-z]+)_\\d+\\.jpg``; "": labels are the class folders or a column.
        group_pattern: the same for the group; files of one group are never in two splits.
        tfds_splits: which splits of tfds become which split, as in "train=train[:80%],test=train[80%:]"; "train[:10%]"
            alone is divided by tfl. "": the splits that are named train, validation and test.
        tfds_dir: the folder of prepared tfds data sets; "": the variable TFDS_DATA_DIR, or the folder of tfds.
        labels: the format of the labels of a table, of records or of names; None: the one that they seem to have.

        ignore_label: the value of a mask that does not count; -1: all count.

    Returns:
        The source; its index holds the source's own splits, or "" if it has none.

    Raises:
        InputError: the source cannot be used; the message says why.

    Example:
        >>> load_source("digits:0-4").index.class_names
        ('0', '1', '2', '3', '4')
    """
    input_ = get_input(kind)
    reading = Reading(
        max_bad_fraction, columns, label_pattern, group_pattern, tfds_splits, tfds_dir, labels, ignore_label
    )
    parts = split_source(validate_source(source, "data.source")) if isinstance(source, str) else [source]
    kinds = [_kind_of(part) for part in parts]
    reading.check(kinds)
    alone = next((name for name in ("masks", "boxes") if name in kinds), "")
    if len(kinds) > 1 and alone:
        raise InputError(f"`data.source` must be one source if it has {alone}. Received: {source!r}.")
    opened = [_open(part, input_, reading.of(name), class_names) for name, part in zip(kinds, parts, strict=True)]
    if input_.cell and set(kinds) == {"csv"}:
        opened = with_splits_of_names(parts, opened)
    return (opened[0] if len(opened) == 1 else join(parts, opened)).at_depth(bit_depth)


def _kind_of(source: Any) -> str:
    """Return the kind of a source; a DataFrame is a table as a file of one is."""
    if isinstance(source, str):
        return source.partition(":")[0]
    return "csv" if _is_frame(source) else PYTHON_DATA


def _is_frame(source: Any) -> bool:
    return type(source).__name__ == "DataFrame"  # by name: pandas is not imported


def _open(source: Any, kind: Input, reading: Reading, class_names: Sequence[str]) -> Source:
    if _is_frame(source):
        return load_table(table_of_frame(source), kind, folder=Path(), reading=reading)
    place, _, name = source.partition(":") if isinstance(source, str) else ("", "", "")
    match place:
        case "csv":
            folder, table = Path(expand_home(name, "data.source")).parent, read_table(name, columns=reading.columns)
            if reading.labels is not None and reading.labels.are_files:
                return load_mask_table(table, kind, folder, reading)
            return load_table(table, kind, folder=folder, reading=reading)
        case "tfrecord":
            return load_records(name, kind, reading)
        case "folder":
            return _open_folder(name, kind, reading, class_names)
        case "masks":
            return load_masks(name, kind, reading)
        case "boxes":
            return load_boxes(name, kind, reading)
        case "digits":
            return load_digits(name, kind)
        case "tfds":
            return load_tfds(name, kind, reading)
    return _open_python(source, kind, reading)


def _open_folder(path: str, kind: Input, reading: Reading, class_names: Sequence[str]) -> Source:
    if reading.label_pattern:
        root = existing_folder(path, "data.source")
        tree = read_tree(root, kind.may_be)
        table, columns = table_of_folder(tree, reading.label_pattern, f"folder:{path}", kind.may_be)
        named = dataclasses.replace(reading, columns=columns, label_pattern="")
        return load_table(table, kind, folder=root, reading=named, names_files=True)
    options = (reading.max_bad_fraction, reading.group_pattern)
    known = load_known_classes(path, kind, class_names, *options) if class_names else None
    return load_folder(path, kind, *options) if known is None else known


def _open_python(source: Any, kind: Input, reading: Reading) -> Source:
    splits = source if isinstance(source, Mapping) else {"": source}
    if splits and all(isinstance(part, tf.data.Dataset) for part in splits.values()):
        return load_streams(splits, kind, max_bad_fraction=reading.max_bad_fraction)
    if splits and all(isinstance(part, (tuple, list)) and len(part) == 2 for part in splits.values()):
        return load_arrays(splits, kind)
    raise InputError(
        f"`source` must be a source string, ({kind.noun[1]}, labels), a tf.data.Dataset, or a dict from split to one "
        f"of these. Received: {type(source).__name__}."
    )
