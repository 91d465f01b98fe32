"""`folder:PATH`: a folder of class folders, with or without split folders above them."""

import dataclasses
import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfl.data.index import SPLITS, make_index, natural_key
from tfl.data.scan import HASH_BUCKETS, ScannedImage, check_bad_fraction, scan_files
from tfl.data.source import Source
from tfl.errors import InputError

SPLIT_FOLDERS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclasses.dataclass(frozen=True)
class FileSource(Source):
    """Image files on disk. Only their paths are held in memory, whatever the size of the data set."""

    fingerprints: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the files' bytes; a file that has changed since the scan stops the reading, by name."""
        columns = {
            "path": encode_paths(self.index.paths[rows]),
            "fingerprint": self.fingerprints[rows],
            "label": self.index.labels[rows],
            "id": rows,
        }

        def read(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"image": read_file(row["path"], row["fingerprint"]), "label": row["label"], "id": row["id"]}

        return tf.data.Dataset.from_tensor_slices(columns).map(read, num_parallel_calls=tf.data.AUTOTUNE)


def load_folder(path: str, max_bad_fraction: float = 0.1) -> FileSource:
    """Read a folder of class folders: every file of every class, by content and not by ending.

    Hidden files and folders (`.DS_Store`, `._photo.jpg`) are passed over; any other file that is not a whole
    image is left out and listed in `quarantine`. Files below sub-folders of a class belong to that class.

    Args:
        path: `PATH/CLASS/...`, or `PATH/SPLIT/CLASS/...` where SPLIT is train, val, valid, validation or test
            in any case; `~` is the home folder.
        max_bad_fraction: more bad files than this fraction stop the run.

    Raises:
        InputError: no folder, no classes, a class without images, splits whose classes differ.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputError(f"`data.source` must name a folder that exists. Received: folder:{path}.{_sibling(root)}")
    rows = [
        (split, class_name, file)
        for split, folder in _split_folders(root)
        for class_name, class_folder in _class_folders(folder)
        for file in _list_class(class_folder)
    ]
    results = scan_files([file for _, _, file in rows])
    scanned = list(zip(rows, results, strict=True))
    good = [(row, result) for row, result in scanned if isinstance(result, ScannedImage)]
    bad = tuple((row[2], str(result)) for row, result in scanned if not isinstance(result, ScannedImage))
    check_bad_fraction(bad, len(rows), max_bad_fraction)
    _check_classes_are_left({row[:2] for row in rows} - {row[:2] for row, _ in good})
    class_names = sorted({row[1] for row in rows}, key=natural_key)
    numbers = {name: number for number, name in enumerate(class_names)}
    index, order = make_index(
        [Path(file).relative_to(root).as_posix() for (_, _, file), _ in good],
        np.array([numbers[class_name] for (_, class_name, _), _ in good], np.int64),
        class_names,
        splits=[split for (split, _, _), _ in good],
        sha256=[result.sha256 for _, result in good],
        sizes=np.array([(result.width, result.height) for _, result in good]),
        paths=[file for (_, _, file), _ in good],
    )
    fingerprints = np.array([result.fingerprint for _, result in good], np.int64)[order]
    formats = tuple(sorted({result.format for _, result in good}))
    return FileSource(index, bad, formats, fingerprints)


def list_files(folder: str | Path) -> Iterator[str]:
    """Yield the path of every file below a folder that is not hidden, naturally sorted; links are followed, once."""
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # a link to a folder above it would never end
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        for name in sorted(files, key=natural_key):
            if not name.startswith("."):
                yield os.path.join(parent, name)  # noqa: PTH118 - a million Path objects cost seconds


def _list_class(folder: Path) -> list[str]:
    files = list(list_files(folder))
    if not files:
        raise InputError(f"`data.source` must have images for every class. Received: empty class folder {folder}.")
    return files


def _split_folders(root: Path) -> list[tuple[str, Path]]:
    """Return (split, folder): the split folders, or ("", root) where class folders stand directly below."""
    folders = _subfolders(root)
    splits = [
        (SPLIT_FOLDERS[folder.name.lower()], folder) for folder in folders if folder.name.lower() in SPLIT_FOLDERS
    ]
    names = [split for split, _ in splits]
    # A lone `train` may be a class (of vehicles); it is a split where folders stand below it.
    is_split = "train" in names and (len(names) > 1 or (len(folders) == 1 and bool(_subfolders(splits[0][1]))))
    if not is_split:
        return [("", root)]
    others = [folder.name for folder in folders if folder.name.lower() not in SPLIT_FOLDERS]
    if others or len(set(names)) < len(names):
        listing = ", ".join(folder.name for folder in folders)
        raise InputError(
            f"`data.source` must hold each split folder (train, validation, test) once and no class folders beside "
            f"them. Received: {root} with {listing}."
        )
    _check_same_classes(splits)
    return sorted(splits, key=lambda item: SPLITS.index(item[0]))


def _class_folders(folder: Path) -> list[tuple[str, Path]]:
    classes = sorted(_subfolders(folder), key=lambda item: natural_key(item.name))
    if len(classes) < 2:
        found = f"one class, {classes[0].name}," if classes else "no class folders"
        raise InputError(f"`data.source` must hold at least two class folders. Received: {found} in {folder}.")
    return [(item.name, item) for item in classes]


def _subfolders(folder: Path) -> list[Path]:
    return [item for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")]


def _check_same_classes(splits: list[tuple[str, Path]]) -> None:
    classes = {folder.name: {item.name for item in _subfolders(folder)} for _, folder in splits}
    everywhere = set.intersection(*classes.values())
    for name, found in classes.items():
        other = next((other for other, names in classes.items() if found - names), "")
        if found - everywhere:
            missing = ", ".join(sorted(found - everywhere, key=natural_key)[:5])
            raise InputError(
                "`data.source` must have the same classes in every split. "
                f"Received: {missing} in {name}, not in {other}."
            )


def _check_classes_are_left(lost: set[tuple[str, str]]) -> None:
    if lost:
        split, class_name = min(lost)
        where = f" of {split}" if split else ""
        raise InputError(
            f"`data.source` must have usable images for every class. Received: class '{class_name}'{where} with none."
        )


def _sibling(root: Path) -> str:
    """Suggest the nearest folder that does exist beside the missing one."""
    parent = root.parent
    names = [item.name for item in parent.iterdir() if item.is_dir()] if parent.is_dir() else []
    nearest = difflib.get_close_matches(root.name, names, n=1, cutoff=0.5)
    return f" Did you mean '{parent / nearest[0]}'?" if nearest else ""


def encode_paths(paths: Iterable[str]) -> list[bytes]:
    """Return paths as the bytes that they are on disk: TensorFlow refuses a `str` that is no UTF-8."""
    return [os.fsencode(path) for path in paths]


def read_file(path: tf.Tensor, fingerprint: tf.Tensor) -> tf.Tensor:
    """Read a file in the graph, and name it where it is no longer what the scan saw."""
    encoded = tf.io.read_file(path)
    unchanged = tf.equal(tf.strings.to_hash_bucket_fast(encoded, HASH_BUCKETS), fingerprint)
    check = tf.debugging.Assert(unchanged, ["changed since it was checked:", path])
    with tf.control_dependencies([check]):
        return tf.identity(encoded)
