"""Read the content of files that may be anything."""

import stat
from pathlib import Path

from tfl.errors import BadExampleError

MAX_BYTES = 2**29  # of one file


def read_regular(path: str, error: type[BadExampleError] = BadExampleError) -> bytes:
    """Return the content of a file.

    Args:
        path: of the file.
        error: what is raised.

    Raises:
        BadExampleError: it is no regular file, or too large.
        OSError: it cannot be read.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise error("not a regular file")  # opening a pipe would wait forever
    if status.st_size > MAX_BYTES:
        raise error(f"{status.st_size:,} bytes are more than {MAX_BYTES:,}")
    return Path(path).read_bytes()
