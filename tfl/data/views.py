"""Batches of two augmented views of each example, for training without labels."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfl.data.order import epoch_order
from tfl.data.pipeline import make_dataset
from tfl.data.source import Source
from tfl.distribution.shares import Share, make_shares


@dataclasses.dataclass(frozen=True)
class TwoViews:
    """A feed of `tfl.fit` without labels: rows `2 i` and `2 i + 1` of a batch are two views of one example.

    View v of epoch e is augmented as in epoch 2 e + v of an `EpochFeed`, so it depends only on (seed, epoch, view,
    content of the example). All batches are full: the examples after the last full batch, other ones in each epoch,
    are left out, because statistics of a few examples are no measure of the others.

    Attributes:
        source: where the examples are; it must have random access.
        rows: int64 positions in `source.index`.
        image_size: of a prepared example.
        batch_size: examples in a global batch, at most the number of rows, and a multiple of the number of replicas.
        augmentation: any but "none".
        seed: of the order and the augmentation.

    Example:
        >>> feed = TwoViews(splits.source, splits.train, image_size=32, batch_size=8, augmentation="rand")
        >>> next(iter(feed(0)))["input"].shape
        TensorShape([16, 32, 32, 3])
    """

    source: Source
    rows: np.ndarray
    image_size: int
    batch_size: int
    augmentation: str
    seed: int = 0

    @property
    def num_batches(self) -> int:
        """Number of batches in an epoch."""
        return len(self.rows) // self.batch_size

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """Return all batches of an epoch."""
        return self.from_batch(epoch, 0)

    def from_batch(self, epoch: int, start: int) -> tf.data.Dataset:
        """Return the batches of an epoch without the first `start`."""
        return self._pairs(self._order(epoch, start), self.batch_size, epoch).map(_interleave)

    def shares(self, epoch: int, start: int, mine: range, num_replicas: int) -> tf.data.Dataset:
        """Return the shares of the replicas `mine` in the batches of `from_batch`; each has both views of its own."""
        found = make_shares(
            self._order(epoch, start),
            self.batch_size,
            lambda own, size: self._pairs(own, size, epoch),
            mine,
            num_replicas,
        )
        return found.map(lambda own: Share(_interleave(*own.element), 2 * own.count, 2 * own.start))

    def _order(self, epoch: int, start: int) -> np.ndarray:
        rows = epoch_order(self.rows, self.seed, epoch)
        return rows[start * self.batch_size : self.num_batches * self.batch_size]

    def _pairs(self, rows: np.ndarray, size: int, epoch: int) -> tf.data.Dataset:
        return tf.data.Dataset.zip(
            tuple(
                make_dataset(
                    self.source,
                    rows,
                    image_size=self.image_size,
                    batch_size=size,
                    augmentation=self.augmentation,
                    seed=self.seed,
                    epoch=2 * epoch + view,
                    shuffle=False,
                )
                for view in (0, 1)
            )
        )


def _interleave(first: dict[str, tf.Tensor], second: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return one batch of two; the labels are left out, so that no step can see them."""
    batch = {name: _by_turns(first[name], second[name]) for name in ("input", "id")}
    return batch | {"label": tf.zeros(tf.shape(batch["id"]))}


def _by_turns(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    stacked = tf.stack([first, second], axis=1)
    return tf.reshape(stacked, [-1, *stacked.shape[2:]])
