"""A disk that loses power: what a program did to it is recorded, and every state it may be found in is made.

The model. A change of a folder (an entry made, renamed, removed) is atomic, and is on the disk for good once a folder
that it concerns was synced. Until then the disk may hold any of the changes without the others, each at its place
in the order of time. Written values are on the disk for good once their file was synced; until then the file may be
whole, cut in half, or as it was when last synced. What is not in the model: sectors torn within synced data, and disks
that lie about a sync.
"""

import builtins
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Recorder:
    """Records what is done below a folder: (kind, path, path or bytes), paths relative to the folder."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.operations = root, []
        for name in ("mkdir", "unlink", "remove", "rmdir"):
            patch.setattr(os, name, self._one_path(getattr(os, name), "remove" if name != "mkdir" else name))
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._two_paths(getattr(os, name)))
        patch.setattr(os, "fsync", self._fsync)  # a real one costs time and shows nothing
        patch.setattr(builtins, "open", self._opened(builtins.open))

    def _relative(self, path: Any, folder: int | None = None) -> str | None:
        full = (_opened_path(folder) if folder is not None else Path()).joinpath(path).absolute()
        return str(full.relative_to(self.root)) if self.root in full.parents else None

    def _add(self, kind: str, path: str | None, more: Any = None) -> None:
        if path is not None:
            self.operations.append((kind, path, more))

    def _one_path(self, real: Any, kind: str) -> Any:
        def call(path: Any, *arguments: Any, dir_fd: int | None = None, **named: Any) -> None:
            real(path, *arguments, dir_fd=dir_fd, **named)
            self._add(kind, self._relative(path, dir_fd))

        return call

    def _two_paths(self, real: Any) -> Any:
        def call(source: Any, target: Any) -> None:
            real(source, target)
            self._add("rename", self._relative(source), self._relative(target))

        return call

    def _fsync(self, descriptor: int) -> None:
        path = _opened_path(descriptor)
        self._add("sync", "." if path == self.root else self._relative(path))

    def _opened(self, real: Any) -> Any:
        def call(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            file = real(path, mode, *arguments, **named)
            below = self._relative(path) if isinstance(path, (str, os.PathLike)) else None
            if below is None or "w" not in mode:
                return file
            self._add("create", below)
            return _RecordedFile(file, lambda content: self._add("write", below, bytes(content)))

        return call


def _opened_path(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


class _RecordedFile:
    def __init__(self, file: Any, record: Any) -> None:
        self._file, self._record = file, record

    def write(self, content: Any) -> int:
        self._record(content)
        return self._file.write(content)

    def __enter__(self) -> "_RecordedFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Inode:
    """A file with its written and its synced values, or a folder."""

    def __init__(self, is_folder: bool) -> None:
        self.is_folder, self.written, self.synced = is_folder, b"", b""


class Disk:
    """The model: operations go in, and the states that a power failure may leave come out."""

    def __init__(self) -> None:
        self.root = _Inode(True)
        self._changes: list[list[tuple[_Inode, str, _Inode | None]]] = []  # each atomic, in the order of time
        self._durable: list[bool] = []
        self._removed: dict[int, _Inode] = {}  # by the place of the change

    def apply(self, operation: tuple[str, str, Any]) -> None:
        kind, path, more = operation
        if kind in ("mkdir", "create"):
            self._change([(*self._place(path), _Inode(kind == "mkdir"))])
        elif kind == "remove":
            self._removed[len(self._changes)] = self._find(path)
            self._change([(*self._place(path), None)])
        elif kind == "rename":
            self._change([(*self._place(path), None), (*self._place(more), self._find(path))])
        elif kind == "write":
            self._find(path).written += more
        else:
            self._sync(self._find(path))

    def states(self) -> Iterator[dict[str, bytes | None]]:
        """Yield what the disk may hold after a failure now: bytes by path of a file, None by path of a folder."""
        pending = [place for place, durable in enumerate(self._durable) if not durable]
        for count in range(len(pending), -1, -1):
            for kept in itertools.combinations(pending, count):
                entries = self._entries(set(kept))
                for cut in ("whole", "half", "synced"):
                    yield dict(self._walk(self.root, "", entries, cut))

    def _change(self, change: list[tuple[_Inode, str, _Inode | None]]) -> None:
        self._changes.append(change)
        self._durable.append(False)

    def _sync(self, inode: _Inode) -> None:
        inode.synced = inode.written
        for place, change in enumerate(self._changes):
            if inode.is_folder and any(folder is inode for folder, _, _ in change):
                self._durable[place] = True
        gone = [removed for place, removed in self._removed.items() if self._durable[place]]
        for place, change in enumerate(self._changes):  # what was done in a folder that is gone for good is moot
            self._durable[place] |= all(any(folder is removed for removed in gone) for folder, _, _ in change)

    def _entries(self, kept: set[int]) -> dict[tuple[int, str], _Inode | None]:
        entries = {}
        for place, change in enumerate(self._changes):
            if self._durable[place] or place in kept:
                entries |= {(id(folder), name): inode for folder, name, inode in change}
        return entries

    def _place(self, path: str) -> tuple[_Inode, str]:
        parent, _, name = path.rpartition("/")
        return (self._find(parent) if parent else self.root), name

    def _find(self, path: str) -> _Inode:
        entries = self._entries(set(range(len(self._changes))))
        found = self.root
        for name in path.split("/") if path != "." else ():
            found = entries[id(found), name]
            assert found is not None, path
        return found

    def _walk(self, folder: _Inode, prefix: str, entries: dict, cut: str) -> Iterator[tuple[str, bytes | None]]:
        for (parent, name), inode in entries.items():
            if parent != id(folder) or inode is None:
                continue
            if inode.is_folder:
                yield prefix + name, None
                yield from self._walk(inode, f"{prefix}{name}/", entries, cut)
            else:
                half = inode.written[: len(inode.written) // 2]
                torn = {"whole": inode.written, "half": half, "synced": inode.synced}[cut]
                yield prefix + name, inode.synced if inode.synced == inode.written else torn
