"""How much may stand in a folder of the cache, for all processes together, and what is dropped to keep to that."""

import contextlib
import dataclasses
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

LOCK = ".lock"  # in the room: held by who changes something in it; in a shelf: shared by those who use it


@dataclasses.dataclass(frozen=True)
class Kind:
    """What stands in a room.

    Attributes:
        noun: for messages.
        bound: what the user calls the bound.
        shelves: the names of the folders that may be dropped.
        files: in a shelf, the names of the files that count; others are left alone.
        records: in a shelf, the names of what goes with it but does not count.
    """

    noun: str
    bound: str
    shelves: re.Pattern[str]
    files: re.Pattern[str]
    records: tuple[str, ...] = ()


FEATURES = Kind(
    "features",
    "features.max_bytes",
    re.compile(r".+-(\d+(x\d+)*)?-float(16|32)"),
    re.compile(r"[0-9a-f]{64}\.npy"),
    ("facts.json",),
)


class StoreFullError(InputError):
    """What is to be stored does not fit into the bound, also without the shelves that nobody uses."""


class StoreRoom:
    """A folder of shelves, and its bound.

    Whatever changes the folder holds `lock`, so what is counted under it stays true until something is written.
    A shelf is in use while somebody holds its own lock, shared.

    Args:
        root: the folder.
        max_bytes: how large all shelves together may grow.
        kind: what stands in it.
    """

    def __init__(self, root: Path, max_bytes: int, kind: Kind = FEATURES) -> None:
        self.root, self.max_bytes, self.kind = root, max_bytes, kind

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
        return sum(map(self._size, self._shelves()))

    def bytes_left(self) -> int:
        """Return how much may be added where all shelves that nobody uses are dropped."""
        with self.lock(), contextlib.ExitStack() as held:
            return self.max_bytes - self.used_bytes() + sum(map(self._size, self._unused(held)))

    def make(self, num_bytes: int) -> None:
        """Drop the shelves that were not used for the longest time until so many bytes may be added; under `lock`.

        Raises:
            StoreFullError: the other shelves are in use; nothing is dropped.
        """
        excess = self.used_bytes() + num_bytes - self.max_bytes
        if excess <= 0:
            return
        with contextlib.ExitStack() as held:
            unused = [(shelf, self._size(shelf)) for shelf in self._unused(held)]
            if excess > sum(size for _, size in unused):
                raise StoreFullError(
                    f"`{self.kind.bound}` must have room for what is stored. "
                    f"Received: {human_size(self.max_bytes)}, which other {self.kind.noun} in {self.root} take up."
                )
            self._drop_oldest(unused, excess)

    def trim(self) -> None:
        """Drop the shelves that were not used for the longest time until the bound is kept, or the rest is in use."""
        with self.lock(), contextlib.ExitStack() as held:
            excess = self.used_bytes() - self.max_bytes
            if excess > 0:
                self._drop_oldest([(shelf, self._size(shelf)) for shelf in self._unused(held)], excess)

    def _drop_oldest(self, unused: list[tuple[Path, int]], excess: int) -> None:
        for shelf, size in unused:
            if excess > 0:
                self._drop(shelf, size)
                excess -= size

    def _shelves(self) -> list[Path]:
        return [path for path in self.root.glob("*/") if self._is_shelf(path)]

    def _is_shelf(self, path: Path) -> bool:
        return self.kind.shelves.fullmatch(path.name) is not None and (path / LOCK).exists()

    def _size(self, shelf: Path) -> int:
        total = 0
        for path in shelf.rglob(f"*{_ending(self.kind)}"):  # also what a killed process had half written
            with contextlib.suppress(FileNotFoundError):  # deleted since, as damaged
                total += path.stat().st_size
        return total

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
            elif self.kind.files.fullmatch(path.name) or path.name in (*self.kind.records, LOCK):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            shelf.rmdir()
        say(
            f"{self.kind.noun}: {human_size(size)} dropped that were last used on {last}, for {self.kind.bound} is "
            f"{human_size(self.max_bytes)}: {shelf}"
        )


def _ending(kind: Kind) -> str:
    return "." + kind.files.pattern.rpartition(".")[2]


def human_size(num_bytes: float) -> str:
    """Write a number of bytes as a person reads it: "12 bytes", "1.5 GB"."""
    power = min(int(math.log10(max(num_bytes, 1)) // 3), 4)
    return f"{num_bytes / 1000**power:.{min(power, 1)}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
