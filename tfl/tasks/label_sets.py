"""Several labels per example, each present or not: a sigmoid of one logit per label."""

from typing import ClassVar

import numpy as np
import scipy.special
import tensorflow as tf

from tfl.data.label_formats import LabelFormat, SetLabels
from tfl.tasks import statistics
from tfl.tasks.scores import label_metrics
from tfl.tasks.sigmoid import SigmoidOutputs
from tfl.tasks.task import Outcomes, Statistic


class Multilabel(SigmoidOutputs):
    """A set of labels: each label has an independent probability."""

    name = "multilabel"
    labels: ClassVar[LabelFormat] = SetLabels()
    nouns = ("label", "labels")
    output_kind = "one logit a label"

    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """See `Task`."""
        return scipy.special.expit(np.asarray(outputs, np.float64) / temperature)

    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return scipy.special.logit(np.clip(np.asarray(scores, np.float64), 1e-12, 1.0 - 1e-12))

    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """See `Task`."""
        return tf.nn.sigmoid(outputs / temperature)

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """See `Classification`."""
        return (np.asarray(outputs) > 0).astype(np.int64)

    def as_classes(self, labels: np.ndarray) -> np.ndarray:
        """See `Classification`."""
        return np.asarray(labels).astype(np.int64)

    def one_vs_rest(self, classes: np.ndarray, num_classes: int) -> np.ndarray:
        """See `Classification`."""
        return self.as_classes(classes) > 0

    def confidences(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Classification`."""
        return self.scores(outputs).ravel(), self.as_classes(labels).ravel() > 0

    def confidence(self, scores: np.ndarray) -> np.ndarray:
        """Return the lowest confidence among the labels of each example, `(N,)`."""
        return np.maximum(scores, 1.0 - scores).min(axis=1)

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return np.asarray(scores) > 0.5

    def outcomes(self, scores: np.ndarray, labels: np.ndarray) -> Outcomes:
        """See `Task`."""
        scores, rows = np.asarray(scores, np.float64), np.arange(len(scores))
        truth = np.asarray(labels, np.float64).reshape(scores.shape)
        sureness = np.maximum(scores, 1 - scores)
        is_wrong = (scores > 0.5) != (truth > 0.5)
        is_correct = ~is_wrong.any(axis=1)
        decided = np.where(is_correct, sureness.argmin(axis=1), np.where(is_wrong, sureness, -1.0).argmax(axis=1))
        return Outcomes(decided, is_correct, sureness[rows, decided])

    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return whether every label of an example is the same, at the threshold 0.5, bool `(N,)`."""
        return ((scores > 0.5) == (expected > 0.5)).all(axis=1)

    def _own_metrics(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        return label_metrics(classes, predicted)

    def _own_means(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        right = classes == predicted
        return {"accuracy": right.all(axis=1).astype(float), "label_accuracy": right.mean(axis=1)}

    def _own_confusion(self, truth: np.ndarray, predicted: np.ndarray) -> Statistic:
        return statistics.label_confusion(truth, predicted)
