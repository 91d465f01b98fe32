"""Find the training images whose features are most similar to those of an image."""

import numpy as np


def nearest(queries: np.ndarray, features: np.ndarray, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `features` that are nearest to each query by cosine similarity.

    If the nearest training images of an error have the predicted class, then a label may be wrong, or the true class
    may lack such examples.

    Args:
        queries: `(Q, D)`.
        features: `(N, D)`.
        count: number of rows for each query; fewer if N is smaller.

    Returns:
        Row numbers, int64 `(Q, count)`, the nearest first and the lower row first if two are equally near; and their
        cosines, float32 of the same shape. A vector of zeros has cosine 0 with every vector.

    Example:
        >>> rows, cosines = nearest(features[:2], features)
        >>> rows[:, 0]  # each is nearest to itself
        array([0, 1])
    """
    cosines = _unit(queries) @ _unit(features).T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(cosines, rows, axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
