"""Barlow Twins: the loss of two views of each example, which needs no labels, and a measure of collapse beside it."""

import keras
import tensorflow as tf

REDUNDANCY = 5e-3  # weight of the second term, from the paper
_EPSILON = 1e-5  # below the root of a variance, as in BatchNorm


class LossOverBatch(keras.losses.Loss):
    """Base class of losses that compare the examples of a batch, so that no example has a loss of its own."""


class ViewsLoss(LossOverBatch):
    """Barlow Twins: both views give each dimension the same values, and different dimensions different ones.

    With the embeddings `a` and `b` of the two views, `(n, D)`, whose dimensions have mean 0 and deviation 1 over the
    batch, and `C = a^T b / n`, it is `sum_i (1 - C_ii)^2 + 0.005 sum_{i != j} C_ij^2`.

    The labels are not used. With several replicas, each takes the statistics of its own examples, and the loss of the
    batch is the mean over the examples. So a replica must have at least two examples.

    Example:
        >>> same = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)  # rows 2i and 2i + 1 are two views
        >>> round(float(ViewsLoss().call(None, same)), 4)  # equal views: the correlation of two dimensions is -0.5
        0.0075

    Reference:
        Zbontar, Jing, Misra, LeCun and Deny 2021, Barlow Twins, arXiv:2103.03230.
    """

    def __init__(self, name: str = "barlow_twins") -> None:
        super().__init__(name=name, reduction="sum_over_batch_size")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return one number for the batch.

        Args:
            y_true: not used.
            y_pred: `(2 n, D)`, embeddings; rows `2 i` and `2 i + 1` are the two views of an example.
        """
        del y_true
        first, second = (_standardized(tf.convert_to_tensor(y_pred)[start::2]) for start in (0, 1))
        correlation = tf.matmul(first, second, transpose_a=True) / tf.cast(tf.shape(first)[0], first.dtype)
        same = tf.linalg.diag_part(correlation)
        others = tf.reduce_sum(tf.square(correlation)) - tf.reduce_sum(tf.square(same))
        return tf.reduce_sum(tf.square(1.0 - same)) + REDUNDANCY * others


def _standardized(values: tf.Tensor) -> tf.Tensor:
    """Return values `(n, D)` with mean 0 and deviation 1 in each dimension; a constant dimension becomes 0."""
    mean, variance = tf.nn.moments(values, axes=[0])
    return (values - mean) * tf.math.rsqrt(variance + _EPSILON)


class EmbeddingSpread(keras.metrics.Mean):
    """How far the embeddings of a batch are spread over their directions: 1 in all directions, 0 if all are equal.

    It is the deviation of the entries of the embeddings, scaled to length 1 each, over the examples, times the root of
    the number of dimensions; the mean over the dimensions and the batches.

    Reference:
        Chen and He 2021, Exploring simple Siamese representation learning, arXiv:2011.10566, section 4.1.
    """

    def __init__(self, name: str = "embedding_spread") -> None:
        super().__init__(name=name)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Add a batch of embeddings `(2 n, D)`; the labels and weights are not used."""
        del y_true, sample_weight
        values = tf.convert_to_tensor(y_pred)
        deviation = tf.math.reduce_std(tf.math.l2_normalize(values, axis=-1), axis=0)
        super().update_state(tf.reduce_mean(deviation) * tf.sqrt(tf.cast(tf.shape(values)[1], values.dtype)))
