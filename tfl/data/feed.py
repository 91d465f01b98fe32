"""The batches of every training epoch, from its first or from any later batch."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from tfl.config import SAMPLINGS
from tfl.data.order import epoch_order
from tfl.data.pipeline import make_dataset
from tfl.data.source import Source
from tfl.distribution.shares import make_shares
from tfl.errors import InputError
from tfl.registry import resolve


@dataclasses.dataclass(frozen=True)
class EpochFeed:
    """Augmented training batches of a source, epoch by epoch, for `tfl.fit`; see `make_dataset`.

    If the source has random access, training that continues in the middle of an epoch does not read the earlier
    examples, and each of several workers reads only its own examples.

    Attributes:
        source: where the examples are.
        rows: int64 positions in `source.index`.
        image_size: pixels per side.
        batch_size: examples per global batch.
        augmentation: "none", "light", "shift", "rand", "trivial" or "erase".
        seed: of the order and the augmentation.
        sampling: "uniform": every example once in an epoch; "balanced": as many examples, with equally many of each
            class; see `tfl.data.order.epoch_order`. It needs labels of one class and random access.

    Raises:
        InputError: the examples cannot be drawn by class.

    Example:
        >>> feed = EpochFeed(splits.source, splits.train, image_size=224, batch_size=32, augmentation="light")
        >>> tfl.compile(model)
        >>> history = tfl.fit(model, feed, epochs=2)
    """

    source: Source
    rows: np.ndarray
    image_size: int
    batch_size: int
    augmentation: str = "none"
    seed: int = 0
    sampling: str = "uniform"

    def __post_init__(self) -> None:
        if resolve(self.sampling, SAMPLINGS, "sampling") != "uniform":
            check_sampling(self.source)

    @property
    def num_batches(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self.rows) / self.batch_size)

    @property
    def labels(self) -> np.ndarray:
        """The labels of the examples, `(N,)` or `(N, K)`, in the order of `rows`."""
        return self.source.index.labels[self.rows]

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """Return all batches of an epoch."""
        return self.from_batch(epoch, 0)

    def from_batch(self, epoch: int, start: int) -> tf.data.Dataset:
        """Return the batches of an epoch without the first `start`."""
        if not self.source.has_random_access:
            return self._make(self.rows, self.batch_size, epoch, shuffle=True).skip(start)
        rows = self._order(epoch)[start * self.batch_size :]
        return self._make(rows, self.batch_size, epoch, shuffle=False)

    def shares(self, epoch: int, start: int, mine: range, num_replicas: int) -> tf.data.Dataset | None:
        """Return the shares of the replicas `mine` in the batches of `from_batch`; None without random access."""
        if not self.source.has_random_access:
            return None
        rows = self._order(epoch)[start * self.batch_size :]
        return make_shares(
            rows, self.batch_size, lambda own, size: self._make(own, size, epoch, shuffle=False), mine, num_replicas
        )

    def _order(self, epoch: int) -> np.ndarray:
        classes = None if self.sampling.lower() == "uniform" else self.labels.reshape(-1)
        return epoch_order(self.rows, self.seed, epoch, classes)

    def _make(self, rows: np.ndarray, batch_size: int, epoch: int, *, shuffle: bool) -> tf.data.Dataset:
        return make_dataset(
            self.source,
            rows,
            image_size=self.image_size,
            batch_size=batch_size,
            augmentation=self.augmentation,
            seed=self.seed,
            epoch=epoch,
            shuffle=shuffle,
        )


def check_sampling(source: Source, argument: str = "sampling") -> None:
    """Refuse to draw examples by class from a stream, or by labels that are not classes.

    Raises:
        InputError: the source cannot give its examples in any order, or its labels are not one class each.
    """
    if not source.index.is_multiclass:
        raise InputError(f"`{argument}` must be 'uniform' if an example does not have exactly one class.")
    if not source.has_random_access:
        raise InputError(
            f"`{argument}` must be 'uniform' for a source that is read in its own order, as tfds and tf.data are. "
            f"Received: {argument}='balanced'."
        )
