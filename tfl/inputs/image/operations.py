"""Operations of augmentation on single images, equal to those of Pillow; uint8 (H, W, 3) in and out."""

import math

import tensorflow as tf

from tfl.inputs.geometry import fill_from_nearest
from tfl.inputs.luminance import LUMINANCE

_GREY = 128.0  # fills the areas that rotations and shifts uncover


def adjust_brightness(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Blend with black: factor 0 gives black, 1 the image, above 1 a brighter image. uint8 in, uint8 out."""
    return _blend(tf.zeros_like(image), image, factor)


def adjust_contrast(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Blend with the image's mean grey."""
    mean = tf.round(tf.reduce_mean(_grey(image)))
    return _blend(tf.fill(tf.shape(image), mean), image, factor)


def adjust_color(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Blend with the grey image."""
    return _blend(_grey(image), image, factor)


def adjust_sharpness(image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Blend with a smoothed image; the border does not change, because the 3 x 3 kernel does not fit there."""
    kernel = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32)[:, :, None, None] / 13
    pixels = tf.cast(image, tf.float32)
    smooth = tf.nn.depthwise_conv2d(pixels[None], tf.tile(kernel, (1, 1, 3, 1)), (1, 1, 1, 1), "VALID")[0]
    inner = tf.pad(tf.ones_like(smooth), [[1, 1], [1, 1], [0, 0]]) > 0
    smooth = tf.where(inner, tf.pad(tf.round(smooth), [[1, 1], [1, 1], [0, 0]]), pixels)
    return _blend(smooth, image, factor)


def auto_contrast(image: tf.Tensor) -> tf.Tensor:
    """Stretch each channel to the full range."""
    pixels = tf.cast(image, tf.float32)
    low, high = tf.reduce_min(pixels, (0, 1)), tf.reduce_max(pixels, (0, 1))
    stretched = tf.math.divide_no_nan((pixels - low) * 255, high - low)
    return tf.where(high > low, tf.saturate_cast(stretched, tf.uint8), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Flatten the histogram of each channel."""

    def equalize_channel(channel: tf.Tensor) -> tf.Tensor:
        values = tf.cast(channel, tf.int32)
        histogram = tf.math.bincount(tf.reshape(values, (-1,)), minlength=256, maxlength=256)
        last = histogram[tf.reduce_max(values)]
        step = (tf.reduce_sum(histogram) - last) // 255
        table = (step // 2 + tf.cumsum(histogram, exclusive=True)) // tf.maximum(step, 1)
        return tf.where(step > 0, tf.gather(tf.minimum(table, 255), values), values)

    channels = [equalize_channel(image[:, :, channel]) for channel in range(3)]
    return tf.cast(tf.stack(channels, axis=-1), tf.uint8)


def posterize(image: tf.Tensor, bits: int | tf.Tensor) -> tf.Tensor:
    """Keep the upper `bits` bits of each value, 1 to 8."""
    return tf.bitwise.bitwise_and(image, tf.cast(256 - tf.bitwise.left_shift(1, 8 - bits), tf.uint8))


def solarize(image: tf.Tensor, threshold: int | tf.Tensor) -> tf.Tensor:
    """Invert the values at or above the threshold, 0 to 255."""
    return tf.where(image < tf.cast(threshold, tf.uint8), image, 255 - image)


def rotation(image: tf.Tensor, degrees: float | tf.Tensor) -> tf.Tensor:
    """Return the move for `affine` that rotates an image around its centre, counter-clockwise."""
    angle = tf.cast(degrees, tf.float32) * (math.pi / 180)
    cos, sin = tf.cos(angle), tf.sin(angle)
    center_y, center_x = tf.unstack((tf.cast(tf.shape(image)[:2], tf.float32) - 1) / 2)
    shift_x = center_x - cos * center_x + sin * center_y
    shift_y = center_y - sin * center_x - cos * center_y
    return as_move(cos, -sin, shift_x, sin, cos, shift_y)


def as_move(*numbers: float | tf.Tensor) -> tf.Tensor:
    """Return the six numbers of a move as one tensor, float32 `(6,)`."""
    return tf.stack([tf.cast(number, tf.float32) for number in numbers])


def affine(image: tf.Tensor, move: tf.Tensor) -> tf.Tensor:
    """Fill output pixel (x, y) from the nearest input pixel to (a x + b y + c, d x + e y + f); grey outside.

    Args:
        image: uint8 (H, W, 3).
        move: float32 (6,): a to f; see `tfl.inputs.geometry.Geometry`.

    Returns:
        uint8 (H, W, 3).
    """
    return fill_from_nearest(image, move, tf.shape(image)[:2], _GREY)


def _grey(image: tf.Tensor) -> tf.Tensor:
    """ITU-R 601 luma, (H, W, 1) float32, whole numbers."""
    weights = tf.constant(LUMINANCE)
    return tf.round(tf.reduce_sum(tf.cast(image, tf.float32) * weights, axis=-1, keepdims=True))


def _blend(degenerate: tf.Tensor, image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    start = tf.cast(degenerate, tf.float32)
    return tf.saturate_cast(tf.round(start + factor * (tf.cast(image, tf.float32) - start)), tf.uint8)
