"""Occlusion: cover parts of an image and measure how much the score falls."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.explain.scores import Classes, check_images, choose_classes, class_scores

BATCH = 32


def occlusion(
    model: keras.Model, images: np.ndarray, classes: Classes = None, patch: int = 0, stride: int = 0
) -> np.ndarray:
    """Return how much the score of a class falls when a square patch covers a part of the image.

    Occlusion is slower than Grad-CAM: each image needs one forward pass for each position of the patch. But it needs
    no gradients, its values are in units of the logit, and it also shows evidence against a class: a negative value
    means that covering the region raises the score. The patch has the mean colour of the image.

    Args:
        model: a Keras classifier from images to logits; it runs in inference mode.
        images: `(N, H, W, 3)`, RGB in [0, 255].
        classes: as for `grad_cam`.
        patch: pixels per side of the patch; 0 for a quarter of the shorter side.
        stride: pixels from one position to the next; 0 for half a patch. The last position always ends at the border.

    Returns:
        float32 `(N, H, W)`: for every pixel, the mean fall of the logit over the positions that cover it.

    Raises:
        InputError: the class does not exist, the patch is larger than the image, the stride leaves gaps, or the
            images are not in [0, 255].

    Example:
        >>> fall = occlusion(model, images, patch=56)
        >>> picture = tfl.overlay(images[0], np.maximum(fall[0], 0) / fall[0].max())

    Reference:
        Zeiler, Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901.
    """
    check_images(model, images)
    height, width = images.shape[1:3]
    patch = patch or max(1, min(height, width) // 4)
    stride = stride or max(1, patch // 2)
    if not 1 <= patch <= min(height, width):
        raise InputError(f"`patch` must be between 1 and {min(height, width)} pixels. Received: patch={patch}.")
    if not 1 <= stride <= patch:
        raise InputError(f"`stride` must be between 1 and {patch}, the size of the patch. Received: stride={stride}.")
    places = [(top, left) for top in _starts(height, patch, stride) for left in _starts(width, patch, stride)]
    covered = _spread(np.ones(len(places)), places, patch, (height, width))
    forward = tf.function(lambda pixels: model(pixels, training=False))
    images = np.asarray(images, np.float32)
    whole = np.concatenate([forward(batch).numpy() for batch in _batches(images)]) if len(images) else np.zeros((0, 1))
    chosen = choose_classes(model, whole, classes)
    score = class_scores(model, tf.constant(whole), chosen).numpy() if len(images) else whole
    falls = [np.zeros((0, height, width))]
    for image, own, number in zip(images, score, chosen, strict=True):
        logits = np.concatenate([forward(batch).numpy() for batch in _batches(_cover(image, places, patch))])
        scores = class_scores(model, tf.constant(logits), np.full(len(places), number)).numpy()
        falls.append(_spread(own - scores, places, patch, (height, width))[None] / covered)
    return np.concatenate(falls).astype(np.float32)


def _starts(size: int, patch: int, stride: int) -> list[int]:
    return sorted({*range(0, size - patch + 1, stride), size - patch})


def _cover(image: np.ndarray, places: list[tuple[int, int]], patch: int) -> np.ndarray:
    copies = np.repeat(image[None], len(places), axis=0)
    for copy, (top, left) in zip(copies, places, strict=True):
        copy[top : top + patch, left : left + patch] = image.mean(axis=(0, 1))
    return copies


def _spread(values: np.ndarray, places: list[tuple[int, int]], patch: int, shape: tuple[int, int]) -> np.ndarray:
    """Return the sum, for every pixel, of the values of the positions that cover it."""
    total = np.zeros(shape)
    for value, (top, left) in zip(values, places, strict=True):
        total[top : top + patch, left : left + patch] += value
    return total


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))
