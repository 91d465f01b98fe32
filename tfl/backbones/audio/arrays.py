"""Weights in an `.npz` file of NumPy, an array for each weight by its name."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfl.errors import InputError
from tfl.registry import did_you_mean

_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_arrays(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return the arrays of a file, float32, if they are exactly those that a network has.

    Args:
        file: the `.npz` file; pickled objects in it are refused.
        shapes: of each array, by its name.

    Raises:
        InputError: the file cannot be read, lacks an array, has one that belongs to no weight, or one of another shape,
            or with NaN or infinity.

    Example:
        >>> np.savez("two.npz", kernel=np.ones((3, 2)), bias=np.zeros(2))
        >>> sorted(read_arrays(Path("two.npz"), {"kernel": (3, 2), "bias": (2,)}))
        ['bias', 'kernel']
    """
    arrays = _read(file)
    for name, shape in shapes.items():
        if name not in arrays:
            raise _refusal(file, f"it has no array {name!r}.{did_you_mean(name, arrays)}")
        if arrays[name].shape != shape:
            raise _refusal(file, f"{name} must have the shape {shape}, and has {arrays[name].shape}")
        if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            raise _refusal(file, f"{name} must have finite numbers")
    if further := [name for name in arrays if name not in shapes]:
        raise _refusal(file, f"{', '.join(further[:3])} of it belong to no weight of the network")
    return {name: arrays[name].astype(np.float32) for name in shapes}


def _read(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as found:
            return {name: found[name] for name in found}
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise _refusal(file, f"it is not a whole .npz file: {reason}") from error


def _refusal(file: Path, reason: str) -> InputError:
    return InputError(
        f"`backbone.weights` must be a file with the arrays of the network. Received: '{file}': {reason}."
    )
