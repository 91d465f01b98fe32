"""Metrics of many resampled tables at once: each is a sum over the examples, weighted by how often they were drawn.

Drawing N examples with replacement is giving each a count. A metric that is made of sums over examples is then
the counts times what each example adds, so that a thousand tables are one matrix product.
"""

from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse

from tfl.evaluation.metrics import TOP_K
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.probabilities import as_classes, decide, one_vs_rest
from tfl.models.objective import as_targets, loss_and_residual

RANKING_LIMIT = 200_000  # pairs of example and class that are ranked in every resampled table: more take minutes
CELLS = 2_000_000  # counts in memory at once

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]


def draw_counts(num_examples: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each example is drawn in each resampled table, float64 `(b, N)`, in blocks of b tables."""
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // num_examples)
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = rng.integers(0, num_examples, (size, num_examples), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * num_examples
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(size, num_examples).astype(np.float64)


def make_statistic(table: Predictions) -> Statistic:
    """Return a function from counts `(b, N)` to the metrics of the b tables, each `(b,)`.

    The metrics have the names, and with all counts 1 the values, of `compute_metrics`; NaN where undefined. The
    ROC-AUC and average precision are there up to `RANKING_LIMIT` pairs of example and class.
    """
    if table.target == "regression":
        return _regression_statistic(table)
    additive = _additive(table)
    confusion = _confusion_statistic(table)
    ranking = _ranking_statistic(table) if table.probabilities.size <= RANKING_LIMIT else (lambda counts: {})
    names, columns = list(additive), np.stack(list(additive.values()), axis=1)

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        means = counts @ columns / counts.sum(axis=1, keepdims=True)
        return dict(zip(names, means.T, strict=True)) | confusion(counts) | ranking(counts)

    return statistic


def _additive(table: Predictions) -> dict[str, np.ndarray]:
    """What is a plain mean over the examples, `(N,)` each."""
    logits, target = np.asarray(table.logits, np.float64), table.target
    labels, predicted = as_classes(target, table.labels), decide(logits, target)
    right = labels == predicted
    columns = {"loss": loss_and_residual(target, logits, as_targets(target, table.labels))[0]}
    if target == "multilabel":
        return columns | {"accuracy": right.all(axis=1).astype(float), "label_accuracy": right.mean(axis=1)}
    columns["accuracy"] = right.astype(float)
    if target == "multiclass":
        order = np.argsort(logits, axis=1, kind="stable")[:, ::-1]  # of equal logits the last first, as scikit-learn
        place = np.argmax(order == labels[:, None], axis=1)
        columns |= {f"top_{k}_accuracy": (place < k).astype(float) for k in TOP_K if logits.shape[1] > k}
    return columns


def _confusion_statistic(table: Predictions) -> Statistic:
    """What follows from how often each class is true, said, and both."""
    num_classes, target = table.probabilities.shape[1], table.target
    truth = one_vs_rest(target, table.labels, num_classes)
    said = one_vs_rest(target, decide(table.logits, target), num_classes)
    matrices = [scipy.sparse.csr_array(part.astype(np.float64)) for part in (truth, said, truth & said)]

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        support, predicted, hits = (counts @ matrix for matrix in matrices)
        f1 = np.where(support > 0, _ratio(2 * hits, support + predicted), np.nan)  # of what occurs
        if target == "multilabel":
            # As scikit-learn has it: 0 where no label occurs and none is said.
            micro = np.nan_to_num(_ratio(2 * hits.sum(axis=1), (support + predicted).sum(axis=1)))
            weighted = _weighted(np.nan_to_num(f1), support)
            return {"macro_f1": _mean_of_known(f1), "micro_f1": micro, "weighted_f1": weighted}
        total = counts.sum(axis=1)
        by_chance = (support * predicted).sum(axis=1) / total**2
        return {
            "balanced_accuracy": _mean_of_known(_ratio(hits, support)),
            "macro_f1": _mean_of_known(f1),
            "weighted_f1": _weighted(np.nan_to_num(f1), support),
            "cohen_kappa": _ratio(hits.sum(axis=1) / total - by_chance, 1.0 - by_chance),
        }

    return statistic


def _ranking_statistic(table: Predictions) -> Statistic:
    probabilities = table.probabilities
    truth = one_vs_rest(table.target, table.labels, probabilities.shape[1])
    curves = [weighted_ranking(*column) for column in zip(truth.T, probabilities.T, strict=True)]

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        upright = np.ascontiguousarray(counts.T, np.float32)  # sums of counts are exact up to 2^24
        values = np.stack([curve(upright) for curve in curves], axis=-1)
        areas, precisions = values[0], values[1]
        metrics = {"macro_roc_auc": _mean_of_known(areas), "macro_average_precision": _mean_of_known(precisions)}
        if table.target == "binary":
            metrics |= {"roc_auc": areas[:, 1], "average_precision": precisions[:, 1]}
        return metrics

    return statistic


def weighted_ranking(truth: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from counts `(N, b)` to ROC-AUC and average precision, `(2, b)`; NaN where undefined.

    Args:
        truth: bool `(N,)`.
        scores: `(N,)`; equal ones stand at one threshold.
    """
    order = np.argsort(-scores, kind="stable")
    is_true = truth[order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))  # of each run of equal scores
    run = np.searchsorted(starts, np.flatnonzero(is_true), side="right") - 1  # of each true example
    first, end = starts[run], np.append(starts[1:], len(order))[run]
    true_before = np.concatenate([[0], np.cumsum(is_true)])

    def ranking(counts: np.ndarray) -> np.ndarray:
        counts = counts[order]
        seen, found = _sums_before(counts), _sums_before(counts[is_true]).astype(np.float64)
        above, above_or_equal = (seen[place] - found[true_before[place]] for place in (first, end))
        weight, num_true = counts[is_true], found[-1]
        num_false = seen[-1] - num_true
        below = num_false - (above + above_or_equal) / 2.0  # of equal scores one half
        precision = np.nan_to_num(_ratio(found[true_before[end]], seen[end]))
        return np.stack(
            [
                _ratio((weight * below).sum(axis=0), num_true * num_false),
                _ratio((weight * precision).sum(axis=0), num_true),
            ]
        )

    return ranking


def _sums_before(counts: np.ndarray) -> np.ndarray:
    """Return how many were drawn of the first 0, 1, ... N examples, `(N + 1, b)`."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), counts.dtype)
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def _regression_statistic(table: Predictions) -> Statistic:
    truth, said = as_targets("regression", table.labels), np.asarray(table.logits, np.float64)
    centre = truth.mean(axis=0)  # sums of squares about it lose no digits
    error, spread = said - truth, truth - centre
    outputs = truth.shape[1]

    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        weights = counts / counts.sum(axis=1, keepdims=True)
        squared = weights @ error**2
        variance = weights @ spread**2 - (weights @ spread) ** 2
        variance[variance <= 1e-12 * np.maximum(weights @ spread**2, 1e-300)] = 0.0  # all drawn values the same
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
