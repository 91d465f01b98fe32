"""The loss of a detector: how wrong the classes of the cells are, and how badly their boxes fit the true ones."""

import keras
import tensorflow as tf

from tfl.tasks.cells import SIDES, assign

LEAST_OVERLAP = 1e-3  # so that the logarithm is finite


class CellLoss(keras.losses.Loss):
    """Quality focal loss of the classes of all cells that count, plus the loss of the boxes of cells that answer.

    A cell that answers for a box is to give its class a probability of q, the overlap of its own box with the true one,
    and background the rest. So the cells with the best boxes lead when boxes are chosen. For background q is 1. Most
    cells are background that is easy to tell; the focal loss, (q - p) ** 2 times the cross-entropy, leaves the gradient
    to the cells that are hard to tell. It is a mean with the weights of `Targets`: their sum over cells that answer is
    1, unless it was less.

    The loss of a box is -ln(overlap), plus the share of the smallest box around both that lies between them. Its slope
    is as steep for a box that fits badly as for one that nearly fits, while that of 1 - overlap is less steep: with it
    a few small objects would be given up for many large ones. For the same reason it is a mean over the objects, each
    of which counts the same, however many cells it has.

    Reference:
        Li et al. 2020, Generalized focal loss, arXiv:2006.04388;
        Yu et al. 2016, UnitBox: an advanced object detection network, arXiv:1608.01471;
        Rezatofighi et al. 2019, Generalized intersection over union, arXiv:1902.09630.
    """

    def __init__(self) -> None:
        super().__init__(name="cells", reduction="none")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `(B,)`, of labels `(B, R, 5)` and outputs `(B, h, w, K + 5)`."""
        logits, boxes = y_pred[..., :-SIDES], y_pred[..., -SIDES:]
        labels = tf.cast(y_true, y_pred.dtype)
        targets = assign(labels, y_pred.shape[1], y_pred.shape[2], logits.shape[-1] - 1)
        rows = tf.maximum(targets.boxes, 0)
        flat = tf.reshape(rows, (tf.shape(rows)[0], -1))
        own = tf.reshape(tf.gather(labels[..., :SIDES], flat, batch_dims=1), tf.shape(boxes))
        overlap, gap = overlap_and_gap(boxes, own)
        answers, weights = targets.boxes >= 0, tf.cast(targets.weights, y_pred.dtype)
        quality = tf.stop_gradient(tf.where(answers, overlap, 1.0))
        misfit = gap - tf.math.log(tf.maximum(overlap, LEAST_OVERLAP))
        own_weights = tf.where(answers, weights, 0.0)
        of_classes = _mean(quality_focal(logits, targets.classes, quality), weights, own_weights)
        of_objects = tf.square(own_weights)  # 1 over the number of cells of the object
        return of_classes + _mean(misfit, of_objects, of_objects)


def _mean(values: tf.Tensor, weights: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Return the sum of values `(B, h, w)` times weights, divided by the sum of shares, at least 1."""
    return tf.reduce_sum(weights * values, axis=(1, 2)) / tf.maximum(tf.reduce_sum(shares, axis=(1, 2)), 1.0)


def quality_focal(logits: tf.Tensor, classes: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
    """Return the quality focal loss of cells, `(B, h, w)`.

    Args:
        logits: `(B, h, w, K + 1)`, background is last.
        classes: `(B, h, w)` int32.
        quality: `(B, h, w)`, the probability in [0, 1] that the class is to have; background is to have the rest.
    """
    logs = tf.nn.log_softmax(logits)
    of_class = tf.gather(logs, classes, batch_dims=3)
    entropy = -(quality * of_class + (1.0 - quality) * logs[..., -1])
    return tf.square(quality - tf.exp(of_class)) * entropy


def overlap_and_gap(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the intersection over union of pairs of boxes, and the share of the smallest box around both between them.

    Their difference is the generalised intersection over union.

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
    return tf.math.divide_no_nan(shared, union), tf.math.divide_no_nan(hull - union, hull)
