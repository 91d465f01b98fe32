"""The workdir is the run: what stands in it, and who may write there."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from etils import epath

from tfl.cluster import Cluster
from tfl.config import TransferConfig, differing_options
from tfl.errors import InputError
from tfl.files.locks import FileLock, try_lock_file
from tfl.files.reading import naming_file, read_json
from tfl.files.schemas import METRICS
from tfl.files.spreadsheets import guard_cells
from tfl.files.writing import expand_home, explained, is_local, make_folder, sweep_unfinished, write_atomically
from tfl.progress import say

CHECKPOINTS = "checkpoints"  # the folder of what an interrupted run goes on from


def write_json(path: epath.PathLike, values: Any) -> None:
    """Write `values` as indented JSON, atomically. NaN is refused: JSON has none."""
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def write_csv(path: epath.PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV, atomically; UTF-8 also where the machine's encoding is another.

    No cell is a formula to a spreadsheet: see `tfl/files/spreadsheets.py`.
    """
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows(guard_cells([header, *rows]))
    content = table.getvalue().encode("utf-8", errors="surrogateescape")  # file names may be no UTF-8
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


@contextlib.contextmanager
def naming_the_output(output: str) -> Iterator[None]:
    """Say that a file was written, or why not: the user gave it as `output`, not as a workdir."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`output`")) from error
    say(f"written: {output}")


class Workdir:
    """The folder of one run.

    A workdir belongs to one config: opening it with another is refused, and the message names the options that differ.
    While a run is at work in it, every other one is kept out, of this process or another, until `release`, or the end
    of the `with` block. A run is finished once its `metrics.json` stands, which is written last.
    """

    def __init__(self, path: epath.PathLike) -> None:
        self.path = expand_home(path, "workdir")
        cluster = Cluster.from_environment()
        self.writes = cluster is None or cluster.is_chief
        self._lock: FileLock | None = None

    @classmethod
    def open(cls, path: epath.PathLike, config: dict[str, Any]) -> "Workdir":
        """Check that a run of `config` may live in `path`; nothing is written yet, so a mistake costs nothing.

        Where the folder is of an unfinished run, it is claimed at once.

        Raises:
            InputError: `path` is empty, a file, cannot be written, holds something else, belongs to another config, or
                another run is at work in it.
        """
        if not str(path):
            raise InputError("`workdir` must name a folder. Received: ''.")
        workdir = cls(path)
        if workdir.path.exists() and not workdir.path.is_dir():
            raise InputError(f"`workdir` must be a folder. Received: {str(workdir.path)!r}: a file.")
        has_begun = (workdir / "config.json").exists()
        if has_begun:
            _check_same_config(workdir.path, workdir.read_config(), config)
        elif workdir.path.exists() and _visible(workdir.path):
            raise InputError(
                f"`workdir` must be a new folder or one of an earlier run. Received: {str(workdir.path)!r}: "
                f"holds {_visible(workdir.path)[0]!r} but no config.json."
            )
        if is_local(workdir.path) and not (workdir / "metrics.json").exists():
            _check_writable(workdir.path)
            if has_begun:
                workdir._claim()
        return workdir

    @classmethod
    def open_finished(cls, path: epath.PathLike, argument: str = "workdir") -> "Workdir":
        """Open the folder of a finished run; one that is still being made is refused.

        Args:
            path: the folder.
            argument: what the caller calls it, for the message.

        Raises:
            InputError: this is no folder of a run, or the run is not finished.
        """
        workdir = cls(path)
        workdir.read_config()
        check_finished(workdir.path, argument)
        return workdir

    def begin(self, config: dict[str, Any]) -> None:
        """Record the config: from here on the workdir belongs to it, and to this run until it is released.

        Of several workers only the chief does so: it alone writes.
        What a process that was killed had half written is swept away.

        Raises:
            InputError: another run is at work in it, or was since it was opened.
        """
        if not self.writes:
            return
        if self._lock is None:
            self._claim()
            if (self / "config.json").exists():
                self.release()
                raise self._is_taken("another run was at work in it meanwhile; start again")
        write_json(self / "config.json", config)
        if is_local(self.path):
            for folder in (self.path, self / CHECKPOINTS):
                sweep_unfinished(folder)

    def release(self) -> None:
        """Let other runs in."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _claim(self) -> None:
        """Keep all other runs out; object stores have no locks."""
        if not self.writes or not is_local(self.path):
            return
        try:
            make_folder(self.path)
            self._lock = try_lock_file(self / ".lock")
        except OSError as error:
            raise explained(error, self.path) from error
        if self._lock is None:
            raise self._is_taken("another run is at work in it")

    def _is_taken(self, reason: str) -> InputError:
        return InputError(f"`workdir` must be of one run at a time. Received: {str(self.path)!r}: {reason}.")

    def __enter__(self) -> "Workdir":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __truediv__(self, name: str) -> epath.Path:
        return self.path / name

    def __fspath__(self) -> str:
        return str(self.path)

    def read_config(self) -> dict[str, Any]:
        """Return the config that the workdir belongs to.

        Raises:
            InputError: there is none, so this is no workdir.
        """
        file = self / "config.json"
        if not file.exists():
            raise InputError(f"`workdir` must be the folder of a run. Received: {str(self.path)!r}: no config.json.")
        return read_json(file)

    def read_metrics(self) -> dict[str, Any] | None:
        """Return the metrics of a finished run, or None where it is not finished."""
        file = self.path / "metrics.json"
        if not file.exists():
            return None
        return read_json(file, METRICS)

    def files(self) -> list[str]:
        """Return the paths of what was written, for the last lines on the screen."""
        return sorted(str(self.path / name) for name in _visible(self.path))


def read_config(workdir: epath.PathLike) -> TransferConfig:
    """Read the config of a run.

    Args:
        workdir: its folder.

    Raises:
        InputError: there is none, or it holds something that is no option, or no value of one.
    """
    run = Workdir(workdir)
    values = run.read_config()
    with naming_file(run / "config.json"):
        return TransferConfig.from_dict(values).validate()


def check_finished(path: epath.PathLike, argument: str) -> None:
    """Refuse the folder of a run that is still being made; a folder that is of no run passes.

    Args:
        path: a folder.
        argument: what the caller calls it, for the message.

    Raises:
        InputError: it holds the config of a run, but not its results.
    """
    path = epath.Path(path)
    if (path / "config.json").exists() and not (path / "metrics.json").exists():
        raise InputError(
            f"`{argument}` must be a finished run. Received: {str(path)!r}: no metrics.json in it: the run is still "
            "being made, or was stopped; the same command goes on with it."
        )


def _check_writable(path: epath.Path) -> None:
    """Ask the nearest folder that exists, before hours of work end at a folder that cannot be made."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        reason = f"{existing} is read-only" if existing.is_dir() else f"{existing} is a file"
        raise InputError(f"`workdir` must be writable. Received: {str(path)!r}: {reason}.")


def _visible(path: epath.Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))


def _check_same_config(path: epath.Path, recorded: dict[str, Any], config: dict[str, Any]) -> None:
    differing = differing_options(recorded, config)
    if differing:
        raise InputError(
            f"`workdir` must be a new folder or one of the same config. Received: {str(path)!r}, "
            f"which differs in {', '.join(differing)}."
        )
