"""Boxes of one image: corners, classes, scores."""

import dataclasses
from typing import Self

import numpy as np

from tfl.data.boxes.text import PADDING, crowd_of


@dataclasses.dataclass(frozen=True)
class Boxes:
    """True or predicted boxes of one image.

    Attributes:
        corners: `(N, 4)` float64, x1, y1, x2, y2 in pixels. Areas, and so small, medium and large, are in these pixels.
        classes: `(N,)` int64.
        scores: `(N,)` float64; of true boxes 1.
        is_crowd: `(N,)` bool, true boxes that hold many objects: detections in them count neither as right nor as
            wrong.
    """

    corners: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    is_crowd: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Self:
        """Return the boxes of rows x1, y1, x2, y2, class, or x1, y1, x2, y2, score, class.

        Args:
            rows: `(N, 5)` or `(N, 6)`. The class -1 is no box; class -2 is a crowd of class 0, -3 of class 1.

        Raises:
            ValueError: the rows have another shape, or numbers that are not finite.

        Example:
            >>> Boxes.of(np.array([[0, 0, 5, 5, 2], [0, 0, 0, 0, -1], [1, 1, 9, 9, -2]])).classes.tolist()
            [2, 0]
        """
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] not in (5, 6) or not np.isfinite(rows).all():
            raise ValueError(f"`rows` must be finite numbers of shape (N, 5) or (N, 6). Received: shape {rows.shape}.")
        rows = rows[rows[:, -1] != PADDING]
        classes = rows[:, -1].astype(np.int64)
        is_crowd = classes < PADDING
        scores = rows[:, 4] if rows.shape[1] == 6 else np.ones(len(rows))
        return cls(rows[:, :4], np.where(is_crowd, crowd_of(classes), classes), scores, is_crowd)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def sides(self) -> np.ndarray:
        """Left, top, width and height, `(N, 4)`, as COCO has boxes."""
        return np.concatenate([self.corners[:, :2], self.corners[:, 2:] - self.corners[:, :2]], axis=1)
