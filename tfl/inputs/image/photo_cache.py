"""Cache of files for photos that the graph cannot decode: each photo is decoded once, at the first scan.

The files of each data set have their own folder (shelf). If all files together exceed `MAX_BYTES`, the shelves of data
sets that no process uses are deleted, the least recently used first.
"""

import contextlib
import functools
import hashlib
import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tfl.errors import InputError
from tfl.files.cache import cache_folder
from tfl.files.locks import FileLock
from tfl.files.room import Kind, StoreRoom
from tfl.files.writing import write_atomically
from tfl.inputs.image.photos import decode_photo, encode_png

RULES = 2  # version of the decoding rules; raise it when the pixels change
MAX_BYTES = 20 * 10**9
_FIRST_USE = threading.Lock()  # the first use of a shelf deletes unfinished files: no other thread may write yet
_KIND = Kind(
    "photos", "their bound", re.compile(r"[0-9a-f]{16}-\d+"), re.compile(r"[0-9a-f]{64}\.(png|npy)"), (".png", ".npy")
)


def cached_png(encoded: bytes, sha256: str, kind: str, data_set: str = "") -> tuple[Path, bytes]:
    """Return the path and the content of the PNG of a photo; write the PNG if the cache does not have it.

    Args:
        encoded: the content of the photo's file.
        sha256: of that content.
        kind: its format, from `sniff`.
        data_set: the folder of all photos in the same scan. Their PNGs stay while this process runs.

    Raises:
        BadImageError: the photo cannot be decoded.
        InputError: the cache cannot be used.
    """
    return cached_file(
        f"{sha256}.png", kind, data_set, make=lambda: encode_png(decode_photo(encoded, kind)), read=_read_whole
    )


def cached_file(
    name: str, kind: str, data_set: str, *, make: Callable[[], bytes], read: Callable[[Path], bytes | None]
) -> tuple[Path, bytes]:
    """Return the path and the content of a file of the cache; write it if the cache does not have it.

    Args:
        name: of the file: the SHA-256 of the photo, and an ending.
        kind: the format of the photo, for messages.
        data_set: the folder of all photos in the same scan.
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


def trim_photos() -> None:
    """Delete old PNGs until the cache is below its limit; call it after a scan, whose own photos always stay."""
    root = cache_folder("photos")
    if root.is_dir():
        with contextlib.suppress(OSError):  # a read-only cache
            _room(root).trim()


@functools.cache
def _use(shelf: Path) -> FileLock | None:
    """Protect a shelf from deletion until this process ends: its PNGs are read long after the scan."""
    with contextlib.suppress(OSError):
        return _room(shelf.parent).use(shelf)
    return None


def _room(root: Path) -> StoreRoom:
    return StoreRoom(root, MAX_BYTES, _KIND)


def _read_whole(path: Path) -> bytes | None:
    """Return the content of a PNG file, or None if it does not exist or is damaged; its checksums are verified."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()
            return content if content.endswith(b"IEND\xae\x42\x60\x82") else None
    except (OSError, SyntaxError, ValueError):
        return None
