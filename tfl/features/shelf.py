"""The features of one extractor on disk: computed once, found again by content, written completely or not at all."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.features.shards import (
    HEADER,
    explained,
    is_whole,
    narrowed,
    read_keys,
    shard_bytes,
    shard_name,
    write_shard,
)
from tfl.features.speed import Speed
from tfl.files.reading import read_json
from tfl.files.room import StoreRoom
from tfl.files.schemas import SPEED
from tfl.files.writing import write_atomically
from tfl.progress import say, track
from tfl.workdir import write_json

_ROW_BITS = 32  # the place of a row is the number of its shard, shifted by 32 bits, plus its position in the shard


class Shelf:
    """The features of one extractor; `FeatureStore.open` makes it.

    The store does not drop the shelf while this object exists, or an array that it returned.
    """

    def __init__(self, room: StoreRoom, folder: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.folder, self.shape, self.dtype = folder, tuple(shape), np.dtype(dtype)
        self._room, self._in_use = room, room.use(folder)
        self._shards: list[Path] = []
        self._known: set[Path] = set()  # the shards whose keys are in the index
        self._checked: set[int] = set()  # numbers in `_shards`
        self._index: dict[str, int] = {}  # key to the place of its row

    def facts(self) -> dict[str, Any]:
        """Return the recorded facts about how the features are computed; empty if there is no record."""
        with contextlib.suppress(FileNotFoundError, InputError):
            return read_json(self.folder / "facts.json")
        return {}

    def agree(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Record facts as JSON, and return the recorded ones: the first process to record them wins."""
        with explained(self.folder), self._room.lock():
            known = self.facts()
            if not known:
                write_json(self.folder / "facts.json", facts)
        return known or facts

    def speed(self) -> Speed | None:
        """Return the speed at which features of this shelf were last computed; None if there is no record of it."""
        with contextlib.suppress(FileNotFoundError, InputError):
            values = read_json(self.folder / "speed.json", SPEED)
            return Speed(values["wait"], values["start"], values["per_example"])
        return None

    def record_speed(self, speed: Speed) -> None:
        """Record the speed for later runs, which then know how long a network takes before they run it."""
        with contextlib.suppress(OSError, InputError):  # no run needs the record
            write_json(self.folder / "speed.json", dataclasses.asdict(speed))

    def missing(self, keys: Sequence[str]) -> np.ndarray:
        """Return the positions of the keys that are not stored.

        The result includes shards that other processes wrote in the meantime. A shard is checked at the first request
        for one of its keys. If it is damaged, it is deleted with a message, and its keys are missing.

        Args:
            keys: one key per example and view.

        Returns:
            int64 `(M,)`, ascending.
        """
        with explained(self.folder):
            if damaged := self._find_new() + self._check(keys):
                self._discard(damaged)
        return np.flatnonzero(self._locate(keys) < 0)

    def write(self, keys: Sequence[str], values: np.ndarray) -> None:
        """Add one shard, completely or not at all.

        Write missing keys in order and in portions of the same size: then the files have the same bytes, even if a run
        was interrupted and continued.

        Args:
            keys: R keys.
            values: `(R, *shape)`.

        Raises:
            StoreFullError: the shard does not fit into `max_bytes`, even after unused shelves are dropped.
            InputError: the disk is full, the permission is missing, or a value is too large for float16.
                After any of these errors the shelf is unchanged.
        """
        keys = [str(key) for key in keys]
        if values.shape != (len(keys), *self.shape):
            raise ValueError(f"`values` must be {(len(keys), *self.shape)}. Received: shape {values.shape}.")
        stored, record = narrowed(values, self.dtype), json.dumps(keys).encode()
        path = self.folder / shard_name(record)
        with explained(self.folder), self._room.lock():
            if not is_whole(path, self.shape, self.dtype):  # another process may have written it in the meantime
                path.unlink(missing_ok=True)
                self._room.make(shard_bytes(stored, record))
                write_atomically(path, lambda temporary: write_shard(Path(temporary), stored, record))
        self._checked.add(len(self._shards))
        self._index.update(self._add(path, keys))

    def read(self, keys: Sequence[str]) -> "StoredArray":
        """Return the features of stored examples, in the order of the keys.

        Raises:
            KeyError: some keys are not stored; call `missing` first.
        """
        missing = self.missing(keys)
        if len(missing):
            raise KeyError(f"{len(missing)} of {len(keys)} keys are not stored, the first: {keys[missing[0]]!r}")
        return StoredArray(self, self._shards, self._locate(keys))

    def _locate(self, keys: Sequence[str]) -> np.ndarray:
        return np.fromiter((self._index.get(key, -1) for key in keys), np.int64, len(keys))

    def _add(self, path: Path, keys: list[str]) -> dict[str, int]:
        """Give a shard a number, and return the places of its rows."""
        first = len(self._shards) << _ROW_BITS
        self._shards.append(path)
        self._known.add(path)
        return {key: first + row for row, key in enumerate(keys)}

    def _find_new(self) -> list[Path]:
        """Add new shards to the index, and return the shards whose keys cannot be read."""
        damaged = []
        for path in sorted(set(self.folder.glob("*.npy")) - self._known):
            try:
                places = self._add(path, read_keys(path))
                self._index.update((key, place) for key, place in places.items() if key not in self._index)
            except (ValueError, FileNotFoundError):
                damaged.append(path)
        return damaged

    def _check(self, keys: Sequence[str]) -> list[Path]:
        """Check each shard that holds some of the keys, if it was not checked before; return the damaged shards."""
        places = self._locate(keys)
        unchecked = set(np.unique(places[places >= 0] >> _ROW_BITS).tolist()) - self._checked
        paths = [self._shards[number] for number in sorted(unchecked)]
        walk = track(paths, "checking stored features", unit=("file", "files")) if paths else []
        damaged = [path for path in walk if not is_whole(path, self.shape, self.dtype)]
        self._checked |= unchecked
        return damaged

    def _discard(self, damaged: list[Path]) -> None:
        """Remove damaged shards from the index, and delete those that no other process has replaced."""
        numbers = {number for number, path in enumerate(self._shards) if path in damaged}
        self._index = {key: place for key, place in self._index.items() if place >> _ROW_BITS not in numbers}
        self._known.difference_update(damaged)
        with self._room.lock():
            still = [path for path in damaged if path.exists() and not is_whole(path, self.shape, self.dtype)]
            for path in still:
                path.unlink(missing_ok=True)
        if still:
            several = f"{len(still)} stored files are damaged and are computed again; the first is {still[0]}"
            one = f"a stored file is damaged and is computed again: {still[0]}"
            say(f"features: {one if len(still) == 1 else several}")


