"""The files of `tfrecord:GLOB`, and which key of their records means what; no TensorFlow is needed for it."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfl.config.values import parse_columns
from tfl.data.records.examples import parse_example
from tfl.data.records.framing import find_records, read_first
from tfl.data.records.manifest import check_sizes
from tfl.data.split_names import find_splits
from tfl.data.table.columns import Columns, find_columns
from tfl.errors import InputError
from tfl.files.existing import existing_records

_SHARD = re.compile(r"[-_.]?\d+[-_]of[-_]\d+|\.tfrecords?|[-_.]\d+$", re.IGNORECASE)


def label_keys(kind: str) -> tuple[str, ...]:
    """Return the usual keys of labels; the first one that the records have is taken."""
    return (f"{kind}/class/label", f"{kind}/class/text", "label", "labels")


def text_key(label: str) -> str:
    """Return the key of the names of class numbers: `image/class/text` for `image/class/label`."""
    return f"{label.removesuffix('label')}text" if label.endswith("/label") else ""


def check_records(pattern: str, kind: str, columns: str) -> tuple[list[Path], Columns]:
    """Find the files of a pattern and the keys of their records; the first record of each file is read.

    Args:
        pattern: `GLOB` of `tfrecord:GLOB`.
        kind: of the examples, such as "image".
        columns: which key is what; what is not given is found by its usual name.

    Returns:
        The files in natural order, and the keys by their meaning.

    Raises:
        InputError: there are no files, one of them is no TFRecord file, or a key does not exist.
    """
    files = existing_records(pattern, "data.source")
    check_sizes(files, "data.source")
    keys = {file: found for file in files if (found := _first_keys(file))}
    if not keys:
        raise InputError(f"`data.source` must have at least one record. Received: tfrecord:{pattern}, which has none.")
    names = list(dict.fromkeys(name for found in keys.values() for name in found))
    given = parse_columns(columns)
    usual = {"path": (f"{kind}/encoded", kind), "label": label_keys(kind)}
    given = {role: key for role, known in usual.items() if (key := _first_of(known, names))} | given
    if "path" not in given:
        raise InputError(
            f"`data.columns` must say which key has the {kind}, as in path=KEY, because the records have no key "
            f"{kind}/encoded. Received: the keys {', '.join(names)}."
        )
    meaning = find_columns(names, given, f"tfrecord:{pattern}")
    if other := next((file for file, found in keys.items() if meaning.path not in found), None):
        first = next(file for file, found in keys.items() if meaning.path in found)
        raise InputError(
            f"`data.source` must have the same keys in all files. Received: {meaning.path} in {first}, but not in "
            f"{other}: {', '.join(keys[other])}."
        )
    return files, meaning


def splits_of_files(files: Sequence[Path]) -> dict[Path, str]:
    """Return the split of each file by its name: train for `train-00000-of-00010`; "" if the names say none.

    Raises:
        InputError: some files name a split, and others do not.

    Example:
        >>> list(splits_of_files([Path("flowers-train.tfrecord-0-of-2"), Path("flowers-test.tfrecord")]).values())
        ['train', 'test']
    """
    stems = {file: _SHARD.sub("", file.name) for file in files}
    found = find_splits(sorted(set(stems.values())))
    without = next((file for file, stem in stems.items() if stem not in found), None)
    if found and without is not None:
        named = next(file for file, stem in stems.items() if stem in found)
        raise InputError(
            "`data.source` must have files that all name a split, as in train-00000-of-00010, or none. Received: "
            f"{named.name} and {without.name}."
        )
    return {file: found.get(stem, "") for file, stem in stems.items()}


def names_of_files(files: Sequence[Path]) -> dict[Path, str]:
    """Return short names of the files: their paths within the folder that has all of them."""
    folder = os.path.commonpath([file.parent for file in files])
    return {file: file.relative_to(folder).as_posix() for file in files}


def _first_keys(file: Path) -> Sequence[str]:
    """Return the keys of the first record of a file; none for an empty file."""
    try:
        framing = find_records(file, most=1)
        record = read_first(file)
        found: Mapping[str, object] = {} if record is None else parse_example(record)
    except (OSError, ValueError) as error:
        raise InputError(
            f"`data.source` must have TFRecord files that can be read. Received: {file}: {error}."
        ) from error
    if record is None and framing.damage:
        advice = f" Did you mean to run gunzip {file.name}?" if "gzip" in framing.damage else ""
        raise InputError(f"`data.source` must have TFRecord files. Received: {file}: {framing.damage}.{advice}")
    return list(found)


def _first_of(known: Sequence[str], names: Sequence[str]) -> str:
    return next((name for name in known if name in names), "")
