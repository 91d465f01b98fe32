"""`folder:PATH`: a folder of class folders, with or without split folders above them."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.index import make_index
from tfl.data.layout import recognise
from tfl.data.name_patterns import read_groups
from tfl.data.quarantine import check_bad_fraction
from tfl.data.source import Source, number_classes
from tfl.data.tree import describe_ignored, read_tree
from tfl.errors import InputError
from tfl.files.existing import existing_folder
from tfl.files.writing import expand_home
from tfl.inputs import Input, Scanned
from tfl.inputs.input import HASH_BUCKETS
from tfl.inputs.scan import scan_files
from tfl.registry import find_same, natural_key

Row = tuple[str, str, str]  # split, class, file
Bad = tuple[tuple[str, str], ...]  # file, reason


@dataclasses.dataclass(frozen=True)
class FileSource(Source):
    """Files on disk. Memory holds their paths and index, never their contents."""

    fingerprints: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    replacements: tuple[str, ...] = ()  # for each row a file that is read in place of its file, or ""; empty: none

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return bytes that the graph decodes; a file that has changed since the scan is an error that names it."""
        return self._read(rows, {"label": self.index.labels[rows], "id": rows})

    def _read(self, rows: np.ndarray, kept: dict[str, np.ndarray]) -> tf.data.Dataset:
        """Return the files of some rows, and beside each the values of the columns `kept`."""
        columns = kept | {"path": encode_paths(self.index.paths[rows]), "fingerprint": self.fingerprints[rows]}
        if self.replacements:
            columns["replacement"] = encode_paths(self.replacements[row] for row in rows)

        def read(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"input": read_raw(row)} | {name: row[name] for name in kept}

        return tf.data.Dataset.from_tensor_slices(columns).map(read, num_parallel_calls=tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True)