class StoredArray:
    """Stored features as one array: `array[slice]` or `array[int array]` reads only the selected rows.

    A shard is mapped into memory only while it is read, so neither the memory nor the number of open files grows with
    the store. `numpy.asarray` reads everything. Values are float32, even if float16 is stored.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shelf: Shelf, shards: list[Path], places: np.ndarray) -> None:
        self.shape = (len(places), *shelf.shape)
        self._shelf, self._shards, self._places, self._stored = shelf, shards, places, shelf.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        places = self._places[index]
        numbers, rows = np.divmod(places.ravel(), 1 << _ROW_BITS)
        values = np.empty((places.size, *self.shape[1:]), np.float32)
        order = np.argsort(numbers, kind="stable")  # each shard is opened once
        for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []:
            shape = (rows[group].max() + 1, *self.shape[1:])
            with explained(self._shards[numbers[group[0]]]) as path:  # `memmap`, as `numpy.load` takes 5 times as long
                shard = np.memmap(str(path), self._stored, "r", HEADER, shape)
            values[_as_slice(group)] = shard[_as_slice(rows[group])]
        return values.reshape(*places.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def _as_slice(positions: np.ndarray) -> Any:
    """Return consecutive positions as a slice, so that NumPy copies them once and in one piece."""
    return slice(positions[0], positions[-1] + 1) if (np.diff(positions) == 1).all() else positions
