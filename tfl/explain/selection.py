"""Which examples are worth a look: the most certain errors, the least certain hits, the typical ones."""

import numpy as np

from tfl.tasks import Judged


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
