"""Cache of files for examples that the graph cannot decode: each is decoded once, at the first scan.

The files of each data set have their own folder (shelf). If all files together exceed `MAX_BYTES`, the shelves of data
sets that no process uses are deleted, the least recently used first.
"""

import contextlib
import functools
import hashlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from tfl.errors import InputError
from tfl.files.cache import cache_folder
from tfl.files.locks import FileLock
from tfl.files.room import Kind, StoreRoom
from tfl.files.writing import write_atomically

RULES = 2  # version of the decoding rules; raise it when the content changes
MAX_BYTES = 20 * 10**9
_FIRST_USE = threading.Lock()  # the first use of a shelf deletes unfinished files: no other thread may write yet
_ENDINGS = (".png", ".npy", ".wav")
_KIND = Kind(
    "photos", "their bound", re.compile(r"[0-9a-f]{16}-\d+"), re.compile(r"[0-9a-f]{64}\.(png|npy|wav)"), _ENDINGS
)


def cached_file(
    name: str, kind: str, data_set: str, *, make: Callable[[], bytes], read: Callable[[Path], bytes | None]
) -> tuple[Path, bytes]:
    """Return the path and the content of a file of the cache; write it if the cache does not have it.

    Args:
        name: of the file: the SHA-256 of the original, and an ending.
        kind: the format of the original, for messages.
        data_set: the folder of all files in the same scan. The files of the cache stay while this process runs.
        make: returns the content.
        read: returns the content of a file, None if the file does not exist or is damaged.

    Raises:
        InputError: the cache cannot be used.
    """
    shelf = cache_folder("photos") / f"{hashlib.sha256(os.fsencode(data_set)).hexdigest()[:16]}-{RULES}"
    path = shelf / name
    with _FIRST_USE:
        _use(shelf)
    content = read(path)
    if content is None:
        content = made = make()
        try:
            write_atomically(path, lambda temporary: temporary.write_bytes(made))
        except InputError as error:
            reason = str(error).replace("`workdir`", "`TFL_CACHE`")
            raise InputError(f"{reason} tfl stores {kind} files there in a form that TensorFlow reads.") from error
    return path, content


def trim_cache() -> None:
    """Delete old files until the cache is below its limit; call it after a scan, whose own files always stay."""
    root = cache_folder("photos")
    if root.is_dir():
        with contextlib.suppress(OSError):  # a read-only cache
            _room(root).trim()


@functools.cache
def _use(shelf: Path) -> FileLock | None:
    """Protect a shelf from deletion until this process ends: its files are read long after the scan."""
    with contextlib.suppress(OSError):
        return _room(shelf.parent).use(shelf)
    return None


def _room(root: Path) -> StoreRoom:
    return StoreRoom(root, MAX_BYTES, _KIND)
