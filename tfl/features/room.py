"""How much may stand in the folder of a store, for all processes together, and what is dropped to keep to that."""

import contextlib
import datetime
import math
import os
import re
import shutil
from pathlib import Path

from tfl.errors import InputError
from tfl.files.locks import FileLock, lock_file, try_lock_file
from tfl.files.writing import UNFINISHED
from tfl.progress import say

LOCK = ".lock"  # in the store: held by who changes something in it; in a shelf: shared by those who use it
_SHELF = re.compile(r".+-(\d+(x\d+)*)?-float(16|32)")
_SHARD = re.compile(r"[0-9a-f]{64}\.npy")


class StoreFullError(InputError):
    """What is to be stored does not fit into `features.max_bytes`, also without the shelves that nobody uses."""


class StoreRoom:
    """The folder of a store and its bound.

    Whatever changes the folder holds `lock`, so what is counted under it stays true until something is written.
    A shelf is in use while somebody holds its own lock, shared.

    Args:
        root: the folder of the store.
        max_bytes: how large all shelves together may grow.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root, self.max_bytes = root, max_bytes

    def lock(self) -> FileLock:
        """Wait for the right to change the store; of one process at a time."""
        self.root.mkdir(parents=True, exist_ok=True)
        return lock_file(self.root / LOCK)

    def use(self, shelf: Path) -> FileLock | None:
        """Make a shelf, and keep it from being dropped while the lock that is returned is held."""
        with self.lock() as alone:
            shelf.mkdir(parents=True, exist_ok=True)
            in_use = try_lock_file(shelf / LOCK, shared=True)
            os.utime(shelf / LOCK)
            for leftover in shelf.glob(f"{UNFINISHED}*") if alone.holds else []:  # of a killed process
                shutil.rmtree(leftover, ignore_errors=True)
        return in_use

    def used_bytes(self) -> int:
        """Return the size of all shards in the store."""
        return sum(map(_size, self._shelves()))

    def bytes_left(self) -> int:
        """Return how much may be added where all shelves that nobody uses are dropped."""
        with self.lock(), contextlib.ExitStack() as held:
            return self.max_bytes - self.used_bytes() + sum(map(_size, self._unused(held)))

    def make(self, num_bytes: int) -> None:
        """Drop the shelves that were not used for the longest time until so many bytes may be added; under `lock`.

        Raises:
            StoreFullError: the other shelves are in use; nothing is dropped.
        """
        excess = self.used_bytes() + num_bytes - self.max_bytes
        if excess <= 0:
            return
        with contextlib.ExitStack() as held:
            unused = [(shelf, _size(shelf)) for shelf in self._unused(held)]
            if excess > sum(size for _, size in unused):
                raise StoreFullError(
                    "`features.max_bytes` must have room for what is stored. "
                    f"Received: {human_size(self.max_bytes)}, which other features in {self.root} take up."
                )
            for shelf, size in unused:
                if excess > 0:
                    self._drop(shelf, size)
                    excess -= size

    def _shelves(self) -> list[Path]:
        return [path for path in self.root.glob("*/") if _SHELF.fullmatch(path.name) and (path / LOCK).exists()]

    def _unused(self, held: contextlib.ExitStack) -> list[Path]:
        """Return the shelves that nobody uses, the one that was used last at the end, and hold their locks."""
        unused = []
        for shelf in sorted(self._shelves(), key=lambda path: (path / LOCK).stat().st_mtime_ns):
            lock = try_lock_file(shelf / LOCK)
            if lock is not None and held.enter_context(lock).holds:  # without locks nobody knows who uses it
                unused.append(shelf)
        return unused

    def _drop(self, shelf: Path, size: int) -> None:
        """Delete what is ours in a folder, and the folder where nothing else is in it."""
        last = datetime.date.fromtimestamp((shelf / LOCK).stat().st_mtime)
        for path in shelf.iterdir():
            if path.name.startswith(UNFINISHED):
                shutil.rmtree(path, ignore_errors=True)
            elif _SHARD.fullmatch(path.name) or path.name in ("facts.json", LOCK):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            shelf.rmdir()
        say(
            f"features: {human_size(size)} dropped that were last used on {last}, for features.max_bytes is "
            f"{human_size(self.max_bytes)}: {shelf}"
        )


def _size(shelf: Path) -> int:
    total = 0
    for path in shelf.rglob("*.npy"):  # also what a killed process had half written
        with contextlib.suppress(FileNotFoundError):  # deleted since, as damaged
            total += path.stat().st_size
    return total


def human_size(num_bytes: float) -> str:
    """Write a number of bytes as a person reads it: "12 bytes", "1.5 GB"."""
    power = min(int(math.log10(max(num_bytes, 1)) // 3), 4)
    return f"{num_bytes / 1000**power:.{min(power, 1)}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
