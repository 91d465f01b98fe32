"""The number that an explanation explains: the score of one class for each image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.models.classifier import input_of_model
from tfl.models.input_shape import check_inputs
from tfl.tasks import Binary, Multiclass, Task

Classes = int | Sequence[int] | np.ndarray | None


def task_of(model: keras.Model) -> Task:
    """Return the task of a model: from its metadata, else binary for a single logit and multiclass for several."""
    metadata = getattr(model, "metadata", None)
    if metadata is not None:
        return metadata.task
    return Binary() if model.outputs[0].shape[-1] == 1 else Multiclass()


def check_images(model: keras.Model, images: np.ndarray) -> None:
    """Refuse images of a wrong shape or range, such as [0, 1] if a classifier takes [0, 255]: all would be black."""
    check_inputs(images.dtype, images.shape, model, "images")
    kind = input_of_model(model)
    if kind is not None and images.dtype.kind == "f":
        kind.check_array(images, "images")


def choose_classes(model: keras.Model, logits: np.ndarray, classes: Classes) -> np.ndarray:
    """Return the class to explain for each image.

    Args:
        model: the classifier.
        logits: `(N, K)`, outputs of the model for the images.
        classes: one class number for all images, one for each image, or None for the predicted class (for multilabel
            the most probable label; for regression the first value).

    Returns:
        int64 `(N,)`.

    Raises:
        InputError: the number of classes differs from the number of images, or the model does not have a class.
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
        raise InputError(f"`classes` must be between 0 and {known - 1}. Received: {chosen.min()} to {chosen.max()}.")
    return chosen.astype(np.int64)


def class_scores(model: keras.Model, logits: Any, classes: np.ndarray) -> tf.Tensor:
    """Return the logit of one class for each image, `(N,)`; with a single logit, class 0 has its negative.

    The scores are logits and not probabilities, because the gradient of a softmax is almost 0 at high confidence.
    """
    return task_of(model).explained_score(logits, classes)
