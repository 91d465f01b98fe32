"""The format of a checkpoint folder: one file with the values of all arrays, and a manifest with their checksums.

`arrays.bin` holds the values one after another, little-endian, with nothing between them. `manifest.json` holds name,
dtype, shape and SHA-256 of each array, and begins with its own SHA-256. A reader needs NumPy but not tfl.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator
from typing import IO, Any

import ml_dtypes
import numpy as np
from etils import epath

MANIFEST = "manifest.json"
ARRAYS = "arrays.bin"
_FORMAT = 1
_CHUNK = 2**20  # bytes that are hashed and written together, small enough for the processor's cache


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The complete state from which training can continue.

    Attributes:
        step: number of training steps so far, over all epochs; at least 0.
        arrays: every variable by name: numbers of any shape, also bfloat16 and other types of TensorFlow.
        state: all other state, as JSON: tuples become lists, and keys are strings. NaN and infinity are allowed.

    Raises:
        TypeError: an array does not hold numbers, or JSON cannot hold a value in `state`.
    """

    step: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]

    def __post_init__(self) -> None:
        if self.step < 0:
            raise ValueError(f"`step` must be at least 0. Received: {self.step}.")
        json.dumps(self.state)  # raise the error here, not later in the thread that writes
        for name, array in self.arrays.items():
            dtype = np.asarray(array).dtype
            if not _holds_numbers(dtype):
                raise TypeError(f"`arrays` must hold numbers. Received: {name!r} of dtype {dtype}.")


class DamagedError(ValueError):
    """A file has changed since it was written; the message names the file and the damage."""


def write_checkpoint(folder: epath.Path, checkpoint: Checkpoint, best: str) -> None:
    """Write a checkpoint into a folder; the manifest comes last, because without it a folder is not a checkpoint.

    Args:
        folder: without any of these files.
        checkpoint: to write.
        best: folder name of the best checkpoint so far; "" if there is none.
    """
    entries = []
    with (folder / ARRAYS).open("wb") as file:
        for name, value in checkpoint.arrays.items():
            array = np.asarray(value)
            dtype = array.dtype.name
            raw = np.asarray(array, _to_dtype(dtype), order="C").reshape(-1).view(np.uint8)
            digest = hashlib.sha256()
            for start in range(0, raw.size, _CHUNK):
                chunk = raw[start : start + _CHUNK].tobytes()  # files in object stores accept only bytes
                digest.update(chunk)
                file.write(chunk)
            entries.append({"name": name, "dtype": dtype, "shape": array.shape, "sha256": digest.hexdigest()})
    manifest = {"format": _FORMAT, "step": int(checkpoint.step), "best": best}
    write_sealed(folder / MANIFEST, {**manifest, "state": checkpoint.state, "arrays": entries})


def read_checkpoint(folder: epath.Path) -> Checkpoint:
    """Read a checkpoint, and check every byte of it.

    Raises:
        DamagedError: a file is missing or damaged.
    """
    manifest = read_manifest(folder)
    with _reading(folder / ARRAYS), (folder / ARRAYS).open("rb") as file:
        file.seek(0, os.SEEK_END)
        expected, found = sum(_num_bytes(entry) for entry in manifest["arrays"]), file.tell()
        if found != expected:
            raise DamagedError(f"{folder / ARRAYS} has {found} bytes instead of {expected}")
        file.seek(0)
        arrays = {entry["name"]: _read_array(file, entry, folder) for entry in manifest["arrays"]}
    return Checkpoint(manifest["step"], arrays, manifest["state"])


def read_manifest(folder: epath.Path) -> dict[str, Any]:
    """Read only the manifest: `step`, `best`, `state`, and name, dtype, shape and SHA-256 of each array.

    Raises:
        DamagedError: the manifest is missing or damaged.
    """
    manifest = read_sealed(folder / MANIFEST)
    if manifest.get("format") != _FORMAT:
        raise DamagedError(f"{folder / MANIFEST} has format {manifest.get('format')} instead of {_FORMAT}")
    return manifest


def write_sealed(path: epath.Path, values: dict[str, Any]) -> None:
    """Write a JSON object whose first member is the SHA-256 of the rest of the file."""
    path.write_bytes(_seal(json.dumps(values).encode()[1:]))


def read_sealed(path: epath.Path) -> dict[str, Any]:
    """Read a JSON object from `write_sealed`.

    Raises:
        DamagedError: the file is missing, or does not match its checksum.
    """
    with _reading(path):
        content = path.read_bytes()
    rest = content[len(_seal(b"")) :]
    if content != _seal(rest):
        raise DamagedError(f"{path} does not match its checksum")
    return json.loads(content)


def _seal(rest: bytes) -> bytes:
    return b'{"sha256": "%s", %s' % (hashlib.sha256(rest).hexdigest().encode(), rest)


def _read_array(file: IO[Any], entry: dict[str, Any], folder: epath.Path) -> np.ndarray:
    raw, digest = np.empty(_num_bytes(entry), np.uint8), hashlib.sha256()
    for start in range(0, raw.size, _CHUNK):
        chunk = file.read(min(_CHUNK, raw.size - start))
        digest.update(chunk)
        raw[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
    if digest.hexdigest() != entry["sha256"]:
        raise DamagedError(f"{folder / ARRAYS} does not match its checksum at {entry['name']!r}")
    return raw.view(_to_dtype(entry["dtype"])).reshape(entry["shape"])


def _num_bytes(entry: dict[str, Any]) -> int:
    return math.prod(entry["shape"]) * _to_dtype(entry["dtype"]).itemsize


def _holds_numbers(dtype: np.dtype) -> bool:
    """Return whether a dtype holds plain numbers, whose bytes can be written; Python objects and text are not."""
    return dtype.kind in "biufc" or hasattr(ml_dtypes, dtype.name)


def _to_dtype(name: str) -> np.dtype:
    """Return the dtype with a name, in the byte order of this machine."""
    with contextlib.suppress(TypeError):
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        if _holds_numbers(dtype):
            return dtype
    raise DamagedError(f"the dtype {name!r} is not a type of numbers")


@contextlib.contextmanager
def _reading(path: epath.Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing") from error
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}") from error
