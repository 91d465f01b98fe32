"""Where features are kept: a folder with one shelf per extractor, row shape and dtype; see `tfl/features/shards.py`."""

import os
import shutil
from pathlib import Path

from tfl.errors import InputError
from tfl.features.shards import estimate_bytes, explained
from tfl.features.shelf import Shelf
from tfl.files.cache import cache_folder
from tfl.files.room import StoreRoom
from tfl.files.writing import expand_home

RESERVE = 2**30  # bytes of the disk that are left to everybody else


class FeatureStore:
    """A folder of features that outlives the runs which fill it; any number of processes may use it at once.

    Args:
        root: a local folder; made where missing.
        max_bytes: how large everything in it may grow together, whoever writes. Shelves that nobody uses are dropped,
            those that were not used for the longest time first, where something new would not fit.

    Raises:
        InputError: `root` is not local or cannot be written.

    Example:
        >>> shelf = FeatureStore(default_store(), max_bytes=5 * 10**10).open(digest, (1280,), "float32")
        >>> for row in shelf.missing(keys):
        ...     shelf.write([keys[row]], forward(images[row : row + 1]))
        >>> features = shelf.read(keys)
    """

    def __init__(self, root: str | os.PathLike[str], max_bytes: int) -> None:
        if "://" in os.fspath(root):
            raise InputError(f"`features.store` must be a local folder: it is memory-mapped. Received: {str(root)!r}.")
        self.root, self.max_bytes = Path(expand_home(root, "features.store")).absolute(), max_bytes
        self._room = StoreRoom(self.root, max_bytes)
        self._shelves: dict[Path, Shelf] = {}  # so that a process checks a shard once
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError("it is read-only")

    def open(self, extractor_digest: str, shape: tuple[int, ...], dtype: str) -> "Shelf":
        """Return the shelf of one extractor.

        Args:
            extractor_digest: of all that features depend on, but for the example; it becomes part of a file name.
            shape: of one example's features.
            dtype: "float32" or "float16".
        """
        if dtype not in ("float32", "float16"):
            raise InputError(f"`features.dtype` must be float32 or float16. Received: {dtype!r}.")
        folder = self.root / "-".join([extractor_digest, "x".join(map(str, shape)), dtype])
        if folder not in self._shelves:
            with explained(folder):
                self._shelves[folder] = Shelf(self._room, folder, shape, dtype)
        return self._shelves[folder]

    def room_for(self, num_examples: int, shape: tuple[int, ...], dtype: str) -> bool:
        """Say whether features of so many more examples fit into `max_bytes`, and leave 1 GiB of the disk free."""
        needed = estimate_bytes(num_examples, shape, dtype)
        with explained(self.root):
            fits_the_disk = needed + RESERVE <= shutil.disk_usage(self.root).free
            return fits_the_disk and needed <= self._room.bytes_left()

    def used_bytes(self) -> int:
        """Return the size of all shards in the store."""
        return self._room.used_bytes()


def default_store() -> Path:
    """Return where features stand if nothing else is said: `$TFL_CACHE/features`, else in the user's cache folder."""
    return cache_folder("features")
