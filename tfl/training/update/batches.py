"""Turn all forms of training and validation data into one form."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfl.data.order import epoch_order
from tfl.distribution.shares import Share
from tfl.errors import InputError
from tfl.inputs.batches import has_input, input_of

ArrayLike = Any  # anything that np.asarray takes


class Batch(NamedTuple):
    """One batch inside the graph."""

    inputs: tf.Tensor  # (B, ...)
    labels: tf.Tensor  # (B,) or (B, K)
    weights: tf.Tensor  # float32 (B,)
    ids: tf.Tensor | None  # (B,), None if the data has no ids
    share: tf.Tensor | None = None  # only this many examples count, from the first on; None: all
    start: tf.Tensor | int = 0  # position of the first example in the global batch

    @property
    def count(self) -> tf.Tensor:
        """The number of examples that count, int32."""
        return tf.shape(self.weights)[0] if self.share is None else self.share

    def real(self, values: tf.Tensor) -> tf.Tensor:
        """Return the rows of `values` `(B, ...)` that count."""
        return values if self.share is None else values[: self.share]

    def part(self, start: tf.Tensor, end: tf.Tensor) -> "Batch":
        """Return the examples from `start` to `end` (exclusive), or to the last example."""
        inputs = tf.nest.map_structure(lambda values: values[start:end], self.inputs)
        share = None if self.share is None else tf.clip_by_value(self.share - start, 0, end - start)
        ids = None if self.ids is None else self.ids[start:end]
        return Batch(inputs, self.labels[start:end], self.weights[start:end], ids, share, self.start + start)


def have_finite_inputs(batch: Batch) -> tf.Tensor | None:
    """Return whether all inputs of each example are finite, bool `(B,)`; None for whole numbers, which always are."""
    floating = [values for values in tf.nest.flatten(batch.inputs) if values.dtype.is_floating]
    if not floating:
        return None
    rows = [tf.reduce_all(tf.math.is_finite(values), axis=tf.range(1, tf.rank(values))) for values in floating]
    return tf.reduce_all(tf.stack(rows), axis=0)


def without_hidden_nan(batch: Batch) -> Batch:
    """Give each example whose inputs are not finite the weight NaN, so that its loss is not finite either.

    Otherwise a network could hide it: in a graph the ReLU of NaN is 0, so that the loss of a network such as MobileNet
    stays finite.
    """
    finite = have_finite_inputs(batch)
    return batch if finite is None else batch._replace(weights=tf.where(finite, batch.weights, float("nan")))


class Feed(NamedTuple):
    """A data set, pass by pass; an epoch is one pass unless `steps_per_epoch` is given."""

    dataset: Callable[[int, int], tf.data.Dataset]  # number of the pass, batches to skip at its start -> batches
    num_batches: int | None = None  # of every pass, if any batch can be read without the batches before it
    shares: Callable[[int, int, range, int], tf.data.Dataset | None] | None = None  # see `EpochFeed.shares`
    stream: tf.data.Dataset | None = None  # the data set, if every pass reads the same one


def unpack(element: Any) -> Batch:
    """Read a batch of tfl (a dict) or of Keras (`(x, y)` or `(x, y, weight)`); runs in a graph.

    Raises:
        InputError: the element has another form.
    """
    if isinstance(element, Share):
        return unpack(element.element)._replace(share=element.count, start=element.start)
    if has_input(element):
        inputs, labels = input_of(element), element["label"]
        weights, ids = element.get("weight"), element.get("id")
    elif isinstance(element, (tuple, list)) and len(element) in (2, 3):
        (inputs, labels), weights, ids = element[:2], element[2] if len(element) == 3 else None, None
    else:
        raise InputError(
            "`x` must be a dataset of (x, y), (x, y, weight) or dicts with 'input' and 'label'. "
            f"Received: elements of type {type(element).__name__}."
        )
    count = tf.shape(tf.nest.flatten(inputs)[0])[0]
    if weights is not None and weights.shape.rank is not None and tuple(weights.shape[1:]) not in ((), (1,)):
        raise InputError(f"`x` must have one weight for each example. Received: weights {tuple(weights.shape)}.")
    weights = tf.ones([count]) if weights is None else tf.reshape(tf.cast(weights, tf.float32), [count])
    return Batch(inputs, labels, weights, ids)


def make_feed(x: Any, y: ArrayLike | None, batch_size: int, seed: int | None, sample_weight: Any = None) -> Feed:
    """Turn data of any allowed form into batches per epoch.

    Args:
        x: examples `(N, ...)`; a batched `tf.data.Dataset`; or a callable from the epoch to such a data set.
        y: labels of length N, with arrays only.
        batch_size: examples per batch, with arrays only.
        seed: the order of arrays depends only on seed and epoch; None keeps their order.
        sample_weight: `(N,)`, with arrays only.

    Returns:
        The feed.

    Raises:
        InputError: the labels are missing, have another length, or are given in addition to a data set.
    """
    if isinstance(x, tf.data.Dataset) or callable(x):
        if y is not None or sample_weight is not None:
            raise InputError("`y` must be None if `x` is a dataset, which has its own labels.")
        if isinstance(x, tf.data.Dataset):
            return Feed(lambda epoch, start: x.skip(start), stream=x)
        if hasattr(x, "from_batch"):  # an `EpochFeed`, or an object with the same methods
            return Feed(x.from_batch, getattr(x, "num_batches", None), x.shares)
        by_epoch: Any = functools.lru_cache(maxsize=1)(x)  # so that `x` is called only once per epoch
        return Feed(lambda epoch, start: by_epoch(epoch).skip(start))
    if y is None:
        raise InputError("`y` must be given if `x` is an array.")
    return _array_feed(np.asarray(x), np.asarray(y), batch_size, seed, sample_weight)


def _read_weights(sample_weight: Any, count: int) -> np.ndarray:
    try:
        weight = np.asarray(sample_weight, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"`sample_weight` must be numbers. Received: {error}.") from error
    if weight.shape != (count,):
        raise InputError(f"`sample_weight` must have shape ({count},). Received: shape {weight.shape}.")
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise InputError(
            f"`sample_weight` must be finite numbers of at least 0. Received: {len(wrong)} of {count} other weights, "
            f"the first is {weight[wrong[0]]:g} at position {wrong[0]}."
        )
    return weight


def _array_feed(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int | None, sample_weight: Any) -> Feed:
    if len(x) != len(y) or len(x) == 0:
        raise InputError(f"`y` must be as long as `x`, and not empty. Received: len(x)={len(x)}, len(y)={len(y)}.")
    if batch_size < 1:
        raise InputError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}.")
    weight = np.ones(len(x), np.float32) if sample_weight is None else _read_weights(sample_weight, len(x))
    if x.dtype == np.float64:
        x = x.astype(np.float32)
    y = y.astype(np.float32) if y.dtype == np.float64 else y
    # The map captures each column as one tensor. Only positions are shuffled and batched, so an epoch copies every
    # example once, directly into its batch.
    columns = {"input": tf.constant(x), "label": tf.constant(y), "weight": tf.constant(weight)}

    def gather(ids: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: tf.gather(column, ids) for name, column in columns.items()} | {"id": ids}

    def dataset(epoch: int, start: int) -> tf.data.Dataset:
        rows = np.arange(len(x), dtype=np.int64)
        rows = rows if seed is None else epoch_order(rows, seed, epoch)
        batches = tf.data.Dataset.from_tensor_slices(rows[start * batch_size :]).batch(batch_size)
        return batches.map(gather).prefetch(2)

    return Feed(dataset, math.ceil(len(x) / batch_size))
