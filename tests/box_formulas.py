"""Formulas of boxes without tfl's: COCO's figures by pycocotools, and the loss of the cells of a detector in NumPy."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tfl.tasks.boxes.values import Boxes

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100")
STRIDE = 8  # pixels of a cell


def annotations(rows: np.ndarray, image: int) -> Iterator[dict[str, Any]]:
    """Yield rows as COCO has them, with an id of their own each."""
    boxes = Boxes.of(rows)
    for own, number, score, crowd in zip(boxes.sides, boxes.classes, boxes.scores, boxes.is_crowd, strict=True):
        sides = own.tolist()
        item = {"image_id": image, "category_id": int(number), "bbox": sides, "area": sides[2] * sides[3]}
        yield item | {"score": float(score), "iscrowd": int(crowd)}


def by_pycocotools(
    truth: Sequence[np.ndarray], found: Sequence[np.ndarray], num_classes: int
) -> tuple[dict[str, float], np.ndarray]:
    """Return the figures, and the precision by overlap, recall, class, area and number of detections."""
    objects = [item for image, rows in enumerate(truth) for item in annotations(rows, image)]
    detections = [item for image, rows in enumerate(found) for item in annotations(rows, image)]
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(truth))],
            "categories": [{"id": number} for number in range(num_classes)],
            "annotations": [item | {"id": place} for place, item in enumerate(objects, 1)],
        }
        data.createIndex()
        other = COCO()
        other.dataset = data.dataset | {"annotations": [i | {"id": p} for p, i in enumerate(detections, 1)]}
        other.createIndex()
        run = COCOeval(data, other, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    stats = np.where(run.stats == -1, np.nan, run.stats)
    return dict(zip(NAMES, stats[:9], strict=True)), run.eval["precision"][..., -1]


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Return the intersection over union of two boxes."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:4], second[2:4])
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (np.prod(first[2:4] - first[:2]) + np.prod(second[2:4] - second[:2]) - shared)


def gap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of the smallest box around two boxes that lies between them."""
    hull = np.prod(np.maximum(first[2:4], second[2:4]) - np.minimum(first[:2], second[:2]))
    areas = np.prod(first[2:4] - first[:2]) + np.prod(second[2:4] - second[:2])
    union = areas / (1 + iou(first, second))
    return (hull - union) / hull


def box_of_cell(rows: np.ndarray, x: float, y: float) -> int:
    """Return the number of the smallest box with a point in its middle half; the cell of its centre counts, too; -1."""
    best, area = -1, np.inf
    for number, (x1, y1, x2, y2, label) in enumerate(rows):
        reach = [max((x2 - x1) / 4, STRIDE / 2), max((y2 - y1) / 4, STRIDE / 2)]
        near = abs(x - (x1 + x2) / 2) <= reach[0] and abs(y - (y1 + y2) / 2) <= reach[1]
        if label >= 0 and near and (x2 - x1) * (y2 - y1) < area:
            best, area = number, (x2 - x1) * (y2 - y1)
    return best


def cell_loss(rows: np.ndarray, outputs: np.ndarray) -> float:
    """Return the quality focal loss of the cells of a picture, and the mean loss of the boxes of its objects.

    Args:
        rows: `(R, 5)`, x1, y1, x2, y2, class; the class -1 is no box, and there is no crowd.
        outputs: `(h, w, K + 5)`.
    """
    height, width, num_classes = *outputs.shape[:2], outputs.shape[2] - 5
    places = [(STRIDE * (column + 0.5), STRIDE * (row + 0.5)) for row in range(height) for column in range(width)]
    answers = [box_of_cell(rows.astype(float), *place) for place in places]
    of_classes, weight_of_classes, of_boxes, objects = 0.0, 0.0, 0.0, set(answers) - {-1}
    for number, cell in zip(answers, outputs.astype(float).reshape(len(places), -1), strict=True):
        shares = np.exp(cell[: num_classes + 1] - cell[: num_classes + 1].max())
        shares /= shares.sum()
        if number < 0:
            of_classes += (1 - shares[num_classes]) ** 2 * -np.log(shares[num_classes])
            continue
        share, count, box = shares[int(rows[number, 4])], answers.count(number), rows[number, :4].astype(float)
        overlap = iou(cell[-4:], box)
        entropy = -overlap * np.log(share) - (1 - overlap) * np.log(shares[num_classes])
        of_classes += count**-0.5 * (overlap - share) ** 2 * entropy
        weight_of_classes += count**-0.5
        of_boxes += (gap(cell[-4:], box) - np.log(max(overlap, 1e-3))) / count
    return of_classes / max(weight_of_classes, 1.0) + of_boxes / max(len(objects), 1)
