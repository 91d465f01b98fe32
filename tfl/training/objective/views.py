"""VICReg: the loss of two views of each example, which needs no labels, and a measure of collapse beside it."""

import keras
import tensorflow as tf

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # weights of the three terms, from the paper
_EPSILON = 1e-4  # below the root of the variance, from the paper


class LossOverBatch(keras.losses.Loss):
    """Base class of losses that compare the examples of a batch, so that no example has a loss of its own."""


class ViewsLoss(LossOverBatch):
    """VICReg: both views of an example get the same embedding, and the embeddings of a batch fill their space.

    With the embeddings `a` and `b` of the two views, `(n, D)`, it is
    `25 mean((a - b)^2) + 25 (v(a) + v(b)) / 2 + (c(a) + c(b))`, where `v(z)` is the mean over the dimensions of
    `max(0, 1 - sqrt(var(z_j) + 1e-4))`, and `c(z)` the sum of squares of the covariances of different dimensions,
    divided by D. Variances and covariances divide by n - 1.

    The labels are not used. With several replicas, each takes the statistics of its own examples, and the loss of the
    batch is the mean over the examples. So a replica must have at least two examples.

    Example:
        >>> same = np.tile(np.eye(3, dtype=np.float32) * 9, 2).reshape(6, 3)  # rows 2i and 2i + 1 are two views
        >>> round(float(ViewsLoss().call(None, same)), 2)  # equal views, large variances: only covariances are left
        1458.0

    Reference:
        Bardes, Ponce and LeCun 2022, VICReg, arXiv:2105.04906.
    """

    def __init__(self, name: str = "vicreg") -> None:
        super().__init__(name=name, reduction="sum_over_batch_size")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return one number for the batch.

        Args:
            y_true: not used.
            y_pred: `(2 n, D)`, embeddings; rows `2 i` and `2 i + 1` are the two views of an example.
        """
        del y_true
        first, second = (tf.convert_to_tensor(y_pred)[start::2] for start in (0, 1))
        invariance = tf.reduce_mean(tf.square(first - second))
        spread, overlap = zip(_spread_and_overlap(first), _spread_and_overlap(second), strict=True)
        return INVARIANCE * invariance + VARIANCE * tf.add_n(spread) / 2.0 + COVARIANCE * tf.add_n(overlap)


def _spread_and_overlap(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return how far the deviations fall below 1, and the squared covariances, both per dimension."""
    centred = values - tf.reduce_mean(values, axis=0)
    freedom = tf.cast(tf.maximum(tf.shape(values)[0] - 1, 1), values.dtype)
    covariance = tf.matmul(centred, centred, transpose_a=True) / freedom
    variance = tf.linalg.diag_part(covariance)
    others = tf.reduce_sum(tf.square(covariance)) - tf.reduce_sum(tf.square(variance))
    deviation = tf.sqrt(variance + _EPSILON)
    return tf.reduce_mean(tf.nn.relu(1.0 - deviation)), others / tf.cast(tf.shape(values)[1], values.dtype)


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
