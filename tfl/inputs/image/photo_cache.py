"""Photos that the graph cannot decode, kept as PNG files that it can: each is decoded once, at the first scan."""

import io
from pathlib import Path

from PIL import Image

from tfl.errors import InputError
from tfl.files.cache import cache_folder
from tfl.files.writing import write_atomically
from tfl.inputs.image.photos import decode_photo, write_png

RULES = 1  # of decoding; a change of pixels needs another number


def cached_png(encoded: bytes, sha256: str, kind: str) -> tuple[Path, tuple[int, int]]:
    """Return the PNG of a photo, and its width and height; it is made where the cache lacks it.

    Args:
        encoded: the content of the photo's file.
        sha256: of that content.
        kind: its format, as `sniff` gives it.

    Raises:
        BadImageError: the photo cannot be decoded.
        InputError: the cache cannot be used.
    """
    path = cache_folder("photos") / f"{sha256}-{RULES}.png"
    size = _size_of_whole(path)
    if size is None:
        pixels = decode_photo(encoded, kind)
        try:
            write_atomically(path, lambda temporary: write_png(pixels, temporary))
        except InputError as error:
            reason = str(error).replace("`workdir`", "`TFL_CACHE`")
            raise InputError(f"{reason} Photos of {kind} are kept there as PNG.") from error
        size = pixels.shape[1], pixels.shape[0]
    return path, size


def _size_of_whole(path: Path) -> tuple[int, int] | None:
    """Return width and height, or None where there is no such file or it was damaged; its check sums are read."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()
            return image.size if content.endswith(b"IEND\xae\x42\x60\x82") else None
    except (OSError, SyntaxError, ValueError):
        return None
