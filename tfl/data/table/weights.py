"""The weights of examples in a table."""

from collections.abc import Sequence

import numpy as np

from tfl.data.table.labels import read_number
from tfl.errors import InputError


def normal_weights(weights: Sequence[float], source: str) -> np.ndarray:
    """Return the weights of examples as an index has them: float32 with mean 1.

    Args:
        weights: N numbers of at least 0; only their ratios matter. Those that have mean 1 stay as they are.
        source: for the message.

    Raises:
        InputError: all of them are 0.

    Example:
        >>> normal_weights([1, 1, 4], "table.csv").tolist()
        [0.5, 0.5, 2.0]
    """
    mean = np.mean(weights, dtype=np.float64)
    if not mean > 0:
        raise InputError(f"`data.source` must have a weight above 0. Received: {source} with weights of 0 only.")
    is_normal = abs(mean - 1) < np.finfo(np.float32).eps  # dividing again would change the last bit of some
    return (np.asarray(weights, np.float64) / (1 if is_normal else mean)).astype(np.float32)


def problem_of_weight(text: str) -> str:
    """Return why a cell is no weight, or ""."""
    value = read_number(text)
    if value is not None and value >= 0:
        return ""
    return f"the weight {text!r} is not a number of at least 0" if text else "no weight"
