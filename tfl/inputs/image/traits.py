"""Facts about the file of an image that say nothing about what it shows: its format, camera and compression."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from PIL import ExifTags, Image

from tfl.inputs.image.formats import sniff

_START = 4096  # bytes that show the format


def image_traits(path: str) -> Mapping[str, str | float]:
    """Return the traits of the file of an image; a header that Pillow cannot read gives the format only.

    Args:
        path: of the file.

    Returns:
        "format", such as "JPEG"; "camera", make and model from EXIF or ""; and "compression", the mean of the
        quantisation tables of a JPEG: the higher, the lower the quality; 0 for other formats.
    """
    with Path(path).open("rb") as file:
        kind = sniff(file.read(_START))
    camera, compression = "", 0.0
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # about odd EXIF entries
            exif = image.getexif()
            camera = " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
            tables = getattr(image, "quantization", None) or {}
            compression = sum(sum(table) for table in tables.values()) / max(1, sum(map(len, tables.values())))
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, EOFError, Image.DecompressionBombError):
        pass  # the file was checked when the source was opened: only Pillow cannot read it
    return {"format": kind, "camera": camera.strip(), "compression": float(compression)}
