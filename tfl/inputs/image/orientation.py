"""Read the EXIF orientation of a photo, and turn the photo upright, in the TensorFlow graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfl.inputs.image.content import PADDING, byte_at, cut, to_numbers

_FILL = b"\xff"
_IMAGE_DATA = b"\xff\xda"  # start of scan: the search ends here, as in Pillow
_ALONE = tuple(bytes((0xFF, code)) for code in (0x01, *range(0xD0, 0xD9)))  # markers without a length
_SIZES = {1: 1, 3: 2, 4: 4}  # bytes of the TIFF types BYTE, SHORT and LONG


def may_be_turned(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether a JPEG file has the bytes "Exif\\0\\0": this test is faster than the search for an orientation."""
    return tf.strings.regex_full_match(encoded, r"\C*Exif\x00\x00\C*")


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read the EXIF orientation (tag 0x0112) of a JPEG file; a missing or damaged one is 1, upright.

    EXIF data may come after any other segment before the image data, and after fill bytes.

    Args:
        encoded: scalar string tensor, a JPEG file.

    Returns:
        int32 scalar in 1..8.
    """
    length = tf.strings.length(encoded)
    position = tf.while_loop(
        lambda at: _is_before_image(encoded, at) & ~_is_exif(encoded, at),
        lambda at: (_next_segment(encoded, at),),
        (tf.minimum(2, length),),
    )[0]
    size = to_numbers(cut(encoded, position + 2, 2) + PADDING)
    tiff = cut(encoded, position + 10, tf.maximum(size[0] * 256 + size[1] - 8, 0))  # without later segments
    return tf.cond(_is_exif(encoded, position), lambda: _tiff_orientation(tiff), lambda: 1)


def png_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read the orientation of a PNG file from its eXIf chunk, which may come after the pixels; else 1, upright.

    Args:
        encoded: scalar string tensor, a PNG file.

    Returns:
        int32 scalar in 1..8.
    """
    has_exif = tf.strings.regex_full_match(encoded, r"\C*eXIf\C*")  # faster than a loop over all chunks
    return tf.cond(has_exif, lambda: _chunk_orientation(encoded, 8, b"eXIf", _png_chunk), lambda: 1)


def webp_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read the orientation of a WebP file from its EXIF chunk; 1, upright, if its header declares no EXIF data.

    Args:
        encoded: scalar string tensor, a WebP file.

    Returns:
        int32 scalar in 1..8.
    """
    is_extended = tf.equal(cut(encoded, 12, 4), b"VP8X")
    has_exif = is_extended & (byte_at(encoded, 20) & 8 > 0)
    return tf.cond(has_exif, lambda: _chunk_orientation(encoded, 12, b"EXIF", _webp_chunk), lambda: 1)


def _png_chunk(head: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, int | tf.Tensor]:
    """Return name and content length of a chunk from its first 8 bytes, and the number of its other bytes."""
    return tf.strings.substr(head, 4, 4), _length(to_numbers(head)[:4]), 12


def _webp_chunk(head: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, int | tf.Tensor]:
    length = _length(to_numbers(head)[7:3:-1])
    return tf.strings.substr(head, 0, 4), length, 8 + length % 2


def _length(digits: tf.Tensor) -> tf.Tensor:
    """Return a number of four bytes, highest byte first; 0 if it is too large for a file of 2 GiB."""
    return tf.maximum(tf.reduce_sum(digits * (1 << 24, 1 << 16, 1 << 8, 1)), 0)


def _chunk_orientation(
    encoded: tf.Tensor, start: int, wanted: bytes, read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, Any]]
) -> tf.Tensor:
    """Find the wanted chunk of a file, and read the orientation in it; 1 if there is no such chunk."""
    end = tf.strings.length(encoded)

    def chunk(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Any]:
        return read(cut(encoded, position, 8) + PADDING)

    def step(position: tf.Tensor) -> tuple[tf.Tensor]:
        _, length, more = chunk(position)
        return (position + tf.minimum(more + length, end - position),)  # a truncated file ends the loop

    (position,) = tf.while_loop(
        lambda at: (at < end) & tf.not_equal(chunk(at)[0], wanted), step, (tf.minimum(start, end),)
    )
    content = cut(encoded, position + 8, chunk(position)[1])
    content = tf.strings.regex_replace(content, r"\AExif\x00\x00", "", replace_global=False)
    return tf.cond(position < end, lambda: _tiff_orientation(content), lambda: 1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undo an EXIF orientation: 2..4 mirror and rotate without a change of shape, 5..8 also swap height and width."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    is_upside_down = tf.reduce_any(orientation == (3, 4, 7, 8))
    is_mirrored = tf.reduce_any(orientation == (2, 3, 6, 7))
    image = tf.cond(is_upside_down, lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(is_mirrored, lambda: tf.reverse(image, [1]), lambda: image)


def _is_before_image(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    marker = tf.strings.substr(encoded, position, 2)
    return tf.equal(tf.strings.substr(marker, 0, 1), _FILL) & tf.not_equal(marker, _IMAGE_DATA)


def _is_exif(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    head = tf.strings.substr(encoded, position, 10) + PADDING
    is_app1 = tf.equal(tf.strings.substr(head, 0, 2), b"\xff\xe1")
    return is_app1 & tf.equal(tf.strings.substr(head, 4, 6), b"Exif\0\0")


def _next_segment(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    head = tf.strings.substr(encoded, position, 4) + PADDING
    marker, size = tf.strings.substr(head, 0, 2), to_numbers(tf.strings.substr(head, 2, 2))
    step = tf.where(tf.reduce_any(tf.equal(marker, _ALONE)), 2, 2 + size[0] * 256 + size[1])
    step = tf.where(tf.equal(marker, _FILL + _FILL), 1, step)
    # A truncated file ends the loop without an error.
    return tf.minimum(position + step, tf.strings.length(encoded))


def _tiff_orientation(tiff: tf.Tensor) -> tf.Tensor:
    code = to_numbers(tiff + PADDING)
    is_little = code[0] == ord("I")

    def number(parts: tf.Tensor) -> tf.Tensor:  # bytes along the last axis, in the order of the file
        parts = tf.where(is_little, tf.reverse(parts, [-1]), parts)
        return tf.reduce_sum(parts * 256 ** tf.range(tf.shape(parts)[-1] - 1, -1, -1), axis=-1)

    last = tf.size(code) - 2
    directory = tf.clip_by_value(number(code[4:8]), 0, last)
    entries = code[directory + 2 :]
    count = tf.minimum(number(code[directory : directory + 2]), tf.maximum(tf.size(entries) - len(PADDING), 0) // 12)
    entries = tf.reshape(entries[: count * 12], (-1, 12))
    kinds = number(entries[:, 2:4])
    values = tf.ones_like(kinds)  # other types: upright
    for kind, size in _SIZES.items():
        values = tf.where(kinds == kind, number(entries[:, 8 : 8 + size]), values)
    values = tf.boolean_mask(values, number(entries[:, :2]) == 0x0112)
    value = tf.concat([values, [1]], axis=0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)
