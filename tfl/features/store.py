"""Features on disk: computed once, found again by content, never half there.

A store is a folder; in it stands one shelf per extractor, row shape and dtype, and on a shelf stand shards of some
hundred rows. A shard is one file, named by the digest of its keys, so that two processes with the same rows write the
same file: an array as in every `.npy` (`numpy.load` opens it), behind it the keys as JSON, and a last line with the
length of that JSON and the SHA-256 of everything before.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfl.cache import cache_folder
from tfl.errors import InputError
from tfl.files import read_json
from tfl.progress import say, track
from tfl.workdir import write_json
from tfl.writing import UNFINISHED, expand_home, write_atomically

RESERVE = 2**30  # bytes of the disk that are left to everybody else
KEY_BYTES = 80  # of a row, beside its values: a key of 64 digits in quotes, and its part of header and end
SWEEP_AFTER = 24 * 3600.0  # seconds; a shard takes seconds to write
_HEADER = 128  # bytes before the rows, as NumPy writes them for up to five dimensions
_DIGEST = 65  # bytes: 64 digits and a line feed
_END = 17 + _DIGEST  # bytes of the last line: 16 digits, a space, the digest
_ROW_BITS = 32  # the place of a row: the number of its shard, shifted by so many bits, and its number within


class FeatureStore:
    """A folder of features that outlives the runs which fill it; any number of processes may use it at once.

    Args:
        root: a local folder; made where missing.
        max_bytes: how large everything under `root` may grow together.

    Raises:
        InputError: `root` is not local or cannot be written.

    Example:
        >>> shelf = FeatureStore(default_store(), max_bytes=5 * 10**10).open(digest, (1280,), "float32")
        >>> for row in shelf.missing(keys):
        ...     shelf.write([keys[row]], forward(images[row : row + 1]))
        >>> features = shelf.read(keys)
    """

    def __init__(self, root: str | os.PathLike[str], max_bytes: int) -> None:
        if "://" in os.fspath(root):
            raise InputError(f"`features.store` must be a local folder: it is memory-mapped. Received: {str(root)!r}.")
        self.root, self.max_bytes = Path(expand_home(root, "features.store")).absolute(), max_bytes
        self._shelves: dict[Path, Shelf] = {}  # so that a process checks a shard once
        with _explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError("it is read-only")

    def open(self, extractor_digest: str, shape: tuple[int, ...], dtype: str) -> "Shelf":
        """Return the shelf of one extractor.

        Args:
            extractor_digest: of all that features depend on, but for the example; it becomes part of a file name.
            shape: of one example's features.
            dtype: "float32" or "float16".
        """
        if dtype not in ("float32", "float16"):
            raise InputError(f"`features.dtype` must be float32 or float16. Received: {dtype!r}.")
        folder = self.root / "-".join([extractor_digest, "x".join(map(str, shape)), dtype])
        if folder not in self._shelves:
            with _explained(folder):
                self._shelves[folder] = Shelf(folder, shape, dtype)
        return self._shelves[folder]

    def room_for(self, num_examples: int, shape: tuple[int, ...], dtype: str) -> bool:
        """Say whether features of so many more examples fit into `max_bytes`, and leave 1 GiB of the disk free."""
        needed = estimate_bytes(num_examples, shape, dtype)
        fits_the_disk = needed + RESERVE <= shutil.disk_usage(self.root).free
        return fits_the_disk and self.used_bytes() + needed <= self.max_bytes

    def used_bytes(self) -> int:
        """Return the size of all shards in the store."""
        return sum(path.stat().st_size for path in self.root.glob("*/*.npy") if path.exists())


class Shelf:
    """The features of one extractor; `FeatureStore.open` makes it."""

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.folder, self.shape, self.dtype = folder, tuple(shape), np.dtype(dtype)
        self._shards: list[Path] = []
        self._known: set[Path] = set()  # the shards whose keys are in the index
        self._checked: set[int] = set()  # numbers in `_shards`
        self._index: dict[str, int] = {}  # key to the place of its row
        _sweep(folder)

    def facts(self) -> dict[str, Any]:
        """Return what is on record about how the features are computed; empty where nothing is."""
        with contextlib.suppress(FileNotFoundError, InputError):
            return read_json(self.folder / "facts.json")
        return {}

    def agree(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Put facts, as JSON has them, on record, and return them; those of the process that was first count."""
        with _explained(self.folder), _locked(self.folder, fcntl.LOCK_EX):
            known = self.facts()
            if not known:
                write_json(self.folder / "facts.json", facts)
        return known or facts

    def missing(self, keys: Sequence[str]) -> np.ndarray:
        """Return the positions of the keys that are not stored.

        What other processes wrote since is seen too. A shard is checked when one of its keys is first asked
        for; a damaged one is deleted, said in one line, and its keys are missing.

        Args:
            keys: one per example and view.

        Returns:
            int64 `(M,)`, ascending.
        """
        with _explained(self.folder):
            if damaged := self._find_new() + self._check(keys):
                self._discard(damaged)
        return np.flatnonzero(self._locate(keys) < 0)

    def write(self, keys: Sequence[str], values: np.ndarray) -> None:
        """Add one shard, whole or not at all.

        Missing keys that are written in order and in portions of one size give the same files, to the byte,
        whether or not a run was interrupted in between.

        Args:
            keys: R of them.
            values: `(R, *shape)`.

        Raises:
            InputError: no room, no permission, or a value too large for float16; the shelf is as it was.
        """
        keys = [str(key) for key in keys]
        if values.shape != (len(keys), *self.shape):
            raise ValueError(f"`values` must be {(len(keys), *self.shape)}. Received: shape {values.shape}.")
        stored, record = _narrowed(values, self.dtype), json.dumps(keys).encode()
        path = self.folder / _shard_name(record)
        with _explained(self.folder), _locked(self.folder, fcntl.LOCK_SH):
            write_atomically(path, lambda temporary: _write_shard(Path(temporary), stored, record))
        self._checked.add(len(self._shards))
        self._index.update(self._add(path, keys))

    def read(self, keys: Sequence[str]) -> "StoredArray":
        """Return the features of stored examples, in the order of the keys.

        Raises:
            KeyError: some are not stored; ask `missing` first.
        """
        missing = self.missing(keys)
        if len(missing):
            raise KeyError(f"{len(missing)} of {len(keys)} keys are not stored, the first: {keys[missing[0]]!r}")
        return StoredArray(self._shards, self._locate(keys), self.shape, self.dtype)

    def _locate(self, keys: Sequence[str]) -> np.ndarray:
        return np.fromiter((self._index.get(key, -1) for key in keys), np.int64, len(keys))

    def _add(self, path: Path, keys: list[str]) -> dict[str, int]:
        """Give a shard a number; return the places of its rows."""
        first = len(self._shards) << _ROW_BITS
        self._shards.append(path)
        self._known.add(path)
        return {key: first + row for row, key in enumerate(keys)}

    def _find_new(self) -> list[Path]:
        """Enter the shards that were not seen before; return those whose keys cannot be read."""
        damaged = []
        for path in sorted(set(self.folder.glob("*.npy")) - self._known):
            try:
                places = self._add(path, _read_keys(path))
                self._index.update((key, place) for key, place in places.items() if key not in self._index)
            except (ValueError, FileNotFoundError):
                damaged.append(path)
        return damaged

    def _check(self, keys: Sequence[str]) -> list[Path]:
        """Check the shards that hold the keys, each once; return the damaged ones."""
        places = self._locate(keys)
        unchecked = set(np.unique(places[places >= 0] >> _ROW_BITS).tolist()) - self._checked
        paths = [self._shards[number] for number in sorted(unchecked)]
        walk = track(paths, "checking stored features", unit="shard") if paths else []
        damaged = [path for path in walk if not _is_whole(path, self.shape, self.dtype)]
        self._checked |= unchecked
        return damaged

    def _discard(self, damaged: list[Path]) -> None:
        """Forget damaged shards, and delete those that no other process has replaced by now."""
        numbers = {number for number, path in enumerate(self._shards) if path in damaged}
        self._index = {key: place for key, place in self._index.items() if place >> _ROW_BITS not in numbers}
        self._known.difference_update(damaged)
        with _locked(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
            still = [path for path in damaged if path.exists() and not _is_whole(path, self.shape, self.dtype)]
            for path in still if alone else []:
                path.unlink(missing_ok=True)
        if still:
            say(f"features: {len(still)} stored shard(s) damaged, to be computed again. The first: {still[0]}")


class StoredArray:
    """Stored features as one array: `array[slice]` or `array[int array]` reads those rows, and no others.

    A shard is mapped while it is read and let go at once, so neither memory nor the number of open files
    grows with the store. `numpy.asarray` reads everything. Values are float32, also where float16 is stored.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shards: list[Path], places: np.ndarray, shape: tuple[int, ...], stored: np.dtype) -> None:
        self.shape = (len(places), *shape)
        self._shards, self._places, self._stored = shards, places, stored

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        places = self._places[index]
        numbers, rows = np.divmod(places.ravel(), 1 << _ROW_BITS)
        values = np.empty((places.size, *self.shape[1:]), np.float32)
        order = np.argsort(numbers, kind="stable")  # each shard is opened once
        for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []:
            shape = (rows[group].max() + 1, *self.shape[1:])
            with _explained(self._shards[numbers[group[0]]]) as path:  # `numpy.load` takes five times as long
                shard = np.memmap(str(path), self._stored, "r", _HEADER, shape)
            values[_as_slice(group)] = shard[_as_slice(rows[group])]
        return values.reshape(*places.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def default_store() -> Path:
    """Return where features stand if nothing else is said: `$TFL_CACHE/features`, else in the user's cache folder."""
    return cache_folder("features")


def estimate_bytes(num_examples: int, shape: tuple[int, ...], dtype: str) -> int:
    """Return about how many bytes the features of so many examples take on disk."""
    return num_examples * (math.prod(shape) * np.dtype(dtype).itemsize + KEY_BYTES)


def human_size(num_bytes: float) -> str:
    """Write a number of bytes as a person reads it: "12 bytes", "1.5 GB"."""
    power = min(int(math.log10(max(num_bytes, 1)) // 3), 4)
    return f"{num_bytes / 1000**power:.{min(power, 1)}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def _as_slice(positions: np.ndarray) -> Any:
    """Return consecutive positions as a slice: NumPy then copies once, and in one piece."""
    return slice(positions[0], positions[-1] + 1) if (np.diff(positions) == 1).all() else positions


def _shard_name(record: bytes) -> str:
    return f"{hashlib.sha256(record).hexdigest()}.npy"


def _narrowed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype)
    if dtype == np.float16 and (np.isinf(stored) & np.isfinite(values)).any():
        largest = np.abs(values[np.isfinite(values)]).max()
        raise InputError(f"`features.dtype` must hold the features' {largest:.6g}. Received: 'float16'.")
    return stored


def _write_shard(path: Path, values: np.ndarray, record: bytes) -> None:
    """Not with `numpy.save`, whose error for a full disk does not say that the disk is full."""
    header, digest = io.BytesIO(), hashlib.sha256()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
    with path.open("wb") as file:
        for part in (header.getvalue(), values.reshape(-1).view(np.uint8).data, record, b"%016x " % len(record)):
            digest.update(part)
            file.write(part)
        file.write(f"{digest.hexdigest()}\n".encode())


def _read_keys(path: Path) -> list[str]:
    """Read the keys of a shard, not its rows; ValueError where they are not those that the name vouches for."""
    content = np.memmap(path, np.uint8, "r")
    length = int(content[-_END:-_DIGEST].tobytes(), 16)
    record = content[-_END - length : -_END].tobytes()
    if _shard_name(record) != path.name:
        raise ValueError("other keys than those of its name")
    return json.loads(record)


def _is_whole(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Read a shard once, from end to end."""
    try:
        content = np.memmap(path, np.uint8, "r")
        if content[-_DIGEST:].tobytes() != f"{hashlib.sha256(content[:-_DIGEST].data).hexdigest()}\n".encode():
            return False  # before NumPy takes the header for one
        array = np.load(path, mmap_mode="r")
        return (array.shape, array.dtype, array.offset) == ((len(_read_keys(path)), *shape), dtype, _HEADER)
    except (ValueError, FileNotFoundError):
        return False


def _sweep(folder: Path) -> None:
    """Delete what a killed process had half written: old, and only while nobody is writing."""
    with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        for leftover in folder.glob(f"{UNFINISHED}*") if alone else []:
            with contextlib.suppress(FileNotFoundError):
                touched = max(path.stat().st_mtime for path in (leftover, *leftover.iterdir()))
                if time.time() - touched > SWEEP_AFTER:
                    shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[bool]:
    """Hold the shelf's lock: shared to write, exclusive to delete. Yields whether it was had, with LOCK_NB.

    On a network file system without locks a damaged shard might be deleted just when another process replaces it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, how)
            held = True
        except OSError as error:
            held = not isinstance(error, BlockingIOError)
        yield held


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[Path]:
    """Turn what the file system refuses into one line that names the option."""
    try:
        yield path
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`features.store`", 1)) from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"`features.store` must be a usable folder. Received: {str(path)!r}: {reason}.") from error
