"""Select examples worth a look: the errors of highest confidence, the hits of lowest confidence, typical examples."""

import numpy as np

from tfl.tasks import Judged


def most_certain_errors(judged: Judged, count: int) -> np.ndarray:
    """Return the positions of the errors with the highest confidence, highest first; wrong labels often show here."""
    errors = np.flatnonzero(~judged.is_hit)
    return errors[np.argsort(-judged.certainty[errors], kind="stable")][:count]


def least_certain_hits(judged: Judged, count: int) -> np.ndarray:
    """Return the positions of the correct predictions with the lowest confidence, lowest first."""
    hits = np.flatnonzero(judged.is_hit)
    return hits[np.argsort(judged.certainty[hits], kind="stable")][:count]


def typical_examples(judged: Judged, number: int, count: int) -> np.ndarray:
    """Return the positions of the correct predictions of one class that are nearest to its median confidence.

    Neither extreme shows what the class usually looks like: predictions of the highest confidence are the easy
    examples, and those of the lowest confidence have their own gallery.

    Args:
        judged: the predictions with their confidence and whether they are correct.
        number: number of the class.
        count: number of positions at most.
    """
    hits = np.flatnonzero(judged.is_hit & (judged.predicted == number))
    if not len(hits):
        return hits
    distance = np.abs(judged.certainty[hits] - np.median(judged.certainty[hits]))
    return hits[np.argsort(distance, kind="stable")][:count]
