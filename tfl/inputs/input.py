"""What an example is: the one path from what a source holds to what a model is fed."""

from typing import Protocol

import tensorflow as tf


class Input(Protocol):
    """A kind of example. Training, evaluation, prediction, export and the service prepare examples by it alone."""

    @property
    def spec(self) -> tf.TensorSpec:
        """Shape and type of one prepared example."""
        ...

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return an example as a model is fed it, from what the source holds; no augmentation."""
        ...

    def augment(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tf.Tensor:
        """Return a randomly changed version of it.

        Args:
            raw: what the source holds.
            name: of the augmentation.
            seed: int64 `(2,)`: the same seed gives the same version.
        """
        ...
