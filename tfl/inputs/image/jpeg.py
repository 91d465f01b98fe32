"""Is a JPEG file whole? Decoders go on after most damage, and paint grey or shifted blocks without a word.

libjpeg only warns of it. This check makes every warning an error, and looks at what the decoder does not: how many
passes the file asks for, and what stands behind the image. Photos of phones have pictures and films there on purpose.

One changed byte can still decode to other blocks without a warning: JPEG has no checksum. docs/data.md has figures.
"""

import dataclasses
import re

import simplejpeg
import tensorflow as tf

from tfl.errors import BadImageError

MAX_PASSES = 100  # scans of a progressive file: encoders write about 10, and each costs time for every pixel
PASSES_OF_PHOTO = 10  # of a progressive one in colour, as libjpeg writes it
MAX_REST = 2**20  # bytes of unknown data after the end of the image
_MAX_SEGMENTS = 10_000  # of metadata and tables; a large colour profile takes 255
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd8\xff", 0xD9, 0xDA
_ALONE = (*range(0x01, 0xC0), 0xD8)  # markers without a length, and unknown ones, which libjpeg looks past among pixels
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither stuffed data, nor fill, nor a restart
_NOT_PADDING = re.compile(rb"[^\0]")
_GAP = 4096  # bytes between joined images: padding, or the lines between the parts of a stream
# How a header declares further pictures (MPF; gain maps and depth in XMP) or a film after the image.
_DECLARED = (b"MPF\0", b"Container:Directory", b"MotionPhoto", b"MicroVideo")
_UNKNOWN_SAMPLING = "subsampling"  # in the message of simplejpeg, which knows the usual ones alone


@dataclasses.dataclass(frozen=True)
class JpegStructure:
    """What the markers of a JPEG file tell, found without decoding.

    Attributes:
        passes: how often the decoder goes over all pixels (scans).
        header: bytes before the first scan.
        end: position behind the end of the image; what follows is no part of it.
    """

    passes: int
    header: int
    end: int


def check_jpeg(content: bytes) -> None:
    """Check that a JPEG file is one whole, undamaged image.

    All of its coded data is read, at an eighth of the size. Threads may call it at once.

    Args:
        content: the whole file.

    Raises:
        BadImageError: it is damaged, asks for too many passes, or holds more than the image; the message says which.

    Example:
        >>> check_jpeg(tf.io.encode_jpeg(tf.zeros((8, 8, 3), tf.uint8)).numpy())
    """
    structure = read_structure(content)
    try:
        _decode_strictly(content)
    except ValueError as error:
        raise BadImageError(f"broken or truncated JPEG: {error}") from error
    _check_rest(content, structure)


def read_structure(content: bytes) -> JpegStructure:
    """Walk over the markers of a JPEG file, before anything is allocated for its pixels.

    Args:
        content: the whole file.

    Returns:
        Passes and places.

    Raises:
        BadImageError: the file has no end of the image, or more passes than any photo.

    Example:
        >>> read_structure(tf.io.encode_jpeg(tf.zeros((8, 8, 3), tf.uint8)).numpy()).passes
        1
    """
    at, header, passes = 2, 0, 0
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(content, at)
        if marker is None:
            raise BadImageError("broken or truncated JPEG: no end of the image")
        at, code = marker.end(), marker[1][0]
        if code == _END_OF_IMAGE:
            return JpegStructure(passes, header, at)
        if code == _START_OF_SCAN:
            header = header or at
            passes += 1
            if passes > MAX_PASSES:
                raise BadImageError(f"a JPEG of more than {MAX_PASSES} passes")
        if code not in _ALONE:
            at += int.from_bytes(content[at : at + 2], "big")
    raise BadImageError(f"broken or truncated JPEG: more than {_MAX_SEGMENTS:,} segments")


def count_work(content: bytes, pixels: int) -> int:
    """Return for how many pixels a JPEG file costs its decoder time: those it has, once for every 10 passes begun.

    Args:
        content: the whole file.
        pixels: how many it has.

    Raises:
        BadImageError: as `read_structure`.
    """
    return pixels * max(1, -(-read_structure(content).passes // PASSES_OF_PHOTO))


def _decode_strictly(content: bytes) -> None:
    """Decode at an eighth of the size, and let every warning of libjpeg be a `ValueError`."""
    try:
        _, _, colors, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError as error:
        if _UNKNOWN_SAMPLING not in str(error):
            raise
        _decode_with_tensorflow(content)
        return
    # Grey spares the arithmetic of the colours; their data is read all the same.
    target = "CMYK" if colors in ("CMYK", "YCCK") else "GRAY"
    simplejpeg.decode_jpeg(content, target, fastdct=True, fastupsample=True, min_factor=8)


def _decode_with_tensorflow(content: bytes) -> None:
    """Decode what simplejpeg does not take. Damage in the middle stays unseen here."""
    try:
        tf.io.decode_jpeg(content, channels=3, ratio=8)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError("its coded data cannot be read") from error


def _check_rest(content: bytes, structure: JpegStructure) -> None:
    """Refuse joined files and films. What cameras declare after the image, and other programs' notes, may stand."""
    first = _NOT_PADDING.search(content, structure.end)
    if first is None:
        return
    start = first.start()
    header = content[: structure.header]
    is_film_of_phone = content.find(b"ftyp", start, start + 8) >= 0 or content.endswith(b"SEFT")  # MP4; Samsung
    if is_film_of_phone or any(word in header for word in _DECLARED):
        return
    size = len(content) - start
    # Old cameras put a preview behind the image, and declare it in notes of their own.
    is_preview = b"Exif\0\0" in header and size < structure.end / 4
    if content.find(_START_OF_IMAGE, start, start + _GAP) >= 0 and not is_preview:
        raise BadImageError("a JPEG with another one behind it: two files joined, or a film")
    if size > MAX_REST:
        raise BadImageError(f"a JPEG with {size:,} bytes of other data behind it, more than {MAX_REST:,}")
