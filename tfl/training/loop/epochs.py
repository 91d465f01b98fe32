"""The batches of an epoch: one pass over the data, or a fixed number of steps that continue across passes."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from tfl.data.passes import is_endless
from tfl.distribution.replicas import distribute
from tfl.errors import InputError
from tfl.training.update.batches import Feed

NO_BATCH = "`x` must have at least one batch. Received: a dataset without any."
Shares = Callable[[range, int], tf.data.Dataset | None]


class Batches:
    """Global batches that are read once; a later reader continues where the reader before it stopped.

    Args:
        dataset: the batches.
        shares: see `distribute`.

    Attributes:
        count: number of batches; None if it is known only after reading, or if the batches never end.
    """

    def __init__(self, dataset: tf.data.Dataset, shares: Shares | None = None) -> None:
        self.dataset, self.shares = dataset, shares
        cardinality = int(dataset.cardinality())
        self.count = cardinality if cardinality >= 0 else None
        self._iterator: Any = None

    def whole(self) -> Iterator[Any]:
        """Return the iterator over whole batches, for steps that run one by one."""
        self._iterator = iter(self.dataset) if self._iterator is None else self._iterator
        return self._iterator

    def in_shares(self, strategy: tf.distribute.Strategy) -> Any:
        """Return the iterator over the shares of the replicas, for many steps in one call of the graph."""
        if self._iterator is None:
            self._iterator = iter(distribute(strategy, self.dataset, self.shares))
        return self._iterator


class Walk(NamedTuple):
    """A part of an epoch: `count` steps on some batches, or all batches if `count` is None."""

    batches: Batches
    start: int  # number of the first step in the epoch
    count: int | None


class Epochs:
    """The batches of all epochs, one epoch after the other.

    Args:
        feed: the data.
        steps: steps per epoch. An epoch continues where the epoch before it stopped; after the last batch of the
            data, the first batch of the next pass follows. None: an epoch is one pass.
    """

    def __init__(self, feed: Feed, steps: int | None) -> None:
        self.feed, self.steps = feed, steps
        self._stream: Batches | None = None

    def num_steps(self, epoch: int) -> int | None:
        """Return the number of steps of an epoch; None if it is known only after reading.

        Raises:
            InputError: there is no batch, or the data never ends and `steps` is None.
        """
        count = self.feed.num_batches
        if count is None and self.steps is None:
            count = self._pass(epoch, 0).count
        elif count is None and self.feed.stream is not None:
            count = Batches(self.feed.stream).count
        if count == 0:
            raise InputError(NO_BATCH)
        return count if self.steps is None else self.steps

    def walks(self, epoch: int, start: int) -> Iterator[Walk]:
        """Yield the parts of an epoch from its step `start` on."""
        if self.steps is None:
            yield Walk(self._pass(epoch, start), start, None)
        elif self.feed.num_batches is None:
            yield Walk(self._from(epoch, start), start, self.steps - start)
        else:  # any batch can be read without the batches before it
            while start < self.steps:
                number, first = divmod(epoch * self.steps + start, self.feed.num_batches)
                count = min(self.steps - start, self.feed.num_batches - first)
                yield Walk(self._pass(number, first), start, count)
                start += count

    def _pass(self, number: int, first: int) -> Batches:
        dataset = self.feed.dataset(number, first)
        if is_endless(dataset):
            raise InputError(
                "`steps_per_epoch` must be given if `x` repeats for ever. Received: steps_per_epoch=None. "
                "Did you mean the dataset before .repeat()?"
            )
        shares = self.feed.shares
        return Batches(dataset, None if shares is None else functools.partial(shares, number, first))

    def _from(self, epoch: int, start: int) -> Batches:
        """Return the batches after the first `start` steps of an epoch; a callable starts each epoch anew."""
        if self.feed.stream is None:
            return Batches(self.feed.dataset(epoch, 0).repeat().skip(start))
        if self._stream is None:
            self._stream = Batches(self.feed.stream.repeat().skip(epoch * (self.steps or 0) + start))
        return self._stream
