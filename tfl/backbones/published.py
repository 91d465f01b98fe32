"""Keras' own weight files: found in Keras' cache, checked, fetched with a short timeout, or named in one line.

keras.applications asks `keras.utils.get_file` for its files. That function waits without a limit, falls
back to a shared temporary folder when the cache cannot be written (where anybody may have put a file of
that name), and leaves a file on disk that failed its hash. So its place is taken while a network is built:
which file, from which address and with which hash is still what Keras itself says.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator

import h5py
from keras.src.backend import config as keras_config
from keras.src.utils import file_utils
from tqdm import tqdm

from tfl.errors import InputError
from tfl.progress import say

_TIMEOUT = 10  # seconds without an answer


@contextlib.contextmanager
def published_weights() -> Iterator[None]:
    """Let keras.applications read its weight files through `fetch` instead of `keras.utils.get_file`.

    Example:
        >>> with published_weights():
        ...     model = keras.applications.MobileNetV2(weights="imagenet")
    """
    original = file_utils.get_file
    file_utils.get_file = fetch
    try:
        yield
    finally:
        file_utils.get_file = original


def fetch(fname: str, origin: str, *, cache_subdir: str = "models", file_hash: str | None = None) -> str:
    """Return the path of one file in Keras' cache, fetching it if it is not there.

    Args:
        fname: name of the file.
        origin: its address.
        cache_subdir: folder within Keras' cache (`KERAS_HOME`, or `~/.keras`).
        file_hash: MD5 or SHA-256 in hexadecimal, or None where Keras has none.

    Returns:
        The path of a file that has the hash; without one, of a file that opens.

    Raises:
        InputError: the file is not at hand and cannot be fetched; names file, address and folder.
    """
    home = os.environ.get("KERAS_HOME") or str(keras_config.keras_home())  # Keras reads it only when imported
    folder = pathlib.Path(home).expanduser() / cache_subdir
    path = folder / fname
    if path.is_file():
        if _is_whole(path, file_hash):
            return str(path)
        say(f"{path} is damaged: fetching it again.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as aside:  # renamed when whole: nobody reads half a file
            partial = pathlib.Path(aside) / fname
            _download(origin, partial)
            if not _is_whole(partial, file_hash):
                raise OSError(f"what came is not the published file, hash {file_hash}")
            partial.replace(path)
    except OSError as error:
        found = f"the file at {path} is damaged" if path.is_file() else "the file is not there"
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise InputError(
            "`backbone.weights` must be at hand or within reach. Received: backbone.weights='imagenet', but "
            f"{found} and fetching it failed ({reason}). Put {fname} from {origin} into {folder}."
        ) from error
    return str(path)


def _is_whole(path: pathlib.Path, file_hash: str | None) -> bool:
    if file_hash is not None:
        return file_utils.validate_file(str(path), file_hash)
    try:  # Keras has no hash for MobileNet and MobileNetV2: a file that was cut short still does not open
        h5py.File(path, "r").close()
    except OSError:
        return False
    return True


def _download(origin: str, path: pathlib.Path) -> None:
    with urllib.request.urlopen(origin, timeout=_TIMEOUT) as response, path.open("wb") as file:
        total = int(response.headers.get("Content-Length", 0)) or None
        with tqdm.wrapattr(response, "read", total=total, desc=path.name, dynamic_ncols=True) as source:
            shutil.copyfileobj(source, file)
        if total and path.stat().st_size != total:
            raise OSError(f"only {path.stat().st_size} of {total} bytes came")
