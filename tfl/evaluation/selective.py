"""Choose the confidence below which a model answers "don't know", and measure the accuracy of its answers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.stats

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.intervals import share_with_interval
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.evaluation.rows import from_json, rows_from_json, to_json
from tfl.tasks.task import SELECTIVE

POINTS = 20  # of the selective curve
LEAST_COVERAGE = 0.7  # a model that answers less often is of little use
SIGNIFICANT = 0.05
DONT_KNOW = "dont_know"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answering:
    """A model that answers only at or above a threshold of confidence. Entries that older files do not have are None.

    Attributes:
        threshold: the lowest confidence of an answer.
        validation_coverage: share of the validation examples that are answered.
        validation_accuracy: accuracy of these answers.
        coverage: share of the test examples that are answered.
        coverage_low: lower end of the 95 % interval of `coverage` (Wilson).
        coverage_high: upper end of the same interval.
        accuracy: accuracy of the answers on test; None if no example is answered.
        low: lower end of the 95 % interval of `accuracy` (Wilson).
        high: upper end of the same interval.
    """

    threshold: float
    validation_coverage: float | None = None
    validation_accuracy: float | None = None
    coverage: float
    coverage_low: float | None = None
    coverage_high: float | None = None
    accuracy: float | None
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class SelectiveResult:
    """Results with the answer "don't know".

    Attributes:
        curve: one row for each threshold, from answering all examples to answering few.
        dont_know: the row that `choose_dont_know` chooses; None if no threshold is good enough.
    """

    curve: tuple[Answering, ...]
    dont_know: Answering | None


class SelectiveAnalysis(Analysis[SelectiveResult]):
    """The accuracy of a model that answers "don't know" below a threshold."""

    name = SELECTIVE
    is_decision = True

    def measure(self, examples: Examples) -> SelectiveResult | None:
        """Choose the thresholds on validation, and measure them on test."""
        validation, test = examples.scaled_validation, examples.scaled_test
        if not validation:
            return None
        return SelectiveResult(selective_curve(validation, test), choose_dont_know(validation, test))

    def to_dict(self, result: SelectiveResult) -> dict[str, Any]:
        """Return the curve, and the chosen row, if there is one."""
        chosen = {} if result.dont_know is None else {DONT_KNOW: to_json(result.dont_know)}
        return {self.name: to_json(result.curve)} | chosen

    def from_dict(self, values: Mapping[str, Any]) -> SelectiveResult | None:
        """Return the result from the entries "selective" and "dont_know"; None if there are none."""
        if not {self.name, DONT_KNOW} & values.keys():
            return None
        chosen = from_json(Answering, values[DONT_KNOW]) if DONT_KNOW in values else None
        return SelectiveResult(rows_from_json(Answering, values.get(self.name, ())), chosen)


def confidence_of(table: Predictions) -> np.ndarray:
    """Return the confidence of each prediction, `(N,)`; for multilabel, the confidence of the least certain label."""
    return classification_of(table).confidence(table.probabilities)


def selective_curve(validation: Predictions, test: Predictions, num_points: int = POINTS) -> tuple[Answering, ...]:
    """Return the accuracy of a model that answers "don't know" below a threshold of confidence.

    The thresholds come from validation only, so test measures them and does not choose them.

    Args:
        validation: predictions of a classifier of any kind, on examples that it was not fitted on.
        test: predictions on the test examples.
        num_points: number of thresholds, at equal steps of the answered share of validation.

    Returns:
        One row for each threshold, from answering all examples to answering few.

    Reference:
        El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification.
    """
    confidence, correct = confidence_of(validation), validation.correct()
    test_confidence, test_correct = confidence_of(test), test.correct()
    thresholds = np.unique(np.sort(confidence)[np.arange(num_points) * len(confidence) // num_points])
    thresholds[0] = 0.0  # the model answers every example, also on test
    rows = []
    for threshold in thresholds:
        answered, test_answered = confidence >= threshold, test_confidence >= threshold
        coverage, coverage_low, coverage_high = share_with_interval(test_answered, test.groups)
        accuracy, low, high = share_with_interval(test_correct[test_answered], test.take(test_answered).groups)
        rows.append(
            Answering(
                threshold=float(threshold),
                validation_coverage=float(answered.mean()),
                validation_accuracy=float(correct[answered].mean()),
                coverage=float(coverage or 0.0),
                coverage_low=coverage_low,
                coverage_high=coverage_high,
                accuracy=accuracy,
                low=low,
                high=high,
            )
        )
    return tuple(rows)


def choose_dont_know(validation: Predictions, test: Predictions) -> Answering | None:
    """Choose on validation the confidence below which to answer "don't know", and measure the choice on test.

    The choice is the lowest threshold that fulfils three conditions: it answers at least `LEAST_COVERAGE` of
    validation; it at least halves the errors per answer; the examples without an answer are wrong more often than by
    chance (Fisher's exact test).

    Returns:
        The row of `selective_curve`; None if no threshold fulfils the conditions.
    """
    confidence, correct = confidence_of(validation), validation.correct()
    for row in selective_curve(validation, test):
        answered = confidence >= row.threshold
        if answered.mean() < LEAST_COVERAGE:
            return None
        if correct.all() or 1 - correct[answered].mean() > (1 - correct.mean()) / 2:
            continue
        counts = [[part.sum(), len(part) - part.sum()] for part in (correct[answered], correct[~answered])]
        result: Any = scipy.stats.fisher_exact(counts, alternative="greater")
        if result.pvalue < SIGNIFICANT:
            return row
    return None
