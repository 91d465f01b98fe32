"""Seeds of augmentation, which depend only on (seed, epoch, content of the example)."""

import tensorflow as tf


def example_seed(seed: int, epoch: int, content: tf.Tensor) -> tf.Tensor:
    """Return the int64 (2,) seed of one example in one epoch.

    Args:
        seed: of the run.
        epoch: from 0.
        content: int64 scalar, from the digest of the example; see `Index.seeds`.
    """
    epoch_seed = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0x7F1], tf.int64), epoch)
    return tf.random.experimental.stateless_fold_in(epoch_seed, content)
