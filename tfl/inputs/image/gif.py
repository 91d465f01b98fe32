"""Decode the first frame of a GIF on its canvas, with white for transparent pixels, in the graph; read its size.

TensorFlow's op makes transparent pixels black, and crops a frame that does not begin in the corner of the canvas.
"""

import struct
from collections.abc import Iterator

import tensorflow as tf

from tfl.inputs.image.content import byte_at, cut, little_endian, to_numbers

_TRAILER, _IMAGE, _EXTENSION, _CONTROL = 0x3B, 0x2C, 0x21, 0xF9
_SCREEN_BYTES = 13  # signature and logical screen
_WHITE = b"\xff\xff\xff"


def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Return the first frame over white, with the pixels that Pillow gives, uint8 (H, W, 3).

    The transparent colour becomes white in the colour table. If a frame without a transparent colour does not cover the
    canvas, the rest of the canvas has the first colour of the table.

    Args:
        encoded: scalar string tensor, a GIF file.
    """
    frame, transparent = _first_frame(encoded)
    screen_table = _table(encoded, 10, _SCREEN_BYTES)
    table = _table(encoded, frame + 9, frame + 10)
    used = tf.cond(tf.equal(table, b""), lambda: screen_table, lambda: table)
    whitened = _whitened(used, transparent)
    is_own = tf.not_equal(table, b"")
    head = tf.strings.substr(encoded, 0, _SCREEN_BYTES) + tf.where(is_own, screen_table, whitened)
    # Remove all blocks before the frame, and move the frame to the corner: the op then returns only the frame.
    descriptor = b"\x2c\0\0\0\0" + cut(encoded, frame + 5, 5)
    rest = cut(encoded, frame + 10 + tf.strings.length(table), tf.strings.length(encoded))
    frame_alone = head + descriptor + tf.where(is_own, whitened, table) + rest
    image = tf.io.decode_image(frame_alone, channels=3, expand_animations=False)
    outside = tf.cast(to_numbers(tf.strings.substr(whitened, 0, 3)), tf.uint8)
    outside = tf.where(transparent < 0, outside, tf.constant(255, tf.uint8))
    return _on_canvas(image, encoded, frame, outside)


def gif_frames(encoded: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of each frame, read from the frame headers only.

    Raises:
        IndexError, struct.error: the file is truncated.
    """
    at = _SCREEN_BYTES + _table_bytes(encoded[10])
    while at < len(encoded) and encoded[at] != _TRAILER:
        if encoded[at] == _IMAGE:
            *place, flags = struct.unpack_from("<HHHHB", encoded, at + 1)
            yield place[0], place[1], place[2], place[3]
            at += 11 + _table_bytes(flags)  # the last byte is the code size
        elif encoded[at] == _EXTENSION:
            at += 2
        else:
            break  # the decoder stops here too
        while at < len(encoded) and encoded[at]:  # blocks, each after its length
            at += 1 + encoded[at]
        at += 1


def gif_size(encoded: bytes) -> tuple[int, int]:
    """Return width and height of the canvas, which grows if the first frame does not fit on it.

    Raises:
        IndexError: the file is truncated.
    """
    try:
        width, height = struct.unpack_from("<HH", encoded, 6)
        left, top, frame_width, frame_height = next(gif_frames(encoded), (0, 0, 0, 0))
    except (IndexError, struct.error) as error:
        raise IndexError("the header is cut off") from error
    return max(width, left + frame_width), max(height, top + frame_height)


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _first_frame(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the position of the first image descriptor, and the number of the transparent colour, or -1."""

    def step(at: tf.Tensor, transparent: tf.Tensor, is_inside: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = byte_at(encoded, at)  # of a block within an extension
        is_control = ~is_inside & tf.equal(byte_at(encoded, at + 1), _CONTROL)
        has_colour = is_control & (byte_at(encoded, at + 3) % 2 > 0)
        transparent = tf.where(has_colour, byte_at(encoded, at + 6), transparent)
        return tf.where(is_inside, at + 1 + size, at + 2), transparent, ~is_inside | (size > 0)

    def goes_on(at: tf.Tensor, _: tf.Tensor, is_inside: tf.Tensor) -> tf.Tensor:
        return (at < tf.strings.length(encoded)) & (is_inside | tf.equal(byte_at(encoded, at), _EXTENSION))

    start = _SCREEN_BYTES + tf.strings.length(_table(encoded, 10, _SCREEN_BYTES))
    at, transparent, _ = tf.while_loop(goes_on, step, (start, tf.constant(-1), tf.constant(False)))
    check = tf.debugging.Assert(tf.equal(byte_at(encoded, at), _IMAGE), ["a GIF must have a frame"])
    with tf.control_dependencies([check]):
        return tf.identity(at), transparent


def _table(encoded: tf.Tensor, flags_at: int | tf.Tensor, start: int | tf.Tensor) -> tf.Tensor:
    """Return the colour table at `start`, or an empty string if its flags say that there is none."""
    flags = byte_at(encoded, flags_at)
    return cut(encoded, start, tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0))


def _whitened(table: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    is_there = (number >= 0) & (3 * number < tf.strings.length(table))
    before, after = cut(table, 0, 3 * number), cut(table, 3 * number + 3, tf.strings.length(table))
    return tf.where(is_there, before + _WHITE + after, table)


def _on_canvas(image: tf.Tensor, encoded: tf.Tensor, frame: tf.Tensor, outside: tf.Tensor) -> tf.Tensor:
    left, top = little_endian(encoded, frame + 1, 2), little_endian(encoded, frame + 3, 2)
    right = tf.maximum(little_endian(encoded, 6, 2) - left - tf.shape(image)[1], 0)
    bottom = tf.maximum(little_endian(encoded, 8, 2) - top - tf.shape(image)[0], 0)
    place = [[top, bottom], [left, right]]
    return tf.stack(
        [tf.pad(image[:, :, channel], place, constant_values=outside[channel]) for channel in range(3)], axis=-1
    )
