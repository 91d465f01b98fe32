"""Read numbers from the bytes of a file, in the TensorFlow graph."""

import tensorflow as tf

PADDING = b"\0" * 10


def to_numbers(text: tf.Tensor) -> tf.Tensor:
    """Return the bytes of a scalar string as int32 (N,)."""
    return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)


def cut(encoded: tf.Tensor, start: int | tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Return `size` bytes from `start`, or fewer if the file ends before: a truncated file raises no error."""
    return tf.strings.substr(encoded, tf.minimum(start, tf.strings.length(encoded)), size)


def byte_at(encoded: tf.Tensor, place: int | tf.Tensor) -> tf.Tensor:
    """Return one byte as an int32 scalar; 0 after the end of the file."""
    return to_numbers(cut(encoded, place, 1) + PADDING)[0]


def little_endian(encoded: tf.Tensor, start: int | tf.Tensor, size: int) -> tf.Tensor:
    """Return a number of `size` bytes, lowest byte first, as an int32 scalar."""
    return tf.reduce_sum(to_numbers(tf.strings.substr(encoded, start, size)) * [256**power for power in range(size)])
