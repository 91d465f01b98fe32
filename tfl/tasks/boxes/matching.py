"""Match predicted with true boxes by the rules of COCO, image by image, by the package faster-coco-eval."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.extras import check_extra
from tfl.tasks.boxes.values import Boxes

OVERLAPS = np.linspace(0.5, 0.95, 10)  # thresholds of intersection over union
AREAS = ("all", "small", "medium", "large")  # up to 32 x 32 pixels, up to 96 x 96, and larger
MOST = 100  # detections of an image and class that count
PACKAGE, EXTRA = "faster_coco_eval", "detection"


@dataclasses.dataclass(frozen=True)
class Matches:
    """What matching found: all that the metrics of a set of images need, and of any set with some images repeated.

    Detections are sorted by class, then by falling score, then by image.

    Attributes:
        images: `(D,)` int64, the number of the image of each detection.
        classes: `(D,)` int64.
        scores: `(D,)` float64.
        ranks: `(D,)` int64, the place of the detection among those of its image and class, by falling score.
        states: `(D, 4, 10)` int8 for the areas and overlaps: 1 it is right, -1 it is wrong, 0 it does not count.
        partners: `(D,)` int64, which true box of its image it is matched with at an overlap of 0.5; -1: none.
        objects: `(N, K, 4)` int64, the number of true boxes that count, of each image, class and area.
    """

    images: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    states: np.ndarray
    partners: np.ndarray
    objects: np.ndarray


def check_installed() -> None:
    """Refuse to measure boxes without the package that matches them.

    Raises:
        InputError: it is not installed.
    """
    check_extra("detection", PACKAGE, EXTRA)


def overlaps_of(detections: Boxes, objects: Boxes) -> np.ndarray:
    """Return the intersection over union of each pair, `(D, T)`; of a crowd the share of the detection that is in it.

    Example:
        >>> found, truth = Boxes.of(np.array([[0, 0, 4, 9, 0.7, 0]])), Boxes.of(np.array([[0, 0, 9, 9, -2]]))
        >>> overlaps_of(found, truth).tolist()
        [[1.0]]
    """
    from faster_coco_eval import mask

    if not len(detections) or not len(objects):
        return np.zeros((len(detections), len(objects)))
    return np.asarray(mask.iou(detections.sides, objects.sides, objects.is_crowd.astype(int).tolist()))


def match(truth: Sequence[Boxes], found: Sequence[Boxes], num_classes: int) -> Matches:
    """Match the predicted with the true boxes of N images.

    For each overlap and area, the detections of a class are taken by falling score; each gets the free object that it
    overlaps most. An object of another size, and a crowd, does not count, nor does a detection that is matched with it
    or that is itself of another size without a match.

    Args:
        truth: of N images.
        found: of the same images.
        num_classes: K; all classes are below it.

    Raises:
        InputError: the package is not installed.
        ValueError: the numbers of images differ, or a class is not below `num_classes`.

    Example:
        >>> truth, found = (Boxes.of(np.array([row])) for row in ([0, 0, 9, 9, 0], [0, 0, 9, 8, 0.7, 0]))
        >>> match([truth], [found], 1).states[0, 0].tolist()
        [1, 1, 1, 1, 1, 1, 1, 1, -1, -1]

    Reference:
        Lin et al. 2014, Microsoft COCO: common objects in context, and the code of its evaluation.
    """
    _check(truth, found, num_classes)
    evaluated = _evaluate(truth, found, num_classes)
    firsts = np.cumsum([0, *map(len, truth)]) + 1  # the number of the first true box of each image
    objects = np.zeros((len(truth), num_classes, len(AREAS)), np.int64)
    parts = []
    for number in range(num_classes):
        for image, own in enumerate(found):
            cell = [evaluated[(number * len(AREAS) + area) * len(truth) + image] for area in range(len(AREAS))]
            objects[image, number] = [sum(not ignored for ignored in state[3]) for state in cell]
            scores = own.scores[own.classes == number]
            order = np.argsort(-scores, kind="stable")[:MOST]
            shape = (len(OVERLAPS), len(order))
            matched, ignored = (np.array([s[part] for s in cell]).reshape(len(AREAS), *shape) for part in (0, 4))
            states = np.where(ignored.astype(bool), 0, np.where(matched > 0, 1, -1)).astype(np.int8)
            partners = np.where(matched[0, 0] > 0, matched[0, 0].astype(np.int64) - firsts[image], -1)
            same = np.full((2, len(order)), [[image], [number]])
            parts.append((*same, scores[order], np.arange(len(order)), np.moveaxis(states, -1, 0), partners))
    empty = (*np.zeros((4, 0)), np.zeros((0, len(AREAS), len(OVERLAPS)), np.int8), np.zeros(0, np.int64))
    columns = [np.concatenate(column) for column in zip(empty, *parts, strict=True)]
    images, classes, ranks = (columns[place].astype(np.int64) for place in (0, 1, 3))
    order = np.lexsort((ranks, images, -columns[2], classes))
    sorted_columns = (images, classes, columns[2], ranks, columns[4], columns[5])
    return Matches(*(column[order] for column in sorted_columns), objects=objects)


def _check(truth: Sequence[Boxes], found: Sequence[Boxes], num_classes: int) -> None:
    check_installed()
    if len(truth) != len(found):
        raise ValueError(f"`found` must be of as many images as `truth`. Received: {len(found)} and {len(truth)}.")
    highest = max((int(boxes.classes.max()) for boxes in (*truth, *found) if len(boxes)), default=-1)
    if highest >= num_classes:
        raise ValueError(f"`num_classes` must be above every class. Received: {num_classes} with class {highest}.")


def _evaluate(truth: Sequence[Boxes], found: Sequence[Boxes], num_classes: int) -> list[tuple[Any, ...]]:
    """Return for each class, area and image: matches, matches of objects, scores, ignored objects and detections."""
    if not truth or not num_classes:
        return []
    from faster_coco_eval import COCO, COCOeval_faster

    objects = [item for image, boxes in enumerate(truth) for item in _items(boxes, image)]
    detections = [item for image, boxes in enumerate(found) for item in _items(boxes, image)]
    data = {
        "images": [{"id": image} for image in range(len(truth))],
        "categories": [{"id": number, "name": str(number)} for number in range(num_classes)],
        "annotations": [item | {"id": number} for number, item in enumerate(objects, 1)],  # 0 means no match
    }
    known = COCO(data)
    run = COCOeval_faster(known, known.loadRes(detections), "bbox", separate_eval=True)
    run.params.iouThrs = OVERLAPS
    run.evaluate()
    return [cell.__getstate__() for cell in run._evalImgs_cpp]  # its only way out of the compiled code


def _items(boxes: Boxes, image: int) -> list[dict[str, Any]]:
    """Return boxes as COCO has them."""
    sides = boxes.sides
    columns = (sides.tolist(), boxes.classes.tolist(), boxes.scores.tolist(), boxes.is_crowd.tolist())
    return [
        {
            "image_id": image,
            "category_id": number,
            "bbox": own,
            "area": own[2] * own[3],
            "score": score,
            "iscrowd": int(crowd),
        }
        for own, number, score, crowd in zip(*columns, strict=True)
    ]
