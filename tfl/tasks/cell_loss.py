"""The loss of a detector: how wrong the classes of the cells are, and how badly their boxes fit the true ones."""

import keras
import tensorflow as tf

from tfl.tasks.cells import SIDES, assign


class CellLoss(keras.losses.Loss):
    """Mean softmax cross-entropy of all cells that count, plus the mean GIoU loss of the cells that answer for a box.

    Reference:
        Rezatofighi et al. 2019, Generalized intersection over union, arXiv:1902.09630.
    """

    def __init__(self) -> None:
        super().__init__(name="cells", reduction="none")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `(B,)`, of labels `(B, R, 5)` and outputs `(B, h, w, K + 5)`."""
        logits, boxes = y_pred[..., :-SIDES], y_pred[..., -SIDES:]
        targets = assign(tf.cast(y_true, y_pred.dtype), y_pred.shape[1], y_pred.shape[2], logits.shape[-1] - 1)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets.classes, logits)
        answers, counted = (tf.cast(part, y_pred.dtype) for part in (targets.boxes >= 0, targets.counted))
        rows = tf.maximum(targets.boxes, 0)
        flat = tf.reshape(rows, (tf.shape(rows)[0], -1))
        own = tf.reshape(tf.gather(y_true[..., :SIDES], flat, batch_dims=1), tf.shape(boxes))
        misfit = 1.0 - generalized_overlap(boxes, tf.cast(own, y_pred.dtype))
        return _mean(entropy, counted) + _mean(misfit, answers)


def _mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the weighted mean of each example, `(B,)`, of `(B, h, w)`; 0 if all weights are 0."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights, axis=(1, 2)), tf.reduce_sum(weights, axis=(1, 2)))


def generalized_overlap(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the generalised intersection over union of pairs of boxes, in (-1, 1].

    Args:
        first: `(..., 4)` x1, y1, x2, y2.
        second: the same.
    """

    def area(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        return tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)

    (a, b), (c, d) = (tf.split(boxes, 2, axis=-1) for boxes in (first, second))
    shared = area(tf.maximum(a, c), tf.minimum(b, d))
    union = area(a, b) + area(c, d) - shared
    hull = area(tf.minimum(a, c), tf.maximum(b, d))
    return tf.math.divide_no_nan(shared, union) - tf.math.divide_no_nan(hull - union, hull)
