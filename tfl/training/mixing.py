"""Mixup and CutMix: stateless, seeded by (seed, epoch, step), on float images and label rows."""

import tensorflow as tf


def mix_seed(seed: int, epoch: tf.Tensor, step: tf.Tensor, replica: tf.Tensor | int = 0) -> tf.Tensor:
    """Return an int64 `(2,)` stateless seed that is a function of its arguments alone."""
    start = tf.stack([tf.constant(seed, tf.int64), tf.cast(replica, tf.int64)])
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
    images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, *, alphas: tuple[float, float], seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mix every example with another one of its batch; where both ways are asked for, a fair coin chooses per batch.

    Args:
        images: `(B, H, W, C)`, any dtype.
        labels: float32 rows `(B, K)`.
        weights: float32 `(B,)`.
        alphas: of mixup and CutMix: the parameter of their Beta distribution; 0 for off; not both 0.
        seed: int64 `(2,)`.

    Returns:
        float32 images, labels and weights, all mixed in the same proportion.
    """
    images = tf.cast(images, tf.float32)
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    order = tf.argsort(tf.random.stateless_uniform([tf.shape(images)[0]], seeds[0]))
    partners = tf.gather(images, order)

    def by_mixup() -> tuple[tf.Tensor, tf.Tensor]:
        factor = sample_beta(alphas[0], seeds[1])
        return mixup(images, partners, factor), factor

    def by_cutmix() -> tuple[tf.Tensor, tf.Tensor]:
        return cutmix(images, partners, sample_beta(alphas[1], seeds[2]), tf.random.stateless_uniform([2], seeds[3]))

    if alphas[0] and alphas[1]:
        mixed, factor = tf.cond(tf.random.stateless_uniform([], seeds[4]) < 0.5, by_mixup, by_cutmix)
    else:
        mixed, factor = by_mixup() if alphas[0] else by_cutmix()
    mixed.set_shape(images.shape)
    labels = factor * labels + (1.0 - factor) * tf.gather(labels, order)
    return mixed, labels, factor * weights + (1.0 - factor) * tf.gather(weights, order)
