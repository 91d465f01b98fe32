"""The nearest neighbours of every example within its set, by the cosine of their features."""

import importlib.util

import numpy as np

BLOCK = 1024  # rows that are compared with all others at once
MOST_EXACT = 20_000  # rows of which all pairs are compared; a larger set is searched with an index
NARROW = 128  # columns of the features when only very near neighbours count


def find_neighbours(directions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest neighbours of every row among all other rows.

    Up to 20,000 rows are compared pair by pair. For more rows an approximate index (HNSW, of the package usearch) is
    built if it is installed.

    Args:
        directions: float32 `(N, D)`, rows of length 1.
        count: number of neighbours; fewer if there are fewer other rows.

    Returns:
        Row numbers, int64 `(N, count)`, the nearest first; and their cosines, float32 of the same shape.

    Example:
        >>> rows, cosines = find_neighbours(np.eye(3, dtype=np.float32)[[0, 1, 0]], 1)
        >>> rows[0], cosines[0]
        (array([2]), array([1.], dtype=float32))
    """
    count = min(count, len(directions) - 1)
    if count < 1:
        return np.zeros((len(directions), 0), np.int64), np.zeros((len(directions), 0), np.float32)
    if len(directions) > MOST_EXACT and importlib.util.find_spec("usearch") is not None:
        return _search(directions, count)
    parts = [_compare(directions, start, count) for start in range(0, len(directions), BLOCK)]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([cosines for _, cosines in parts])


def _compare(directions: np.ndarray, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Compare some rows with all rows."""
    cosines = directions[start : start + BLOCK] @ directions.T
    own = np.arange(len(cosines))
    cosines[own, start + own] = -np.inf
    rows = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, rows, axis=1)
    order = np.lexsort((rows, -near), axis=1)
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(near, order, axis=1)


def _search(directions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Search with an index; a row that it does not find among its own neighbours is not left out twice."""
    from usearch.index import Index  # pyright: ignore[reportMissingImports]

    index = Index(ndim=directions.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(directions)), directions)
    found = index.search(directions, count + 1)
    rows, cosines = np.asarray(found.keys).astype(np.int64), 1 - np.asarray(found.distances)
    is_own = rows == np.arange(len(rows))[:, None]
    is_own[~is_own.any(axis=1), -1] = True  # the index is approximate: leave out the farthest instead
    keep = ~is_own
    shape = (len(rows), count)
    return rows[keep].reshape(shape), cosines[keep].reshape(shape).astype(np.float32)


def narrowed(directions: np.ndarray, seed: int) -> np.ndarray:
    """Return directions with fewer columns that keep near neighbours near: a random projection.

    Args:
        directions: float32 `(N, D)`.
        seed: of the projection.

    Returns:
        float32 `(N, min(D, 128))`, rows of length 1.

    Reference:
        Johnson and Lindenstrauss 1984.
    """
    width = directions.shape[1]
    if width <= NARROW:
        return directions
    projection = np.random.default_rng(seed).normal(size=(width, NARROW)).astype(np.float32)
    narrow = (directions - directions.mean(axis=0)) @ projection  # without the mean, which all rows share
    return narrow / np.maximum(np.linalg.norm(narrow, axis=1, keepdims=True), np.finfo(np.float32).tiny)
