"""The workdir is the run: what stands in it, and how it is written so that nothing is ever half there."""

import contextlib
import csv
import errno
import fcntl
import io
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

from etils import epath

from tfl.cluster import Cluster
from tfl.errors import InputError

MAY_DIFFER = ("strategy", "checkpoint.", "report.")  # options that change how a run is made, not what it gives
CHECKPOINTS = "checkpoints"  # the folder of what an interrupted run goes on from
UNFINISHED = ".writing-"  # how folders begin whose file is not yet renamed
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: epath.PathLike, write: Callable[[epath.Path], object]) -> None:
    """Let `write` fill a temporary file, then rename it to `path`: the old file or the new one, never half.

    Args:
        path: the final file; its folder is made where missing.
        write: called with the temporary path (same ending as `path`).

    Raises:
        InputError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    path = epath.Path(path)
    with _temporary_beside(path) as temporary:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


def write_folder_atomically(path: epath.PathLike, write: Callable[[epath.Path], object]) -> None:
    """Let `write` fill a temporary folder with files, then rename it to `path`: the whole folder, or none.

    An object store cannot rename folders. There `write` gets `path` itself, and must write last what makes
    the folder valid to its readers.

    Args:
        path: the final folder, which must not exist; its parent is made where missing.
        write: called with the temporary folder, which is empty.

    Raises:
        InputError: the disk is full or the folder cannot be written; `path` does not exist.
    """
    path = epath.Path(path)
    if not is_local(path):
        path.mkdir(parents=True, exist_ok=True)
        write(path)
        return
    with _temporary_beside(path) as temporary:
        temporary.mkdir()
        write(temporary)
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        temporary.rename(path)
        sync(path.parent)


@contextlib.contextmanager
def _temporary_beside(path: epath.Path) -> Iterator[epath.Path]:
    """Yield a free path of the same name in a folder of its own, which is swept away afterwards."""
    folder = None
    try:
        make_folder(path.parent)
        folder = _make_folder_beside(path)
        yield folder / path.name
    except (OSError, RuntimeError) as error:  # h5py wraps a full disk in a RuntimeError
        raise _explained(error, path) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True) if is_local(folder) else folder.rmtree(missing_ok=True)


def _make_folder_beside(path: epath.Path) -> epath.Path:
    if is_local(path):
        return epath.Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=path.parent))
    folder = path.parent / f"{UNFINISHED}{path.name}-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def expand_home(path: epath.PathLike, argument: str) -> epath.Path:
    """Return a path with `~` as the home folder.

    Args:
        path: what the user wrote.
        argument: the name of the option, for the message.

    Raises:
        InputError: nobody knows the home folder; a folder named `~` would be made instead.
    """
    expanded = epath.Path(path).expanduser()
    if str(expanded).startswith("~") and not expanded.exists():
        raise InputError(
            f"`{argument}` must not begin with ~ where the home folder is not known (is $HOME set?). "
            f"Received: {str(path)!r}."
        )
    return expanded


def make_folder(path: epath.Path) -> None:
    """Make a folder and those above it, and force the new entries to the disk: what is synced in it stays found."""
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), (path, *path.parents)))
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def sweep_unfinished(folder: epath.Path) -> None:
    """Remove what killed processes had half written in a folder that nobody else writes to."""
    for unfinished in folder.glob(f"{UNFINISHED}*") if is_local(folder) else []:
        shutil.rmtree(unfinished, ignore_errors=True)


def is_local(path: epath.Path) -> bool:
    """Say whether a path is one of this machine's file systems, not of an object store."""
    return "://" not in str(path)


def sync(path: epath.Path) -> None:
    """Force a file or folder to the disk; object stores have no such thing and need none."""
    if not is_local(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError | RuntimeError, path: epath.Path) -> Exception:
    code = getattr(error, "errno", None)
    if code in NO_ROOM or any(os.strerror(number) in str(error) for number in NO_ROOM):
        return InputError(f"`workdir` must have room. Received: {str(path)!r}: no space left; nothing was changed.")
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return InputError(f"`workdir` must be writable. Received: {str(path)!r}: {reason}; nothing was changed.")
    return error


