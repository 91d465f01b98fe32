"""Decode large JPEG photos at a half, a quarter or an eighth of their size, which costs less than to shrink them later.

libjpeg computes such a photo from the low frequencies of each block of 8 x 8 pixels. The last pixel of a row stands for
as many as 8 pixels, of which some are beyond the edge of the photo. If the resize ignored that, a photo of 500 pixels
would be stretched by a part of a pixel, and this error would be larger than all others.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf

from tfl.inputs.image.decode import TURNED_JPEG, decode_image, is_jpeg
from tfl.inputs.image.orientation import exif_orientation, may_be_turned, upright
from tfl.inputs.image.window import apply_window

RULES = 1  # part of the name of stored features: raise it when the pixels change
# The ratio 2 needs 2 * 1.5 times the pixels of the network. Then a photo differs from the full decode by 0.8
# grey levels in the mean over its pixels and over photos, and the worst by 2.3: docs/benchmarks/data.md.
_LEAST = {2: 2 * 1.5, 4: 4 * 1.5, 8: 8 * 2.0}


def decode_scaled(
    encoded: tf.Tensor, formats: Sequence[str], image_size: int, bit_depth: int = 16, window: Sequence[float] = ()
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode an image; a JPEG photo that is much larger than the network's input is decoded at a part of its size.

    Args:
        encoded: scalar string tensor, the whole file.
        formats: as for `decode_image`.
        image_size: pixels per side of the network's input.
        bit_depth: as for `decode_image`.
        window: as for `decode_image`.

    Returns:
        uint8 (H, W, 3), RGB; and the margins, float32 (2, 2): what is beyond the edge of the photo, as parts of a pixel
        at (top, bottom) and (left, right).

    Example:
        >>> photo = tf.io.encode_jpeg(tf.zeros((501, 800, 3), tf.uint8))
        >>> image, margins = decode_scaled(photo, ("JPEG",), 96)
        >>> image.shape, margins.numpy().tolist()
        (TensorShape([251, 400, 3]), [[0.0, 0.5], [0.0, 0.0]])
    """
    encoded = tf.ensure_shape(encoded, ())

    def decode_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        image, margins = _decode_jpeg(encoded, image_size)
        if TURNED_JPEG in formats:
            image, margins = tf.cond(
                may_be_turned(encoded), lambda: _turned(encoded, image, margins), lambda: (image, margins)
            )
        return apply_window(image, window), margins

    def decode_other() -> tuple[tf.Tensor, tf.Tensor]:
        return decode_image(encoded, formats, bit_depth, window), tf.zeros((2, 2))

    if set(formats) <= {"JPEG", TURNED_JPEG}:
        image, margins = decode_jpeg()
    else:
        image, margins = tf.cond(is_jpeg(encoded), decode_jpeg, decode_other)
    return tf.ensure_shape(image, (None, None, 3)), tf.ensure_shape(margins, (2, 2))


def _decode_jpeg(encoded: tf.Tensor, image_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.io.extract_jpeg_shape(encoded)[:2]
    least = tf.cast(tf.reduce_min(shape), tf.float32)
    step = tf.reduce_sum(tf.cast(least >= [image_size * times for times in _LEAST.values()], tf.int32))
    branches = [
        functools.partial(tf.io.decode_jpeg, encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")
        for ratio in (1, *_LEAST)
    ]
    image = tf.switch_case(step, branches)
    beyond = tf.cast(tf.shape(image)[:2], tf.float32) - tf.cast(shape, tf.float32) / tf.cast(2**step, tf.float32)
    return image, tf.stack([tf.zeros(2), beyond], axis=1)


def _turned(encoded: tf.Tensor, image: tf.Tensor, margins: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Undo the EXIF orientation of an image and of its margins."""
    orientation = exif_orientation(encoded)
    return upright(image, orientation), turn_margins(margins, orientation)


def turn_margins(margins: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Return the margins of an image after `upright`, float32 (2, 2)."""
    margins = tf.where(orientation >= 5, margins[::-1], margins)
    is_upside_down = tf.reduce_any(orientation == (3, 4, 7, 8))
    is_mirrored = tf.reduce_any(orientation == (2, 3, 6, 7))
    return tf.where(tf.stack([is_upside_down, is_mirrored])[:, None], margins[:, ::-1], margins)
