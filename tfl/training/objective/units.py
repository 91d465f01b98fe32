"""Standardise the values of a regression for training: the user's units outside, standard deviations inside."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.distribution.shares import Share


class Units:
    """Mean and standard deviation of each value that a model predicts.

    Learning rates, penalties and random starts fit targets of a size near 1. With prices around 1,000 the head would
    spend all its training steps on reaching the mean.

    Args:
        labels: training labels, `(N,)` or `(N, K)`; a value that never changes keeps its unit.

    Attributes:
        mean: `(K,)` float64.
        scale: `(K,)` float64, above 0.

    Example:
        >>> units = Units(np.array([900.0, 1100.0]))
        >>> units.standardize(np.array([1000.0, 1100.0]))
        array([0., 1.])
    """

    def __init__(self, labels: np.ndarray) -> None:
        values = np.asarray(labels, np.float64).reshape(len(labels), -1)
        deviation = values.std(axis=0)
        self.mean, self.scale = values.mean(axis=0), np.where(deviation > 0, deviation, 1.0)

    def standardize(self, labels: Any) -> np.ndarray:
        """Return labels `(N,)` or `(N, K)` in standard deviations from the mean, float64 in the same shape."""
        labels = np.asarray(labels, np.float64)
        return ((labels.reshape(len(labels), -1) - self.mean) / self.scale).reshape(labels.shape)

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Return standardised outputs `(N, K)` in the user's units."""
        return outputs * self.scale + self.mean

    def batches(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return batches, or shares of batches, with standardised labels."""
        return dataset.map(self._standardize_element)

    def to_user(self, layer: keras.layers.Dense) -> None:
        """Change a last layer that returns standardised values, so that it returns values in the user's units."""
        layer.kernel.assign(layer.kernel.numpy() * self.scale)
        layer.bias.assign(self.restore(layer.bias.numpy()))

    @contextlib.contextmanager
    def standardized(self, layer: keras.layers.Dense) -> Iterator[None]:
        """Within the context, a last layer that returns values in the user's units returns standardised values."""
        layer.kernel.assign(layer.kernel.numpy() / self.scale)
        layer.bias.assign((layer.bias.numpy() - self.mean) / self.scale)
        try:
            yield
        finally:
            self.to_user(layer)

    def _standardize_element(self, batch: Any) -> Any:
        if isinstance(batch, Share):
            return batch._replace(element=self._standardize_element(batch.element))
        labels = tf.cast(batch["label"], tf.float64)
        rows = (tf.reshape(labels, [-1, len(self.mean)]) - self.mean) / self.scale
        return batch | {"label": tf.cast(tf.reshape(rows, tf.shape(labels)), tf.float32)}


class InUserUnits(keras.metrics.Metric):
    """A metric of standardised values that is measured in the user's units, so that an error of 3 is 3 euros.

    Args:
        metric: updated with labels and outputs in the user's units; the name stays.
        units: units of the labels.

    Example:
        >>> metric = InUserUnits(keras.metrics.MeanAbsoluteError(), Units(np.array([900.0, 1100.0])))
        >>> metric.update_state([[0.0]], [[0.5]])
        >>> float(metric.result())
        50.0
    """

    def __init__(self, metric: keras.metrics.Metric, units: Units) -> None:
        super().__init__(name=metric.name)
        self._metric, self._units = metric, units

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: standardised values `(B,)` or `(B, K)`, and weights `(B,)`."""
        self._metric.update_state(self._restored(y_true), self._restored(y_pred), sample_weight)

    def result(self) -> Any:
        """Return the metric of all batches so far."""
        return self._metric.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._metric.reset_state()

    def _restored(self, values: Any) -> Any:
        values = tf.convert_to_tensor(values)
        rows = tf.reshape(values, [-1, len(self._units.mean)])
        restored = rows * self._units.scale.astype(values.dtype.as_numpy_dtype)
        return tf.reshape(restored + self._units.mean.astype(values.dtype.as_numpy_dtype), tf.shape(values))


class StandardizedFeed:
    """A feed of `tfl.fit` whose labels are standardised.

    Args:
        feed: an `EpochFeed`, or an object with the same methods.
        units: units of the labels.
    """

    def __init__(self, feed: Any, units: Units) -> None:
        self.feed, self.units, self.num_batches = feed, units, feed.num_batches

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """Return all batches of an epoch."""
        return self.from_batch(epoch, 0)

    def from_batch(self, epoch: int, start: int) -> tf.data.Dataset:
        """Return the batches of an epoch without the first `start`."""
        return self.units.batches(self.feed.from_batch(epoch, start))

    def shares(self, epoch: int, start: int, mine: range, num_replicas: int) -> tf.data.Dataset | None:
        """Return the shares of some replicas in the batches of `from_batch`; None if only whole batches can be read."""
        found = self.feed.shares(epoch, start, mine, num_replicas)
        return None if found is None else self.units.batches(found)
