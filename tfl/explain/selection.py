"""Select examples worth a look: the errors of highest confidence, the hits of lowest confidence, typical examples."""

import numpy as np

from tfl.tasks import Outcomes


def most_confident_errors(outcomes: Outcomes, count: int) -> np.ndarray:
    """Return the positions of the errors with the highest confidence, highest first; wrong labels often show here."""
    errors = np.flatnonzero(~outcomes.is_correct)
    return errors[np.argsort(-outcomes.confidence[errors], kind="stable")][:count]


def least_confident_hits(outcomes: Outcomes, count: int) -> np.ndarray:
    """Return the positions of the correct predictions with the lowest confidence, lowest first."""
    hits = np.flatnonzero(outcomes.is_correct)
    return hits[np.argsort(outcomes.confidence[hits], kind="stable")][:count]


def typical_examples(outcomes: Outcomes, number: int, count: int) -> np.ndarray:
    """Return the positions of the correct predictions of one class that are nearest to its median confidence.

    Neither extreme shows what the class usually looks like: predictions of the highest confidence are the easy
    examples, and those of the lowest confidence have their own gallery.

    Args:
        outcomes: the predictions with their confidence and whether they are correct.
        number: number of the class.
        count: number of positions at most.
    """
    hits = np.flatnonzero(outcomes.is_correct & (outcomes.predicted == number))
    if not len(hits):
        return hits
    distance = np.abs(outcomes.confidence[hits] - np.median(outcomes.confidence[hits]))
    return hits[np.argsort(distance, kind="stable")][:count]
