"""From probabilities to what one does: when to say nothing, and from where on a class is safe to say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics

from tfl.evaluation.intervals import wilson_interval
from tfl.evaluation.predictions import Predictions, classification_of

PRECISIONS = (0.9, 0.95, 0.99)
POINTS = 20  # of the selective curve
LEAST_COVERAGE = 0.7  # a model that answers less often than that is of little use
SIGNIFICANT = 0.05


def certainty(table: Predictions) -> np.ndarray:
    """Return how sure the model is of what it says of an example, `(N,)`: for multilabel of its least sure label."""
    return classification_of(table).certainty(table.probabilities)


def selective_curve(validation: Predictions, test: Predictions, num_points: int = POINTS) -> list[dict[str, Any]]:
    """Return how accurate the model is on what it is sure of, where it says "don't know" below a threshold.

    Thresholds are taken from validation, so that the rows on test are measured and not chosen.

    Args:
        validation: of a classifier of any kind, on examples that it was not fitted on.
        test: what is measured.
        num_points: thresholds, at equal steps of how much of validation is answered.

    Returns:
        "threshold" (answered at or above), "validation_coverage" (share that is answered), "validation_accuracy" of
        the answers, and on test "coverage" and "accuracy", each with its 95 % interval (Wilson) as "coverage_low",
        "coverage_high", "low" and "high", from answering all to answering little. The accuracy of no answers is None.

    Reference:
        El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification.
    """
    sure, right = certainty(validation), validation.correct()
    test_sure, test_right = certainty(test), test.correct()
    thresholds = np.unique(np.sort(sure)[np.arange(num_points) * len(sure) // num_points])
    thresholds[0] = 0.0  # all are answered, on test too
    rows = []
    for threshold in thresholds:
        answered, test_answered = sure >= threshold, test_sure >= threshold
        rows.append({
            "threshold": float(threshold),
            "validation_coverage": float(answered.mean()),
            "validation_accuracy": float(right[answered].mean()),
            **_share("coverage", test_answered, "coverage_low", "coverage_high"),
            **_share("accuracy", test_right[test_answered]),
        })  # fmt: skip
    return rows


def choose_dont_know(validation: Predictions, test: Predictions) -> dict[str, Any] | None:
    """Choose on validation below which certainty to say "don't know", and measure on test what that brings.

    It is the lowest threshold that answers at least `LEAST_COVERAGE` of validation with at most half the errors per
    answer, where what is not answered is wrong more often than chance would make it (Fisher's exact test).

    Returns:
        The row of `selective_curve`; None where no threshold does that.
    """
    sure, right = certainty(validation), validation.correct()
    for row in selective_curve(validation, test):
        answered = sure >= row["threshold"]
        if answered.mean() < LEAST_COVERAGE:
            return None
        if right.all() or 1 - right[answered].mean() > (1 - right.mean()) / 2:
            continue
        counts = [[part.sum(), len(part) - part.sum()] for part in (right[answered], right[~answered])]
        result: Any = scipy.stats.fisher_exact(counts, alternative="greater")
        if result.pvalue < SIGNIFICANT:
            return row
    return None


def _share(name: str, hits: np.ndarray, low: str = "low", high: str = "high") -> dict[str, float | None]:
    """Return a share with its Wilson interval; None where there is nothing to count."""
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
    """Return for each class from which probability on it is right as often as wanted.

    The lowest such threshold is taken: it finds most of the class. On few examples it is optimistic, which is
    why it is chosen on validation and its precision measured on test.

    Args:
        validation: what the thresholds are chosen on.
        class_names: in the order of the columns of probabilities.
        precisions: wanted, each above 0 and at most 1.
        test: what they are measured on.

    Returns:
        "class", "precision" (wanted), "threshold" and "recall" (on validation); with `test` also "test_precision"
        with its 95 % interval (Wilson) as "low" and "high", and "test_recall". None where it cannot be reached or is
        undefined.
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
    said = np.zeros(len(scores), bool) if threshold is None else scores >= threshold
    return {
        **_share("test_precision", truth[said]),
        "test_recall": float(said[truth].mean()) if threshold is not None and truth.any() else None,
    }
