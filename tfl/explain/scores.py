"""The one number that an explanation is of: the score of one class for each image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.inputs.image.pixels import check_pixels
from tfl.models.classifier import takes_pixels
from tfl.tasks import Binary, Multiclass, Task

Classes = int | Sequence[int] | np.ndarray | None


def task_of(model: keras.Model) -> Task:
    """Return the task of a model: what its metadata says, else one class, of two for a single logit."""
    metadata = getattr(model, "metadata", None)
    if metadata is not None:
        return metadata.task
    return Binary() if model.outputs[0].shape[-1] == 1 else Multiclass()


def check_range(model: keras.Model, images: np.ndarray) -> None:
    """Refuse images in [0, 1], say, where a classifier takes [0, 255]: an explanation would be of black ones."""
    if takes_pixels(model) and images.dtype.kind == "f":
        check_pixels(images, "images")


def choose_classes(model: keras.Model, logits: np.ndarray, classes: Classes) -> np.ndarray:
    """Return the class that each image is explained for.

    Args:
        model: the classifier.
        logits: `(N, K)`, what it says of the images.
        classes: one number for all images, one for each, or None for the class that the model predicts (of
            several labels the most probable; of a regression the first value).

    Returns:
        int64 `(N,)`.

    Raises:
        InputError: another number of classes than images, or a class that the model does not have.
    """
    task = task_of(model)
    if classes is None:
        return task.explained_output(task.scores(logits))
    chosen = np.asarray(classes)
    chosen = np.full(len(logits), classes) if chosen.ndim == 0 else chosen
    known = task.num_classes(logits.shape[1])
    if chosen.shape != (len(logits),) or not np.issubdtype(chosen.dtype, np.integer):
        raise InputError(
            f"`classes` must be one class number, or one for each of {len(logits)} images. Received: {classes!r}."
        )
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < known):
        raise InputError(f"`classes` must lie between 0 and {known - 1}. Received: {chosen.min()} to {chosen.max()}.")
    return chosen.astype(np.int64)


def class_scores(model: keras.Model, logits: Any, classes: np.ndarray) -> tf.Tensor:
    """Return the logit of one class an image `(N,)`; of a single logit class 0 has the negative.

    Logits, not probabilities: a softmax that is sure has no slope left, and explains nothing.
    """
    return task_of(model).explained_score(logits, classes)
