"""Intersection over union of boxes in NumPy."""

import numpy as np


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each pair of boxes, `(N, M)`.

    Args:
        first: `(N, 4 or more)` x1, y1, x2, y2.
        second: `(M, 4 or more)`.

    Example:
        >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
        [[0.333]]
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared = np.maximum(high - low, 0.0).prod(axis=-1)
    areas = [(boxes[:, 2:4] - boxes[:, :2]).prod(axis=-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
