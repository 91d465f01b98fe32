"""Average precision and recall of COCO for a set of images, and for a thousand sets in which images are repeated."""

import dataclasses

import numpy as np

from tfl.tasks.boxes.matching import AREAS, OVERLAPS, Matches
from tfl.tasks.regions import mean_of_known

RECALLS = np.linspace(0.0, 1.0, 101)  # at which precision is read
MOST = (1, 10, 100)  # detections of an image and class for average recall
_BLOCK = 64  # sets at a time: their weights fit into the cache
_TINY = np.spacing(1.0)  # COCO adds it to the number of detections


def figures(matches: Matches, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return COCO's figures of R sets of images, `(R,)` each; NaN if no object counts.

    `ap` is the mean over classes and overlaps of 0.5, 0.55, ... 0.95; `ap50` and `ap75` are at one overlap. `ap_small`,
    `ap_medium` and `ap_large` are those of objects up to 32 x 32 pixels, up to 96 x 96, and larger. `ar1`, `ar10` and
    `ar100` are the mean recall with so many detections of an image and class. A class without objects does not count.

    Args:
        matches: of N images.
        counts: `(R, N)`, how often each image is in each set; ones for the images themselves.

    An image that is in a set twice is there twice, one after the other. If it has two detections of a class with the
    very same score, then both copies of the first come before both of the second.

    Example:
        >>> from tfl.tasks.boxes.matching import match
        >>> from tfl.tasks.boxes.values import Boxes
        >>> truth, found = (Boxes.of(np.array([row])) for row in ([0, 0, 9, 9, 0], [0, 0, 9, 8, 0.7, 0]))
        >>> float(figures(match([truth], [found], 1), np.ones((1, 1)))["ap"][0].round(3))
        0.8
    """
    each = average_precisions(matches, counts)
    recalls = _recalls(matches, counts)
    overlaps = {"ap": slice(None), "ap50": slice(0, 1), "ap75": slice(5, 6)}
    result = {name: mean_of_known(each[:, :, 0, part].mean(axis=-1)) for name, part in overlaps.items()}
    result |= {
        f"ap_{name}": mean_of_known(each[:, :, place].mean(axis=-1)) for place, name in enumerate(AREAS) if place
    }
    return result | {f"ar{most}": mean_of_known(recalls[..., place]) for place, most in enumerate(MOST)}


def average_precisions(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """Return the average precision of each class, area and overlap, `(R, K, 4, 10)`; NaN if no object counts.

    Args:
        matches: of N images.
        counts: `(R, N)`, how often each image is in each set.
    """
    counts = np.asarray(counts, np.float64)
    result = np.full((len(counts), matches.objects.shape[1], len(AREAS), len(OVERLAPS)), np.nan)
    for start in range(0, len(counts), _BLOCK):
        block = np.ascontiguousarray(counts[start : start + _BLOCK].T)  # (N, r)
        objects = np.einsum("nr,nka->kar", block, matches.objects.astype(np.float64))
        for number in range(result.shape[1]):
            own = slice(*np.searchsorted(matches.classes, [number, number + 1]))
            weights = block[matches.images[own]]
            for area, overlap in np.ndindex(len(AREAS), len(OVERLAPS)):
                precision = _precision(weights, matches.states[own, area, overlap], objects[number, area])
                result[start : start + _BLOCK, number, area, overlap] = precision
    return result


def _precision(weights: np.ndarray, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return the mean precision at the 101 recalls, `(r,)`; NaN without objects.

    Only right detections raise the recall, so precision is read there, as the highest one from there on.

    Args:
        weights: `(D, r)`, how often each detection occurs, sorted by falling score.
        states: `(D,)`, see `Matches`.
        objects: `(r,)`, their number.
    """
    has_objects = objects > 0
    counted = np.flatnonzero(states)
    right = np.flatnonzero(states[counted] == 1)
    if not len(right):
        return np.where(has_objects, 0.0, np.nan)
    hits = np.cumsum(weights[counted[right]], axis=0)
    seen = np.cumsum(weights[counted], axis=0)[right]
    best = np.maximum.accumulate((hits / (seen + _TINY))[::-1], axis=0)[::-1]
    recall = hits / np.where(has_objects, objects, 1.0)
    reached = np.searchsorted(RECALLS, recall, side="right")  # how many of the recalls
    mean = (best * np.diff(reached, axis=0, prepend=0)).sum(axis=0) / len(RECALLS)
    return np.where(has_objects, mean, np.nan)


def _recalls(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """Return the mean recall over the overlaps with at most 1, 10 and 100 detections, `(R, K, 3)`."""
    num_images, num_classes, _ = matches.objects.shape
    right = (matches.states[:, 0] == 1).sum(axis=1) / len(OVERLAPS)
    cells = matches.images * num_classes + matches.classes
    sums = [
        np.bincount(cells, np.where(matches.ranks < most, right, 0.0), minlength=num_images * num_classes)
        for most in MOST
    ]
    hits = np.einsum("rn,nkm->rkm", counts, np.stack(sums, axis=-1).reshape(num_images, num_classes, len(MOST)))
    objects = (np.asarray(counts, np.float64) @ matches.objects[:, :, 0])[..., None]
    return np.divide(hits, objects, out=np.full(hits.shape, np.nan), where=objects > 0)


@dataclasses.dataclass(frozen=True)
class Curve:
    """Precision over recall of one class at an overlap of 0.5, from the highest score to the lowest.

    Attributes:
        scores: `(D,)`, with a threshold at this score ...
        recall: `(D,)` ... so many of the objects are found, ...
        precision: `(D,)` ... and so many of the detections are right.
    """

    scores: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


def curve(matches: Matches, number: int) -> Curve:
    """Return the curve of a class; detections of one score are one point. It is empty for a class without objects.

    Args:
        matches: of the images.
        number: of the class.

    Example:
        >>> from tfl.tasks.boxes.matching import match
        >>> from tfl.tasks.boxes.values import Boxes
        >>> truth, found = (Boxes.of(np.array([row])) for row in ([0, 0, 9, 9, 0], [0, 0, 9, 8, 0.7, 0]))
        >>> curve(match([truth], [found], 1), 0)
        Curve(scores=array([0.7]), recall=array([1.]), precision=array([1.]))
    """
    own = (matches.classes == number) & (matches.states[:, 0, 0] != 0)
    scores, right = matches.scores[own], matches.states[own, 0, 0] == 1
    objects = matches.objects[:, number, 0].sum()
    last = np.flatnonzero(np.diff(scores, append=-np.inf)) if objects else np.zeros(0, np.int64)
    hits = np.cumsum(right)[last]
    return Curve(scores[last], hits / max(objects, 1), hits / (last + 1))
