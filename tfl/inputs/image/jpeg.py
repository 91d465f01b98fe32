"""Check that a JPEG file is complete: after most damage decoders continue silently, with grey or shifted blocks.

libjpeg only warns about damage. This check turns every warning into an error, and checks two things that the decoder
does not: the number of passes (scans), and the data after the image. Phones put pictures and videos there on purpose.

Some changed bytes still decode to other blocks without a warning: JPEG has no checksum. docs/benchmarks/data.md has
figures.
"""

import dataclasses
import re

import simplejpeg
import tensorflow as tf

from tfl.errors import BadImageError
from tfl.inputs.image.photos import check_by_pillow, read_photo_size

MAX_PASSES = 100  # scans of a progressive file: encoders write about 10, and each costs time for every pixel
PASSES_OF_PHOTO = 10  # of a progressive colour photo from libjpeg
MAX_REST = 2**20  # bytes of unknown data after the end of the image
_MAX_SEGMENTS = 10_000  # of metadata and tables; a large colour profile takes 255
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd8\xff", 0xD9, 0xDA
_ALONE = (*range(0x01, 0xC0), 0xD8)  # markers without a length, and unknown ones, which libjpeg ignores in pixel data
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # no stuffed byte, no fill byte, no restart marker
_NOT_PADDING = re.compile(rb"[^\0]")
_GAP = 4096  # most bytes between joined images: padding, or the lines between the parts of a stream
# Words in a header that declare further pictures (MPF; gain maps and depth in XMP) or a video after the image.
_DECLARED = (b"MPF\0", b"Container:Directory", b"MotionPhoto", b"MicroVideo")
_UNKNOWN_SAMPLING = "subsampling"  # in the error of simplejpeg, which supports only the usual kinds


@dataclasses.dataclass(frozen=True)
class JpegStructure:
    """Facts from the markers of a JPEG file, found without decoding.

    Attributes:
        passes: number of passes (scans) of the decoder over all pixels.
        header: number of bytes before the first scan.
        end: position after the end of the image; later data does not belong to the image.
    """

    passes: int
    header: int
    end: int


def check_jpeg(content: bytes) -> None:
    """Check that a JPEG file is one complete, undamaged image.

    The check reads all coded data, and decodes at an eighth of the size. Several threads may call it at the same time.

    Args:
        content: the whole file.

    Raises:
        BadImageError: it is damaged, needs too many passes, or holds more than the image; the message says which.

    Example:
        >>> check_jpeg(tf.io.encode_jpeg(tf.zeros((8, 8, 3), tf.uint8)).numpy())
    """
    structure = read_structure(content)
    try:
        _decode_strictly(content)
    except ValueError as error:
        raise BadImageError(f"broken or truncated JPEG: {error}") from error
    _check_rest(content, structure)


def read_jpeg_size(content: bytes) -> tuple[int, int]:
    """Return width and height from the header, before the photo is turned upright.

    Raises:
        BadImageError: the header is damaged.

    Example:
        >>> read_jpeg_size(tf.io.encode_jpeg(tf.zeros((8, 6, 3), tf.uint8)).numpy())
        (6, 8)
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError as error:
        if _UNKNOWN_SAMPLING not in str(error):
            raise BadImageError(f"broken or truncated JPEG: {error}") from error
        return read_photo_size(content, "JPEG")
    return int(width), int(height)


def read_structure(content: bytes) -> JpegStructure:
    """Read the markers of a JPEG file, before memory is allocated for its pixels.

    Args:
        content: the whole file.

    Returns:
        The number of passes, and the positions of header and end.

    Raises:
        BadImageError: the file has no end marker, or more than `MAX_PASSES` passes.

    Example:
        >>> read_structure(tf.io.encode_jpeg(tf.zeros((8, 8, 3), tf.uint8)).numpy()).passes
        1
    """
    at, header, passes = 2, 0, 0
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(content, at)
        if marker is None:
            raise BadImageError("broken or truncated JPEG: it has no end marker")
        at, code = marker.end(), marker[1][0]
        if code == _END_OF_IMAGE:
            return JpegStructure(passes, header, at)
        if code == _START_OF_SCAN:
            header = header or at
            passes += 1
            if passes > MAX_PASSES:
                raise BadImageError(f"a JPEG with more than {MAX_PASSES} passes")
        if code not in _ALONE:
            at += int.from_bytes(content[at : at + 2], "big")
    raise BadImageError(f"broken or truncated JPEG: more than {_MAX_SEGMENTS:,} segments")


def count_work(content: bytes, pixels: int) -> int:
    """Return the decoding work of a JPEG file, in pixels: its pixels, times one for every 10 passes or part of 10.

    Args:
        content: the whole file.
        pixels: number of pixels of the image.

    Raises:
        BadImageError: as for `read_structure`.
    """
    return pixels * max(1, -(-read_structure(content).passes // PASSES_OF_PHOTO))


def _decode_strictly(content: bytes) -> None:
    """Decode at an eighth of the size; every warning of libjpeg raises a `ValueError`."""
    try:
        _, _, colors, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError as error:
        if _UNKNOWN_SAMPLING not in str(error):
            raise
        _decode_unusual(content)
        return
    # Grey saves the computation of colours, but their coded data is still read.
    target = "CMYK" if colors in ("CMYK", "YCCK") else "GRAY"
    simplejpeg.decode_jpeg(content, target, fastdct=True, fastupsample=True, min_factor=8)


def _decode_unusual(content: bytes) -> None:
    """Decode a file that simplejpeg does not support. Damage in the middle of the data is not found here.

    Pillow comes first: TensorFlow writes libjpeg's own message about a damaged file on stderr, without its name.
    """
    try:
        check_by_pillow(content)
        tf.io.decode_jpeg(content, channels=3, ratio=8)
    except (BadImageError, tf.errors.InvalidArgumentError) as error:
        raise ValueError("its coded data cannot be read") from error


def _check_rest(content: bytes, structure: JpegStructure) -> None:
    """Refuse joined files and videos; accept data that a camera declares in the header, and small notes of programs."""
    first = _NOT_PADDING.search(content, structure.end)
    if first is None:
        return
    start = first.start()
    header = content[: structure.header]
    is_film_of_phone = content.find(b"ftyp", start, start + 8) >= 0 or content.endswith(b"SEFT")  # MP4; Samsung
    if is_film_of_phone or any(word in header for word in _DECLARED):
        return
    size = len(content) - start
    # Old cameras put a preview after the image, and declare it in their own notes.
    is_preview = b"Exif\0\0" in header and size < structure.end / 4
    if content.find(_START_OF_IMAGE, start, start + _GAP) >= 0 and not is_preview:
        raise BadImageError("a JPEG with another one behind it, as in joined files or a film")
    if size > MAX_REST:
        raise BadImageError(f"a JPEG with {size:,} bytes of other data behind it, more than {MAX_REST:,}")
