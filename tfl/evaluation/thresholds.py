"""Find the probability from which the predictions of a class reach a wanted precision."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.intervals import share_with_interval
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.evaluation.rows import KEY, rows_from_json
from tfl.tasks.task import PRECISION

PRECISIONS = (0.9, 0.95, 0.99)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrecisionThreshold:
    """The lowest probability from which the predictions of a class reach a wanted precision.

    A number is None if it cannot be reached or is undefined.

    Attributes:
        name: name of the class; "class" in JSON.
        precision: the wanted precision.
        threshold: the lowest probability.
        recall: recall on validation.
        test_precision: precision on test.
        low: lower end of the 95 % interval of `test_precision` (Wilson).
        high: upper end of the same interval.
        test_recall: recall on test.
    """

    name: str = dataclasses.field(metadata={KEY: "class"})
    precision: float
    threshold: float | None
    recall: float | None = None
    test_precision: float | None = None
    low: float | None = None
    high: float | None = None
    test_recall: float | None = None


class PrecisionAnalysis(Analysis[tuple[PrecisionThreshold, ...]]):
    """The thresholds of each class for several precisions."""

    name = PRECISION
    is_decision = True

    def measure(self, examples: Examples) -> tuple[PrecisionThreshold, ...] | None:
        """Choose the thresholds on validation, and measure them on test."""
        validation = examples.scaled_validation
        if not validation:
            return None
        return precision_thresholds(validation, examples.class_names, test=examples.scaled_test)

    def from_dict(self, values: Mapping[str, Any]) -> tuple[PrecisionThreshold, ...] | None:
        """Return the rows from the entry "precision_thresholds"; None if there is none."""
        return rows_from_json(PrecisionThreshold, values[self.name]) if self.name in values else None


def precision_thresholds(
    validation: Predictions,
    class_names: Sequence[str],
    precisions: Sequence[float] = PRECISIONS,
    test: Predictions | None = None,
) -> tuple[PrecisionThreshold, ...]:
    """Return, for each class, the lowest probability from which its predictions reach a wanted precision.

    The lowest threshold finds most examples of the class. With few examples its precision is optimistic, so the
    threshold is chosen on validation and measured on test.

    Args:
        validation: predictions for choosing the thresholds.
        class_names: in the order of the columns of probabilities.
        precisions: wanted precisions, each above 0 and at most 1.
        test: predictions for measuring the thresholds.

    Returns:
        One row for each class and precision; the numbers of test are None without `test`.
    """
    task = classification_of(validation)
    truth = task.one_vs_rest(validation.labels, len(class_names))
    test_truth = None if test is None else task.one_vs_rest(test.labels, len(class_names))
    scores, test_scores = validation.probabilities, None if test is None else test.probabilities
    rows, groups = [], None if test is None else test.groups
    for column, name in enumerate(class_names):
        for wanted in precisions:
            threshold, recall = _threshold_for(truth[:, column], scores[:, column], wanted)
            row = PrecisionThreshold(name=name, precision=wanted, threshold=threshold, recall=recall)
            if test_truth is not None and test_scores is not None:
                row = _measured(row, test_truth[:, column], test_scores[:, column], groups)
            rows.append(row)
    return tuple(rows)


def _threshold_for(truth: np.ndarray, scores: np.ndarray, wanted: float) -> tuple[float | None, float | None]:
    if not truth.any():
        return None, None
    precision, recall, thresholds = sklearn.metrics.precision_recall_curve(truth, scores)
    reached = np.flatnonzero((precision[:-1] >= wanted) & (recall[:-1] > 0))
    if not len(reached):
        return None, None
    return float(thresholds[reached[0]]), float(recall[reached[0]])


def _measured(
    row: PrecisionThreshold, truth: np.ndarray, scores: np.ndarray, groups: np.ndarray | None
) -> PrecisionThreshold:
    """Return the row with the numbers of test."""
    predicted = np.zeros(len(scores), bool) if row.threshold is None else scores >= row.threshold
    precision, low, high = share_with_interval(truth[predicted], None if groups is None else groups[predicted])
    recall = float(predicted[truth].mean()) if row.threshold is not None and truth.any() else None
    return dataclasses.replace(row, test_precision=precision, low=low, high=high, test_recall=recall)
