"""Turn probabilities into decisions: when to answer "don't know", and the threshold of each class."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.intervals import wilson_interval
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.evaluation.rows import KEY, from_json, rows_from_json, to_json
from tfl.tasks.task import PRECISION, SELECTIVE

PRECISIONS = (0.9, 0.95, 0.99)
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
        coverage, coverage_low, coverage_high = _share(test_answered)
        accuracy, low, high = _share(test_correct[test_answered])
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


def _share(hits: np.ndarray) -> tuple[float, float, float] | tuple[None, None, None]:
    """Return a share and the two ends of its Wilson interval; None if there is nothing to count."""
    if not len(hits):
        return None, None, None
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return float(hits.mean()), low, high


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
    rows = []
    for column, name in enumerate(class_names):
        for wanted in precisions:
            threshold, recall = _threshold_for(truth[:, column], scores[:, column], wanted)
            row = PrecisionThreshold(name=name, precision=wanted, threshold=threshold, recall=recall)
            if test_truth is not None and test_scores is not None:
                row = _measured(row, test_truth[:, column], test_scores[:, column])
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


def _measured(row: PrecisionThreshold, truth: np.ndarray, scores: np.ndarray) -> PrecisionThreshold:
    """Return the row with the numbers of test."""
    predicted = np.zeros(len(scores), bool) if row.threshold is None else scores >= row.threshold
    precision, low, high = _share(truth[predicted])
    recall = float(predicted[truth].mean()) if row.threshold is not None and truth.any() else None
    return dataclasses.replace(row, test_precision=precision, low=low, high=high, test_recall=recall)
