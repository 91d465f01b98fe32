"""Metrics of regions from confusion matrices: IoU and dice of each class, their means, and the accuracy of pixels.

    IoU = TP / (TP + FP + FN)        dice = 2 TP / (2 TP + FP + FN)

A class that occurs neither in the truth nor in the prediction has no value, and means leave it out, as in
scikit-learn's `jaccard_score` and `f1_score` with `average="macro"`.

Reference:
    Everingham et al. 2015, The PASCAL visual object classes challenge: a retrospective (mean IoU over a data set).
"""

import numpy as np


def confusions(rows: np.ndarray) -> np.ndarray:
    """Return the confusion matrices in the rows of a table of predictions, `(N, K, K)` float64.

    Args:
        rows: `(N, K K + 1)`, each with the matrix of one example, row by row, and its loss.
    """
    rows = np.asarray(rows, np.float64)
    num_classes = round((rows.shape[1] - 1) ** 0.5)
    return rows[:, :-1].reshape(-1, num_classes, num_classes)


def iou(confusion: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class, `(..., K)`; NaN if the class does not occur.

    Args:
        confusion: `(..., K, K)` numbers of pixels; rows are the true classes, columns the predicted ones.

    Example:
        >>> iou(np.array([[3, 1], [0, 4]])).tolist()
        [0.75, 0.8]
    """
    hits, union = _hits_and_union(confusion)
    return _ratio(hits, union)


def dice(confusion: np.ndarray) -> np.ndarray:
    """Return the dice coefficient of each class, which is its F1, `(..., K)`; NaN if the class does not occur.

    Args:
        confusion: as for `iou`.
    """
    hits, union = _hits_and_union(confusion)
    return _ratio(2 * hits, union + hits)


def pixel_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the share of the pixels with the right class, `(...)`; NaN without pixels."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean of the values that are not NaN along the last axis; NaN if there are none."""
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _hits_and_union(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    confusion = np.asarray(confusion, np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits, confusion.sum(axis=-1) + confusion.sum(axis=-2) - hits


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
