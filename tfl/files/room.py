"""Limit the size of a cache folder, for all processes together, and delete old content to stay below the limit."""

import contextlib
import dataclasses
import datetime
import math
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from tfl.errors import InputError
from tfl.files.locks import FileLock, lock_file, try_lock_file
from tfl.files.writing import UNFINISHED
from tfl.progress import say

LOCK = ".lock"  # in the room: held by a process that changes something; in a shelf: shared by processes that use it


@dataclasses.dataclass(frozen=True)
class Kind:
    """The kind of content of a cache folder (room), whose sub-folders are called shelves.

    Attributes:
        noun: name of the content, for messages.
        bound: name of the size limit, for messages.
        shelves: pattern of the names of folders that may be deleted.
        files: pattern of the names of files in a shelf that count; other files are not touched.
        endings: of these names.
        records: names of files in a shelf that are deleted with it but do not count.
    """

    noun: str
    bound: str
    shelves: re.Pattern[str]
    files: re.Pattern[str]
    endings: tuple[str, ...]
    records: tuple[str, ...] = ()


FEATURES = Kind(
    "features",
    "features.max_bytes",
    re.compile(r".+-(\d+(x\d+)*)?-float(16|32)"),
    re.compile(r"[0-9a-f]{64}\.npy"),
    (".npy",),
    ("facts.json", "speed.json"),
)


class StoreFullError(InputError):
    """The new content does not fit below the limit, even if all unused shelves are deleted."""


class StoreRoom:
    """A folder of shelves (sub-folders) with a size limit.

    Every process that changes the folder holds `lock`, so a size that is measured under the lock stays correct until
    the process itself writes. A shelf is in use while a process holds the shelf's own lock, shared.

    Args:
        root: the folder.
        max_bytes: size limit of all shelves together.
        kind: of the content.
    """

    def __init__(self, root: Path, max_bytes: int, kind: Kind = FEATURES) -> None:
        self.root, self.max_bytes, self.kind = root, max_bytes, kind

    def lock(self) -> FileLock:
        """Wait for the lock that allows changes to the folder; one process at a time holds it."""
        self.root.mkdir(parents=True, exist_ok=True)
        return lock_file(self.root / LOCK)

    def use(self, shelf: Path) -> FileLock | None:
        """Create a shelf, and return a lock; while the lock is held, no process deletes the shelf."""
        with self.lock() as alone:
            shelf.mkdir(parents=True, exist_ok=True)
            in_use = try_lock_file(shelf / LOCK, shared=True)
            os.utime(shelf / LOCK)
            for leftover in shelf.glob(f"{UNFINISHED}*") if alone.holds else []:  # of a killed process
                shutil.rmtree(leftover, ignore_errors=True)
        return in_use

    def used_bytes(self) -> int:
        """Return the size of all shelves, in bytes."""
        return sum(map(self._size, self._shelves()))

    def bytes_left(self) -> int:
        """Return how many bytes can be added if all unused shelves are deleted."""
        with self.lock(), contextlib.ExitStack() as held:
            return self.max_bytes - self.used_bytes() + sum(map(self._size, self._unused(held)))

    def make(self, num_bytes: int) -> None:
        """Delete the least recently used shelves until `num_bytes` can be added; the caller must hold `lock`.

        Raises:
            StoreFullError: too many of the shelves are in use; nothing is deleted.
        """
        excess = self.used_bytes() + num_bytes - self.max_bytes
        if excess <= 0:
            return
        with contextlib.ExitStack() as held:
            unused = self._unused(held)
            if excess > sum(map(self._size, unused)):
                raise StoreFullError(
                    f"`{self.kind.bound}` must leave room for what this run stores. Received: "
                    f"{human_size(self.max_bytes)}, all used by {self.kind.noun} of other runs in {self.root}."
                )
            self._drop_oldest(unused, excess)

    def trim(self) -> None:
        """Delete the least recently used shelves until the size is below the limit, or all others are in use."""
        with self.lock(), contextlib.ExitStack() as held:
            excess = self.used_bytes() - self.max_bytes
            if excess > 0:
                self._drop_oldest(self._unused(held), excess)

    def _drop_oldest(self, unused: Mapping[Path, FileLock], excess: int) -> None:
        for shelf, lock in unused.items():
            if excess > 0:
                size = self._size(shelf)
                self._drop(shelf, size, lock)
                excess -= size

    def _shelves(self) -> list[Path]:
        return [path for path in self.root.glob("*/") if self._is_shelf(path)]

    def _is_shelf(self, path: Path) -> bool:
        return self.kind.shelves.fullmatch(path.name) is not None and (path / LOCK).exists()

    def _size(self, shelf: Path) -> int:
        total = 0
        for ending in self.kind.endings:
            for path in shelf.rglob(f"*{ending}"):  # includes half-written files of killed processes
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, because it was damaged
                    total += path.stat().st_size
        return total

    def _unused(self, held: contextlib.ExitStack) -> dict[Path, FileLock]:
        """Return the unused shelves with their locks, which are held; the most recently used one comes last."""
        unused = {}
        for shelf in sorted(self._shelves(), key=lambda path: (path / LOCK).stat().st_mtime_ns):
            lock = try_lock_file(shelf / LOCK)
            if lock is not None and held.enter_context(lock).holds:  # without locks, a shelf may be in use
                unused[shelf] = lock
        return unused

    def _drop(self, shelf: Path, size: int, lock: FileLock) -> None:
        """Delete the files of tfl in a shelf, and then the shelf if it is empty.

        The file of the lock comes last, after the release, because Windows does not delete an open file. No other
        process takes the lock meanwhile: the lock of the room, which `use` waits for, is held.
        """
        last = datetime.date.fromtimestamp((shelf / LOCK).stat().st_mtime)
        for path in shelf.iterdir():
            if path.name.startswith(UNFINISHED):
                shutil.rmtree(path, ignore_errors=True)
            elif self.kind.files.fullmatch(path.name) or path.name in self.kind.records:
                path.unlink(missing_ok=True)
        lock.release()
        (shelf / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            shelf.rmdir()
        say(
            f"{self.kind.noun}: removed {human_size(size)}, last used on {last}, because {self.kind.bound} is "
            f"{human_size(self.max_bytes)}: {shelf}"
        )


def human_size(num_bytes: float) -> str:
    """Return a number of bytes as text for a person: "12 bytes", "1.5 GB"."""
    power = min(int(math.log10(max(num_bytes, 1)) // 3), 4)
    return f"{num_bytes / 1000**power:.{min(power, 1)}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
