"""Check the bytes of an image: is it one, does it decode, and what are its digest and size?"""

import dataclasses
import functools
import hashlib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfl.errors import BadImageError
from tfl.inputs.image import decode
from tfl.inputs.image.depth import read_peak
from tfl.inputs.image.formats import GRAPH_FORMATS, PHOTO_FORMATS, sniff
from tfl.inputs.image.gif import gif_size
from tfl.inputs.image.jpeg import count_work, read_jpeg_size
from tfl.inputs.image.photo_cache import cached_png
from tfl.inputs.image.photos import check_all_bits, graph_orientation, needs_pillow, read_photo_size
from tfl.inputs.image.whole import check_whole
from tfl.inputs.input import HASH_BUCKETS, Scanned
from tfl.inputs.untrusted import first_line

RULES = 1  # part of the name of remembered scans: raise it when the scan refuses other files or finds other facts
MAX_PIXELS = 178_956_970  # Pillow's limit for a decompression bomb: 1/2 GiB of RGB
MAX_BYTES = 3 * MAX_PIXELS  # of a file: the size of MAX_PIXELS pixels without compression
_HEAD_BYTES = 12  # enough to recognise the format
# TensorFlow quotes the file in some errors, and Python then fails to read the error as UTF-8.
BROKEN = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, IndexError, UnicodeDecodeError)


@dataclasses.dataclass(frozen=True)
class ScannedImage(Scanned):
    """What the scan of a good image found.

    `format` is one of `decode.FORMATS`. `replacement` is a PNG from the cache if Pillow had to decode the photo.
    `peak` is the largest colour value in a 16-bit PNG.

    Attributes:
        width: in pixels as displayed.
        height: in pixels as displayed.
    """

    highest: float = 255.0  # a file may hold any colour
    width: int = 0
    height: int = 0

    @property
    def facts(self) -> Mapping[str, int]:
        """Width and height."""
        return {"width": self.width, "height": self.height}


def scan_image(
    encoded: bytes, *, is_file: bool = False, data_set: str = "", needs_all_bits: bool = False
) -> ScannedImage:
    """Check that the bytes of a file are a complete image that decodes.

    Args:
        encoded: the content of the file.
        is_file: whether the bytes come from a file: then a PNG from the cache can replace a photo that the graph cannot
            decode.
        data_set: the folder of all files in the same scan; see `cached_png`.
        needs_all_bits: whether to refuse a file of which only the upper bits would be read; see `check_all_bits`.

    Returns:
        Digest, size and format.

    Raises:
        BadImageError: the bytes are not such an image; the message says why.
        InputError: the cache cannot be used.
    """
    content = tf.constant(encoded)  # copied once for all TensorFlow functions
    kind, width, height = read_header(encoded)
    if width * height > MAX_PIXELS:
        raise BadImageError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
    if kind == "JPEG" and count_work(encoded, width * height) > MAX_PIXELS:
        raise BadImageError(
            f"a JPEG of {width} x {height} pixels with so many passes that it needs too much time to decode"
        )
    check_whole(encoded, kind)
    if needs_pillow(encoded, kind):
        if not is_file:
            raise BadImageError(f"{kind}, which tfl reads only from files (folder:PATH)")
        if needs_all_bits:
            check_all_bits(encoded, kind)
        return _scan_photo(encoded, content, kind, data_set)
    try:
        if kind != "JPEG":
            _decoder(kind)(content)
        orientation = graph_orientation(encoded, kind)
        peak = read_peak(encoded, content)
    except BROKEN as error:
        raise BadImageError(f"broken or truncated {kind}: {first_line(error)}") from error
    if orientation >= 5:
        width, height = height, width
    kind = decode.TURNED[kind] if orientation > 1 else kind
    digest = hashlib.sha256(encoded).hexdigest()
    return ScannedImage(digest, _fingerprint(content), kind, peak=peak, width=width, height=height)


