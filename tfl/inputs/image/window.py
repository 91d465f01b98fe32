"""The window of medical images: the values between two bounds become the range of the network, [0, 255].

Radiology looks at an image of 16 bits through a window (window centre and width of DICOM PS3.3, C.11.2.1.2): the
values below it are black, those above it white. Other images use a part of their range in the same way.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.errors import InputError


def apply_window(pixels: tf.Tensor, window: Sequence[float]) -> tf.Tensor:
    """Map values linearly, low to 0 and high to 255, and clip what is outside.

    Args:
        pixels: the values of a file as they are stored: 0 to 255 in a file of 8 bits, 0 to 65,535 in one of 16 bits.
        window: (low, high); empty: the pixels stay as they are.

    Returns:
        uint8 of the same shape.

    Example:
        >>> apply_window(tf.constant([900, 1000, 1500, 2000, 2100]), (1000, 2000)).numpy()
        array([  0,   0, 128, 255, 255], dtype=uint8)
    """
    if not window:
        return pixels
    low, high = window
    return tf.saturate_cast(tf.round((tf.cast(pixels, tf.float32) - low) * (255 / (high - low))), tf.uint8)


def check_window(window: Sequence[float], peaks: np.ndarray) -> None:
    """Warn if a window makes all images black, or nearly so.

    Args:
        window: (low, high).
        peaks: int64 (N,), the largest colour value in each file of 16 bits, 0 for other examples.
    """
    low, high = window
    peak = int(peaks.max(initial=0)) or 255  # the largest value that a file of 8 bits can hold
    if peak <= low + (high - low) / 4:
        progress.say(
            f"Warning: no value in the files is above {peak:,}, so the images are nearly black in the window from "
            f"{low:g} to {high:g}. Did you mean data.window=(0, {peak})?"
        )


def refuse_pixels(window: Sequence[float]) -> None:
    """Refuse pixels in memory: they are in [0, 255] already, and a window is about the values of files.

    Raises:
        InputError: there is a window.
    """
    if window:
        raise InputError(
            f"`data.window` must be empty for images in memory, whose pixels are in [0, 255]. "
            f"Received: {tuple(window)}. Did you mean np.clip((images - low) * (255 / (high - low)), 0, 255)?"
        )
