"""Check that pixels are in the range that the model expects, [0, 255]: an image in [0, 1] would be nearly black."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.errors import InputError
from tfl.inputs.graph_checks import as_text, counted, first_of, sentence

_SCALED = 2.0  # an image scaled to [0, 1] may reach a little more after a bicubic resize
_DARK = 64  # of 255: a split whose pixels are all below gets a warning
_STANDARDISED = 16  # an image with negative pixels and a maximum below this is standardised (mean subtracted)
_BLOCK = 256  # number of images that are checked together
_OVERSHOOT = 64  # a resize or augmentation of the user may leave [0, 255] by so much


def check_image(image: np.ndarray, name: str) -> float:
    """Check the pixels of one image, and return the largest pixel.

    An image with fractions and a maximum below 2 counts as scaled to [0, 1]. An image of whole numbers does not: a
    black image may hold a few pixels of value 1.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3), pixels in [0, 255].
        name: of the image, for messages.

    Raises:
        InputError: the shape is another one, or pixels are not in [0, 255]; the message gives their range and a remedy.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (1, 3)) or not image.size:
        raise InputError(
            "`source` must have images (H, W), (H, W, 1) or (H, W, 3): 1 or 3 channels. "
            f"Received: shape {image.shape} at {name}."
        )
    if image.dtype.kind not in "buif":
        raise InputError(f"`source` must have pixels that are numbers. Received: {image.dtype} at {name}.")
    low, high = float(image.min()), float(image.max())
    is_scaled = image.dtype.kind == "f" and 0 < high < _SCALED and not np.array_equal(image, np.round(image))
    if not 0 <= low <= high <= 255 or is_scaled:
        remedy = next(text for holds, text in _remedies(np.float64(low), np.float64(high)) if holds)
        raise InputError(f"`source` must have pixels in [0, 255]. Received: {name} in [{low:g}, {high:g}].{remedy}")
    return high


def check_pixels(images: np.ndarray, name: str) -> None:
    """Check images in memory that go unchanged into a model with input [0, 255]; see `describe_wrong_pixels`.

    Args:
        images: `(N, H, W, C)`.
        name: of the argument, for messages.

    Raises:
        InputError: one image or all images are scaled to another range.
    """
    if images.dtype.kind == "f":
        with tf.device("CPU"):
            for start in range(0, len(images), _BLOCK):
                block = tf.convert_to_tensor(images[start : start + _BLOCK])
                text = describe_wrong_pixels(block, name, start).numpy().decode()
                if text:
                    raise InputError(text)
    elif len(images):
        check_split(float(images.max()), "", name)


def describe_wrong_pixels(images: tf.Tensor, name: str, start: int = 0) -> tf.Tensor:
    """Return one line about the first image that is scaled to another range than [0, 255]; empty if there is none.

    Pixels may be a little outside of the range, for example after a bicubic resize. NaN is not checked here but in the
    training step, and images of whole numbers are checked in `check_split`.

    Args:
        images: `(B, H, W, C)` of a floating type.
        name: of the argument, for the line.
        start: number of the first image.
    """
    images = tf.cast(images, tf.float32)
    low, high = (reduce(images, axis=[1, 2, 3]) for reduce in (tf.reduce_min, tf.reduce_max))
    beyond = tf.math.is_finite(high - low) & ((low < -_OVERSHOOT) | (high > 255 + _OVERSHOOT))
    suspect = ((high > 0) & (high < _SCALED)) | ((low < 0) & (high < _STANDARDISED))

    def has_fractions() -> tf.Tensor:
        return tf.reduce_any(images != tf.round(images), axis=[1, 2, 3])

    # The search for fractions is the slowest part, so it runs only if an image could be scaled.
    scaled = suspect & tf.cond(tf.reduce_any(suspect), has_fractions, lambda: suspect)
    wrong = beyond | scaled

    def line() -> tf.Tensor:
        first = tf.argmax(wrong)
        least, most = low[first], high[first]
        return sentence(
            f"`{name}` must have pixels in [0, 255], as the model takes them. Received: ",
            *(counted(wrong), " other images, the first is number ", tf.strings.as_string(first + start)),
            *(" in [", as_text(least), ", ", as_text(most), "].", first_of(*_remedies(least, most))),
        )

    return tf.cond(tf.reduce_any(wrong), line, lambda: tf.constant(""))


def check_split(peak: float, split: str, name: str = "source") -> None:
    """Check the largest pixel of a whole split: whole numbers and booleans may be scaled to [0, 1] too.

    Args:
        peak: the largest pixel.
        split: its name; "" if there is none.
        name: of the argument, for messages.

    Raises:
        InputError: no pixel is above 1.
    """
    where = f" in {split}" if split else ""
    if 0 < peak <= 1:
        raise InputError(
            f"`{name}` must have pixels in [0, 255]. Received: no pixel above {peak:g}{where}. Did you mean 255 * "
            "images?"
        )
    if peak < _DARK:
        remedy = f" Did you mean {255 / peak:.4g} * images?" if peak else ""
        progress.say(f"Warning: no pixel{where} is above {peak:g} of 255, so the images are nearly black.{remedy}")


def _remedies(low: Any, high: Any) -> list[tuple[Any, str]]:
    """Return pairs of a condition on the range of pixels and a remedy; the first true condition counts.

    The conditions work on NumPy numbers and on tensors.
    """
    scales = [(high <= 2**bits - 1, f" Did you mean images * (255 / {2**bits - 1})?") for bits in (10, 12, 14, 16)]
    return [
        (~(abs(low) + abs(high) < np.inf), " Did you mean to leave out images with NaN or infinity?"),
        ((low >= 0) & (high < _SCALED), " Did you mean 255 * images?"),
        ((low >= -_SCALED / 2) & (high < _SCALED), " Did you mean 127.5 * (images + 1)?"),
        (low < 0, " Did you mean the images before they were normalised?"),
        *scales,
        (high == high, " Did you mean 8 bits for each colour?"),
    ]
