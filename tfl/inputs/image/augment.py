"""Stateless augmentation: the change of an image depends only on (seed, epoch, content of the image).

So a resumed run, or a run with another number of threads, gets the same pixels.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from tfl.config import AUGMENTATIONS
from tfl.inputs.image.decode import resize
from tfl.inputs.image.operations import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    affine,
    auto_contrast,
    equalize,
    posterize,
    rotate,
    solarize,
)
from tfl.registry import resolve

_JITTER = 0.2  # brightness, contrast and saturation are scaled by 0.8 to 1.2
_MIN_AREA = 0.7
_ERASES, _ERASED, _LONGEST = 0.5, (0.02, 0.33), 10.0 / 3.0  # chance, shares of the area, ratio of the sides
_LEVELS, _SHIFT = 30, 32 / 224  # TrivialAugment's strengths from 0, and the largest shift as a share of the side
_NUM_OPS, _MAGNITUDE = 2, 0.9  # RandAugment's N = 2, M = 9 of 10
# Not inlined into the caller's graph: traced once, not for every epoch.
_traced_once = functools.partial(
    tf.function,
    input_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int64)),
    experimental_attributes={"_noinline": True},
)


def augment(image: tf.Tensor, image_size: int, augmentation: str, seed: tf.Tensor) -> tf.Tensor:
    """Resize an image to a square, with random changes if `augmentation` asks for them.

    `light` crops 70-100 % of the area (before the resize, so that no detail is lost), flips
    left and right, and changes brightness, contrast and saturation. `shift` is `light` without the flip, for digits,
    letters and signs, because a mirror image changes their meaning. `rand` crops, flips and applies two random
    operations of RandAugment. `trivial` crops, flips and applies one operation of TrivialAugment. `erase` is `light`,
    and then noise in place of a random rectangle of half of the images.

    Args:
        image: uint8 (H, W, 3).
        image_size: pixels per side of the result.
        augmentation: "none", "light", "shift", "rand", "trivial" or "erase".
        seed: int32 or int64 (2,), from `example_seed`.

    Returns:
        uint8 (image_size, image_size, 3).

    Reference:
        Cubuk et al. 2020, RandAugment, arXiv:1909.13719.
        Müller and Hutter 2021, TrivialAugment, arXiv:2103.10158.
        Zhong et al. 2020, Random erasing data augmentation, arXiv:1708.04896.
    """
    augmentation = resolve(augmentation, AUGMENTATIONS, "augmentation")
    if augmentation == "none":
        return resize(image, image_size)
    crop_seed, flip_seed, color_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    image = resize(random_crop(image, crop_seed), image_size)
    if augmentation != "shift":
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if augmentation in _BY_DRAWN_OPERATION:
        return tf.ensure_shape(_BY_DRAWN_OPERATION[augmentation](image, color_seed), (image_size, image_size, 3))
    factors = tf.unstack(tf.random.stateless_uniform((3,), color_seed, 1 - _JITTER, 1 + _JITTER))
    for change, factor in zip((adjust_brightness, adjust_contrast, adjust_color), factors, strict=True):
        image = change(image, factor)
    return image if augmentation != "erase" else random_erase(image, tf.random.experimental.stateless_fold_in(seed, 1))


@_traced_once
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


@_traced_once
def trivial_augment(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Apply one of fourteen operations at one of 31 strengths, each drawn with equal chance.

    Args:
        image: uint8 (H, W, 3).
        seed: int64 (2,).

    Returns:
        uint8 (H, W, 3).

    Reference:
        Müller and Hutter 2021, TrivialAugment, arXiv:2103.10158; ranges of its "wide" space. Its 32 pixels of a shift
        are 32 of 224 here, so that small images keep their content.
    """
    op_seed, strength_seed, sign_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    op = tf.random.stateless_uniform((), op_seed, 0, len(TRIVIAL_OPS), tf.int32)
    level = tf.random.stateless_uniform((), strength_seed, 0, _LEVELS + 1, tf.int32)
    strength = tf.cast(level, tf.float32) / _LEVELS
    signed = tf.where(tf.random.stateless_uniform((), sign_seed) < 0.5, -strength, strength)
    branches = [functools.partial(apply, image, signed) for apply in TRIVIAL_OPS.values()]
    return tf.ensure_shape(tf.switch_case(op, branches), (None, None, 3))


