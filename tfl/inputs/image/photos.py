"""Read photos that the graph cannot decode, with Pillow: HEIC, AVIF, TIFF, JPEG 2000, and uncommon BMP and JPEG.

Their pixels follow the rules of `tfl.inputs.image.decode`: upright, alpha over white, only the first frame, 16 bits to
8 by rounding v / 257, and the colour profile is not applied.
"""

import contextlib
import importlib
import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, features

from tfl.errors import BadImageError
from tfl.inputs.image.formats import PHOTO_FORMATS, is_plain_bmp, sniff
from tfl.inputs.image.orientation import exif_orientation, png_orientation, webp_orientation
from tfl.version import install_command

EXTRA = install_command("photos")
_PLUGINS = {
    "AVIF": ("AVIF",),
    "TIFF": ("TIFF",),
    "JPEG 2000": ("JPEG2000",),
    "BMP": ("BMP",),
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "WebP": ("WEBP",),
}
_FEATURES = {"AVIF": "avif", "JPEG 2000": "jpg_2000"}  # Pillow may be built without these
_BROKEN = (  # errors of Pillow and its plugins for damaged files
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, RuntimeError, OverflowError),
    *(AttributeError, ZeroDivisionError, struct.error, Image.DecompressionBombError),
)
_NEW_SUBFILE_TYPE, _BITS_PER_SAMPLE, _DNG_VERSION = 254, 258, 50706  # tags of TIFF
_TWELVE_BITS = 4095
_ORIENTATIONS = range(2, 9)  # all except 1, upright
_READERS = {  # function that reads the orientation in the graph; bytes in every file that has one
    kind: (tf.function(read, input_signature=(tf.TensorSpec((), tf.string),)), mark)
    for kind, read, mark in (
        ("JPEG", exif_orientation, b"Exif\0\0"),
        ("PNG", png_orientation, b"eXIf"),
        ("WebP", webp_orientation, b"EXIF"),
    )
}
_OTHER_PLACES = (b"tiff:Orientation", b"Raw profile type exif")  # Pillow reads an orientation here too


def needs_pillow(encoded: bytes, kind: str) -> bool:
    """Return whether Pillow must decode a file because the graph cannot, or would give another orientation.

    Args:
        encoded: the content of the file.
        kind: its format, from `sniff`.
    """
    if kind == "BMP":
        return not is_plain_bmp(encoded)
    if kind in _READERS and not (kind == "PNG" and encoded[24:25] == b"\x10"):  # Pillow reads only 8 of 16 bits
        places = (*_OTHER_PLACES, _READERS[kind][1])
        if any(place in encoded for place in places):
            return _pillow_orientation(encoded, kind) not in (None, graph_orientation(encoded, kind))
    return kind in PHOTO_FORMATS


def graph_orientation(encoded: bytes, kind: str) -> int:
    """Return the EXIF orientation that the graph reads in a file, 1 to 8; 1 for formats without an orientation."""
    read, mark = _READERS.get(kind, (None, b""))
    return int(read(tf.constant(encoded))) if read is not None and mark in encoded else 1


def read_photo_size(encoded: bytes, kind: str) -> tuple[int, int]:
    """Return width and height from the header only, before the photo is turned upright.

    Raises:
        BadImageError: the header is damaged, or no decoder for this format is installed.
    """
    with _explained(kind):
        return _open(encoded, kind).size


def check_by_pillow(encoded: bytes) -> None:
    """Let Pillow read all data of a JPEG, at an eighth of its size.

    Raises:
        BadImageError: the file is damaged.
    """
    with _explained("JPEG"):
        image = _open(encoded, "JPEG")
        image.draft("L", (1, 1))
        image.load()


def check_all_bits(encoded: bytes, kind: str) -> None:
    """Refuse a TIFF of which `decode_photo` reads only the upper 8 bits: colours of 16 bits.

    Raises:
        BadImageError: the values of the file are not read as they are stored, or the file is damaged.
    """
    with _explained(kind):
        image = _open(encoded, kind)
        if _is_deep(image) and not image.mode.startswith("I;16"):
            raise BadImageError(f"{kind} with more than 8 bits for each colour; save it as PNG for data.window")


