"""From probabilities to what one does: when to say nothing, and from where on a class is safe to say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from tfl.evaluation.predictions import Predictions
from tfl.evaluation.probabilities import one_vs_rest
from tfl.models.objective import as_targets, is_correct

PRECISIONS = (0.9, 0.95, 0.99)
POINTS = 20  # of the selective curve


def certainty(table: Predictions) -> np.ndarray:
    """Return how sure the model is of what it says of an example, `(N,)`: for multilabel of its least sure label."""
    probabilities = table.probabilities
    if table.target == "multilabel":
        return np.maximum(probabilities, 1.0 - probabilities).min(axis=1)
    return probabilities.max(axis=1)


def selective_curve(table: Predictions, num_points: int = POINTS) -> list[dict[str, float]]:
    """Return how accurate the model is on what it is sure of, where it says "don't know" below a threshold.

    Args:
        table: of a classifier of any kind.
        num_points: thresholds, at equal steps of how much is answered.

    Returns:
        "threshold" (answered at or above), "coverage" (share that is answered) and "accuracy" of the answers, from
        answering all to answering little.

    Reference:
        El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification.
    """
    sure = certainty(table)
    right = is_correct(table.target, np.asarray(table.logits), as_targets(table.target, table.labels))
    thresholds = np.unique(np.sort(sure)[np.arange(num_points) * len(sure) // num_points])
    rows = []
    for threshold in thresholds:
        answered = sure >= threshold
        rows.append({
            "threshold": float(threshold), "coverage": float(answered.mean()), "accuracy": float(right[answered].mean())
        })  # fmt: skip
    return rows


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
        and "test_recall". None where it cannot be reached or is undefined.
    """
    truth = one_vs_rest(validation.target, validation.labels, len(class_names))
    test_truth = None if test is None else one_vs_rest(test.target, test.labels, len(class_names))
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
    hits = int((truth & said).sum())
    return {
        "test_precision": hits / int(said.sum()) if said.any() else None,
        "test_recall": hits / int(truth.sum()) if threshold is not None and truth.any() else None,
    }
