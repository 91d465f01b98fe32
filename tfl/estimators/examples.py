"""Read what users of scikit-learn call X: images in memory, files, columns of files, or a matrix of numbers."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.data import Source
from tfl.data.arrays import load_arrays
from tfl.data.folder import load_files
from tfl.errors import InputError
from tfl.inputs import Input


def as_examples(X: Any) -> Any:
    """Return X as a list of paths, or unchanged if its examples are in memory.

    Args:
        X: an array, a list, or a table with one column of paths.

    Raises:
        InputError: it is a table of text with several columns.
    """
    if hasattr(X, "to_numpy"):  # a table or a column of pandas or polars
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUT" and X.ndim == 2 and _is_path(X.flat[:1]):
        if X.shape[1] != 1:
            raise InputError(f"`X` must have one column of paths. Received: {X.shape[1]} columns.")
        X = X[:, 0]
    if isinstance(X, (list, tuple, np.ndarray)) and _is_path(X[:1]):
        wrong = next((place for place, path in enumerate(X) if not isinstance(path, (str, os.PathLike))), None)
        if wrong is not None:
            raise InputError(f"`X` must be paths, all of them. Received: {X[wrong]!r} at row {wrong}.")
        return [os.fspath(path) for path in X]
    return X


def open_examples(examples: Any, labels: np.ndarray, class_names: Sequence[str], kind: Input) -> Source:
    """Make a source from examples of `as_examples`; the ids are the row numbers.

    Args:
        examples: N paths or N examples in memory.
        labels: int64 `(N,)` class numbers, or float32 `(N,)` or `(N, K)` values.
        class_names: in the order of the class numbers; empty for values.
        kind: what an example is, with its bit depth.
    """
    if isinstance(examples, list) and examples and isinstance(examples[0], str):
        return load_files(examples, labels, class_names, kind).at_depth(kind.bit_depth)
    source = load_arrays({"": (examples, labels)}, kind)
    if class_names:
        source = source.with_index(dataclasses.replace(source.index, class_names=tuple(class_names)))
    return source.at_depth(kind.bit_depth)


def _is_path(first: Any) -> bool:
    return len(first) == 1 and isinstance(first[0], (str, os.PathLike))
