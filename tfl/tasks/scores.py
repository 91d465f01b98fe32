"""Exact metrics of classes, labels and values, from the whole table of predictions and not from batch averages."""

import numpy as np
import scipy.stats
import sklearn.metrics

from tfl.tasks.ranking import average_precision, roc_auc

TOP_K = (3, 5)


def class_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return the metrics of predicted classes against true classes, both int64 `(N,)`."""
    present = np.unique(labels)
    recalls = sklearn.metrics.recall_score(labels, predicted, labels=present, average=None, zero_division=0)
    metrics = {
        "accuracy": float(np.mean(labels == predicted)),
        "balanced_accuracy": float(np.mean(recalls)),
        "macro_f1": float(
            sklearn.metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
        ),
        "weighted_f1": float(sklearn.metrics.f1_score(labels, predicted, average="weighted", zero_division=0)),
    }
    if len(np.union1d(labels, predicted)) > 1:  # undefined for one class: chance alone always agrees
        metrics["cohen_kappa"] = float(sklearn.metrics.cohen_kappa_score(labels, predicted))
    return metrics


def positive_class_metrics(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return ROC-AUC and average precision of the positive class, from bool `(N,)` and its scores `(N,)`."""
    values = {"roc_auc": roc_auc(truth, scores), "average_precision": average_precision(truth, scores)}
    return {name: value for name, value in values.items() if value is not None}


def top_k_metrics(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return the share of examples whose true class is among the k highest logits; logits are `(N, C)`."""
    num_classes = logits.shape[1]
    return {
        f"top_{k}_accuracy": float(
            sklearn.metrics.top_k_accuracy_score(labels, logits, k=k, labels=np.arange(num_classes))
        )
        for k in TOP_K
        if num_classes > k
    }


def label_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return the metrics of predicted labels against true labels, both 0 or 1 `(N, C)`."""
    shaped = shape_for_scikit(labels, predicted, labels.shape[1])
    f1 = {name: sklearn.metrics.f1_score(**shaped, average=name, zero_division=0) for name in ("micro", "weighted")}
    present = labels.any(axis=0)
    if present.any():  # a label that never occurs has no F1
        of_each = sklearn.metrics.f1_score(**shaped, average=None, zero_division=0)
        f1["macro"] = of_each[present].mean()
    return {
        "accuracy": float(np.mean(np.all(labels == predicted, axis=1))),
        "label_accuracy": float(np.mean(labels == predicted)),
        **{f"{name}_f1": float(value) for name, value in f1.items()},
    }


def value_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return the errors of predicted values against true values, both `(N, K)`; each metric is a mean over columns."""
    metrics = {
        "mean_absolute_error": float(sklearn.metrics.mean_absolute_error(labels, predicted)),
        "median_absolute_error": float(sklearn.metrics.median_absolute_error(labels, predicted)),
        "root_mean_squared_error": float(sklearn.metrics.root_mean_squared_error(labels, predicted)),
    }
    if not np.ptp(labels, axis=0).all():  # constant values have no variance to explain
        return metrics
    metrics["r2"] = float(sklearn.metrics.r2_score(labels, predicted))
    if np.ptp(predicted, axis=0).all():
        ranks = scipy.stats.rankdata(labels, axis=0), scipy.stats.rankdata(predicted, axis=0)
        metrics |= {"pearson": _correlation(labels, predicted), "spearman": _correlation(*ranks)}
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation, the mean over the columns; NaN if the spread is too small for float64."""
    first, second = (values - values.mean(axis=0) for values in (first, second))
    spread = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return float(np.mean((first * second).sum(axis=0) / spread)) if spread.all() else float("nan")


def shape_for_scikit(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """Return `y_true`, `y_pred` and `labels` for scikit-learn, which would read a single column as two classes.

    Args:
        labels: from `as_classes`.
        predicted: from `predict`.
        num_classes: number of classes or labels.
    """
    if labels.ndim == 2 and num_classes == 1:
        return {"y_true": labels[:, 0], "y_pred": predicted[:, 0], "labels": np.array([1])}
    return {"y_true": labels, "y_pred": predicted, "labels": np.arange(num_classes)}
