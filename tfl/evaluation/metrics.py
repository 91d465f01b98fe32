"""Exact metrics, from the whole table of predictions and never from running averages."""

import numpy as np
import scipy.stats
import sklearn.metrics

from tfl.config import TARGETS
from tfl.evaluation.probabilities import as_classes, decide, one_vs_rest, shape_for_scikit, to_probabilities
from tfl.evaluation.ranking import average_precision, ranking_metrics, roc_auc
from tfl.models.objective import as_targets, loss_and_residual
from tfl.registry import resolve

TOP_K = (3, 5)


def compute_metrics(target: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
    """Return the metrics of a split, ready for JSON: what is undefined for these labels is absent, never NaN.

    Args:
        target: "multiclass", "binary", "multilabel" or "regression".
        logits: `(N, K)`; for regression the predicted values.
        labels: class numbers `(N,)` for multiclass and binary, else `(N, K)`.

    Returns:
        `num_examples`, `loss` (mean, without the penalty: the log-loss, or for regression the mean squared
        error), and by target

        multiclass and binary: `accuracy`, `balanced_accuracy` and `macro_f1` (over the classes that occur),
        `weighted_f1`, `cohen_kappa`, and macro and micro `roc_auc` and `average_precision` (one class against
        the rest); multiclass `top_3_accuracy` and `top_5_accuracy` where there are more classes than that;
        binary `roc_auc` and `average_precision` of the positive class;

        multilabel: `accuracy` (all labels of an example right), `label_accuracy` (1 - Hamming loss),
        macro (over the labels that occur), micro and weighted `f1`, macro and micro `roc_auc` and `average_precision`;

        regression: `mean_absolute_error`, `median_absolute_error`, `root_mean_squared_error`, `r2`, `pearson`,
        `spearman`, each the mean over the outputs, and no `accuracy`.
    """
    target, logits = resolve(target, TARGETS, "target"), np.asarray(logits, np.float64)
    if not len(logits):
        return {"num_examples": 0}
    targets = as_targets(target, labels)
    loss, _ = loss_and_residual(target, logits, targets)
    shared = {"loss": float(loss.mean()), "num_examples": len(loss)}
    if target == "regression":
        return shared | _regression_metrics(targets, logits)
    classes, predicted, probabilities = (
        as_classes(target, labels),
        decide(logits, target),
        to_probabilities(logits, target),
    )
    ranking = ranking_metrics(one_vs_rest(target, classes, probabilities.shape[1]), probabilities)
    if target == "multilabel":
        return shared | _multilabel_metrics(classes, predicted) | ranking
    metrics = shared | _class_metrics(classes, predicted) | ranking
    if target == "binary":
        return metrics | _of_the_positive_class(classes == 1, probabilities[:, 1])
    return metrics | _top_k(classes, logits)


def _class_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
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
    if len(np.union1d(labels, predicted)) > 1:  # of one class alone, chance already agrees everywhere
        metrics["cohen_kappa"] = float(sklearn.metrics.cohen_kappa_score(labels, predicted))
    return metrics


def _of_the_positive_class(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    values = {"roc_auc": roc_auc(truth, scores), "average_precision": average_precision(truth, scores)}
    return {name: value for name, value in values.items() if value is not None}


def _top_k(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    num_classes = logits.shape[1]
    return {
        f"top_{k}_accuracy": float(
            sklearn.metrics.top_k_accuracy_score(labels, logits, k=k, labels=np.arange(num_classes))
        )
        for k in TOP_K
        if num_classes > k
    }


def _multilabel_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    shaped = shape_for_scikit(labels, predicted, labels.shape[1])
    f1 = {name: sklearn.metrics.f1_score(**shaped, average=name, zero_division=0) for name in ("micro", "weighted")}
    present = labels.any(axis=0)
    if present.any():  # of labels that do not occur there is nothing to find
        of_each = sklearn.metrics.f1_score(**shaped, average=None, zero_division=0)
        f1["macro"] = of_each[present].mean()
    return {
        "accuracy": float(np.mean(np.all(labels == predicted, axis=1))),
        "label_accuracy": float(np.mean(labels == predicted)),
        **{f"{name}_f1": float(value) for name, value in f1.items()},
    }


def _regression_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    metrics = {
        "mean_absolute_error": float(sklearn.metrics.mean_absolute_error(labels, predicted)),
        "median_absolute_error": float(sklearn.metrics.median_absolute_error(labels, predicted)),
        "root_mean_squared_error": float(sklearn.metrics.root_mean_squared_error(labels, predicted)),
    }
    if not np.ptp(labels, axis=0).all():  # of values that are all the same there is nothing to explain
        return metrics
    metrics["r2"] = float(sklearn.metrics.r2_score(labels, predicted))
    if np.ptp(predicted, axis=0).all():
        ranks = scipy.stats.rankdata(labels, axis=0), scipy.stats.rankdata(predicted, axis=0)
        metrics |= {"pearson": _correlation(labels, predicted), "spearman": _correlation(*ranks)}
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation, the mean over the columns; NaN where the spread is too small for float64."""
    first, second = (values - values.mean(axis=0) for values in (first, second))
    spread = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return float(np.mean((first * second).sum(axis=0) / spread)) if spread.all() else float("nan")