def write_json(path: epath.PathLike, values: Any) -> None:
    """Write `values` as indented JSON, atomically. NaN is refused: JSON has none."""
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def read_json(path: epath.PathLike) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        InputError: the file was damaged since: it holds no JSON object.
    """
    try:
        values, reason = json.loads(epath.Path(path).read_text()), "no JSON object"
    except ValueError as error:
        values, reason = None, str(error)
    if not isinstance(values, dict):
        raise InputError(f"`workdir` must hold whole files. Received: {str(path)!r}: {reason}.")
    return values


def write_csv(path: epath.PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV, atomically; UTF-8 also where the machine's encoding is another."""
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows([header, *rows])
    content = table.getvalue().encode("utf-8", errors="surrogateescape")  # file names may be no UTF-8
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def read_csv(path: epath.PathLike) -> list[dict[str, str]]:
    """Read what `write_csv` or a spreadsheet wrote: one dict a row, by the names in the header."""
    text = epath.Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")  # Excel marks UTF-8 by a first BOM
    return list(csv.DictReader(io.StringIO(text, newline="")))


class Workdir:
    """The folder of one run.

    A workdir belongs to one config: opening it with another is refused, and the message names the
    options that differ. A run is finished once its `metrics.json` stands, which is written last.
    """

    def __init__(self, path: epath.PathLike) -> None:
        self.path = expand_home(path, "workdir")
        cluster = Cluster.from_environment()
        self.writes = cluster is None or cluster.is_chief

    @classmethod
    def open(cls, path: epath.PathLike, config: dict[str, Any]) -> "Workdir":
        """Check that a run of `config` may live in `path`; nothing is written yet, so a mistake costs nothing.

        Raises:
            InputError: `path` is empty, a file, cannot be written, holds something else, or belongs to another config.
        """
        if not str(path):
            raise InputError("`workdir` must name a folder. Received: ''.")
        workdir = cls(path)
        if workdir.path.exists() and not workdir.path.is_dir():
            raise InputError(f"`workdir` must be a folder. Received: {str(workdir.path)!r}: a file.")
        if (workdir / "config.json").exists():
            _check_same_config(workdir.path, workdir.read_config(), config)
        elif workdir.path.exists() and _visible(workdir.path):
            raise InputError(
                f"`workdir` must be a new folder or one of an earlier run. Received: {str(workdir.path)!r}: "
                f"holds {_visible(workdir.path)[0]!r} but no config.json."
            )
        if is_local(workdir.path) and not (workdir / "metrics.json").exists():
            _check_writable(workdir.path)
        return workdir

    def begin(self, config: dict[str, Any]) -> None:
        """Record the config: from here on the workdir belongs to it, and to this process while it lives.

        Of several workers only the chief does so: it alone writes.
        What a process that was killed had half written is swept away.

        Raises:
            InputError: another process is at work in it.
        """
        if not self.writes:
            return
        write_json(self / "config.json", config)
        if is_local(self.path):
            self._lock = _lock(self.path)
            for folder in (self.path, self / CHECKPOINTS):
                sweep_unfinished(folder)

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
        metrics = read_json(file)
        if not {"test", "validation", "kept"} <= metrics.keys():
            raise InputError(f"`workdir` must hold whole files. Received: {str(file)!r}: not the metrics of a run.")
        return metrics

    def files(self) -> list[str]:
        """Return the paths of what was written, for the last lines on the screen."""
        return sorted(str(self.path / name) for name in _visible(self.path))


def _lock(path: epath.Path) -> IO[str]:
    """Keep other processes out; the system lifts the lock when the file is closed or the process ends, however."""
    file = (path / ".lock").open("w")  # open for as long as the run
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):  # others: a file system without locks
            file.close()
            raise InputError(
                f"`workdir` must be of one run at a time. Received: {str(path)!r}: another process is at work in it."
            ) from error
    return file


def _check_writable(path: epath.Path) -> None:
    """Ask the nearest folder that exists, before hours of work end at a folder that cannot be made."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        reason = f"{existing} is read-only" if existing.is_dir() else f"{existing} is a file"
        raise InputError(f"`workdir` must be writable. Received: {str(path)!r}: {reason}.")


def _visible(path: epath.Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _check_same_config(path: epath.Path, recorded: dict[str, Any], config: dict[str, Any]) -> None:
    old = _flatten(recorded)
    new = _flatten(json.loads(json.dumps(config)))  # tuples become lists, as in the file
    differing = [
        f"{name}={new.get(name)!r} (there: {old.get(name)!r})"
        for name in sorted(old.keys() | new.keys())
        if not _is_same(old.get(name), new.get(name)) and not name.startswith(MAY_DIFFER)
    ]
    if differing:
        raise InputError(
            f"`workdir` must be a new folder or one of the same config. Received: {str(path)!r}, "
            f"which differs in {', '.join(differing)}."
        )


def _is_same(old: Any, new: Any) -> bool:
    """Compare two values of an option; older versions recorded paths as they were typed, not absolute ones."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return old == new
    kind, colon, path = old.rpartition(":")
    return old == new or new == f"{kind}{colon}{epath.Path(path).expanduser().absolute()}"
