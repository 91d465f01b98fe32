"""Are these pixels what the model expects, RGB in [0, 255]? An image in [0, 1] would be nearly black to it."""

import numpy as np

from tfl import progress
from tfl.errors import InputError

_SCALED = 2.0  # an image scaled to [0, 1] may reach a little more after a bicubic resize
_DARK = 64  # of 255: a split that stays below is said


def check_image(image: np.ndarray, name: str) -> float:
    """Check the pixels of one image, and return the largest.

    An image with fractions that ends below 2 is taken for one that was scaled to [0, 1]; whole numbers are not: a
    black frame may hold a 1 here and there.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3), pixels in [0, 255].
        name: of the image, for messages.

    Raises:
        InputError: another shape, or pixels that are not in [0, 255]; the message says the range and the remedy.
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
        raise InputError(
            f"`source` must have pixels in [0, 255]. Received: {name} in [{low:g}, {high:g}]. {_remedy(low, high)}"
        )
    return high


def check_split(peak: float, split: str) -> None:
    """Check the largest pixel of a whole split: whole numbers and booleans may be scaled to [0, 1] too.

    Args:
        peak: the largest pixel.
        split: its name; "" where there is none.

    Raises:
        InputError: no pixel is above 1.
    """
    where = f" in {split}" if split else ""
    if 0 < peak <= 1:
        raise InputError(
            f"`source` must have pixels in [0, 255]. Received: none above {peak:g}{where}. Did you mean 255 * images?"
        )
    if peak < _DARK:
        remedy = f" Did you mean {255 / peak:.4g} * images?" if peak else ""
        progress.say(f"Warning: no pixel{where} is above {peak:g} of 255: the images are nearly black.{remedy}")


def _remedy(low: float, high: float) -> str:
    if not np.isfinite((low, high)).all():
        return "Did you mean to leave out images with NaN or infinity?"
    if low >= 0 and high < _SCALED:
        return "Did you mean 255 * images?"
    if low >= -_SCALED / 2 and high < _SCALED:
        return "Did you mean 127.5 * (images + 1)?"
    if low < 0:
        return "Did you mean the images before they were normalised?"
    largest = 2 ** int(high).bit_length() - 1
    return f"Did you mean images * (255 / {largest})?"
