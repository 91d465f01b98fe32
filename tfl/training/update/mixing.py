"""Mixup and CutMix: stateless, seeded by (seed, epoch, step), on float images and label rows.

There is one order and one factor for each global batch, so the result does not depend on how many replicas share it.
"""

from typing import NamedTuple

import tensorflow as tf


class Examples(NamedTuple):
    """What is mixed, row by row."""

    images: tf.Tensor  # (B, H, W, C), any dtype
    labels: tf.Tensor  # float32 (B, K)
    weights: tf.Tensor  # float32 (B,)


def mix_seed(seed: int, epoch: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Return an int64 `(2,)` stateless seed that is a function of its arguments alone."""
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
        factor: scalar in [0, 1]; the box has sides sqrt(1 - factor) of the image's, cut at the border.
        centre: float32 `(2,)` in [0, 1), row and column of the box's centre.

    Returns:
        float32 `(B, H, W, C)`, and the share of pixels that are still those of `images`, which is
        what labels must be mixed with.

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

    Where both ways are asked for, a fair coin chooses for the whole batch. Labels mix by share of the pixels times
    weight: for a loss that is linear in the label, as the cross-entropies are, the loss of a mixed example is the
    sum over its two parts of weight * share * loss.

    Args:
        batch: the examples of this replica.
        alphas: of mixup and CutMix: the parameter of their Beta distribution; 0 for off; not both 0.
        seed: int64 `(2,)`.
        pool: the global batch; None where `batch` is all of it.
        start: position of the first one of `batch` in the pool.

    Returns:
        float32 images; labels whose shares add up to 1; and their weights.
    """
    pool, images = pool or batch, tf.cast(batch.images, tf.float32)
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    count = tf.shape(pool.weights)[0]
    order = tf.argsort(tf.random.stateless_uniform([count], seeds[0]))
    # A replica whose share is empty has one example all the same, which counts for nothing.
    positions = tf.minimum(start + tf.range(tf.shape(images)[0]), count - 1)
    chosen = tf.gather(order, positions)
    other = Examples(*(tf.cast(tf.gather(values, chosen), tf.float32) for values in pool))

    def by_mixup() -> tuple[tf.Tensor, tf.Tensor]:
        factor = sample_beta(alphas[0], seeds[1])
        return mixup(images, other.images, factor), factor

    def by_cutmix() -> tuple[tf.Tensor, tf.Tensor]:
        centre = tf.random.stateless_uniform([2], seeds[3])
        return cutmix(images, other.images, sample_beta(alphas[1], seeds[2]), centre)

    if alphas[0] and alphas[1]:
        mixed, factor = tf.cond(tf.random.stateless_uniform([], seeds[4]) < 0.5, by_mixup, by_cutmix)
    else:
        mixed, factor = by_mixup() if alphas[0] else by_cutmix()
    mixed.set_shape(batch.images.shape)
    return Examples(mixed, *_mix_labels(batch, other, factor))


def _mix_labels(batch: Examples, other: Examples, factor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels of the mixture, each part by share times weight, and the sum of both products."""
    own, others = factor * batch.weights, (1.0 - factor) * other.weights
    weights = own + others
    share = tf.where(weights > 0, tf.math.divide_no_nan(own, weights), factor)[:, tf.newaxis]
    return share * batch.labels + (1.0 - share) * other.labels, weights
