"""Draw a heat map over its image."""

import numpy as np
import tensorflow as tf

from tfl.inputs.image.luminance import LUMINANCE

HOT = np.array([255, 96, 0], np.float32)  # orange on grey: readable for people who cannot distinguish red and green
OPACITY = 0.85


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draw a heat map over its image: the image is grey, and hotter regions are more orange.

    Args:
        image: `(H, W, 3)`, RGB in [0, 255].
        heat: `(h, w)` in [0, 1], as `grad_cam` returns it; it is resized if its size differs from that of the image.

    Returns:
        uint8 `(H, W, 3)`, RGB.

    Example:
        >>> picture = overlay(image, tfl.grad_cam(model, image[None])[0])
    """
    image = np.asarray(image, np.float32)
    if heat.shape != image.shape[:2]:
        heat = tf.image.resize(heat[..., None], image.shape[:2])[..., 0].numpy()
    grey = image @ np.array(LUMINANCE, np.float32)
    amount = OPACITY * np.clip(heat, 0.0, 1.0)[..., None]
    shade = HOT * (0.35 + 0.65 * grey[..., None] / 255)  # dark parts stay visible under the colour
    return np.clip(np.round((1 - amount) * grey[..., None] + amount * shade), 0, 255).astype(np.uint8)
