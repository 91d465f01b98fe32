"""Losses and metrics by target; all take `(y_true, y_pred)` with logits, never probabilities."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.registry import resolve
from tfl.rules import TARGETS


def make_loss(target: str = "multiclass", label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Build the loss of a target, on logits, one value per example.

    Only stock Keras losses are used, so that a compiled and saved model loads without tfl.

    Args:
        target: `"multiclass"`, `"binary"`, `"multilabel"` or `"regression"`.
        label_smoothing: in [0, 1); a multiclass label y becomes (1 - s) y + s / K, a binary one
            (1 - s) y + s / 2. Regression has none.

    Returns:
        A Keras loss with `reduction="none"`: `(B,)` float32.

    Raises:
        InputError: unknown target, or a smoothing that the target does not admit.

    Example:
        >>> make_loss("multiclass")(np.array([0]), np.array([[0.0, 0.0]]))  # log 2

    Reference:
        Szegedy et al. 2016, Rethinking the Inception architecture, arXiv:1512.00567 (label smoothing).
    """
    target = resolve(target, TARGETS, "target")
    if not 0 <= label_smoothing < 1 or (label_smoothing and target == "regression"):
        raise InputError(
            "`label_smoothing` must be in [0, 1), and 0 for regression. "
            f"Received: label_smoothing={label_smoothing!r}, target={target!r}."
        )
    if target == "regression":
        return keras.losses.MeanSquaredError(reduction="none")
    if target in ("binary", "multilabel"):
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing, reduction="none")
    if label_smoothing:
        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing, reduction="none")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


def make_metrics(target: str = "multiclass") -> list[keras.metrics.Metric]:
    """Build the default metrics of a target; a logit above 0 counts as "yes" (Keras compares with 0.5)."""
    target = resolve(target, TARGETS, "target")
    if target == "multiclass":
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if target == "regression":
        return [keras.metrics.MeanAbsoluteError(name="mean_absolute_error")]
    return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]


def recorded_target(model: keras.Model) -> str:
    """Return the target in the model's metadata, or `"multiclass"` where it has none."""
    metadata = getattr(model, "metadata", None)
    return metadata.target if metadata is not None else "multiclass"


def target_of(loss: keras.losses.Loss) -> str | None:
    """Return the target whose default metrics suit a loss, or None."""
    if is_sparse(loss) or is_categorical(loss):
        return "multiclass"
    if type(loss).__name__.startswith("Binary"):
        return "binary"
    return "regression" if type(loss).__name__.startswith("Mean") else None


def evaluation_loss(loss: keras.losses.Loss) -> keras.losses.Loss:
    """Return the loss to measure with: without label smoothing, averaged over the batch.

    Smoothing is a way to train; what is reported should not depend on it. A smoothed multiclass loss
    is measured on class numbers. Losses that are not Keras' own stay as they are.
    """
    if not type(loss).__module__.startswith("keras."):
        return loss
    config = loss.get_config() | {"reduction": "sum_over_batch_size"}
    if config.get("label_smoothing") and is_categorical(loss):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=config["from_logits"])
    if "label_smoothing" in config:
        config["label_smoothing"] = 0.0
    return type(loss).from_config(config)


def resolve_metrics(metrics: Sequence[Any] | None, target: str | None) -> tuple[keras.metrics.Metric, ...]:
    """Return metric objects: those of the target for None, else each name or object looked up.

    `"accuracy"` is the target's own accuracy on logits; Keras would compare logits with 0.5.
    """
    defaults = make_metrics(target) if target else []
    if metrics is None:
        return tuple(defaults)
    resolved = []
    for metric in metrics:
        if metric == "accuracy" and defaults and defaults[0].name == "accuracy":
            metric = defaults[0]
        elif not isinstance(metric, keras.metrics.Metric):
            try:
                function = keras.metrics.get(metric)
            except ValueError:
                raise InputError(f"`metrics` must be Keras metrics or their names. Received: {metric!r}.") from None
            name = metric if isinstance(metric, str) else metric.__name__
            metric = function if isinstance(function, keras.metrics.Metric) else _mean_of(function, name)
        resolved.append(metric)
    return tuple(resolved)


def _mean_of(function: Any, name: str) -> keras.metrics.Metric:
    return keras.metrics.MeanMetricWrapper(function, name=name)


def is_sparse(measure: keras.losses.Loss | keras.metrics.Metric) -> bool:
    """Say whether a loss or metric takes class numbers, not one-hot rows."""
    return type(measure).__name__.startswith("Sparse")


def is_categorical(measure: keras.losses.Loss | keras.metrics.Metric) -> bool:
    """Say whether a loss or metric takes one row of class probabilities per example."""
    return "Categorical" in type(measure).__name__ and not is_sparse(measure)


def align_labels(labels: tf.Tensor, logits: tf.Tensor, measure: keras.losses.Loss | keras.metrics.Metric) -> tf.Tensor:
    """Give labels the form that a loss or metric takes, whatever form the data has.

    Keras broadcasts `(B,)` labels against `(B, 1)` logits to `(B, B)` in some losses, and fails on
    class numbers in others.

    Args:
        labels: `(B,)`, `(B, 1)` or `(B, K)`.
        logits: `(B, K)`.
        measure: what will be called with them.

    Returns:
        int64 `(B,)` for sparse measures, float32 of the shape of `logits` for the others.
    """
    num_outputs = logits.shape[-1]
    is_row = labels.shape.rank == logits.shape.rank
    if is_sparse(measure):
        if is_row and labels.shape[-1] == num_outputs and num_outputs > 1:
            return tf.argmax(labels, axis=-1)
        return tf.cast(tf.reshape(labels, [-1]), tf.int64)
    if is_categorical(measure) and not (is_row and labels.shape[-1] == num_outputs):
        return tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int64), num_outputs)
    labels = tf.cast(labels, tf.float32)
    return labels if is_row else tf.expand_dims(labels, -1)


def label_rows(labels: tf.Tensor, num_outputs: int) -> tf.Tensor:
    """Return labels of any form as float32 rows `(B, K)`, as shares of the outputs or as values, which can be mixed."""
    if num_outputs > 1 and (labels.shape.rank == 1 or labels.shape[-1] == 1):
        return tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int64), num_outputs)
    return tf.reshape(tf.cast(labels, tf.float32), [-1, num_outputs])


def per_example_loss(loss: keras.losses.Loss, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the loss of each example, `(B,)` float32, whatever reduction the loss object asks for."""
    logits = tf.cast(logits, tf.float32)
    soft = labels.shape.rank == logits.shape.rank and labels.dtype.is_floating and logits.shape[-1] > 1
    if is_sparse(loss) and soft:  # mixed labels have no class number
        loss = keras.losses.CategoricalCrossentropy(from_logits=loss.get_config().get("from_logits", True))
    values = tf.convert_to_tensor(loss.call(align_labels(labels, logits, loss), logits))
    return tf.reduce_mean(tf.reshape(values, [tf.shape(logits)[0], -1]), axis=-1)


def balanced_class_weight(labels: np.ndarray) -> dict[int, float]:
    """Return weights that give every class the same total: `N / (K * count)`, over the classes present.

    Args:
        labels: int `(N,)` class numbers.

    Returns:
        Class number to weight; the mean weight over `labels` is 1.
    """
    classes, counts = np.unique(labels, return_counts=True)
    return {int(c): float(len(labels) / (len(classes) * n)) for c, n in zip(classes, counts, strict=True)}
