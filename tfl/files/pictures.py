"""Encode pictures as text, to put them inside the page."""

import base64
import io

import numpy as np
from PIL import Image

SIDE = 200  # pixels of the longer side: enough to recognise an image, and 200 images stay below 5 MB
SMALL = 84
QUALITY = 82


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


def data_uri(content: bytes, kind: str) -> str:
    """Return a data URI: an address that contains the bytes themselves."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
