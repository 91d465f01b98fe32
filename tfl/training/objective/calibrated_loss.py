"""Validation loss at the temperature that would be shipped; it chooses the best epoch."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.tasks import Task
from tfl.training.objective.losses import align_labels, is_sparse, per_example_loss, plain

TEMPERATURES = np.geomspace(0.05, 20.0, 97)  # 1 is in the middle; with steps of 6 % the loss is at most 0.1 % too high


def metrics_to_choose_by(task: Task) -> list[keras.metrics.Metric]:
    """Return the metrics of a task and, if it has a temperature, the loss that chooses the epoch."""
    return [*task.metrics(), *([CalibratedLoss(task.loss())] if task.has_temperature else [])]


def loss_to_choose_by(task: Task) -> str:
    """Return the name, in the history, of the loss that chooses the epoch; regression has no temperature."""
    return "val_calibrated_loss" if task.has_temperature else "val_loss"


class CalibratedLoss(keras.metrics.Metric):
    """The mean loss of a classifier at the best temperature of a grid, as `tfl.evaluation.fit_temperature` fits it.

    Fine-tuning makes a network overconfident before it makes it worse. The loss at temperature 1 then rises, although
    the model, which is shipped with a fitted temperature, still improves. If every example is correct, there is no best
    temperature, and the metric is the loss at temperature 1.

    The metric is measured on validation only: the loop does not update it in training steps.

    Args:
        loss: on logits, without label smoothing, as `make_loss` builds it for a classifier.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.
    """

    def __init__(self, loss: keras.losses.Loss, name: str = "calibrated_loss") -> None:
        super().__init__(name=name)
        self.loss = loss
        self.total = self.add_variable((len(TEMPERATURES),), "zeros", dtype="float64", name="total")
        self.weight = self.add_variable((), "zeros", dtype="float64", name="weight")
        self.wrong = self.add_variable((), "zeros", dtype="float64", name="wrong")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels as for the loss, logits `(B, K)`, and the weights `(B,)` of the examples in the mean."""
        logits, labels = tf.cast(y_pred, tf.float32), align_labels(y_true, y_pred, plain(self.loss))
        number, count = len(TEMPERATURES), tf.shape(logits)[0]
        weights = tf.ones([count]) if sample_weight is None else tf.cast(sample_weight, tf.float32)
        scaled = logits[None] / TEMPERATURES.astype(np.float32)[:, None, None]
        repeated = tf.repeat(labels[None], number, axis=0)
        flat = [tf.reshape(values, [-1, *values.shape[2:]]) for values in (repeated, scaled)]
        losses = tf.reshape(per_example_loss(self.loss, *flat), [number, count])
        self.total.assign_add(tf.reduce_sum(tf.cast(losses * weights, tf.float64), axis=1))
        self.weight.assign_add(tf.reduce_sum(tf.cast(weights, tf.float64)))
        self.wrong.assign_add(tf.reduce_sum(tf.cast(~self._correct(labels, logits), tf.float64)))

    def _correct(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        if is_sparse(plain(self.loss)):
            return tf.argmax(logits, axis=-1) == labels
        return tf.reduce_all((logits > 0) == (labels > 0.5), axis=-1)

    def result(self) -> Any:
        """Return the smallest mean loss over the temperatures; NaN before any example."""
        losses = self.total / self.weight
        at_one = losses[len(TEMPERATURES) // 2]
        return keras.ops.where(keras.ops.equal(self.wrong, 0), at_one, keras.ops.min(losses))
