"""One file of stored features: an array, the keys of its rows, and a digest of everything.

The file starts with an array like every `.npy` file (`numpy.load` opens it). After the array come the keys as JSON,
and a last line with the length of the JSON and the SHA-256 of everything before. The name of the file is the digest of
its keys, so two processes with the same rows write the same file.
"""

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfl.errors import InputError

HEADER = 128  # bytes before the rows; NumPy writes this size for up to five dimensions
_KEY_BYTES = 80  # for each row: a key of 64 digits in quotes, and its part of the header and the end
_DIGEST = 65  # bytes: 64 digits and a line feed
_END = 17 + _DIGEST  # bytes of the last line: 16 digits, a space, the digest


def estimate_bytes(num_examples: int, shape: tuple[int, ...], dtype: str) -> int:
    """Return the approximate number of bytes that the features of `num_examples` examples take on disk."""
    return num_examples * (math.prod(shape) * np.dtype(dtype).itemsize + _KEY_BYTES)


def shard_bytes(values: np.ndarray, record: bytes) -> int:
    """Return the size of a shard in bytes."""
    return HEADER + values.nbytes + len(record) + _END


def shard_name(record: bytes) -> str:
    """Return the name of the shard whose keys are `record`, as JSON."""
    return f"{hashlib.sha256(record).hexdigest()}.npy"


def narrowed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values in the type in which the store keeps them.

    Raises:
        InputError: a value is too large for float16.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype)
    if dtype == np.float16 and (np.isinf(stored) & np.isfinite(values)).any():
        largest = np.abs(values[np.isfinite(values)]).max()
        raise InputError(
            f"`features.dtype` must be a type that can hold the largest feature, {largest:.6g}. Received: 'float16'. "
            "Did you mean 'float32'?"
        )
    return stored


def write_shard(path: Path, values: np.ndarray, record: bytes) -> None:
    """Write a shard.

    `numpy.save` is not used, because its error message for a full disk does not say that the disk is full.
    """
    header, digest = io.BytesIO(), hashlib.sha256()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
    with path.open("wb") as file:
        for part in (header.getvalue(), values.reshape(-1).view(np.uint8).data, record, b"%016x " % len(record)):
            digest.update(part)
            file.write(part)
        file.write(f"{digest.hexdigest()}\n".encode())


def read_keys(path: Path) -> list[str]:
    """Read the keys of a shard without its rows.

    Raises:
        ValueError: the digest of the keys is not the name of the file.
    """
    content = np.memmap(path, np.uint8, "r")
    length = int(content[-_END:-_DIGEST].tobytes(), 16)
    record = content[-_END - length : -_END].tobytes()
    if shard_name(record) != path.name:
        raise ValueError("other keys than those of its name")
    return json.loads(record)


def is_whole(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Return whether a shard is complete and undamaged; it reads the whole file."""
    try:
        content = np.memmap(path, np.uint8, "r")
        if content[-_DIGEST:].tobytes() != f"{hashlib.sha256(content[:-_DIGEST].data).hexdigest()}\n".encode():
            return False  # before NumPy interprets a damaged header
        array = np.load(path, mmap_mode="r")
        return (array.shape, array.dtype, array.offset) == ((len(read_keys(path)), *shape), dtype, HEADER)
    except (ValueError, FileNotFoundError):
        return False


@contextlib.contextmanager
def explained(path: Path) -> Iterator[Path]:
    """Turn errors of the file system about a store into one line that names the option."""
    try:
        yield path
    except InputError as error:
        if not str(error).startswith("`workdir`"):
            raise
        raise InputError(str(error).replace("`workdir`", "`features.store`", 1)) from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"`features.store` must be a usable folder. Received: {str(path)!r}: {reason}.") from error
