"""The one kind of lock of tfl: `flock` on a file; it belongs to the handle that took it, not to the process.

With `lockf` two runs in one process would not exclude each other, and closing any handle of the file, even one that
Python collects as garbage, would free the lock of all others.
"""

import errno
import fcntl
import os
import weakref
from pathlib import Path
from types import TracebackType

_BUSY = (errno.EACCES, errno.EAGAIN)


class FileLock:
    """A lock that is held until `release`, the end of a `with` block or of the process, however that ends.

    Attributes:
        holds: false on a file system that has no locks: nobody is excluded.
    """

    def __init__(self, descriptor: int, *, holds: bool) -> None:
        self.holds = holds
        self.release = weakref.finalize(self, os.close, descriptor)

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_file(path: str | os.PathLike[str]) -> FileLock:
    """Wait until nobody else holds the lock of a file, and hold it alone.

    Args:
        path: the file, which is made where missing; nothing is written to it, and it stays.

    Example:
        >>> with lock_file("store/.lock"):
        ...     pass  # no other handle, of this process or another, holds it here
    """
    return _lock(path, fcntl.LOCK_EX)


def try_lock_file(path: str | os.PathLike[str], *, shared: bool = False) -> FileLock | None:
    """Hold the lock of a file, or return None at once where another handle holds it.

    Args:
        path: the file, which is made where missing.
        shared: hold it together with all others that ask for it so; they keep out who wants it alone.

    Example:
        >>> if try_lock_file("run/.lock") is None:
        ...     raise InputError("another run is at work")
    """
    try:
        return _lock(path, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _lock(path: str | os.PathLike[str], how: int) -> FileLock:
    descriptor, holds = os.open(Path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), True
    try:
        fcntl.flock(descriptor, how)
    except OSError as error:
        if error.errno in _BUSY:
            os.close(descriptor)
            raise BlockingIOError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
        holds = False  # a file system without locks
    except BaseException:  # Ctrl-C while waiting
        os.close(descriptor)
        raise
    return FileLock(descriptor, holds=holds)
