"""Records of every step, collected in the graph and read between its calls."""

import numpy as np
import tensorflow as tf

COLUMNS = ("loss", "gradient_norm", "learning_rate", "images")
_UNBOUNDED = -1


class Records:
    """Queues of records; unlike variables, queues grow and need no copies from worker to worker."""

    def __init__(self) -> None:
        self._steps = tf.queue.FIFOQueue(_UNBOUNDED, [tf.float64], shapes=[(len(COLUMNS),)])
        self._skipped_ids = tf.queue.FIFOQueue(_UNBOUNDED, [tf.string], shapes=[()])

    def add_step(self, *values: tf.Tensor) -> None:
        """Add one step, with one value for each of `COLUMNS`; runs in a graph."""
        self._steps.enqueue(tf.stack([tf.cast(value, tf.float64) for value in values]))

    def add_skipped(self, ids: tf.Tensor) -> None:
        """Add the ids of a skipped step, strings `(B,)`; runs in a graph."""
        self._skipped_ids.enqueue_many(ids)

    def take_steps(self) -> np.ndarray:
        """Return the steps since the last call, float64 `(S, len(COLUMNS))`, and remove them."""
        return self._steps.dequeue_many(self._steps.size()).numpy()

    def take_skipped_ids(self) -> list[str]:
        """Return the ids of skipped steps in this process since the last call, and remove them."""
        return [name.decode() for name in self._skipped_ids.dequeue_many(self._skipped_ids.size()).numpy()]
