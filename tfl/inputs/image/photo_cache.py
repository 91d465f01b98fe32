"""PNG files of photos that the graph cannot decode; see `tfl.inputs.converted`."""

import io
from pathlib import Path

from PIL import Image

from tfl.inputs.converted import cached_file
from tfl.inputs.image.photos import decode_photo, encode_png


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


def _read_whole(path: Path) -> bytes | None:
    """Return the content of a PNG file, or None if it does not exist or is damaged; its checksums are verified."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()
            return content if content.endswith(b"IEND\xae\x42\x60\x82") else None
    except (OSError, SyntaxError, ValueError):
        return None
