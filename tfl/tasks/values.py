"""The task with one or several values per example (regression): squared error."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfl.data.label_formats import LabelFormat, ValueLabels
from tfl.tasks.convex import Convex, SquaredError
from tfl.tasks.scores import value_metrics
from tfl.tasks.statistics import value_errors
from tfl.tasks.task import CONFORMAL, Headline, Outcomes, Statistic, Task, check_smoothing

_STEP = 0.01  # of the range of all values: two models agree if they differ by at most this share


class Regression(Task):
    """Values: outputs and scores are the same numbers."""

    name = "regression"
    labels: ClassVar[LabelFormat] = ValueLabels()
    headline = Headline("mean_absolute_error", higher_is_better=False, is_share=False, digits=".4g")
    analyses = (CONFORMAL,)
    convex: Convex | None = SquaredError()
    has_temperature = False
    standardizes = True
    nouns = ("value", "values")
    output_kind = "one number a value"

    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """See `Task`."""
        check_smoothing(self, label_smoothing)
        return keras.losses.MeanSquaredError(reduction="none")

    def metrics(self) -> list[keras.metrics.Metric]:
        """See `Task`."""
        return [keras.metrics.MeanAbsoluteError(name="mean_absolute_error")]

    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """See `Task`."""
        return _as_rows(labels)

    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """See `Task`; values have no temperature."""
        return np.asarray(outputs, np.float64)

    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return np.asarray(scores, np.float64)

    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """See `Task`; values have no temperature."""
        return tf.identity(outputs)

    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `Task`: a value is never correct."""
        return np.zeros(len(labels), bool)

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return np.asarray(scores)

    def outcomes(self, scores: np.ndarray, labels: np.ndarray) -> Outcomes:
        """See `Task`."""
        scores, rows = np.asarray(scores, np.float64), np.arange(len(scores))
        error = np.abs(scores - np.asarray(labels, np.float64).reshape(scores.shape))
        worst = error.argmax(axis=1)
        return Outcomes(worst, np.zeros(len(rows), bool), error[rows, worst])

    def explained_output(self, scores: np.ndarray) -> np.ndarray:
        """Return column 0, the first value, for every example."""
        return np.zeros(len(scores), np.int64)

    def headline_values(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the absolute error of each example, as the mean over its values, `(N,)`."""
        return np.abs(_as_rows(labels) - outputs).mean(axis=1)

    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
        """See `Task`."""
        outputs, loss = np.asarray(outputs, np.float64), self.losses(outputs, labels)
        shared = {"loss": float(loss.mean()), "num_examples": len(loss)}
        return shared | value_metrics(_as_rows(labels), outputs)

    def statistic(self, outputs: np.ndarray, labels: np.ndarray) -> Statistic:
        """See `Task`."""
        return value_errors(_as_rows(labels), np.asarray(outputs, np.float64))

    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return whether every value differs by at most 1 % of the range of the expected values, bool `(N,)`."""
        return (np.abs(scores - expected) <= _STEP * np.ptp(expected, axis=0)).all(axis=1)

    def spread(self, expected: np.ndarray) -> float:
        """See `Task`."""
        return max(1.0, float(np.abs(expected).max()))

    def answer(self, scores: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
        """See `Task`."""
        pairs = zip(names, scores.tolist(), strict=True)
        return {"values": [{"name": name, "value": value} for name, value in pairs]}

    def table_header(self, names: Sequence[str], top: int) -> list[str]:
        """See `Task`."""
        return list(names)

    def table_row(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[str]:
        """See `Task`."""
        return [f"{value:.6g}" for value in scores]


def _as_rows(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels, np.float64)
    return labels[:, None] if labels.ndim == 1 else labels
