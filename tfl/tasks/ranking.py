"""Ranking metrics, ROC-AUC and average precision: do the examples of a class have higher scores than the others?"""

import numpy as np
import sklearn.metrics

MICRO_LIMIT = 20_000_000  # most scores that are sorted as one list: more would take gigabytes


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the area under the ROC curve, or None if all examples are true or all are false (it is undefined).

    Args:
        truth: bool `(N,)`.
        scores: `(N,)`, higher for examples that are more likely true.
    """
    if truth.all() or not truth.any():
        return None
    return float(sklearn.metrics.roc_auc_score(truth, scores))


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the average precision, or None if no example is true (it is undefined); arguments as for `roc_auc`."""
    if not truth.any():
        return None
    return min(1.0, float(sklearn.metrics.average_precision_score(truth, scores)))  # rounding may give a sum above 1


def ranking_by_class(truth: np.ndarray, scores: np.ndarray) -> list[dict[str, float | None]]:
    """Return "roc_auc" and "average_precision" of each class against the rest; None if undefined.

    Args:
        truth: bool `(N, C)`.
        scores: `(N, C)`.
    """
    return [
        {"roc_auc": roc_auc(*column), "average_precision": average_precision(*column)}
        for column in zip(truth.T, scores.T, strict=True)
    ]


def ranking_metrics(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the macro and micro means of ROC-AUC and average precision; undefined values are left out.

    Macro is the mean over the classes that have a value. Micro treats every pair of example and class as one
    example; it is left out above `MICRO_LIMIT` pairs.

    Args:
        truth: bool `(N, C)`.
        scores: `(N, C)`.
    """
    by_class = ranking_by_class(truth, scores)
    metrics: dict[str, float | None] = {}
    for name in ("roc_auc", "average_precision"):
        values = [value for row in by_class if (value := row[name]) is not None]
        metrics[f"macro_{name}"] = float(np.mean(values)) if values else None
    if truth.size <= MICRO_LIMIT:
        metrics["micro_roc_auc"] = roc_auc(truth.ravel(), scores.ravel())
        metrics["micro_average_precision"] = average_precision(truth.ravel(), scores.ravel())
    return {name: value for name, value in metrics.items() if value is not None}
