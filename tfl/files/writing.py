"""Write files and folders atomically: they are complete or absent, even if the process is killed while it writes."""

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

from etils import epath

from tfl.errors import InputError

UNFINISHED = ".writing-"  # prefix of the temporary folders
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_IS_POSIX = os.name == "posix"


def write_atomically(path: epath.PathLike, write: Callable[[epath.Path], object]) -> None:
    """Let `write` fill a temporary file, then rename it to `path`: readers see the old file or the new one, never half.

    Args:
        path: the final file; its folder is created if it does not exist.
        write: called with the temporary path (same ending as `path`).

    Raises:
        InputError: the disk is full or the folder is not writable; `path` is unchanged.
    """
    path = epath.Path(path)
    with _temporary_beside(path) as temporary:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


def write_text(path: epath.PathLike, text: str) -> None:
    """Write a text in UTF-8, atomically.

    Raises:
        InputError: the disk is full or the folder is not writable; `path` is unchanged.
    """
    content = text.encode("utf-8")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_folder_atomically(path: epath.PathLike, write: Callable[[epath.Path], object]) -> None:
    """Let `write` fill a temporary folder with files, then rename it to `path`: the complete folder, or none.

    An object store cannot rename folders. There `write` gets `path` itself, and must write the file that makes
    the folder valid for its readers last.

    Args:
        path: the final folder, which must not exist; its parent is created if it does not exist.
        write: called with the temporary folder, which is empty.

    Raises:
        InputError: the disk is full or the parent folder is not writable; `path` does not exist.
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
    """Yield a path with the same name in a new temporary folder beside `path`; delete the folder afterwards."""
    folder = None
    try:
        make_folder(path.parent)
        folder = _make_folder_beside(path)
        yield folder / path.name
    except (OSError, RuntimeError) as error:  # h5py wraps a full disk in a RuntimeError
        raise explained(error, path) from error
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
    """Replace `~` at the start of a path by the home folder.

    Args:
        path: as the user wrote it.
        argument: the name of the option, for the message.

    Raises:
        InputError: the home folder is not known; without this error tfl would create a folder named `~`.
    """
    expanded = epath.Path(path).expanduser()
    if str(expanded).startswith("~") and not expanded.exists():
        raise InputError(
            f"`{argument}` must not begin with ~ if the home folder is not known (is $HOME set?). "
            f"Received: {str(path)!r}."
        )
    return expanded


def make_folder(path: epath.Path) -> None:
    """Create a folder and its parents, and force the new entries to the disk: synced files in it survive a crash."""
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), (path, *path.parents)))
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def sweep_unfinished(folder: epath.Path) -> None:
    """Remove the half-written files of killed processes from a folder; no other process may be writing to it."""
    for unfinished in folder.glob(f"{UNFINISHED}*") if is_local(folder) else []:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove(path: epath.Path) -> None:
    """Remove a file or a folder, if it exists; of a symbolic link only the link is removed, not its target."""
    if is_local(path) and os.path.islink(path):  # noqa: PTH114 - epath has no such function
        os.unlink(path)  # noqa: PTH108
    elif path.is_dir():
        path.rmtree()
    elif path.exists():
        path.unlink()


def is_local(path: epath.Path) -> bool:
    """Return whether a path is in a file system of this machine, and not in an object store."""
    return "://" not in str(path)


def sync(path: epath.Path) -> None:
    """Force a file or folder to the disk; object stores do not need this, and Windows cannot do it for folders."""
    if not is_local(path) or not (_IS_POSIX or path.is_file()):
        return
    descriptor = os.open(path, os.O_RDONLY if _IS_POSIX else os.O_RDWR)  # Windows syncs only what may be written
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explained(error: OSError | RuntimeError, path: epath.Path) -> Exception:
    """Turn an error of the file system into an `InputError` of one line; return any other error unchanged."""
    code = getattr(error, "errno", None)
    if code in NO_ROOM or any(os.strerror(number) in str(error) for number in NO_ROOM):
        return InputError(
            f"`workdir` must be on a disk with free space. Received: {str(path)!r}: no space left; nothing was changed."
        )
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return InputError(f"`workdir` must be writable. Received: {str(path)!r}: {reason}; nothing was changed.")
    return error
