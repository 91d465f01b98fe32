"""The training images that look most alike to the model: what it may have learned an answer from."""

import numpy as np


def nearest(queries: np.ndarray, features: np.ndarray, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `features` that are nearest to each query by the cosine of their angle.

    An error whose nearest training images carry the predicted class points to a wrong label, or to a class
    that lacks such examples.

    Args:
        queries: `(Q, D)`.
        features: `(N, D)`.
        count: how many for each query; fewer where there are not as many.

    Returns:
        int64 `(Q, count)`, the nearest first, of equals the lower row; and their cosines, float32, of the
        same shape. A vector of zeros has cosine 0 with all.

    Example:
        >>> rows, cosines = nearest(features_of_test, features_of_train)
    """
    cosines = _unit(queries) @ _unit(features).T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(cosines, rows, axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
