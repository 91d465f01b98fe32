"""The store of features: a folder with one shelf per extractor, row shape and dtype; see `tfl/features/shards.py`."""

import os
import shutil
from pathlib import Path

from tfl.config import FeaturesConfig
from tfl.errors import InputError
from tfl.features.shards import estimate_bytes, explained
from tfl.features.shelf import Shelf
from tfl.files.cache import cache_folder
from tfl.files.room import StoreRoom
from tfl.files.writing import expand_home
from tfl.progress import say

RESERVE = 2**30  # bytes of the disk that stay free for other programs


class FeatureStore:
    """A folder of features that stays after a run; any number of processes may use it at the same time.

    Args:
        root: a local folder; it is made if it does not exist.
        max_bytes: limit for the size of the whole folder, for all processes together. If new features would not fit,
            shelves that no process uses are dropped, the least recently used first.

    Raises:
        InputError: `root` is not local, or the process may not write to it.

    Example:
        >>> shelf = FeatureStore("features", max_bytes=5 * 10**8).open(digest, features.shape[1:], "float32")
        >>> for row in shelf.missing(keys):
        ...     shelf.write([keys[row]], features[row : row + 1])
        >>> stored = shelf.read(keys)
    """

    def __init__(self, root: str | os.PathLike[str], max_bytes: int) -> None:
        if "://" in os.fspath(root):
            raise InputError(
                "`features.store` must be a local folder, because its files are memory-mapped. Received: "
                f"{str(root)!r}."
            )
        self.root, self.max_bytes = Path(expand_home(root, "features.store")).absolute(), max_bytes
        self._room = StoreRoom(self.root, max_bytes)
        self._shelves: dict[Path, Shelf] = {}  # kept, so that a process checks each shard only once
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError("it is read-only")

    def open(self, extractor_digest: str, shape: tuple[int, ...], dtype: str) -> "Shelf":
        """Return the shelf of one extractor.

        Args:
            extractor_digest: digest of everything that features depend on, except the example; it becomes part of a
                folder name.
            shape: shape of the features of one example.
            dtype: "float32" or "float16".

        Raises:
            InputError: `dtype` is another type.
        """
        if dtype not in ("float32", "float16"):
            raise InputError(f"`features.dtype` must be float32 or float16. Received: {dtype!r}.")
        folder = self.root / "-".join([extractor_digest, "x".join(map(str, shape)), dtype])
        if folder not in self._shelves:
            with explained(folder):
                self._shelves[folder] = Shelf(self._room, folder, shape, dtype)
        return self._shelves[folder]

    def room_for(self, num_examples: int, shape: tuple[int, ...], dtype: str) -> bool:
        """Return whether features of `num_examples` more examples fit into `max_bytes` and leave 1 GiB free on disk."""
        needed = estimate_bytes(num_examples, shape, dtype)
        with explained(self.root):
            fits_the_disk = needed + RESERVE <= shutil.disk_usage(self.root).free
            return fits_the_disk and needed <= self._room.bytes_left()

    def used_bytes(self) -> int:
        """Return the size of all shards in the store."""
        return self._room.used_bytes()


def default_store() -> Path:
    """Return the default folder for features: `$TFL_CACHE/features`, or else a folder in the user's cache folder."""
    return cache_folder("features")


def open_store(options: FeaturesConfig) -> FeatureStore | None:
    """Return the store that a config names; None if it names none, or if the user's cache folder is not usable.

    Raises:
        InputError: the config names a folder that is not usable.
    """
    if options.store == "none":
        return None
    if options.store != "cache":
        return FeatureStore(options.store, options.max_bytes)
    try:
        return FeatureStore(default_store(), options.max_bytes)
    except InputError as error:
        say(f"features stay in memory, and the next run computes them again: {error}")
        return None
