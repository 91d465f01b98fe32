"""Which examples are worth a look: the most certain errors, the least certain hits, the typical ones."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Judged:
    """What became of every example.

    Attributes:
        predicted: int64 `(N,)`, the class that was said; of several labels the one that decided `certainty`;
            of a regression the value with the largest error.
        is_hit: bool `(N,)`; of several labels whether all are right; of a regression all False.
        certainty: float64 `(N,)` in [0, 1]: the probability of what was said. Of several labels that of the
            surest wrong one, or where all are right, of the least sure one. Of a regression the absolute error.
    """

    predicted: np.ndarray
    is_hit: np.ndarray
    certainty: np.ndarray


def judge(probabilities: np.ndarray, labels: np.ndarray, target: str) -> Judged:
    """Compare what was said with what is true, example by example.

    Args:
        probabilities: `(N, C)`, as `to_probabilities` gives them; for regression the values.
        labels: class numbers `(N,)` for multiclass and binary, else `(N, C)`, or `(N,)` of one value.
        target: "multiclass", "binary", "multilabel" or "regression".

    Example:
        >>> judged = judge(table.probabilities, table.labels, "multiclass")
        >>> most_certain_errors(judged, 6)
    """
    probabilities = np.asarray(probabilities, np.float64)
    rows = np.arange(len(probabilities))
    if target in ("multiclass", "binary"):
        predicted = probabilities.argmax(axis=1)
        return Judged(predicted, predicted == labels, probabilities[rows, predicted])
    truth = np.asarray(labels, np.float64).reshape(probabilities.shape)
    if target == "regression":
        error = np.abs(probabilities - truth)
        worst = error.argmax(axis=1)
        return Judged(worst, np.zeros(len(rows), bool), error[rows, worst])
    sureness = np.maximum(probabilities, 1 - probabilities)
    is_wrong = (probabilities > 0.5) != (truth > 0.5)
    is_hit = ~is_wrong.any(axis=1)
    decided = np.where(is_hit, sureness.argmin(axis=1), np.where(is_wrong, sureness, -1.0).argmax(axis=1))
    return Judged(decided, is_hit, sureness[rows, decided])


def most_certain_errors(judged: Judged, count: int) -> np.ndarray:
    """Return the positions of the errors that were made most certainly, the worst first: wrong labels show here."""
    errors = np.flatnonzero(~judged.is_hit)
    return errors[np.argsort(-judged.certainty[errors], kind="stable")][:count]


def least_certain_hits(judged: Judged, count: int) -> np.ndarray:
    """Return the positions of the hits that were nearly none, the closest first."""
    hits = np.flatnonzero(judged.is_hit)
    return hits[np.argsort(judged.certainty[hits], kind="stable")][:count]


def typical_examples(judged: Judged, number: int, count: int) -> np.ndarray:
    """Return the positions of the hits of one class that are of middling certainty for it, the most middling first.

    The surest hits are the easy ones, and the least sure have a gallery of their own: neither is what the
    class mostly looks like.
    """
    hits = np.flatnonzero(judged.is_hit & (judged.predicted == number))
    if not len(hits):
        return hits
    distance = np.abs(judged.certainty[hits] - np.median(judged.certainty[hits]))
    return hits[np.argsort(distance, kind="stable")][:count]
