"""Mixup and CutMix: stateless, seeded by (seed, epoch, step), on float images and label rows.

Each global batch has one order and one factor, so the result does not depend on the number of replicas.
"""

from typing import NamedTuple

import tensorflow as tf


class Examples(NamedTuple):
    """The examples of a batch, one row for each example."""

    inputs: tf.Tensor  # (B, H, W, C), any dtype
    labels: tf.Tensor  # float32 (B, K)
    weights: tf.Tensor  # float32 (B,)


def mix_seed(seed: int, epoch: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Return a stateless seed, int64 `(2,)`, that depends only on its arguments."""
    start = tf.constant([seed, 0], tf.int64)
    folded = tf.random.experimental.stateless_fold_in(start, tf.cast(epoch, tf.int64))
    return tf.random.experimental.stateless_fold_in(folded, tf.cast(step, tf.int64))


def sample_beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draw one float32 scalar from Beta(alpha, alpha)."""
    gammas = tf.random.stateless_gamma([2], seed, alpha=[alpha, alpha])
    return tf.math.divide_no_nan(gammas[0], tf.reduce_sum(gammas))


def mixup(images: tf.Tensor, partners: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Return `factor * images + (1 - factor) * partners`.

    Args:
        images: float32 `(B, H, W, C)`.
        partners: the same images in another order.
        factor: scalar in [0, 1], the share of `images`.

    Returns:
        float32 `(B, H, W, C)`.

    Reference:
        Zhang et al. 2018, mixup: Beyond empirical risk minimization, arXiv:1710.09412.
    """
    return factor * images + (1.0 - factor) * partners


def cutmix(images: tf.Tensor, partners: tf.Tensor, factor: tf.Tensor, centre: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste one box of `partners` into `images`.

    Args:
        images: float32 `(B, H, W, C)`.
        partners: the same images in another order.
        factor: scalar in [0, 1]; the sides of the box are sqrt(1 - factor) times those of the image, and the box is
            clipped at the border.
        centre: float32 `(2,)` in [0, 1), row and column of the centre of the box.

    Returns:
        float32 `(B, H, W, C)`, and the share of pixels that still come from `images`; mix the labels with this share.

    Reference:
        Yun et al. 2019, CutMix, arXiv:1905.04899.
    """
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    half = size * tf.sqrt(1.0 - factor) / 2.0
    middle = tf.floor(centre * size)
    low, high = tf.maximum(tf.round(middle - half), 0.0), tf.minimum(tf.round(middle + half), size)
    rows, columns = tf.range(size[0]), tf.range(size[1])
    inside = ((rows >= low[0]) & (rows < high[0]))[:, tf.newaxis] & ((columns >= low[1]) & (columns < high[1]))
    kept = 1.0 - tf.reduce_mean(tf.cast(inside, tf.float32))
    return tf.where(inside[tf.newaxis, :, :, tf.newaxis], partners, images), kept


def mix_batch(
    batch: Examples,
    *,
    alphas: tuple[float, float],
    seed: tf.Tensor,
    pool: Examples | None = None,
    start: tf.Tensor | int = 0,
) -> Examples:
    """Mix every example with another one of its global batch.

    If both methods are on, each is chosen with probability 1/2 for the whole batch. Labels are mixed by the share of
    the pixels times the weight. So for a loss that is linear in the label, such as cross-entropy, the loss of a mixed
    example is the sum over its two parts of weight * share * loss.

    Args:
        batch: the examples of this replica.
        alphas: parameters of the Beta distribution of mixup and of CutMix; 0 for off; not both 0.
        seed: int64 `(2,)`.
        pool: the global batch; None if `batch` is the global batch.
        start: position of the first example of `batch` in the pool.

    Returns:
        float32 images; labels whose shares add up to 1; and their weights.
    """
    pool, images = pool or batch, tf.cast(batch.inputs, tf.float32)
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    count = tf.shape(pool.weights)[0]
    order = tf.argsort(tf.random.stateless_uniform([count], seeds[0]))
    # A replica with an empty share still has one example, which does not count.
    positions = tf.minimum(start + tf.range(tf.shape(images)[0]), count - 1)
    chosen = tf.gather(order, positions)
    other = Examples(*(tf.cast(tf.gather(values, chosen), tf.float32) for values in pool))

    def by_mixup() -> tuple[tf.Tensor, tf.Tensor]:
        factor = sample_beta(alphas[0], seeds[1])
        return mixup(images, other.inputs, factor), factor

    def by_cutmix() -> tuple[tf.Tensor, tf.Tensor]:
        centre = tf.random.stateless_uniform([2], seeds[3])
        return cutmix(images, other.inputs, sample_beta(alphas[1], seeds[2]), centre)

    if alphas[0] and alphas[1]:
        mixed, factor = tf.cond(tf.random.stateless_uniform([], seeds[4]) < 0.5, by_mixup, by_cutmix)
    else:
        mixed, factor = by_mixup() if alphas[0] else by_cutmix()
    mixed.set_shape(batch.inputs.shape)
    return Examples(mixed, *_mix_labels(batch, other, factor))


def _mix_labels(batch: Examples, other: Examples, factor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels of the mixture, with share times weight as the weight of each part, and the sum of both."""
    own, others = factor * batch.weights, (1.0 - factor) * other.weights
    weights = own + others
    share = tf.where(weights > 0, tf.math.divide_no_nan(own, weights), factor)[:, tf.newaxis]
    return share * batch.labels + (1.0 - share) * other.labels, weights
