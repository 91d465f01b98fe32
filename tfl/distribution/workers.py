"""Divide work among the processes that run one program together, and combine their results."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.distribution.strategy import num_workers, worker_index

CHUNK = 2**22  # numbers that are summed at once: 32 MB


class Workers:
    """The workers of a strategy; a single worker does all the work and sends nothing.

    Every worker must make the same calls in the same order, because each call waits for the other workers.

    Attributes:
        number: of workers.
        index: of this worker, from 0.

    Example:
        >>> workers = Workers(tf.distribute.get_strategy())
        >>> mine = workers.share(len(values), block=32)
        >>> whole = workers.gather(np.sqrt(values[mine]), mine, len(values))
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy, self.number, self.index = strategy, num_workers(strategy), worker_index(strategy)

    def share(self, count: int, block: int) -> np.ndarray:
        """Return this worker's positions among `count`: blocks of consecutive positions, given to the workers in turn.

        If `block` is the batch size, each batch holds the same examples as with one process, so its results have the
        same bits.
        """
        positions = np.arange(count)
        return positions[positions // block % self.number == self.index]

    def sum(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """Return the sums of arrays over all workers, in float64; every worker gets the same bits.

        The arrays must have the same shapes on all workers.
        """
        arrays = [np.asarray(array, np.float64) for array in arrays]
        if self.number == 1:
            return arrays
        vector = np.concatenate([array.ravel() for array in arrays])
        total = np.concatenate([self._sum(vector[i : i + CHUNK]) for i in range(0, max(len(vector), 1), CHUNK)])
        parts = np.split(total, np.cumsum([array.size for array in arrays])[:-1])
        return [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]

    def mean(self, *values: float) -> list[float]:
        """Return the means of numbers over all workers, so that all workers make the same decision from them."""
        return [float(total) / self.number for total in self.sum(values)]

    def gather(self, values: np.ndarray, positions: np.ndarray, count: int) -> np.ndarray:
        """Return `(count, ...)`: the values of all workers, each at its position, exact to the bit.

        Args:
            values: `(N, ...)` numbers that float64 can hold.
            positions: `(N,)`; every position belongs to exactly one worker.
            count: number of positions of all workers.
        """
        if self.number == 1:
            return values
        whole = np.zeros((count, *values.shape[1:]))
        whole[positions] = values
        return self.sum([whole])[0].astype(values.dtype)

    def _sum(self, vector: np.ndarray) -> np.ndarray:
        local = self.strategy.num_replicas_in_sync // self.number

        def of_replica(context: Any) -> tf.Tensor:  # one replica of each worker sends its vector
            speaks = context.replica_id_in_sync_group % local == 0
            return tf.constant(vector if speaks else np.zeros_like(vector), tf.float64)

        copies = self.strategy.experimental_distribute_values_from_function(of_replica)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, copies, axis=None).numpy()