def _scan_photo(encoded: bytes, content: tf.Tensor, kind: str, data_set: str) -> ScannedImage:
    """Check a photo that the graph cannot decode, and put it into the cache as PNG."""
    sha256 = hashlib.sha256(encoded).hexdigest()
    path, png = cached_png(encoded, sha256, kind, data_set)
    as_tensor = tf.constant(png)
    width, height = _read_size(png, "PNG")
    peak = read_peak(png, as_tensor)
    return ScannedImage(sha256, _fingerprint(content), "PNG", str(path), peak, width=width, height=height)


def _fingerprint(content: tf.Tensor) -> int:
    return int(tf.strings.to_hash_bucket_fast(content, HASH_BUCKETS))


def read_header(encoded: bytes) -> tuple[str, int, int]:
    """Return format, width and height from the header only, before memory is allocated for the pixels.

    Args:
        encoded: the content of a file.

    Raises:
        BadImageError: it is not an image of a known format, or its header is damaged.
    """
    if not encoded:
        raise BadImageError("empty file (0 bytes)")
    kind = sniff(encoded)
    if not kind:
        raise BadImageError(f"not an image of a known format ({', '.join((*GRAPH_FORMATS, *PHOTO_FORMATS))})")
    if kind != "JPEG" and needs_pillow(encoded, kind):
        return kind, *read_photo_size(encoded, kind)
    try:
        return kind, *_read_size(encoded, kind)
    except BROKEN as error:
        raise BadImageError(f"broken or truncated {kind}: {first_line(error)}") from error


def scan_image_file(path: str, data_set: str, *, needs_all_bits: bool = False) -> ScannedImage:
    """Read and check an image file; only the first bytes of a file that is no image are read.

    Args:
        path: of the file.
        data_set: the folder of all files in the same scan; see `cached_png`.
        needs_all_bits: as for `scan_image`.

    Raises:
        BadImageError: the file is not a complete image that decodes.
        OSError: the file cannot be read.
    """
    content = read_image_file(path, sniff)
    return scan_image(content, is_file=True, data_set=data_set, needs_all_bits=needs_all_bits)


def read_image_file(path: str, sniff: Callable[[bytes], str]) -> bytes:
    """Return the content of a file; of a file of an unknown format only its first bytes.

    Args:
        path: of the file.
        sniff: returns the format by the first bytes, "" for an unknown one.

    Raises:
        BadImageError: it is no regular file, or too large.
        OSError: the file cannot be read.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadImageError("not a regular file")  # opening a pipe would wait forever
    with Path(path).open("rb") as file:
        content = file.read(_HEAD_BYTES)
        if not sniff(content):  # do not read gigabytes of video
            return content
        if status.st_size > MAX_BYTES:
            raise BadImageError(f"{status.st_size:,} bytes, more than the {MAX_BYTES:,} bytes that a photo may have")
        return content + file.read()


def _read_size(encoded: bytes, kind: str) -> tuple[int, int]:
    if kind == "JPEG":
        return read_jpeg_size(encoded)

    def number(start: int, size: int, order: str = "little") -> int:
        if len(encoded) < start + size:
            raise IndexError("the header is cut off")
        return int.from_bytes(encoded[start : start + size], order)  # pyright: ignore[reportArgumentType]

    if kind == "PNG":
        return number(16, 4, "big"), number(20, 4, "big")
    if kind == "GIF":
        return gif_size(encoded)
    if kind == "BMP":
        # A negative height means that the rows start at the top.
        return number(18, 4), abs(int(np.int32(np.uint32(number(22, 4)))))
    if encoded[12:16] == b"VP8X":
        return 1 + number(24, 3), 1 + number(27, 3)
    if encoded[12:16] == b"VP8L":
        return 1 + (number(21, 4) & 0x3FFF), 1 + (number(21, 4) >> 14 & 0x3FFF)
    return number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF


_STRING = (tf.TensorSpec((), tf.string),)


@functools.cache
def _decoder(kind: str) -> Callable[[tf.Tensor], tf.Tensor]:
    return tf.function(functools.partial(decode.decode_image, formats=(kind,)), input_signature=_STRING)
