"""Stateless augmentation: the change of an image depends only on (seed, epoch, content of the image).

So a resumed run, or a run with another number of threads, gets the same pixels.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from tfl.config import AUGMENTATIONS
from tfl.inputs.geometry import Geometry, unmoved
from tfl.inputs.image.decode import resize
from tfl.inputs.image.operations import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    affine,
    as_move,
    auto_contrast,
    equalize,
    posterize,
    rotation,
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
    """Return the image of `augment_with_places` alone."""
    return augment_with_places(image, image_size, augmentation, seed)[0]


def augment_with_places(
    image: tf.Tensor, image_size: int, augmentation: str, seed: tf.Tensor
) -> tuple[tf.Tensor, Geometry]:
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
        uint8 (image_size, image_size, 3); and what happened to its places. An erased rectangle keeps its places.

    Reference:
        Cubuk et al. 2020, RandAugment, arXiv:1909.13719.
        Müller and Hutter 2021, TrivialAugment, arXiv:2103.10158.
        Zhong et al. 2020, Random erasing data augmentation, arXiv:1708.04896.
    """
    augmentation = resolve(augmentation, AUGMENTATIONS, "augmentation")
    if augmentation == "none":
        return resize(image, image_size), Geometry.whole(image_size)
    crop_seed, flip_seed, color_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    part, places = random_crop(image, image_size, crop_seed)
    image = resize(part, image_size)
    if augmentation != "shift":
        image, places = random_flip(image, places, flip_seed)
    if augmentation in _BY_DRAWN_OPERATION:
        image, moves = _BY_DRAWN_OPERATION[augmentation](image, color_seed)
        return tf.ensure_shape(image, (image_size, image_size, 3)), places.moved(moves)
    factors = tf.unstack(tf.random.stateless_uniform((3,), color_seed, 1 - _JITTER, 1 + _JITTER))
    for change, factor in zip((adjust_brightness, adjust_contrast, adjust_color), factors, strict=True):
        image = change(image, factor)
    if augmentation == "erase":
        image = random_erase(image, tf.random.experimental.stateless_fold_in(seed, 1))
    return image, places


