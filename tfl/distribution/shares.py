"""Divide the examples of a global batch among several replicas.

A batch is cut into contiguous shares whose sizes differ by at most one example. A replica with an empty share
still gets one example, which does not count, because all replicas must take part in every sum.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class Share(NamedTuple):
    """The part of a global batch for one replica: the first `count` examples of `element` count, the others do not."""

    element: Any
    count: tf.Tensor  # int32 scalar
    start: tf.Tensor  # int32 scalar: position of the first one in the global batch


def take_share(element: Any, num_replicas: int, replica: tf.Tensor | int) -> Share:
    """Return the share of one replica in a global batch of any structure; 3 replicas get 2, 2 and 1 of 5 examples."""
    size, replica = tf.shape(tf.nest.flatten(element)[0])[0], tf.cast(replica, tf.int32)
    base, extra = size // num_replicas, size % num_replicas
    start, count = replica * base + tf.minimum(replica, extra), base + tf.cast(replica < extra, tf.int32)
    first = tf.minimum(start, size - 1)
    end = first + tf.maximum(count, 1)
    return Share(tf.nest.map_structure(lambda values: values[first:end], element), count, start)


def cut_into_shares(dataset: tf.data.Dataset, num_replicas: int, mine: range) -> tf.data.Dataset:
    """Turn global batches into the shares of some replicas, one after the other.

    Args:
        dataset: batches of any structure.
        num_replicas: number of replicas that share each batch.
        mine: the replicas of this worker.

    Returns:
        Dataset of `Share`, `len(mine)` for each batch.
    """

    def cut(first: Any, *others: Any) -> tf.data.Dataset:
        element = (first, *others) if others else first
        replicas = tf.data.Dataset.range(mine.start, mine.stop)
        return replicas.map(lambda replica: take_share(element, num_replicas, replica))

    return dataset.flat_map(cut)


def make_shares(
    rows: np.ndarray,
    batch_size: int,
    make: Callable[[np.ndarray, int], tf.data.Dataset],
    mine: range,
    num_replicas: int,
) -> tf.data.Dataset:
    """Make the shares of some replicas from rows, so that a worker reads and decodes only its own examples.

    Args:
        rows: of all examples of an epoch, in order.
        batch_size: of the global batches.
        make: a function from rows and a batch size to batches.
        mine: the replicas of this worker.
        num_replicas: number of replicas that share each batch.

    Returns:
        The same data set as `cut_into_shares` of the global batches.
    """
    size, extra = divmod(batch_size, num_replicas)
    if extra or not size:  # shares of different sizes: only whole batches can be cut
        return cut_into_shares(make(rows, batch_size), num_replicas, mine)
    whole = len(rows) // batch_size * batch_size
    own = rows[:whole].reshape(-1, num_replicas, size)[:, mine.start : mine.stop].reshape(-1)
    starts = tf.data.Dataset.from_tensor_slices([replica * size for replica in mine]).repeat()
    shares = tf.data.Dataset.zip((make(own, size), starts)).map(lambda batch, start: Share(batch, size, start))
    if whole == len(rows):
        return shares
    tail = cut_into_shares(make(rows[whole:], batch_size), num_replicas, mine)
    return tail if not whole else shares.concatenate(tail)
