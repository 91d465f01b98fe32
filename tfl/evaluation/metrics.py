"""Exact metrics, from the whole table of predictions and never from running averages."""

import numpy as np
import sklearn.metrics

from tfl.models.objective import as_targets, loss_and_residual

TOP_K = 5


def compute_metrics(target: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
    """Return the metrics of a split, ready for JSON.

    Args:
        target: "multiclass", "binary", "multilabel" or "regression".
        logits: `(N, K)`; for regression the predicted values.
        labels: class numbers `(N,)` for multiclass and binary, else `(N, K)`.

    Returns:
        `loss` (mean, without the penalty), `num_examples`, and by target
        multiclass: `accuracy`, `balanced_accuracy`, `macro_f1`, and `top_5_accuracy` from six classes on;
        binary: `accuracy`, `balanced_accuracy`, `macro_f1`; multilabel: `accuracy` (all labels of an
        example right), `label_accuracy`, `macro_f1`; regression: `mean_absolute_error`,
        `root_mean_squared_error`, `r2`, and `accuracy` is absent.
    """
    logits = np.asarray(logits, np.float64)
    targets = as_targets(target, labels)
    loss, _ = loss_and_residual(target, logits, targets)
    shared = {"loss": float(loss.mean()), "num_examples": len(loss)}
    if target == "regression":
        return shared | _regression_metrics(targets, logits)
    if target == "multilabel":
        return shared | _multilabel_metrics(targets.astype(int), (logits > 0).astype(int))
    if target == "binary":
        return shared | _class_metrics(targets.ravel().astype(int), (logits.ravel() > 0).astype(int))
    metrics = shared | _class_metrics(targets, logits.argmax(axis=1))
    if logits.shape[1] > TOP_K:
        metrics["top_5_accuracy"] = float(
            sklearn.metrics.top_k_accuracy_score(targets, logits, k=TOP_K, labels=np.arange(logits.shape[1]))
        )
    return metrics


def _class_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    present = np.unique(labels)
    recalls = sklearn.metrics.recall_score(labels, predicted, labels=present, average=None, zero_division=0)
    return {
        "accuracy": float(np.mean(labels == predicted)),
        "balanced_accuracy": float(np.mean(recalls)),
        "macro_f1": float(sklearn.metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
    }


def _multilabel_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float(np.mean(np.all(labels == predicted, axis=1))),
        "label_accuracy": float(np.mean(labels == predicted)),
        "macro_f1": float(sklearn.metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
    }


def _regression_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    metrics = {
        "mean_absolute_error": float(sklearn.metrics.mean_absolute_error(labels, predicted)),
        "root_mean_squared_error": float(sklearn.metrics.root_mean_squared_error(labels, predicted)),
    }
    if len(labels) > 1:  # R² of one example is not defined
        metrics["r2"] = float(sklearn.metrics.r2_score(labels, predicted))
    return metrics
