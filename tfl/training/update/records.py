"""What every step leaves behind, collected in the graph and taken out between its calls."""

import numpy as np
import tensorflow as tf

COLUMNS = ("loss", "gradient_norm", "learning_rate", "images")
_UNBOUNDED = -1


class Records:
    """Queues, which unlike variables need not be copied from worker to worker, and grow as they are filled."""

    def __init__(self) -> None:
        self._steps = tf.queue.FIFOQueue(_UNBOUNDED, [tf.float64], shapes=[(len(COLUMNS),)])
        self._skipped_ids = tf.queue.FIFOQueue(_UNBOUNDED, [tf.string], shapes=[()])

    def add_step(self, *values: tf.Tensor) -> None:
        """Take in one step, a value for each of `COLUMNS`; runs in a graph."""
        self._steps.enqueue(tf.stack([tf.cast(value, tf.float64) for value in values]))

    def add_skipped(self, ids: tf.Tensor) -> None:
        """Take in the ids of a step that is not applied, strings `(B,)`; runs in a graph."""
        self._skipped_ids.enqueue_many(ids)

    def take_steps(self) -> np.ndarray:
        """Return the steps that came in since the last time, `(S, len(COLUMNS))`."""
        return self._steps.dequeue_many(self._steps.size()).numpy()

    def take_skipped_ids(self) -> list[str]:
        """Return the ids, of this process, that came in since the last time."""
        return [name.decode() for name in self._skipped_ids.dequeue_many(self._skipped_ids.size()).numpy()]
