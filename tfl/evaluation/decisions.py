"""Turn probabilities into decisions: when to answer "don't know", and the threshold of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics

from tfl.evaluation.intervals import wilson_interval
from tfl.evaluation.predictions import Predictions, classification_of

PRECISIONS = (0.9, 0.95, 0.99)
POINTS = 20  # of the selective curve
LEAST_COVERAGE = 0.7  # a model that answers less often is of little use
SIGNIFICANT = 0.05


def confidence_of(table: Predictions) -> np.ndarray:
    """Return the confidence of each prediction, `(N,)`; for multilabel, the confidence of the least certain label."""
    return classification_of(table).confidence(table.probabilities)


def selective_curve(validation: Predictions, test: Predictions, num_points: int = POINTS) -> list[dict[str, Any]]:
    """Return the accuracy of a model that answers "don't know" below a threshold of confidence.

    The thresholds come from validation only, so test measures them and does not choose them.

    Args:
        validation: predictions of a classifier of any kind, on examples that it was not fitted on.
        test: predictions on the test examples.
        num_points: number of thresholds, at equal steps of the answered share of validation.

    Returns:
        One row for each threshold, from answering all examples to answering few: "threshold" (the model answers at or
        above it), "validation_coverage" (share of answered examples), "validation_accuracy" of the answers, and on
        test "coverage" and "accuracy", each with its 95 % interval (Wilson) as "coverage_low", "coverage_high", "low"
        and "high". The accuracy is None if no example is answered.

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
        rows.append({
            "threshold": float(threshold),
            "validation_coverage": float(answered.mean()),
            "validation_accuracy": float(correct[answered].mean()),
            **_share("coverage", test_answered, "coverage_low", "coverage_high"),
            **_share("accuracy", test_correct[test_answered]),
        })  # fmt: skip
    return rows


def choose_dont_know(validation: Predictions, test: Predictions) -> dict[str, Any] | None:
    """Choose on validation the confidence below which to answer "don't know", and measure the choice on test.

    The choice is the lowest threshold that fulfils three conditions: it answers at least `LEAST_COVERAGE` of
    validation; it at least halves the errors per answer; the examples without an answer are wrong more often than by
    chance (Fisher's exact test).

    Returns:
        The row of `selective_curve`; None if no threshold fulfils the conditions.
    """
    confidence, correct = confidence_of(validation), validation.correct()
    for row in selective_curve(validation, test):
        answered = confidence >= row["threshold"]
        if answered.mean() < LEAST_COVERAGE:
            return None
        if correct.all() or 1 - correct[answered].mean() > (1 - correct.mean()) / 2:
            continue
        counts = [[part.sum(), len(part) - part.sum()] for part in (correct[answered], correct[~answered])]
        result: Any = scipy.stats.fisher_exact(counts, alternative="greater")
        if result.pvalue < SIGNIFICANT:
            return row
    return None


def _share(name: str, hits: np.ndarray, low: str = "low", high: str = "high") -> dict[str, float | None]:
    """Return a share with its Wilson interval; None if there is nothing to count."""
    if not len(hits):
        return {name: None, low: None, high: None}
    interval = wilson_interval(int(hits.sum()), len(hits))
    return {name: float(hits.mean()), low: interval[0], high: interval[1]}


def precision_thresholds(
    validation: Predictions,
    class_names: Sequence[str],
    precisions: Sequence[float] = PRECISIONS,
    test: Predictions | None = None,
) -> list[dict[str, Any]]:
    """Return, for each class, the lowest probability from which its predictions reach a wanted precision.

    The lowest threshold finds most examples of the class. With few examples its precision is optimistic, so the
    threshold is chosen on validation and measured on test.

    Args:
        validation: predictions for choosing the thresholds.
        class_names: in the order of the columns of probabilities.
        precisions: wanted precisions, each above 0 and at most 1.
        test: predictions for measuring the thresholds.

    Returns:
        "class", "precision" (wanted), "threshold" and "recall" (on validation); with `test` also "test_precision"
        with its 95 % interval (Wilson) as "low" and "high", and "test_recall". A number is None if it cannot be
        reached or is undefined.
    """
    task = classification_of(validation)
    truth = task.one_vs_rest(validation.labels, len(class_names))
    test_truth = None if test is None else task.one_vs_rest(test.labels, len(class_names))
    scores, test_scores = validation.probabilities, None if test is None else test.probabilities
    rows = []
    for column, name in enumerate(class_names):
        for wanted in precisions:
            threshold, recall = _threshold_for(truth[:, column], scores[:, column], wanted)
            row = {"class": name, "precision": wanted, "threshold": threshold, "recall": recall}
            if test_truth is not None and test_scores is not None:
                row |= _measured(test_truth[:, column], test_scores[:, column], threshold)
            rows.append(row)
    return rows


def _threshold_for(truth: np.ndarray, scores: np.ndarray, wanted: float) -> tuple[float | None, float | None]:
    if not truth.any():
        return None, None
    precision, recall, thresholds = sklearn.metrics.precision_recall_curve(truth, scores)
    reached = np.flatnonzero((precision[:-1] >= wanted) & (recall[:-1] > 0))
    if not len(reached):
        return None, None
    return float(thresholds[reached[0]]), float(recall[reached[0]])


def _measured(truth: np.ndarray, scores: np.ndarray, threshold: float | None) -> dict[str, float | None]:
    predicted = np.zeros(len(scores), bool) if threshold is None else scores >= threshold
    return {
        **_share("test_precision", truth[predicted]),
        "test_recall": float(predicted[truth].mean()) if threshold is not None and truth.any() else None,
    }
