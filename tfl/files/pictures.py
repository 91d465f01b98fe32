"""Encode pictures as text, to put them inside the page."""

import base64
import io
import struct

import numpy as np
from etils import epath
from PIL import ExifTags, Image

from tfl.errors import InputError

SIDE = 200  # pixels of the longer side: enough to recognise an image, and 200 images stay below 5 MB
SMALL = 84
QUALITY = 82
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def thumbnail(pixels: np.ndarray, shape: tuple[int, int], side: int = SIDE) -> str:
    """Return a picture as a data URI, in the shape of the photo before it was resized to a square.

    Args:
        pixels: RGB image, uint8 `(S, S, 3)`.
        shape: width and height of the photo in pixels; zeros if they are not known.
        side: the longer side of the result, in pixels.
    """
    width, height = shape if min(shape) > 0 else (1, 1)
    scale = side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    content = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(content, "JPEG", quality=QUALITY)
    return data_uri(content.getvalue(), "image/jpeg")


def displayed_size(path: str | io.BytesIO) -> tuple[int, int] | None:
    """Return the width and the height of a picture as displayed; None if Pillow cannot read it."""
    try:
        with Image.open(path) as picture:  # its pixels are not decoded
            width, height = picture.size
            is_on_its_side = picture.getexif().get(ExifTags.Base.Orientation) in range(5, 9)
            return (height, width) if is_on_its_side else (width, height)
    except (OSError, SyntaxError, ValueError, struct.error):  # of damaged EXIF data
        return None


def data_uri(content: bytes, kind: str) -> str:
    """Return a data URI: an address that contains the bytes themselves."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def check_picture_file(name: epath.PathLike) -> epath.Path:
    """Return the path of a picture that can be written.

    Raises:
        InputError: its ending is not that of a picture, or its folder does not exist.
    """
    path = epath.Path(name).expanduser()
    if path.suffix.lower() not in PICTURES or path.is_dir():
        raise InputError(f"`output` must be a file that ends in {', '.join(PICTURES)}. Received: {str(name)!r}.")
    if not path.parent.is_dir():
        raise InputError(f"`output` must be in a folder that exists. Received: {str(name)!r}.")
    return path
