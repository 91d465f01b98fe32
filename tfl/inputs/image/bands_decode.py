"""The decoder of images with more than three channels: NumPy files, in the TensorFlow graph."""

from collections.abc import Sequence

import tensorflow as tf

from tfl.inputs.geometry import Geometry
from tfl.inputs.image.augment import random_crop, random_flip

_HEADER = 10  # bytes before the header of a .npy file of version 1


def decode_bands(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode the bytes of a `.npy` file that `write_bands` wrote.

    Args:
        encoded: scalar string.
        channels: C.

    Returns:
        float32 (H, W, C).

    Raises:
        tf.errors.InvalidArgumentError: it is another file, or has another number of channels.
    """
    length = tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, 8, 2), tf.uint16, little_endian=True), ())
    start = _HEADER + tf.cast(length, tf.int32)
    header = tf.strings.substr(encoded, _HEADER, start - _HEADER)
    body = tf.strings.substr(encoded, start, tf.strings.length(encoded) - start)
    kind = tf.strings.regex_replace(header, r"(?s)^.*'descr': '([^']*)'.*$", r"\1")
    is_npy = tf.equal(tf.strings.substr(encoded, 0, 8), b"\x93NUMPY\x01\x00")
    is_plain = tf.strings.regex_full_match(header, r"(?s).*'fortran_order': False.*'shape': \(\d+, \d+, \d+\).*")
    check = tf.debugging.Assert(is_npy & is_plain, ["not a NumPy file of an array (H, W, C)"])
    with tf.control_dependencies([check]):
        numbers = tf.strings.regex_replace(header, r"(?s)^.*'shape': \((\d+), (\d+), (\d+)\).*$", r"\1 \2 \3")
        shape = tf.strings.to_number(tf.strings.split(numbers, " "), tf.int32)

    def read(dtype: tf.DType) -> tf.Tensor:
        return tf.cast(tf.io.decode_raw(body, dtype), tf.float32)

    values = tf.case(
        [
            (tf.strings.regex_full_match(kind, r"\|u1"), lambda: read(tf.uint8)),
            (tf.strings.regex_full_match(kind, r"<u2"), lambda: read(tf.uint16)),
        ],
        default=lambda: read(tf.float32),
    )
    return tf.ensure_shape(tf.reshape(values, shape), (None, None, channels))


def to_range(values: tf.Tensor, window: Sequence[float]) -> tf.Tensor:
    """Map values linearly, low to 0 and high to 255, and clip what is outside; float32, not rounded.

    Args:
        values: as they are stored in a file.
        window: (low, high); empty: (0, 255).
    """
    low, high = window or (0.0, 255.0)
    return tf.clip_by_value((tf.cast(values, tf.float32) - low) * (255.0 / (high - low)), 0.0, 255.0)


def resize_bands(values: tf.Tensor, size: int) -> tf.Tensor:
    """Resize the whole image to a square, bilinear with antialiasing; float32 (size, size, C), not rounded."""
    return tf.image.resize(values, (size, size), method="bilinear", antialias=True)


def augment_bands(values: tf.Tensor, size: int, name: str, seed: tf.Tensor) -> tuple[tf.Tensor, Geometry]:
    """Crop 70-100 % of the area, resize, flip (not with "shift"), and scale all channels by one factor of 0.8 to 1.2.

    Args:
        values: float32 (H, W, C) in [0, 255].
        size: pixels per side of the result.
        name: "light" or "shift".
        seed: int64 (2,).

    Returns:
        float32 (size, size, C), and what happened to its places.
    """
    crop_seed, flip_seed, scale_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    part, places = random_crop(values, size, crop_seed)
    values = resize_bands(part, size)
    if name == "light":
        values, places = random_flip(values, places, flip_seed)
    factor = tf.random.stateless_uniform((), scale_seed, 0.8, 1.2)
    return tf.clip_by_value(values * factor, 0.0, 255.0), places
