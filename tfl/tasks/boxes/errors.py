"""The kinds of errors of a detector, image by image, after TIDE.

Reference:
    Bolya et al. 2020, TIDE: a general toolbox for identifying object detection errors, arXiv:2008.08115. Here each
    wrong detection is named by the one object that it overlaps most, which needs no order of the kinds.
"""

from collections.abc import Sequence

import numpy as np

from tfl.tasks.boxes.matching import Matches, overlaps_of
from tfl.tasks.boxes.values import Boxes

KINDS = ("right", "duplicate", "misplaced", "confused", "both", "background", "missed")
ENOUGH, SOME = 0.5, 0.1  # overlaps: from the first on a box is at its place, below the second it is elsewhere


def count_errors(truth: Sequence[Boxes], matches: Matches, found: Sequence[Boxes], least: float = 0.0) -> np.ndarray:
    """Return how often each image has each of `KINDS`, int64 `(N, 7)`.

    A wrong detection has its kind from the object that it overlaps most. It is a duplicate if that is of its class and
    overlaps by at least 0.5, so that a surer detection is matched with it; misplaced if it is of its class and overlaps
    by 0.1 to 0.5; confused if it is of another class and overlaps by at least 0.5; both if it is of another class and
    overlaps by 0.1 to 0.5; else background. An object is missed if no detection is matched with it, and none is
    misplaced or confused because of it.

    Args:
        truth: of N images.
        matches: of the images, from `match`.
        found: of the images.
        least: detections of lower scores are left out.

    Example:
        >>> from tfl.tasks.boxes.matching import match
        >>> truth, found = ([Boxes.of(np.array([row]))] for row in ([0, 0, 9, 9, 0], [0, 0, 9, 8, 0.7, 1]))
        >>> dict(zip(KINDS, count_errors(truth, match(truth, found, 2), found)[0].tolist()))["confused"]
        1
    """
    counts = np.zeros((len(truth), len(KINDS)), np.int64)
    is_sure = (matches.scores >= least) & (matches.states[:, 0, 0] != 0)
    for image, (objects, detections) in enumerate(zip(truth, found, strict=True)):
        rows = np.flatnonzero(is_sure & (matches.images == image))
        overlaps = overlaps_of(detections, objects)[_places(matches, rows, detections)]
        counts[image] = _count(objects, overlaps, matches.classes[rows], matches.partners[rows])
    return counts


def _count(objects: Boxes, overlaps: np.ndarray, classes: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Return how often one image has each kind.

    Args:
        objects: T true boxes.
        overlaps: `(D, T)`.
        classes: `(D,)` of the detections.
        partners: `(D,)`, the objects that they are matched with, or -1.
    """
    real = np.flatnonzero(~objects.is_crowd)
    near = overlaps[:, real]
    best = near.max(axis=1, initial=0.0)
    nearest = real[near.argmax(axis=1)] if len(real) else np.full(len(classes), -1)
    is_same = objects.classes[nearest] == classes if len(real) else np.zeros(len(classes), bool)
    is_right = partners >= 0
    wrong = np.where(is_same, np.where(best >= ENOUGH, 1, 2), np.where(best >= ENOUGH, 3, 4))
    kinds = np.where(is_right, 0, np.where(best >= SOME, wrong, 5))
    covered = np.concatenate([partners[is_right], nearest[np.isin(kinds, (2, 3))]])
    missed = len(np.setdiff1d(real, covered))
    return np.append(np.bincount(kinds, minlength=len(KINDS) - 1), missed)


def _places(matches: Matches, rows: np.ndarray, detections: Boxes) -> np.ndarray:
    """Return which of the boxes of an image the rows of `matches` are."""
    order = np.lexsort((np.arange(len(detections)), -detections.scores, detections.classes))
    firsts = np.searchsorted(detections.classes[order], matches.classes[rows])
    return order[firsts + matches.ranks[rows]]