@_traced_once
def rand_augment(image: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply two of RandAugment's fourteen operations, drawn with replacement, at magnitude 9 of 10.

    Args:
        image: uint8 (H, W, 3).
        seed: int64 (2,).

    Returns:
        uint8 (H, W, 3); and its moves, float32 (2, 6), see `Geometry`.

    Reference:
        Cubuk et al. 2020, arXiv:1909.13719; ranges as in AutoAugment, Cubuk et al. 2019, arXiv:1805.09501.
    """
    moves = []
    for step_seed in tf.unstack(tf.random.experimental.stateless_split(seed, _NUM_OPS)):
        op_seed, sign_seed = tf.unstack(tf.random.experimental.stateless_split(step_seed, 2))
        op = tf.random.stateless_uniform((), op_seed, 0, len(RAND_OPS), tf.int32)
        sign = tf.where(tf.random.stateless_uniform((), sign_seed) < 0.5, -1.0, 1.0)
        image, move = _apply(op, RAND_OPS, RAND_MOVES, image, sign)
        moves.append(move)
    return image, tf.stack(moves)


@_traced_once
def trivial_augment(image: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply one of fourteen operations at one of 31 strengths, each drawn with equal chance.

    Args:
        image: uint8 (H, W, 3).
        seed: int64 (2,).

    Returns:
        uint8 (H, W, 3); and its move, float32 (1, 6), see `Geometry`.

    Reference:
        Müller and Hutter 2021, TrivialAugment, arXiv:2103.10158; ranges of its "wide" space. Its 32 pixels of a shift
        are 32 of 224 here, so that small images keep their content.
    """
    op_seed, strength_seed, sign_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    op = tf.random.stateless_uniform((), op_seed, 0, len(TRIVIAL_OPS), tf.int32)
    level = tf.random.stateless_uniform((), strength_seed, 0, _LEVELS + 1, tf.int32)
    strength = tf.cast(level, tf.float32) / _LEVELS
    signed = tf.where(tf.random.stateless_uniform((), sign_seed) < 0.5, -strength, strength)
    image, move = _apply(op, TRIVIAL_OPS, TRIVIAL_MOVES, image, signed)
    return image, move[None]


def _apply(
    number: tf.Tensor, changes: "_Operations", moves: "_Operations", image: tf.Tensor, strength: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply one of several operations, and return the image and its move."""

    def apply(name: str) -> tuple[tf.Tensor, tf.Tensor]:
        move = moves[name](image, strength) if name in moves else unmoved()
        return changes[name](image, strength), move

    changed, move = tf.switch_case(number, [functools.partial(apply, name) for name in changes])
    return tf.ensure_shape(changed, (None, None, 3)), tf.ensure_shape(move, (6,))


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

_Operations = dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]

# Name -> move(image, sign): those of the fourteen operations of RandAugment that move pixels, at a fixed magnitude.
RAND_MOVES: _Operations = {
    "rotate": lambda image, sign: rotation(image, sign * 30 * _MAGNITUDE),
    "shear_x": lambda image, sign: as_move(1, sign * _SHEAR, 0, 0, 1, 0),
    "shear_y": lambda image, sign: as_move(1, 0, 0, sign * _SHEAR, 1, 0),
    "translate_x": lambda image, sign: as_move(1, 0, sign * _TRANSLATE * _side(image, 1), 0, 1, 0),
    "translate_y": lambda image, sign: as_move(1, 0, 0, 0, 1, sign * _TRANSLATE * _side(image, 0)),
}

# Name -> move(image, strength): those of TrivialAugment; the strength is in [-1, 1], 0 changes nothing.
TRIVIAL_MOVES: _Operations = {
    "rotate": lambda image, strength: rotation(image, strength * 135),
    "shear_x": lambda image, strength: as_move(1, 0.99 * strength, 0, 0, 1, 0),
    "shear_y": lambda image, strength: as_move(1, 0, 0, 0.99 * strength, 1, 0),
    "translate_x": lambda image, strength: as_move(1, 0, _SHIFT * strength * _side(image, 1), 0, 1, 0),
    "translate_y": lambda image, strength: as_move(1, 0, 0, 0, 1, _SHIFT * strength * _side(image, 0)),
}


def _by(moves: _Operations, name: str) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return lambda image, strength: affine(image, moves[name](image, strength))


# Name -> change(image, sign): the fourteen operations of the paper, at a fixed magnitude.
RAND_OPS: _Operations = {
    "identity": lambda image, sign: image,
    "auto_contrast": lambda image, sign: auto_contrast(image),
    "equalize": lambda image, sign: equalize(image),
    "rotate": _by(RAND_MOVES, "rotate"),
    "solarize": lambda image, sign: solarize(image, int(256 * _MAGNITUDE)),
    "color": lambda image, sign: adjust_color(image, _ENHANCE),
    "posterize": lambda image, sign: posterize(image, int(4 * _MAGNITUDE)),
    "contrast": lambda image, sign: adjust_contrast(image, _ENHANCE),
    "brightness": lambda image, sign: adjust_brightness(image, _ENHANCE),
    "sharpness": lambda image, sign: adjust_sharpness(image, _ENHANCE),
    **{name: _by(RAND_MOVES, name) for name in ("shear_x", "shear_y", "translate_x", "translate_y")},
}

# Name -> change(image, strength): the operations of TrivialAugment; the strength is in [-1, 1], 0 changes nothing.
TRIVIAL_OPS: _Operations = {
    "identity": lambda image, strength: image,
    "auto_contrast": lambda image, strength: auto_contrast(image),
    "equalize": lambda image, strength: equalize(image),
    "rotate": _by(TRIVIAL_MOVES, "rotate"),
    "solarize": lambda image, strength: solarize(image, tf.round(255 * (1 - tf.abs(strength)))),
    "color": lambda image, strength: adjust_color(image, 1 + 0.99 * strength),
    "posterize": lambda image, strength: posterize(image, 8 - tf.cast(tf.round(6 * tf.abs(strength)), tf.int32)),
    "contrast": lambda image, strength: adjust_contrast(image, 1 + 0.99 * strength),
    "brightness": lambda image, strength: adjust_brightness(image, 1 + 0.99 * strength),
    "sharpness": lambda image, strength: adjust_sharpness(image, 1 + 0.99 * strength),
    **{name: _by(TRIVIAL_MOVES, name) for name in ("shear_x", "shear_y", "translate_x", "translate_y")},
}
_BY_DRAWN_OPERATION = {"rand": rand_augment, "trivial": trivial_augment}


def random_crop(image: tf.Tensor, size: int, seed: tf.Tensor) -> tuple[tf.Tensor, Geometry]:
    """Return a random part of an image with 70 to 100 % of its area and the same ratio of the sides.

    Args:
        image: (H, W, C).
        size: pixels per side that the part will be resized to.
        seed: int64 (2,).

    Returns:
        The part, and the geometry of the resized part.
    """
    area, *offset = tf.unstack(tf.random.stateless_uniform((3,), seed))
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    cut = tf.maximum(tf.round(shape * tf.sqrt(_MIN_AREA + (1 - _MIN_AREA) * area)), 1)
    start = tf.floor(tf.stack(offset) * (shape - cut + 1))
    (top, left), (height, width) = (tf.unstack(tf.cast(part, tf.int32)) for part in (start, cut))
    places = Geometry.crop(size, start / shape, (start + cut) / shape)
    return image[top : top + height, left : left + width], places


def random_flip(image: tf.Tensor, places: Geometry, seed: tf.Tensor) -> tuple[tf.Tensor, Geometry]:
    """Mirror an image left and right with a chance of one half, and its geometry with it."""
    numbers = tf.constant([[[0], [1]]])  # what happens to these happens to the pixels
    is_flipped = tf.image.stateless_random_flip_left_right(numbers, seed)[0, 0, 0] == 1
    return tf.image.stateless_random_flip_left_right(image, seed), places.flipped(is_flipped)
