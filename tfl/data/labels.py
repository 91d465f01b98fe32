"""Labels from arrays, streams and tfds: check that none is missing, and give every class its number."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.data.source import check_distinct, number_classes
from tfl.errors import InputError

# Texts that pandas and NumPy write for a missing value.
_MISSING_TEXTS = ("", "nan", "NaN", "None", "<NA>", "NaT")


def as_labels(labels: Any) -> np.ndarray:
    """Return labels as one array in which missing labels can still be recognised.

    `np.asarray(["cat", np.nan])` would turn NaN into the text "nan", and NumPy drops the mask of a masked array.

    Args:
        labels: N labels, or N rows of labels: an array, a list, a tensor, a pandas column.

    Returns:
        Numbers if all labels are numbers; text if all are text; objects if some are missing.

    Raises:
        InputError: the rows have different lengths.
    """
    if np.ma.isMaskedArray(labels):
        gaps, labels = np.ma.getmaskarray(labels), np.asarray(labels.data, object).copy()
        labels[gaps] = None
    if isinstance(labels, (list, tuple)):
        try:
            labels = np.array([np.asarray(label).item() if np.ndim(label) == 0 else label for label in labels], object)
        except ValueError:
            raise _ragged() from None
    labels = np.asarray(labels)
    if labels.dtype != object or not labels.size:
        return labels
    flat = labels.reshape(-1)
    if any(isinstance(label, (list, tuple, np.ndarray)) for label in flat):
        raise _ragged()
    if any(_is_missing(label) for label in flat):
        return labels
    flat = [label.decode() if isinstance(label, bytes) else label for label in flat]
    return np.array(flat).reshape(labels.shape)


def find_missing(labels: np.ndarray) -> np.ndarray:
    """Return bool `(N,)`: true for examples without a label, or with a gap in their row of labels.

    NaN, infinity, None, `pandas.NA`, empty text, and -1 among class numbers count as missing. But -1 is a class if the
    only other label is 1, or if other labels are negative too.

    Args:
        labels: `(N,)` or `(N, K)`, from `as_labels`.
    """
    if labels.dtype.kind == "f":
        is_missing = ~np.isfinite(labels)
    elif labels.dtype.kind == "i":
        is_missing = (labels == -1) & _means_missing(labels)
    elif labels.dtype.kind in "OSU":
        is_missing = np.array([_is_missing(label) for label in labels.reshape(-1)], bool).reshape(labels.shape)
    else:
        is_missing = np.zeros(labels.shape, bool)
    gaps: Any = np.asarray(is_missing).reshape(len(labels), -1)
    return gaps.any(axis=1)


def read_labels(labels: np.ndarray, class_names: Sequence[str], ids: Sequence[str]) -> tuple[np.ndarray, tuple]:
    """Turn the labels of a user into the labels of an index.

    Args:
        labels: `(N,)` or `(N, K)`, from `as_labels`.
        class_names: names of the columns, or of the classes of whole-number labels; empty: the numbers are the names.
        ids: N names of the examples, for messages.

    Returns:
        int64 `(N,)` class numbers, or float32 `(N,)` or `(N, K)` values; and the names of classes or columns.

    Raises:
        InputError: labels are missing, have a wrong shape or have no name, or there is only one class.
    """
    missing = np.flatnonzero(find_missing(labels))
    if len(missing):
        hint = " If -1 is a class, give the classes as text." if labels.dtype.kind == "i" else ""
        raise InputError(
            f"`source` must have a label for every example. Received: {len(missing)} of {len(labels)} examples without "
            f"a label ({labels[missing[0]]!s}), the first: {ids[missing[0]]}. Did you mean to leave them out?{hint}"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _read_rows(labels, class_names)
    labels = labels.reshape(-1) if labels.ndim == 2 else labels
    if labels.ndim != 1:
        raise InputError(f"`source` must have labels of shape (N,) or (N, K). Received: {labels.shape}.")
    if labels.dtype.kind == "f":
        return labels.astype(np.float32), ()
    if not class_names:
        return number_classes(labels, "arrays or a data set")
    unknown = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    if len(unknown):
        raise InputError(
            f"`source` must have class numbers from 0 to {len(class_names) - 1}. Received: {len(unknown)} of "
            f"{len(labels)} other labels, the first: {labels[unknown[0]]} at {ids[unknown[0]]}."
        )
    return number_classes(np.array(class_names)[labels], "arrays or a data set")


def _read_rows(labels: np.ndarray, class_names: Sequence[str]) -> tuple[np.ndarray, tuple]:
    names = tuple(class_names) or tuple(map(str, range(labels.shape[1])))
    if labels.dtype.kind not in "fiub":
        raise InputError(f"`source` must have numbers in rows of labels. Received: {labels.flat[0]!r}.")
    if len(names) != labels.shape[1]:
        raise InputError(
            f"`class_names` must have one name for each column of labels. Received: {len(names)} names and "
            f"{labels.shape[1]} columns."
        )
    return labels.astype(np.float32), check_distinct(names, "class_names")


def _is_missing(label: Any) -> bool:
    if isinstance(label, bytes):
        try:
            label = label.decode()
        except UnicodeDecodeError:
            raise InputError(f"`source` must have class names in UTF-8. Received: {label!r}.") from None
    if isinstance(label, str):
        return label.strip() in _MISSING_TEXTS
    if label is None or type(label).__name__ in ("NAType", "NaTType"):  # by name: pandas is not imported
        return True
    return isinstance(label, float) and not np.isfinite(label)


def _means_missing(labels: np.ndarray) -> bool:
    """Return whether -1 means "no label" among these whole numbers."""
    values = set(np.unique(labels).tolist())
    return min(values, default=0) == -1 and not values <= {-1, 1}


def _ragged() -> InputError:
    return InputError("`source` must have labels of shape (N,) or (N, K). Received: rows of different lengths.")
