"""Stateless augmentation: the change of an image depends only on (seed, epoch, content of the image).

So a resumed run, or a run with another number of threads, gets the same pixels.
"""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from tfl.config import AUGMENTATIONS
from tfl.inputs.image.decode import resize
from tfl.registry import resolve

_JITTER = 0.2  # brightness, contrast and saturation are scaled by 0.8 to 1.2
_MIN_AREA = 0.7
_NUM_OPS, _MAGNITUDE = 2, 0.9  # RandAugment's N = 2, M = 9 of 10
_GREY = 128.0  # fills the areas that rotations and shifts uncover


def augment(image: tf.Tensor, image_size: int, augmentation: str, seed: tf.Tensor) -> tf.Tensor:
    """Resize an image to a square, with random changes if `augmentation` asks for them.

    `light` crops 70-100 % of the area (before the resize, so that no detail is lost), flips
    left and right, and changes brightness, contrast and saturation. `shift` is `light` without the flip, for digits,
    letters and signs, because a mirror image changes their meaning. `rand` crops, flips and applies two random
    operations of RandAugment.

    Args:
        image: uint8 (H, W, 3).
        image_size: pixels per side of the result.
        augmentation: "none", "light", "shift" or "rand".
        seed: int32 or int64 (2,), from `example_seed`.

    Returns:
        uint8 (image_size, image_size, 3).

    Reference:
        Cubuk et al. 2020, RandAugment, arXiv:1909.13719.
    """
    augmentation = resolve(augmentation, AUGMENTATIONS, "augmentation")
    if augmentation == "none":
        return resize(image, image_size)
    crop_seed, flip_seed, color_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    image = resize(_random_crop(image, crop_seed), image_size)
    if augmentation != "shift":
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if augmentation == "rand":
        return tf.ensure_shape(rand_augment(image, color_seed), (image_size, image_size, 3))
    factors = tf.unstack(tf.random.stateless_uniform((3,), color_seed, 1 - _JITTER, 1 + _JITTER))
    for change, factor in zip((adjust_brightness, adjust_contrast, adjust_color), factors, strict=True):
        image = change(image, factor)
    return image


# Not inlined into the caller's graph: traced once, not for every epoch.
@functools.partial(
    tf.function,
    input_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int64)),
    experimental_attributes={"_noinline": True},
)
def rand_augment(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Apply two of RandAugment's fourteen operations, drawn with replacement, at magnitude 9 of 10.

    Args:
        image: uint8 (H, W, 3).
        seed: int64 (2,).

    Returns:
        uint8 (H, W, 3).

    Reference:
        Cubuk et al. 2020, arXiv:1909.13719; ranges as in AutoAugment, Cubuk et al. 2019, arXiv:1805.09501.
    """
    for step_seed in tf.unstack(tf.random.experimental.stateless_split(seed, _NUM_OPS)):
        op_seed, sign_seed = tf.unstack(tf.random.experimental.stateless_split(step_seed, 2))
        op = tf.random.stateless_uniform((), op_seed, 0, len(RAND_OPS), tf.int32)
        sign = tf.where(tf.random.stateless_uniform((), sign_seed) < 0.5, -1.0, 1.0)
        branches = [functools.partial(apply, image, sign) for apply in RAND_OPS.values()]
        image = tf.ensure_shape(tf.switch_case(op, branches), (None, None, 3))
    return image


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


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Keep the upper `bits` bits of each value."""
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def solarize(image: tf.Tensor, threshold: int) -> tf.Tensor:
    """Invert the values at or above the threshold."""
    return tf.where(image < threshold, image, 255 - image)


def rotate(image: tf.Tensor, degrees: float | tf.Tensor) -> tf.Tensor:
    """Rotate around the centre, counter-clockwise; uncovered pixels are grey."""
    angle = tf.cast(degrees, tf.float32) * (math.pi / 180)
    cos, sin = tf.cos(angle), tf.sin(angle)
    center_y, center_x = tf.unstack((tf.cast(tf.shape(image)[:2], tf.float32) - 1) / 2)
    shift_x = center_x - cos * center_x + sin * center_y
    shift_y = center_y - sin * center_x - cos * center_y
    return affine(image, (cos, -sin, shift_x, sin, cos, shift_y))


def affine(image: tf.Tensor, matrix: tuple[float | tf.Tensor, ...]) -> tf.Tensor:
    """Fill output pixel (x, y) from the nearest input pixel to (a x + b y + c, d x + e y + f); grey outside.

    Args:
        image: uint8 (H, W, 3).
        matrix: (a, b, c, d, e, f).

    Returns:
        uint8 (H, W, 3).
    """
    transform = tf.stack([*(tf.cast(value, tf.float32) for value in matrix), 0.0, 0.0])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=transform[None],
        output_shape=tf.shape(image)[:2],
        fill_value=_GREY,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
    return tf.cast(moved[0], tf.uint8)


def _side(image: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.cast(tf.shape(image)[axis], tf.float32)


_ENHANCE = 0.1 + 1.8 * _MAGNITUDE
_SHEAR, _TRANSLATE = 0.3 * _MAGNITUDE, 0.45 * _MAGNITUDE  # slope; fraction of the side

# Name -> change(image, sign): the fourteen operations of the paper, at a fixed magnitude.
RAND_OPS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "identity": lambda image, sign: image,
    "auto_contrast": lambda image, sign: auto_contrast(image),
    "equalize": lambda image, sign: equalize(image),
    "rotate": lambda image, sign: rotate(image, sign * 30 * _MAGNITUDE),
    "solarize": lambda image, sign: solarize(image, int(256 * _MAGNITUDE)),
    "color": lambda image, sign: adjust_color(image, _ENHANCE),
    "posterize": lambda image, sign: posterize(image, int(4 * _MAGNITUDE)),
    "contrast": lambda image, sign: adjust_contrast(image, _ENHANCE),
    "brightness": lambda image, sign: adjust_brightness(image, _ENHANCE),
    "sharpness": lambda image, sign: adjust_sharpness(image, _ENHANCE),
    "shear_x": lambda image, sign: affine(image, (1, sign * _SHEAR, 0, 0, 1, 0)),
    "shear_y": lambda image, sign: affine(image, (1, 0, 0, sign * _SHEAR, 1, 0)),
    "translate_x": lambda image, sign: affine(image, (1, 0, sign * _TRANSLATE * _side(image, 1), 0, 1, 0)),
    "translate_y": lambda image, sign: affine(image, (1, 0, 0, 0, 1, sign * _TRANSLATE * _side(image, 0))),
}


def _random_crop(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    area, *offset = tf.unstack(tf.random.stateless_uniform((3,), seed))
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    size = tf.maximum(tf.round(shape * tf.sqrt(_MIN_AREA + (1 - _MIN_AREA) * area)), 1)
    start = tf.floor(tf.stack(offset) * (shape - size + 1))
    (top, left), (height, width) = (tf.unstack(tf.cast(part, tf.int32)) for part in (start, size))
    return image[top : top + height, left : left + width]


def _grey(image: tf.Tensor) -> tf.Tensor:
    """ITU-R 601 luma, (H, W, 1) float32, whole numbers."""
    weights = tf.constant([0.299, 0.587, 0.114])
    return tf.round(tf.reduce_sum(tf.cast(image, tf.float32) * weights, axis=-1, keepdims=True))


def _blend(degenerate: tf.Tensor, image: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    start = tf.cast(degenerate, tf.float32)
    return tf.saturate_cast(tf.round(start + factor * (tf.cast(image, tf.float32) - start)), tf.uint8)
