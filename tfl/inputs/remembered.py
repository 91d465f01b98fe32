"""Remember what a scan found: files that have not changed since then are not checked again.

A file counts as unchanged if its size, its time of modification and its time of change (ctime, which a program cannot
set) are the same. The pipeline compares the hash of every file that it reads with that of the scan, so that a change
which these miss is an error that names the file.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfl.errors import InputError
from tfl.files.cache import cache_folder
from tfl.files.writing import write_atomically
from tfl.inputs.input import Input, Scanned

LEAST = 1000  # fewer files are checked in a few seconds
MOST_SETS = 50  # files in the folder of the cache; the oldest are deleted
Stamp = tuple[int, int, int]  # size in bytes, times of modification and of change in nanoseconds


def stamp_of(path: str) -> Stamp | None:
    """Return what shows whether a file has changed; None if it cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - fast for many files
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclasses.dataclass(frozen=True)
class ScanMemory:
    """The file in the cache with what the scans of one folder found; the file may be missing or damaged.

    Attributes:
        file: its path; None: nothing is remembered.
        kind: what the files hold.
    """

    file: Path | None
    kind: Input

    @classmethod
    def of(cls, kind: Input, data_set: str, count: int) -> "ScanMemory":
        """Return the memory of a folder.

        Args:
            kind: what the files hold.
            data_set: the folder of all files.
            count: number of files in this scan.
        """
        rules = kind.scan_rules
        if not rules or count < LEAST:
            return cls(None, kind)
        with contextlib.suppress(InputError):  # the home folder is not known
            name = hashlib.sha256(os.fsencode(json.dumps([data_set, kind.name, rules]))).hexdigest()[:32]
            return cls(cache_folder("scans") / f"{name}.json", kind)
        return cls(None, kind)

    def recall(self, paths: Sequence[str], stamps: Sequence[Stamp | None]) -> dict[str, Scanned]:
        """Return what was found in those files that have not changed."""
        if self.file is None:
            return {}
        try:
            columns = json.loads(self.file.read_text(encoding="utf-8"))
            return dict(self._read(columns, dict(zip(paths, stamps, strict=True))))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # it does not exist yet, or is damaged: all files are checked, and it is written again

    def _read(self, columns: Mapping[str, list[Any]], now: Mapping[str, Stamp | None]) -> Iterable[tuple[str, Scanned]]:
        names = [field.name for field in dataclasses.fields(self.kind.scanned)]
        values = zip(*(columns[name] for name in names), strict=True)
        for path, stamp, row in zip(columns["path"], columns["stamp"], values, strict=True):
            if now.get(path) == tuple(stamp):
                yield path, self.kind.scanned(*row)

    def keep(self, paths: Sequence[str], stamps: Sequence[Stamp | None], results: Sequence[Any]) -> None:
        """Write what was found in the good files; a file that another file replaces is checked every time."""
        if self.file is None:
            return
        good = [
            (path, stamp, result)
            for path, stamp, result in zip(paths, stamps, results, strict=True)
            if stamp is not None and isinstance(result, Scanned) and not result.replacement
        ]
        columns: dict[str, list[Any]] = {"path": [path for path, _, _ in good], "stamp": [row[1] for row in good]}
        for field in dataclasses.fields(self.kind.scanned):
            columns[field.name] = [getattr(result, field.name) for _, _, result in good]
        text = json.dumps(columns)
        with contextlib.suppress(InputError, OSError):  # without a cache, all files are checked every time
            write_atomically(self.file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
            self._trim(self.file.parent)

    @staticmethod
    def _trim(folder: Path) -> None:
        files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(0, len(files) - MOST_SETS)]:
            file.unlink(missing_ok=True)
