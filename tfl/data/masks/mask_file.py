"""Read one mask file: a whole number for each pixel, from grey values, palette indices or colours."""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
from PIL import Image

MOST_VALUES = 256  # a file with more different values is a photo, or lost its classes to lossy compression
NUMBERS, COLOURS, GREYS = "numbers", "colours", "greys"  # forms of the values of a mask
GREY = 0x010101  # times a grey value: its colour
ReadMask = Callable[[str], tuple[np.ndarray, str]]
_NUMBERS = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


@dataclasses.dataclass(frozen=True)
class ScannedMask:
    """What a scan found in a mask.

    Attributes:
        width: in pixels.
        height: in pixels.
        values: the different values, in order.
        form: what the values are, see `read_values`.
        digest: of the size and the values, SHA-256.
    """

    width: int
    height: int
    values: tuple[int, ...]
    form: str
    digest: str


def read_values(path: str) -> tuple[np.ndarray, str]:
    """Return the values of a mask, int32 `(H, W)`, and what they are: `NUMBERS`, `COLOURS` or `GREYS`.

    A palette gives its indices, as PASCAL VOC needs it; a file of three channels gives colours, `256 (256 R + G) + B`.
    If its three channels are equal, it gives their value, which may be a number or a grey colour.

    Raises:
        ValueError: the file is not a mask; the message says why.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB") if opened.mode in ("RGBA", "CMYK") else opened
            image = image.convert("L") if image.mode == "LA" else image
            values, mode = np.asarray(image), image.mode
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"it is not a whole image: {error}") from error
    if mode in _NUMBERS:
        return values.astype(np.int32), NUMBERS
    if mode != "RGB":
        raise ValueError(f"it has the mode {mode}, and not grey values, a palette or RGB")
    red, green, blue = np.moveaxis(values.astype(np.int32), -1, 0)
    if (red == green).all() and (red == blue).all():
        return red, GREYS
    return 65536 * red + 256 * green + blue, COLOURS


def digest_of(values: np.ndarray) -> str:
    """Return the SHA-256 of the values of a mask, which does not depend on how the file compresses them."""
    return hashlib.sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()


def scan_mask(path: str, read: ReadMask = read_values) -> ScannedMask:
    """Read a mask and return what it holds.

    Args:
        path: of a file, or another name that `read` knows.
        read: from a path to values and what they are.

    Raises:
        ValueError: the file is not a mask; the message says why.
    """
    values, form = read(path)
    different = np.unique(values)
    if len(different) > MOST_VALUES:
        raise ValueError(f"it has {len(different):,} different values: a mask needs a lossless format such as PNG")
    if different[0] < 0:
        raise ValueError(f"it has the value {different[0]}, and classes are numbered from 0")
    height, width = values.shape
    return ScannedMask(width, height, tuple(different.tolist()), form, digest_of(values))
