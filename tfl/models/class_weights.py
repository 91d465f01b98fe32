"""Class weights: turn every form that users give into a mapping from class number to weight."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.models.balance import effective_class_weight
from tfl.registry import did_you_mean, find_same

_FORMS = "'balanced', 'effective', weights by class number or by class name, or one weight for each class"


def resolve_class_weight(
    class_weight: Any, num_classes: int, class_names: Sequence[str] = (), labels: Any = None
) -> dict[int, float] | None:
    """Return the weight of the examples of each class.

    Args:
        class_weight: `"balanced"` (or `"inverse"`), see `balanced_class_weight`; `"effective"`, see
            `effective_class_weight`; a mapping from class number or name to weight, 1 for
            a missing class; K weights in the order of the classes; or None.
        num_classes: K; 2 for a binary target.
        class_names: of the classes, in their order; empty if they are not known.
        labels: class numbers `(N,)` or `(N, 1)`, or one-hot rows `(N, K)`, which the names count; None if they
            are known only after the data is read.

    Returns:
        Class number to weight; None if no class has a weight.

    Raises:
        InputError: a class is unknown, the number of weights is not K, or a weight is negative or not finite.

    Example:
        >>> resolve_class_weight({"cat": 2}, 2, ("cat", "dog"))
        {0: 2.0}
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        count = _FROM_LABELS.get(class_weight.lower())
        if count is None:
            raise InputError(f"`class_weight` must be {_FORMS}. Received: {class_weight!r}. Did you mean 'balanced'?")
        if labels is None:
            raise InputError(
                "`class_weight` must be given as numbers if the labels are known only after the data is read. "
                f"Received: {class_weight!r}. Did you mean tfl.training.{count.__name__}(labels)?"
            )
        return count(as_class_numbers(labels))
    if isinstance(class_weight, Mapping):
        pairs = [(_find_class(key, num_classes, class_names), weight) for key, weight in class_weight.items()]
    else:
        weights = np.asarray(class_weight, object)  # object: rows may differ in length
        if weights.shape != (num_classes,):
            shown = " ".join(repr(class_weight).split())[:100]
            raise InputError(f"`class_weight` must be {_FORMS}: {num_classes} weights. Received: {shown}.")
        pairs = list(enumerate(weights))
    by_class = {number: _check_weight(number, weight) for number, weight in pairs}
    if len(by_class) < len(pairs):
        raise InputError(f"`class_weight` must name each class once. Received: {class_weight!r}.")
    if len(by_class) == num_classes and not any(by_class.values()):
        raise InputError(f"`class_weight` must not be 0 for every class. Received: {class_weight!r}.")
    return by_class or None


def balanced_class_weight(labels: np.ndarray) -> dict[int, float]:
    """Return weights that give every class the same total: `N / (K * count)`; K counts the classes in `labels`.

    Args:
        labels: int `(N,)` class numbers.

    Returns:
        Class number to weight; the mean weight over `labels` is 1.
    """
    classes, counts = np.unique(labels, return_counts=True)
    return {int(c): float(len(labels) / (len(classes) * n)) for c, n in zip(classes, counts, strict=True)}


_FROM_LABELS = {
    "balanced": balanced_class_weight,
    "inverse": balanced_class_weight,
    "effective": effective_class_weight,
}


def as_class_numbers(labels: Any) -> np.ndarray:
    """Return labels, given as class numbers or one-hot rows, as int64 `(N,)`."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(axis=1)
    return labels.reshape(-1).astype(np.int64)


def _find_class(key: Any, num_classes: int, class_names: Sequence[str]) -> int:
    """Return the number of a class that is given by its number or name."""
    if isinstance(key, str):
        name = find_same(key, class_names)
        if name is not None:
            return list(class_names).index(name)
        known = ", ".join(map(repr, class_names[:12])) if class_names else "not known"
        raise InputError(
            f"`class_weight` must name classes of the model. Received: {key!r}; its class names: {known}."
            f"{did_you_mean(key, class_names)}"
        )
    whole = isinstance(key, (int, float, np.number)) and not isinstance(key, bool) and key == np.floor(key)
    if not whole or not 0 <= key < num_classes:
        raise InputError(f"`class_weight` must have class numbers from 0 to {num_classes - 1}. Received: {key!r}.")
    return int(key)


def _check_weight(number: int, weight: Any) -> float:
    if not isinstance(weight, (int, float, np.number)) or not 0 <= weight < math.inf:
        raise InputError(
            f"`class_weight` must have finite weights, at least 0. Received: {weight!r} for class {number}."
        )
    return float(weight)
