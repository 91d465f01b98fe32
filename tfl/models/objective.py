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
        logits: `(N, K)` float64.
        labels: from `as_targets`.
    """
    num_outputs = logits.shape[1]
    if target == "multiclass":
        rows = np.arange(len(logits))
        log_probabilities = scipy.special.log_softmax(logits, axis=1)
        residual = np.exp(log_probabilities)
        residual[rows, labels] -= 1.0
        return -log_probabilities[rows, labels], residual
    if target == "regression":
        error = logits - labels
        return np.mean(error**2, axis=1), 2.0 * error / num_outputs
    loss = np.mean(np.logaddexp(0.0, logits) - labels * logits, axis=1)
    return loss, (scipy.special.expit(logits) - labels) / num_outputs
