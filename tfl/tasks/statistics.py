"""Metrics of many resampled tables at once, for the bootstrap.

To draw N examples with replacement is to give each example a count. A metric that consists of sums over examples is
then the counts times the values of the examples, so that a thousand tables need one matrix product.
"""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.sparse

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]

RANKING_LIMIT = 200_000  # most pairs of example and class for ranking in resampled tables: more take minutes


def join(*parts: Statistic) -> Statistic:
    """Return one statistic that gives the metrics of several statistics."""
    return lambda counts: {name: values for part in parts for name, values in part(counts).items()}


def means(columns: Mapping[str, np.ndarray]) -> Statistic:
    """Return the statistic of metrics that are plain means, from the values of the examples, `(N,)` per metric."""
    names, added = list(columns), np.stack(list(columns.values()), axis=1)

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, (counts @ added / counts.sum(axis=1, keepdims=True)).T, strict=True))

    return statistic


def class_confusion(truth: np.ndarray, predicted: np.ndarray) -> Statistic:
    """Return the statistic of metrics that depend on how often each class is true, is predicted, and both.

    Args:
        truth: bool `(N, C)`, one class per example.
        predicted: bool `(N, C)`.
    """

    def metrics(support: np.ndarray, predicted: np.ndarray, hits: np.ndarray, f1: np.ndarray, total: np.ndarray):
        by_chance = (support * predicted).sum(axis=1) / total**2
        return {
            "balanced_accuracy": _mean_of_known(_ratio(hits, support)),
            "macro_f1": _mean_of_known(f1),
            "weighted_f1": _weighted(np.nan_to_num(f1), support),
            "cohen_kappa": _ratio(hits.sum(axis=1) / total - by_chance, 1.0 - by_chance),
        }

    return _confusion(truth, predicted, metrics)


def label_confusion(truth: np.ndarray, predicted: np.ndarray) -> Statistic:
    """Return the same statistic for sets of labels; arguments as for `class_confusion`."""

    def metrics(support: np.ndarray, predicted: np.ndarray, hits: np.ndarray, f1: np.ndarray, total: np.ndarray):
        # As in scikit-learn: 0 if no label occurs and none is predicted.
        micro = np.nan_to_num(_ratio(2 * hits.sum(axis=1), (support + predicted).sum(axis=1)))
        weighted = _weighted(np.nan_to_num(f1), support)
        return {"macro_f1": _mean_of_known(f1), "micro_f1": micro, "weighted_f1": weighted}

    return _confusion(truth, predicted, metrics)


def _confusion(truth: np.ndarray, predicted: np.ndarray, metrics: Callable[..., dict[str, np.ndarray]]) -> Statistic:
    matrices = [scipy.sparse.csr_array(part.astype(np.float64)) for part in (truth, predicted, truth & predicted)]

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        support, predicted, hits = (counts @ matrix for matrix in matrices)
        f1 = np.where(support > 0, _ratio(2 * hits, support + predicted), np.nan)  # only for classes that occur
        return metrics(support, predicted, hits, f1, counts.sum(axis=1))

    return statistic


def ranking(truth: np.ndarray, scores: np.ndarray, positive: int | None = None) -> Statistic:
    """Return the statistic of ROC-AUC and average precision; above `RANKING_LIMIT` pairs it has no metrics.

    Args:
        truth: bool `(N, C)`.
        scores: `(N, C)`.
        positive: a column whose own two metrics are returned too.
    """
    if scores.size > RANKING_LIMIT:
        return lambda counts: {}
    curves = [weighted_ranking(*column) for column in zip(truth.T, scores.T, strict=True)]

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        upright = np.ascontiguousarray(counts.T, np.float32)  # sums of counts are exact up to 2^24
        values = np.stack([curve(upright) for curve in curves], axis=-1)
        areas, precisions = values[0], values[1]
        metrics = {"macro_roc_auc": _mean_of_known(areas), "macro_average_precision": _mean_of_known(precisions)}
        if positive is not None:
            metrics |= {"roc_auc": areas[:, positive], "average_precision": precisions[:, positive]}
        return metrics

    return statistic


def weighted_ranking(truth: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from counts `(N, b)` to ROC-AUC and average precision, `(2, b)`; NaN if undefined.

    Args:
        truth: bool `(N,)`.
        scores: `(N,)`; equal scores share one threshold.
    """
    order = np.argsort(-scores, kind="stable")
    is_true = truth[order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))  # of each group of equal scores
    run = np.searchsorted(starts, np.flatnonzero(is_true), side="right") - 1  # group of each true example
    first, end = starts[run], np.append(starts[1:], len(order))[run]
    true_before = np.concatenate([[0], np.cumsum(is_true)])

    def ranking(counts: np.ndarray) -> np.ndarray:
        counts = counts[order]
        seen, found = _sums_before(counts), _sums_before(counts[is_true]).astype(np.float64)
        above, above_or_equal = (seen[place] - found[true_before[place]] for place in (first, end))
        weight, num_true = counts[is_true], found[-1]
        num_false = seen[-1] - num_true
        below = num_false - (above + above_or_equal) / 2.0  # equal scores count one half
        precision = np.nan_to_num(_ratio(found[true_before[end]], seen[end]))
        return np.stack(
            [
                _ratio((weight * below).sum(axis=0), num_true * num_false),
                _ratio((weight * precision).sum(axis=0), num_true),
            ]
        )

    return ranking


def _sums_before(counts: np.ndarray) -> np.ndarray:
    """Return the sum of the counts of the first 0, 1, ... N examples, `(N + 1, b)`."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), counts.dtype)
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def value_errors(truth: np.ndarray, predicted: np.ndarray) -> Statistic:
    """Return the statistic of the errors of predicted values against true values, both `(N, K)`."""
    centre = truth.mean(axis=0)  # sums of squares around the mean lose no digits
    error, spread = predicted - truth, truth - centre
    outputs = truth.shape[1]

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        weights = counts / counts.sum(axis=1, keepdims=True)
        squared = weights @ error**2
        variance = weights @ spread**2 - (weights @ spread) ** 2
        variance[variance <= 1e-12 * np.maximum(weights @ spread**2, 1e-300)] = 0.0  # all drawn values are equal
        return {
            "loss": squared.sum(axis=1) / outputs,
            "mean_absolute_error": (weights @ np.abs(error)).sum(axis=1) / outputs,
            "root_mean_squared_error": np.sqrt(squared).mean(axis=1),
            "r2": 1.0 - _ratio(squared, variance).mean(axis=1),
        }

    return statistic


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator != 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.nan_to_num(_ratio((values * weights).sum(axis=1), weights.sum(axis=1)))