def random_erase(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Put noise in place of a rectangle, in half of the images.

    Its area is 2 to 33 % of the image, and its height 0.3 to 3.3 times its width (log-uniform, so that high and wide
    ones are equally frequent); it is cut to the size of the image.

    Args:
        image: uint8 (H, W, 3).
        seed: int64 (2,).

    Returns:
        uint8 (H, W, 3).

    Reference:
        Zhong et al. 2020, Random erasing data augmentation, arXiv:1708.04896.
    """
    box_seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    chance, area, ratio, *place = tf.unstack(tf.random.stateless_uniform((5,), box_seed))
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    area = (_ERASED[0] + (_ERASED[1] - _ERASED[0]) * area) * tf.reduce_prod(sides)
    stretch = tf.sqrt(_LONGEST ** (2.0 * ratio - 1.0))
    size = tf.clip_by_value(tf.round(tf.sqrt(area) * tf.stack([stretch, 1.0 / stretch])), 1.0, sides)
    start = tf.floor(tf.stack(place) * (sides - size + 1))
    rows, columns = (tf.range(sides[axis]) - start[axis] for axis in (0, 1))
    inside = ((rows >= 0) & (rows < size[0]))[:, None] & ((columns >= 0) & (columns < size[1]))
    noise = tf.cast(tf.random.stateless_uniform(tf.shape(image), noise_seed, 0, 256, tf.int32), tf.uint8)
    return tf.where((chance < _ERASES) & inside[:, :, None], noise, image)


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


# Name -> change(image, strength): the operations of TrivialAugment; the strength is in [-1, 1], 0 changes nothing.
TRIVIAL_OPS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "identity": lambda image, strength: image,
    "auto_contrast": lambda image, strength: auto_contrast(image),
    "equalize": lambda image, strength: equalize(image),
    "rotate": lambda image, strength: rotate(image, strength * 135),
    "solarize": lambda image, strength: solarize(image, tf.round(255 * (1 - tf.abs(strength)))),
    "color": lambda image, strength: adjust_color(image, 1 + 0.99 * strength),
    "posterize": lambda image, strength: posterize(image, 8 - tf.cast(tf.round(6 * tf.abs(strength)), tf.int32)),
    "contrast": lambda image, strength: adjust_contrast(image, 1 + 0.99 * strength),
    "brightness": lambda image, strength: adjust_brightness(image, 1 + 0.99 * strength),
    "sharpness": lambda image, strength: adjust_sharpness(image, 1 + 0.99 * strength),
    "shear_x": lambda image, strength: affine(image, (1, 0.99 * strength, 0, 0, 1, 0)),
    "shear_y": lambda image, strength: affine(image, (1, 0, 0, 0.99 * strength, 1, 0)),
    "translate_x": lambda image, strength: affine(image, (1, 0, _SHIFT * strength * _side(image, 1), 0, 1, 0)),
    "translate_y": lambda image, strength: affine(image, (1, 0, 0, 0, 1, _SHIFT * strength * _side(image, 0))),
}
_BY_DRAWN_OPERATION = {"rand": rand_augment, "trivial": trivial_augment}


def random_crop(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return a random part of an image with 70 to 100 % of its area and the same ratio of the sides."""
    area, *offset = tf.unstack(tf.random.stateless_uniform((3,), seed))
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    size = tf.maximum(tf.round(shape * tf.sqrt(_MIN_AREA + (1 - _MIN_AREA) * area)), 1)
    start = tf.floor(tf.stack(offset) * (shape - size + 1))
    (top, left), (height, width) = (tf.unstack(tf.cast(part, tf.int32)) for part in (start, size))
    return image[top : top + height, left : left + width]