class FilesWithLabels(FileSource):
    """Files whose labels are not values of the index, but are made by `labels`: masks, or boxes."""

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return bytes that the graph decodes, with the labels of `labels`; see `Source`."""

        def join(example: dict[str, tf.Tensor], truth: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return example | truth

        return tf.data.Dataset.zip(self._read(rows, {}), self.labels(rows)).map(join)


def load_folder(path: str, kind: Input, max_bad_fraction: float = 0.1, group_pattern: str = "") -> FileSource:
    """Read a folder of class folders: every file of every class; the content of a file decides its format.

    Hidden files, and files of other programs (`.DS_Store`, `Thumbs.db`, `@eaDir`), are ignored. Any other file
    that is not a complete image is left out and listed in `quarantine`. Files in sub-folders of a class belong to
    that class. Class names are in the Unicode form NFC: folders whose names differ only in the Unicode form are one
    class.

    Args:
        path: `PATH/CLASS/...`, `PATH/SPLIT/CLASS/...` or `PATH/CLASS/SPLIT/...`, also inside wrapper folders; SPLIT is
            train, validation or test, or a name for one of them (`Training`, `test_set`, `seg_train`, `val`, `dev`);
            `~` is the home folder.
        kind: what the files hold.
        max_bad_fraction: more bad files than this fraction stop the run.
        group_pattern: finds the group of a file in its path, see `read_groups`; "": no groups.

    Raises:
        InputError: the folder does not exist or has no classes, a class has no images, splits have different classes,
            or the tree can be read in two ways.
    """
    root = existing_folder(path, "data.source")
    tree = read_tree(root, kind.may_be)
    layout = recognise(tree, kind.noun)
    for line in (describe_ignored(tree.ignored), *layout.notes):
        if line:
            progress.say(line)
    rows = [(split, class_name, file) for split, class_name, folder in layout.classes for file in folder.all_files()]
    good, bad = scan_rows(kind, rows, max_bad_fraction)
    _check_classes_are_left(kind, {row[:2] for row in rows} - {row[:2] for row, _ in good})
    ids, source = _ids(root, good), f"folder:{path}"
    groups = read_groups(group_pattern, ids, source)
    return make_file_source(kind, ids, good, bad, *number_classes([row[1] for row, _ in good], source), groups)


def load_known_classes(
    path: str, kind: Input, class_names: Sequence[str], max_bad_fraction: float = 0.1, group_pattern: str = ""
) -> FileSource | None:
    """Read a folder of images for a trained model: it may hold one class only, and class folders without images.

    Args:
        path: `PATH/CLASS/...`; `~` is the home folder.
        kind: what the files hold.
        class_names: classes of the model.
        max_bad_fraction: more bad files than this fraction stop the run.
        group_pattern: finds the group of a file in its path, see `read_groups`; "": no groups.

    Returns:
        The source, with the classes that have images; None if a folder in it is not one of the classes, because then
        the layout may be another one.

    Raises:
        InputError: none of the classes has an image.
    """
    root = Path(expand_home(path, "data.source"))
    tree = read_tree(root, kind.may_be) if root.is_dir() else None
    folders = tree.folders if tree else ()
    names = [find_same(item.name, class_names) for item in folders]
    if not folders or None in names:
        return None
    rows = [("", str(name), file) for name, item in zip(names, folders, strict=True) for file in item.all_files()]
    good, bad = scan_rows(kind, rows, max_bad_fraction) if rows else ([], ())
    if not good:
        raise InputError(
            f"`source` must have {kind.noun[1]} of at least one class. Received: folder:{path}, which has none."
        )
    found = sorted({row[1] for row, _ in good}, key=natural_key)
    labels = np.array([found.index(row[1]) for row, _ in good], np.int64)
    ids = _ids(root, good)
    return make_file_source(kind, ids, good, bad, labels, found, read_groups(group_pattern, ids, f"folder:{path}"))


def load_files(files: Sequence[str], labels: np.ndarray, class_names: Sequence[str], kind: Input) -> FileSource:
    """Make a source from a list of files; their numbers in the list are their ids, and a file may occur twice.

    Args:
        files: N paths; `~` is the home folder.
        labels: N labels in the form of an index.
        class_names: in the order of the label numbers; empty for values.
        kind: what the files hold.

    Raises:
        InputError: one of the files cannot be used.
    """
    paths = [str(expand_home(file, "source")) for file in files]
    scanned = scan_files(kind, paths)
    bad = next((pair for pair in zip(paths, scanned, strict=True) if not isinstance(pair[1], Scanned)), None)
    if bad is not None:
        raise InputError(f"`source` must be usable {kind.noun[0]} files. Received: {bad[0]}: {bad[1]}.")
    rows = [(("", "", path), result) for path, result in zip(paths, scanned, strict=True)]
    return make_file_source(kind, [str(number) for number in range(len(rows))], rows, (), labels, class_names)


def scan_rows(kind: Input, rows: Sequence[Row], max_bad_fraction: float) -> tuple[list[tuple[Row, Scanned]], Bad]:
    """Return the usable files, and (path, reason) of the others."""
    scanned = list(zip(rows, scan_files(kind, [file for _, _, file in rows]), strict=True))
    bad = tuple((row[2], str(result)) for row, result in scanned if not isinstance(result, Scanned))
    check_bad_fraction(bad, len(rows), max_bad_fraction)
    return [(row, result) for row, result in scanned if isinstance(result, Scanned)], bad


def _ids(root: Path, good: Sequence[tuple[Row, Scanned]]) -> list[str]:
    prefix = os.path.join(root, "")  # noqa: PTH118 - a Path for each of many files takes half of a second start
    return [file.removeprefix(prefix).replace(os.sep, "/") for (_, _, file), _ in good]


def make_file_source(
    kind: Input,
    ids: Sequence[str],
    good: Sequence[tuple[Row, Scanned]],
    bad: Bad,
    labels: np.ndarray,
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
) -> FileSource:
    """Make a source of files that were scanned.

    Args:
        kind: what the files hold.
        ids: N names of the examples.
        good: for each example its split, class and file, and what the scan found.
        bad: (path, reason) of the files that are left out.
        labels: N labels in the form of an index.
        class_names: in the order of the label numbers; empty for values.
        groups: N names; examples of one group are never in two splits. None: there are no groups.
    """
    index, order = make_index(
        ids,
        labels,
        class_names,
        splits=[split for (split, _, _), _ in good],
        sha256=[result.sha256 for _, result in good],
        facts={name: [result.facts[name] for _, result in good] for name in kind.facts},
        paths=[file for (_, _, file), _ in good],
        groups=groups,
    )
    fingerprints = np.array([result.fingerprint for _, result in good], np.int64)[order]
    formats = tuple(sorted({result.format for _, result in good}))
    peaks = np.array([result.peak for _, result in good], np.int64)[order]
    replacements = tuple(good[place][1].replacement for place in order)
    return FileSource(
        index,
        dataclasses.replace(kind, formats=formats),
        bad,
        peaks,
        fingerprints=fingerprints,
        replacements=replacements if any(replacements) else (),
    )


def _check_classes_are_left(kind: Input, lost: set[tuple[str, str]]) -> None:
    if lost:
        split, class_name = min(lost)
        where = f" of {split}" if split else ""
        raise InputError(
            f"`data.source` must have usable {kind.noun[1]} for every class. Received: class '{class_name}'{where}, "
            "which has none."
        )


def encode_paths(paths: Iterable[str]) -> np.ndarray:
    """Return paths as the bytes that they have on disk: TensorFlow refuses a `str` that is not UTF-8.

    An empty array has the type bytes too: NumPy would make an array of numbers from an empty list.
    """
    return np.array([os.fsencode(path) for path in paths], np.bytes_)


def read_raw(row: dict[str, tf.Tensor]) -> tf.Tensor:
    """Read an example in the graph: the file itself, or the file that replaces it.

    Args:
        row: "path" and "fingerprint" of the file; "replacement" too, if some of the files have one.

    Returns:
        The bytes of the example, a scalar string.
    """
    encoded = read_file(row["path"], row["fingerprint"])  # also with a replacement: the file may have changed
    if "replacement" not in row:
        return encoded
    other = row["replacement"]
    return tf.cond(tf.equal(other, b""), lambda: encoded, lambda: tf.io.read_file(other))


def read_file(path: tf.Tensor, fingerprint: tf.Tensor) -> tf.Tensor:
    """Read a file in the graph; an error names the file if it has changed since the scan."""
    encoded = tf.io.read_file(path)
    unchanged = tf.equal(tf.strings.to_hash_bucket_fast(encoded, HASH_BUCKETS), fingerprint)
    check = tf.debugging.Assert(unchanged, ["changed since it was checked:", path])
    with tf.control_dependencies([check]):
        return tf.identity(encoded)
