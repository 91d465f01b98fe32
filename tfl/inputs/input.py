"""`Input`, the protocol for a kind of example: the only path from the raw data of a source to the input of a model."""

from typing import Protocol

import tensorflow as tf


class Input(Protocol):
    """A kind of example. Training, evaluation, prediction, export and the service all use it to prepare examples."""

    @property
    def spec(self) -> tf.TensorSpec:
        """Shape and type of one prepared example."""
        ...

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the input of the model for one raw example of a source, without augmentation."""
        ...

    def augment(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tf.Tensor:
        """Return a randomly changed version of the prepared example.

        Args:
            raw: the example in the form that the source holds.
            name: of the augmentation.
            seed: int64 `(2,)`; the same seed gives the same version.
        """
        ...
