"""Write masks as PNG files: the number of the class in each pixel, with a palette that makes the classes visible."""

import functools
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from etils import epath
from PIL import Image

from tfl.files.pictures import displayed_size
from tfl.files.writing import expand_home, make_folder, write_atomically


def write_masks(folder: str, paths: Sequence[str], masks: np.ndarray) -> list[str]:
    """Write one PNG for each picture, at the size of the picture, and return their paths.

    A pixel is the number of its class, in the order of the class names; a program that shows the file shows the colours
    of its palette.

    Args:
        folder: where the files go; it is made if it does not exist. A file has the name of its picture, and if the
            pictures are in several folders, also their folders.
        paths: of the N pictures.
        masks: class numbers, uint8 `(N, H, W)`.

    Raises:
        InputError: the folder is not writable, or the disk is full.
    """
    root = expand_home(folder, "masks")
    above = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])  # noqa: PTH100, PTH120
    written = []
    for path, mask in zip(paths, masks, strict=True):
        file = root / Path(os.path.relpath(os.path.abspath(path), above)).with_suffix(".png")  # noqa: PTH100
        make_folder(file.parent)
        write_atomically(file, functools.partial(_save, to_png(fit_mask(mask, path), optimize=True)))
        written.append(os.fspath(file))
    return written


def fit_mask(mask: np.ndarray, picture: str | io.BytesIO) -> np.ndarray:
    """Return a mask at the size of its picture as displayed; as it is if Pillow cannot read the picture.

    Args:
        mask: class numbers, uint8 `(H, W)`.
        picture: the path or the content of its file.
    """
    size = displayed_size(picture) or (mask.shape[1], mask.shape[0])
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def to_png(mask: np.ndarray, *, optimize: bool = False) -> bytes:
    """Return a mask as a PNG with the palette of `palette`.

    Args:
        mask: class numbers, uint8 `(H, W)`.
        optimize: whether to take more time for a smaller file.
    """
    picture, content = Image.fromarray(mask), io.BytesIO()
    picture.putpalette(palette().ravel().tolist())
    picture.save(content, "PNG", optimize=optimize)
    return content.getvalue()


def _save(content: bytes, file: epath.Path) -> None:
    file.write_bytes(content)


def hex_colours(colours: np.ndarray) -> list[str]:
    """Return colours, uint8 `(N, 3)`, as web pages write them.

    Example:
        >>> hex_colours(palette()[:2])
        ['#000000', '#800000']
    """
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist()]


def palette() -> np.ndarray:
    """Return a colour for each class number, uint8 `(256, 3)`: that of PASCAL VOC, whose neighbours differ clearly.

    Example:
        >>> palette()[:3].tolist()
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    numbers = np.arange(256)[:, None]
    channels = np.arange(3)
    bits = [((numbers >> (3 * place + channels)) & 1) << (7 - place) for place in range(8)]
    return np.sum(bits, axis=0).astype(np.uint8)
