"""The only kind of lock in tfl: a lock on a file; it belongs to the handle that took it, not to the process.

Where Python has `fcntl` (Linux, macOS), it is `flock`. With `lockf`, two runs in one process would not exclude each
other. And if any handle of the file were closed, even by Python's garbage collector, all other handles would lose
their lock. Elsewhere (Windows), it is `ReadWriteLock` of filelock, which holds a transaction of SQLite on the file:
the only lock of filelock that can be shared and that also ends with the process. It does not replace `flock`, because
it needs a local disk, and because an older tfl that uses the same store would not see it.
"""

import errno
import functools
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType

try:
    import fcntl
except ImportError:
    fcntl = None

_BUSY = (errno.EACCES, errno.EAGAIN)
_SETTLED = 0.1  # seconds in which SQLite asks again: two that ask at the same moment would both be refused


class FileLock:
    """A lock that is held until `release`, the end of a `with` block, or the end of the process, even by a crash.

    Attributes:
        holds: false on a file system without locks, where the lock excludes nobody.
    """

    def __init__(self, release: Callable[[], object], *, holds: bool) -> None:
        self.holds = holds
        self.release = weakref.finalize(self, release)

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
    return _lock(Path(path), shared=False, wait=True)


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
        return _lock(Path(path), shared=shared, wait=False)
    except BlockingIOError:
        return None


def _lock(path: Path, *, shared: bool, wait: bool) -> FileLock:
    if fcntl is None:
        return _lock_by_sqlite(path, shared=shared, wait=wait)
    return _lock_by_flock(fcntl, path, shared=shared, wait=wait)


def _lock_by_flock(fcntl: ModuleType, path: Path, *, shared: bool, wait: bool) -> FileLock:
    descriptor, holds = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _BUSY:
            os.close(descriptor)
            raise BlockingIOError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
        holds = False  # a file system without locks
    except BaseException:  # Ctrl-C while waiting
        os.close(descriptor)
        raise
    return FileLock(functools.partial(os.close, descriptor), holds=holds)


def _lock_by_sqlite(path: Path, *, shared: bool, wait: bool) -> FileLock:
    import sqlite3

    import filelock

    holds = True
    try:
        lock = filelock.ReadWriteLock(path, timeout=-1 if wait else _SETTLED, is_singleton=False)
        try:
            (lock.acquire_read if shared else lock.acquire_write)()
        except sqlite3.OperationalError:
            holds = False  # a file system without locks
    except filelock.Timeout as error:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), os.fspath(path)) from error
    return FileLock(lock.close, holds=holds)
