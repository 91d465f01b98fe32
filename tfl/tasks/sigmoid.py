"""Outputs that are logits of independent yes-or-no questions: one for two classes, one per label for sets of labels."""

from typing import ClassVar

import keras
import numpy as np

from tfl.tasks.convex import Convex, SigmoidCrossEntropy
from tfl.tasks.cross_entropy import CrossEntropy


class SigmoidOutputs(CrossEntropy):
    """What `Binary` and `Multilabel` have in common."""

    convex: Convex = SigmoidCrossEntropy()
    activation: ClassVar[str] = "sigmoid"

    def cross_entropy(self, label_smoothing: float) -> keras.losses.Loss:
        """See `CrossEntropy`."""
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing, reduction="none")

    def metrics(self) -> list[keras.metrics.Metric]:
        """See `Task`; a logit above 0 counts as "yes" (the default threshold of Keras is 0.5)."""
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]

    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """See `Task`."""
        labels = np.asarray(labels, np.float64)
        return labels[:, None] if labels.ndim == 1 else labels

    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return whether all labels of an example are correct, bool `(N,)`."""
        return np.all((outputs > 0) == (self.as_targets(labels, outputs.shape[1]) > 0.5), axis=1)
