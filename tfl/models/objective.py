"""The data term of the objective in plain NumPy: L(y, f(x; θ)) for each kind of target, and its slope."""

import numpy as np
import scipy.special


def as_targets(target: str, labels: np.ndarray) -> np.ndarray:
    """Return labels in the form that the losses take: `(N,)` int64 for multiclass, else `(N, K)` float64."""
    if target == "multiclass":
        return np.asarray(labels, np.int64)
    labels = np.asarray(labels, np.float64)
    return labels[:, None] if labels.ndim == 1 else labels


def loss_and_residual(target: str, logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the per-example loss `(N,)` and its derivative with respect to the logits `(N, K)`.

    Softmax cross-entropy for multiclass, sigmoid cross-entropy averaged over the labels for binary and
    multilabel, squared error averaged over the outputs for regression: the same numbers as the Keras
    losses that train the network.

    Args:
        target: "multiclass", "binary", "multilabel" or "regression".
        logits: `(N, K)` float32 or float64; what is returned has the same type.
        labels: from `as_targets`.
    """
    num_outputs = logits.shape[1]
    if target == "multiclass":
        rows = np.arange(len(logits))
        shifted = logits - logits.max(axis=1, keepdims=True)
        residual = np.exp(shifted)
        total = residual.sum(axis=1)
        residual /= total[:, None]
        loss = np.log(total) - shifted[rows, labels]
        residual[rows, labels] -= 1.0
        return loss, residual
    if target == "regression":
        error = logits - labels
        return np.mean(error**2, axis=1), 2.0 * error / num_outputs
    loss = np.mean(np.logaddexp(0.0, logits) - labels * logits, axis=1)
    return loss, (scipy.special.expit(logits) - labels) / num_outputs


def output_curvature(target: str, residual: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum of the loss's second derivative with respect to the logits, `(K, K)`.

    Args:
        target: as for `loss_and_residual`.
        residual: from `loss_and_residual`; it holds all that the second derivative needs.
        labels: from `as_targets`.
        weights: `(N,)`, of the examples.
    """
    num_outputs = residual.shape[1]
    if target == "regression":
        return np.eye(num_outputs) * (2.0 / num_outputs * weights.sum())
    if target == "multiclass":
        probabilities = residual.copy()
        probabilities[np.arange(len(labels)), labels] += 1.0
        return np.diag(weights @ probabilities) - (probabilities * weights[:, None]).T @ probabilities
    distance = np.abs(residual) * num_outputs  # p for a label 0 and 1 - p for a label 1: p (1 - p) either way
    return np.diag(weights @ (distance * (1.0 - distance))) / num_outputs


def is_correct(target: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether each example is predicted right, `(N,)` bool: every label of it; never for regression.

    Args:
        target: as for `loss_and_residual`.
        logits: `(N, K)`.
        labels: from `as_targets`.
    """
    if target == "multiclass":
        return logits.argmax(axis=1) == labels
    if target == "regression":
        return np.zeros(len(labels), bool)
    return np.all((logits > 0) == (labels > 0.5), axis=1)
