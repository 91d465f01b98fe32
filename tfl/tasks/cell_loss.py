"""The loss of a detector: how wrong the classes of the cells are, and how badly their boxes fit the true ones."""

import keras
import tensorflow as tf

from tfl.tasks.cells import SIDES, assign


class CellLoss(keras.losses.Loss):
    """Focal loss of the classes of all cells that count, plus the GIoU loss of the cells that answer for a box.

    Most cells are background that is easy to tell. The focal loss, (1 - p) ** 2 times the cross-entropy, leaves the
    gradient to the cells that are hard to tell. Both parts are sums with the weights of `Targets`, divided by the sum
    of the weights of the cells that answer for a box, at least 1.

    Reference:
        Lin et al. 2017, Focal loss for dense object detection, arXiv:1708.02002;
        Rezatofighi et al. 2019, Generalized intersection over union, arXiv:1902.09630.
    """

    def __init__(self) -> None:
        super().__init__(name="cells", reduction="none")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `(B,)`, of labels `(B, R, 5)` and outputs `(B, h, w, K + 5)`."""
        logits, boxes = y_pred[..., :-SIDES], y_pred[..., -SIDES:]
        targets = assign(tf.cast(y_true, y_pred.dtype), y_pred.shape[1], y_pred.shape[2], logits.shape[-1] - 1)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets.classes, logits)
        focal = tf.square(tf.math.expm1(-entropy)) * entropy
        rows = tf.maximum(targets.boxes, 0)
        flat = tf.reshape(rows, (tf.shape(rows)[0], -1))
        own = tf.reshape(tf.gather(y_true[..., :SIDES], flat, batch_dims=1), tf.shape(boxes))
        misfit = 1.0 - generalized_overlap(boxes, tf.cast(own, y_pred.dtype))
        weights = tf.cast(targets.weights, y_pred.dtype)
        of_boxes = tf.where(targets.boxes >= 0, weights, 0.0)
        total = tf.reduce_sum(weights * focal + of_boxes * misfit, axis=(1, 2))
        return total / tf.maximum(tf.reduce_sum(of_boxes, axis=(1, 2)), 1.0)


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
