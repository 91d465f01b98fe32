"""From logits to probabilities, and from those to what is said of an example."""

import numpy as np
import scipy.special


def to_probabilities(logits: np.ndarray, target: str, temperature: float = 1.0) -> np.ndarray:
    """Return the probabilities that logits stand for.

    Args:
        logits: `(N, K)`; for regression the predicted values.
        target: "multiclass", "binary", "multilabel" or "regression".
        temperature: what logits are divided by first, above 0; 1 changes nothing. Values have none.

    Returns:
        `(N, C)` float64: softmax for multiclass, both columns (negative class first) for binary, one
        independent probability a label for multilabel, and the values themselves for regression.

    Example:
        >>> to_probabilities(np.array([[0.0, 0.0]]), "multiclass")
        array([[0.5, 0.5]])
    """
    logits = np.asarray(logits, np.float64)
    if target == "regression":
        return logits
    logits = logits / temperature
    if target == "multiclass":
        return scipy.special.softmax(logits, axis=1)
    positive = scipy.special.expit(logits)  # 1 - positive would lose what is below 1e-16
    return np.hstack([scipy.special.expit(-logits), positive]) if target == "binary" else positive


def to_logits(probabilities: np.ndarray, target: str) -> np.ndarray:
    """Return logits `(N, K)` float64 that `to_probabilities` turns into `probabilities`; 0 and 1 become finite ones.

    Args:
        probabilities: `(N, C)`, as `to_probabilities` returns them.
        target: its target.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if target == "regression":
        return probabilities
    if target == "multilabel":
        return scipy.special.logit(np.clip(probabilities, 1e-12, 1.0 - 1e-12))
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return logarithms[:, 1:] - logarithms[:, :1] if target == "binary" else logarithms


def decide(logits: np.ndarray, target: str) -> np.ndarray:
    """Return what a classifier says of each example.

    Returns:
        The class number `(N,)` int64 for multiclass and binary, and whether each label is present, `(N, K)`
        int64, for multilabel.
    """
    logits = np.asarray(logits)
    if target == "multiclass":
        return logits.argmax(axis=1)
    present = (logits > 0).astype(np.int64)
    return present[:, 0] if target == "binary" else present


def as_classes(target: str, labels: np.ndarray) -> np.ndarray:
    """Return labels as whole numbers of the shape that `decide` returns."""
    labels = np.asarray(labels).astype(np.int64)
    return labels if target == "multilabel" else labels.reshape(len(labels))


def one_vs_rest(target: str, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return for each class or label whether it is the true one, bool `(N, C)`."""
    labels = as_classes(target, labels)
    return labels > 0 if target == "multilabel" else labels[:, None] == np.arange(num_classes)


def shape_for_scikit(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """Return `y_true`, `y_pred` and `labels` for scikit-learn, which takes a single column for two classes.

    Args:
        labels: from `as_classes`.
        predicted: from `decide`.
        num_classes: classes, or labels, that there are.
    """
    if labels.ndim == 2 and num_classes == 1:
        return {"y_true": labels[:, 0], "y_pred": predicted[:, 0], "labels": np.array([1])}
    return {"y_true": labels, "y_pred": predicted, "labels": np.arange(num_classes)}
