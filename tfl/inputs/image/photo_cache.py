"""Photos that the graph cannot decode, kept as PNG files that it can: each is decoded once, at the first scan.

The PNGs of a data set stand on a shelf of their own. Where all together are more than `MAX_BYTES`, those of data sets
that no process uses are dropped, the one that was not used for the longest time first.
"""

import contextlib
import functools
import hashlib
import io
import os
import re
from pathlib import Path

from PIL import Image

from tfl.errors import InputError
from tfl.files.cache import cache_folder
from tfl.files.locks import FileLock
from tfl.files.room import Kind, StoreRoom
from tfl.files.writing import write_atomically
from tfl.inputs.image.photos import decode_photo, encode_png

RULES = 2  # of decoding; a change of pixels needs another number
MAX_BYTES = 20 * 10**9
_KIND = Kind("photos", "their bound", re.compile(r"[0-9a-f]{16}-\d+"), re.compile(r"[0-9a-f]{64}\.png"))


def cached_png(encoded: bytes, sha256: str, kind: str, data_set: str = "") -> tuple[Path, bytes]:
    """Return the PNG of a photo, its path and its content; it is made where the cache lacks it.

    Args:
        encoded: the content of the photo's file.
        sha256: of that content.
        kind: its format, as `sniff` gives it.
        data_set: the folder of all photos that are scanned with it. Their PNGs stay as long as this process runs.

    Raises:
        BadImageError: the photo cannot be decoded.
        InputError: the cache cannot be used.
    """
    shelf = cache_folder("photos") / f"{hashlib.sha256(os.fsencode(data_set)).hexdigest()[:16]}-{RULES}"
    path = shelf / f"{sha256}.png"
    _use(shelf)
    content = _read_whole(path)
    if content is None:
        content = made = encode_png(decode_photo(encoded, kind))
        try:
            write_atomically(path, lambda temporary: temporary.write_bytes(made))
        except InputError as error:
            reason = str(error).replace("`workdir`", "`TFL_CACHE`")
            raise InputError(f"{reason} Photos of {kind} are kept there as PNG.") from error
    return path, content


def trim_photos() -> None:
    """Keep to the bound; after a scan, for the photos of the scan itself stay in any case."""
    root = cache_folder("photos")
    if root.is_dir():
        with contextlib.suppress(OSError):  # a cache that can be read alone
            _room(root).trim()


@functools.cache
def _use(shelf: Path) -> FileLock | None:
    """Keep a shelf from being dropped until this process ends: what the scan named is read much later."""
    with contextlib.suppress(OSError):
        return _room(shelf.parent).use(shelf)
    return None


def _room(root: Path) -> StoreRoom:
    return StoreRoom(root, MAX_BYTES, _KIND)


def _read_whole(path: Path) -> bytes | None:
    """Return a file's content, or None where there is no such file or it was damaged; its check sums are read."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()
            return content if content.endswith(b"IEND\xae\x42\x60\x82") else None
    except (OSError, SyntaxError, ValueError):
        return None
