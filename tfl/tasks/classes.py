"""Tasks with one class per example: of several classes (one logit per class), or of two (one logit)."""

from collections.abc import Sequence
from typing import ClassVar

import keras
import numpy as np
import scipy.special
import tensorflow as tf

from tfl.data.label_formats import ClassLabels, LabelFormat
from tfl.errors import InputError
from tfl.tasks import statistics
from tfl.tasks.classification import ROUNDING, Classification
from tfl.tasks.convex import Convex, SoftmaxCrossEntropy
from tfl.tasks.cross_entropy import CrossEntropy
from tfl.tasks.scores import TOP_K, class_metrics, positive_class_metrics, top_k_metrics
from tfl.tasks.sigmoid import SigmoidOutputs
from tfl.tasks.task import CONFORMAL, CONFUSION, OF_CLASSIFIERS, Outcomes, Statistic


class OneClass(Classification):
    """Base class of the tasks in which each example belongs to one class."""

    labels: ClassVar[LabelFormat] = ClassLabels()
    analyses: ClassVar[tuple[str, ...]] = (*OF_CLASSIFIERS, CONFUSION, CONFORMAL)

    def as_classes(self, labels: np.ndarray) -> np.ndarray:
        """See `Classification`."""
        return np.asarray(labels).astype(np.int64).reshape(len(labels))

    def one_vs_rest(self, classes: np.ndarray, num_classes: int) -> np.ndarray:
        """See `Classification`."""
        return self.as_classes(classes)[:, None] == np.arange(num_classes)

    def confidences(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Classification`."""
        scores, predicted = self.scores(outputs), self.predict(outputs)
        return scores[np.arange(len(predicted)), predicted], predicted == self.as_classes(labels)

    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return self.predict(outputs) == np.asarray(labels, np.int64)

    def confidence(self, scores: np.ndarray) -> np.ndarray:
        """See `Classification`."""
        return scores.max(axis=1)

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return np.asarray(scores).argmax(axis=1)

    def outcomes(self, scores: np.ndarray, labels: np.ndarray) -> Outcomes:
        """See `Task`."""
        scores = np.asarray(scores, np.float64)
        predicted = self.decide(scores)
        return Outcomes(predicted, predicted == labels, scores[np.arange(len(scores)), predicted])

    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return whether the most probable class of each example is the same, bool `(N,)`."""
        return self.decide(scores) == self.decide(expected)

    def check_scores(self, scores: np.ndarray, ids: Sequence[str]) -> None:
        """See `Task`; the scores of an example must add up to 1."""
        super().check_scores(scores, ids)
        sums = scores.sum(axis=1)
        if np.abs(sums - 1).max() > ROUNDING:
            row = int(np.abs(sums - 1).argmax())
            raise ValueError(f"the probabilities of {ids[row]!r} add up to {sums[row]:g}")

    def _own_metrics(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        return class_metrics(classes, predicted)

    def _own_means(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        return {"accuracy": (classes == predicted).astype(float)}

    def _own_confusion(self, truth: np.ndarray, predicted: np.ndarray) -> Statistic:
        return statistics.class_confusion(truth, predicted)


class Multiclass(CrossEntropy, OneClass):
    """One class of several: softmax."""

    name = "multiclass"
    convex: Convex = SoftmaxCrossEntropy()
    activation = "softmax"

    def cross_entropy(self, label_smoothing: float) -> keras.losses.Loss:
        """See `CrossEntropy`."""
        if label_smoothing:
            return keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=label_smoothing, reduction="none"
            )
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def metrics(self) -> list[keras.metrics.Metric]:
        """See `Task`."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """See `Task`."""
        return np.asarray(labels, np.int64)

    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """See `Task`."""
        return scipy.special.softmax(np.asarray(outputs, np.float64) / temperature, axis=1)

    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return np.log(np.maximum(np.asarray(scores, np.float64), np.finfo(np.float64).tiny))

    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """See `Task`."""
        return tf.nn.softmax(outputs / temperature)

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """See `Classification`."""
        return np.asarray(outputs).argmax(axis=1)

    def _extra_metrics(self, classes: np.ndarray, scores: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        return top_k_metrics(classes, outputs)

    def _own_means(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        order = np.argsort(outputs, axis=1, kind="stable")[:, ::-1]  # equal logits: last first, as in scikit-learn
        place = np.argmax(order == classes[:, None], axis=1)
        top = {f"top_{k}_accuracy": (place < k).astype(float) for k in TOP_K if outputs.shape[1] > k}
        return super()._own_means(classes, predicted, outputs) | top


class Binary(SigmoidOutputs, OneClass):
    """One class of two: a sigmoid of one logit, which belongs to the second class."""

    name = "binary"
    labels: ClassVar[LabelFormat] = ClassLabels("zero_or_one", "zero_to_one")
    positive = 1
    output_kind = "one logit"

    @property
    def compared_as(self) -> str:
        """Name of the task for comparisons: the scores are two columns, which may be in either order."""
        return Multiclass.name

    def num_outputs(self, num_names: int) -> int:
        """See `Task`."""
        if num_names != 2:
            raise InputError(f"`task.name` must be 'multiclass' for {num_names} classes. Received: task.name='binary'.")
        return 1

    def num_classes(self, num_outputs: int) -> int:
        """See `Task`."""
        return 2

    def check_names(self, names: Sequence[str]) -> None:
        """See `Task`."""
        if len(names) != 2:
            raise InputError(f"`class_names` must be two names for a binary target. Received: {len(names)} names.")

    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """See `Task`; the negative class first."""
        outputs = np.asarray(outputs, np.float64) / temperature
        # 1 - sigmoid(z) would round probabilities below 1e-16 to 0
        return np.hstack([scipy.special.expit(-outputs), scipy.special.expit(outputs)])

    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        logarithms = np.log(np.maximum(np.asarray(scores, np.float64), np.finfo(np.float64).tiny))
        return logarithms[:, 1:] - logarithms[:, :1]

    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """See `Task`; 1 - sigmoid(z) would lose the digits of a small probability."""
        outputs = outputs / temperature
        return tf.nn.sigmoid(tf.concat([-outputs, outputs], axis=-1))

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """See `Classification`."""
        return (np.asarray(outputs) > 0).astype(np.int64)[:, 0]

    def explained_score(self, outputs: tf.Tensor, columns: np.ndarray) -> tf.Tensor:
        """See `Task`; with a single logit, the score of the first class is the negative logit."""
        return outputs[:, 0] * tf.constant(2.0 * columns - 1.0, outputs.dtype)

    def _extra_metrics(self, classes: np.ndarray, scores: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        return positive_class_metrics(classes == 1, scores[:, 1])
