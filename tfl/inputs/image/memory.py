"""Images in memory: check them, and convert them to uint8 RGB."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.inputs.image.pixels import check_image, check_split


def read_images(images: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
    """Convert images to uint8 (H, W, 3), and refuse pixels that are not in [0, 255]; see `check_image`.

    Args:
        images: N images, as an array or a list.
        names: of the images, for messages.
        split: name of their split, for messages.
    """
    if not isinstance(images, (list, tuple)):
        images = np.asarray(images)
        if images.dtype != object and (images.ndim not in (3, 4) or images.shape[3:] not in ((), (1,), (3,))):
            raise InputError(
                "`source` must have images of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3). "
                f"Received: shape {images.shape}{f' in {split}' if split else ''}."
            )
    found, peak = [], 0.0
    for image, name in zip(map(np.asarray, images), names, strict=True):
        peak = max(peak, check_image(image, f"image {name}"))
        image = image if image.dtype == np.uint8 else np.round(image).astype(np.uint8)
        image = image[..., None] if image.ndim == 2 else image
        found.append(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image)
    check_split(peak, split)
    return found
