"""Predicted boxes in the pixels of their photos, and the JSON file of COCO that holds them."""

import io
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.files.pictures import displayed_size
from tfl.files.writing import expand_home, write_text

_CLASS = 5  # column of the class; -1: no box


def in_own_pixels(boxes: np.ndarray, photos: Sequence[str | io.BytesIO], size: int) -> np.ndarray:
    """Return boxes in pixels of their photos as displayed.

    Args:
        boxes: `(N, P, 6)`, rows of x1, y1, x2, y2, score, class, in pixels of photos that were resized to squares.
        photos: paths or contents of the N photos; if Pillow cannot read one, its boxes stay in pixels of the square.
        size: of the squares.
    """
    sides = np.array([displayed_size(photo) or (size, size) for photo in photos], np.float64)
    scale = np.concatenate([sides, sides, np.full((len(sides), 2), size)], axis=1) / size
    return np.asarray(boxes, np.float64) * scale[:, None, :]


def write_coco(file: str, paths: Sequence[str], boxes: np.ndarray, names: Sequence[str]) -> None:
    """Write boxes as a JSON file of COCO, with images, categories, and annotations that have scores.

    Programs that read COCO show it, and its annotations alone are what COCO calls results. Classes have their numbers
    plus 1, and images are numbered from 1 in the given order.

    Args:
        file: to write.
        paths: of the N photos.
        boxes: `(N, P, 6)`, in pixels of the photos.
        names: of the classes.

    Raises:
        InputError: the file cannot be written.

    Reference:
        Lin et al. 2014, Microsoft COCO: common objects in context, arXiv:1405.0312.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (path, own) in enumerate(zip(paths, boxes, strict=True), start=1):
        width, height = displayed_size(path) or (0, 0)
        images.append({"id": number, "file_name": os.fspath(path), "width": width, "height": height})
        for x1, y1, x2, y2, score, label in own[own[:, _CLASS] >= 0].tolist():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), 2),
                    "iscrowd": 0,
                    "score": round(score, 6),
                }
            )
    content = {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, start=1)],
        "annotations": annotations,
    }
    write_text(expand_home(file, "coco"), json.dumps(content))