def decode_photo(encoded: bytes, kind: str) -> np.ndarray:
    """Decode a photo with Pillow to RGB, uint8 (H, W, 3); 16-bit grey, with any range of values, to uint16 (H, W).

    Args:
        encoded: the content of the file.
        kind: its format, from `sniff`.

    Raises:
        BadImageError: the file is damaged, the range of its pixels is not known, or no decoder is installed.
    """
    with _explained(kind):
        image = _open(encoded, kind)
        _check_not_raw(image, encoded)
        is_deep = _is_deep(image)
        return _to_rgb(ImageOps.exif_transpose(image), kind, is_deep=is_deep)


def graph_bytes(encoded: bytes) -> bytes:
    """Return a file that the graph can decode to the pixels of the photo: the same bytes if possible, else a PNG.

    Raises:
        BadImageError: see `decode_photo`.
    """
    kind = sniff(encoded)
    return encode_png(decode_photo(encoded, kind)) if needs_pillow(encoded, kind) else encoded


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode pixels as PNG with fast compression: the smallest file takes six times as long and saves only a tenth."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _open(encoded: bytes, kind: str) -> Image.Image:
    file = io.BytesIO(encoded)
    if kind == "HEIC":
        return _heif_plugin().HeifImageFile(file)
    if kind in _FEATURES and not features.check(_FEATURES[kind]):
        raise BadImageError(f"{kind}, which this build of Pillow cannot decode: pip install --upgrade pillow")
    return Image.open(file, formats=_PLUGINS[kind])


def _heif_plugin() -> Any:
    try:
        return importlib.import_module("pillow_heif")
    except ImportError as error:
        raise BadImageError(f"HEIC, whose decoder is not installed: {EXTRA}") from error


@contextlib.contextmanager
def _explained(kind: str) -> Iterator[None]:
    try:
        yield
    except BadImageError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "BytesIO" in reason:  # Pillow's message names the BytesIO object
            reason = "the header cannot be read"
        raise BadImageError(f"broken or truncated {kind}: {reason}") from error


def _check_not_raw(image: Image.Image, encoded: bytes) -> None:
    """Refuse raw files of cameras: they begin like a TIFF, and Pillow would read the thumbnail in them."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if _DNG_VERSION in tags or int(tags.get(_NEW_SUBFILE_TYPE, 0)) & 1 or (tags and encoded[8:10] == b"CR"):
        raise BadImageError("a raw file of a camera, or a file that starts with a thumbnail; save it as JPEG or TIFF")


def _is_deep(image: Image.Image) -> bool:
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return bool(max(np.ravel(tags.get(_BITS_PER_SAMPLE, 8))) > 8)


def _to_rgb(image: Image.Image, kind: str, *, is_deep: bool) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("I", "F", "LAB"):
        raise BadImageError(f"{kind} whose pixels are not grey or RGB of 8 or 16 bits (mode {image.mode} of Pillow)")
    if not image.has_transparency_data:
        rgb = np.asarray(image.convert("RGB"))
        _check_range(rgb, kind, is_deep)
        return rgb
    rgba = np.asarray(image.convert("RGBA")).astype(np.uint16)  # can hold 255 * 255 + 127
    rgb, alpha = rgba[:, :, :3], rgba[:, :, 3:]
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _check_range(rgb: np.ndarray, kind: str, is_deep: bool) -> None:
    """Refuse 16-bit colours that use at most 12 bits: Pillow reads only the upper 8 bits."""
    if is_deep and 0 < rgb.max(initial=0) <= _TWELVE_BITS >> 8:
        raise BadImageError(
            f"{kind} with 16 bits for each colour that is nearly black; save it as PNG and see data.bit_depth"
        )


def _pillow_orientation(encoded: bytes, kind: str) -> int | None:
    """Return the orientation that Pillow reads from EXIF or XMP; None if these are damaged."""
    with contextlib.suppress(*_BROKEN):
        value = _open(encoded, kind).getexif().get(ExifTags.Base.Orientation, 1)
        return int(value) if value in _ORIENTATIONS else 1
