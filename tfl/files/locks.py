"""The only kind of lock in tfl: `flock` on a file; it belongs to the file handle that took it, not to the process.

With `lockf`, two runs in one process would not exclude each other. And if any handle of the file were closed, even by
Python's garbage collector, all other handles would lose their lock.
"""

import errno
import fcntl
import os
import weakref
from pathlib import Path
from types import TracebackType

_BUSY = (errno.EACCES, errno.EAGAIN)


class FileLock:
    """A lock that is held until `release`, the end of a `with` block, or the end of the process, even by a crash.

    Attributes:
        holds: false on a file system without locks, where the lock excludes nobody.
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
    """Wait until no other handle holds the lock of a file, then take it exclusively.

    Args:
        path: the file; it is created if it does not exist, stays empty, and is never deleted.

    Example:
        >>> with lock_file(".lock"):
        ...     pass  # no other handle, of this process or another, holds it here
    """
    return _lock(path, fcntl.LOCK_EX)


def try_lock_file(path: str | os.PathLike[str], *, shared: bool = False) -> FileLock | None:
    """Take the lock of a file, or return None at once if another handle holds it.

    Args:
        path: the file; it is created if it does not exist.
        shared: take a shared lock: several handles may hold it together, but no handle can then hold it exclusively.

    Example:
        >>> if try_lock_file("runs/.lock") is None:
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
