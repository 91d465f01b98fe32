"""Weights and offsets that make up for classes, or labels, of different sizes, from the labels of training."""

from collections.abc import Sequence

import numpy as np

from tfl.errors import InputError
from tfl.tasks import Task, get_task


def effective_class_weight(labels: np.ndarray, beta: float = 0.999) -> dict[int, float]:
    """Return weights by the effective number of examples of each class, `(1 - beta^n) / (1 - beta)` of n examples.

    The more examples a class has, the less another one adds: at least to the weights, n examples count as at most
    `1 / (1 - beta)`. With beta 0 every class has the weight 1, and near 1 the weights are those of
    `balanced_class_weight`.

    Args:
        labels: int `(N,)` class numbers.
        beta: in [0, 1).

    Returns:
        Class number to weight; the mean weight over `labels` is 1.

    Example:
        >>> effective_class_weight(np.array([0, 0, 0, 1]), beta=0.5)  # effective numbers 1.75 and 1
        {0: 0.842..., 1: 1.473...}

    Reference:
        Cui et al. 2019, Class-balanced loss based on effective number of samples, arXiv:1901.05555.
    """
    if not 0 <= beta < 1:
        raise InputError(f"`beta` must be at least 0 and below 1. Received: beta={beta!r}.")
    classes, counts = np.unique(labels, return_counts=True)
    weights = _inverse_of_effective(counts, beta)
    weights *= len(labels) / (counts @ weights)
    return {int(number): float(weight) for number, weight in zip(classes, weights, strict=True)}


def label_weights(labels: np.ndarray, beta: float | None = None) -> np.ndarray:
    """Return the weights of absent and present labels: each label is a question with the classes no and yes.

    Args:
        labels: `(N, K)`, 0 or 1.
        beta: None: both answers of a label have the same total weight; a number: weights by the effective number of
            examples, as for `effective_class_weight`.

    Returns:
        `(2, K)` float64, for `LossOptions.label_weights`: of the labels that are absent (first row) and present. The
        mean weight of each label over the examples is 1. An answer that never occurs has the weight 0.

    Example:
        >>> label_weights(np.array([[1], [0], [0], [0]]))
        array([[0.666...],
               [2.        ]])
    """
    labels = np.asarray(labels, np.float64)
    counts = np.stack([(1.0 - labels).sum(axis=0), labels.sum(axis=0)])
    inverse = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
    weights = inverse if beta is None else np.where(counts > 0, _inverse_of_effective(np.maximum(counts, 1), beta), 0.0)
    return weights * len(labels) / (counts * weights).sum(axis=0)


def logit_offsets(
    labels: np.ndarray, num_outputs: int, tau: float = 1.0, target: str | Task = "multiclass", names: Sequence[str] = ()
) -> np.ndarray:
    """Return the offsets of logit adjustment: `tau` times the log frequency of each class in the training labels.

    They are added to the logits in the loss of training and left out of the model. With `tau` 1 the probabilities of
    the model are then those for classes that are all equally frequent, and the class with the highest one has the
    smallest balanced error. For a task of yes and no, the offset is `tau` times the log odds of yes.

    Args:
        labels: of training: class numbers `(N,)`, or 0 and 1 `(N, K)`.
        num_outputs: K of the model.
        tau: at least 0; 0 adjusts nothing.
        target: the task, or its name.
        names: of the classes, for messages.

    Returns:
        `(K,)` float64, for `LossOptions.offsets`.

    Raises:
        InputError: a class has no example, or a label has only one answer: its frequency has no logarithm.

    Example:
        >>> offsets = logit_offsets(np.array([0, 0, 0, 1]), num_outputs=2)
        >>> np.exp(offsets)
        array([0.75, 0.25])

    Reference:
        Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314.
    """
    targets = get_task(target).as_targets(np.asarray(labels), num_outputs)
    if targets.ndim == 1:
        shares = np.bincount(targets, minlength=num_outputs) / len(targets)
        possible, others = shares > 0, np.ones_like(shares)
    else:
        shares = targets.mean(axis=0)
        possible, others = (shares > 0) & (shares < 1), 1.0 - shares
    if not possible.all():
        first = int(np.argmin(possible))
        name = repr(names[first]) if len(names) == num_outputs else f"number {first}"
        what = "class" if targets.ndim == 1 else "label, with it and without it"
        raise InputError(
            f"`labels` must hold examples of each {what}. Received: {shares[first] * len(targets):.0f} of "
            f"{len(targets)} examples have {name}."
        )
    return tau * np.log(shares / others)


def _inverse_of_effective(counts: np.ndarray, beta: float) -> np.ndarray:
    """Return `(1 - beta) / (1 - beta^n)`, to the last digit also for beta near 1."""
    return (1.0 - beta) / -np.expm1(counts * np.log(beta)) if beta else np.ones(counts.shape)
