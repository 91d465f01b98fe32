"""Weight files that Keras publishes: find them in Keras' cache, check them, and download them with a short timeout.

keras.applications calls `keras.utils.get_file` for its files. That function waits without a limit. If the cache is
not writable, it uses a shared temporary folder, where anybody may have put a file of the same name. It also leaves
a file with a wrong hash on disk. So `fetch` replaces it while a network is built. File name, address and hash are
still those that Keras passes.
"""

import contextlib
import functools
import os
import pathlib
import tempfile
import urllib.request
from collections.abc import Iterator

import h5py
from keras.src.backend import config as keras_config
from keras.src.utils import file_utils

from tfl.errors import InputError
from tfl.progress import say, track

_TIMEOUT = 10  # seconds without an answer
_MB = 10**6  # bytes


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
    """Return the path of one file in Keras' cache; download it if it is not there.

    Args:
        fname: name of the file.
        origin: its address.
        cache_subdir: folder within Keras' cache (`KERAS_HOME`, or `~/.keras`).
        file_hash: MD5 or SHA-256 in hexadecimal, or None if Keras has no hash for it.

    Returns:
        The path of a file that has the hash; without a hash, the path of a file that HDF5 can open.

    Raises:
        InputError: the file is not in the cache and cannot be downloaded; the message names file, address and folder.
    """
    home = os.environ.get("KERAS_HOME") or str(keras_config.keras_home())  # Keras reads the variable only at import
    folder = pathlib.Path(home).expanduser() / cache_subdir
    path = folder / fname
    if path.is_file():
        if _is_whole(path, file_hash):
            return str(path)
        say(f"{path} is damaged; downloading it again.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as aside:  # renamed when complete: nobody reads half a file
            partial = pathlib.Path(aside) / fname
            _download(origin, partial)
            if not _is_whole(partial, file_hash):
                raise OSError(f"the downloaded file does not have the published hash {file_hash}")
            partial.replace(path)
    except OSError as error:
        found = f"the file at {path} is damaged" if path.is_file() else "the file is not there"
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise InputError(
            "`backbone.weights` must be on this machine or downloadable. Received: backbone.weights='imagenet', but "
            f"{found} and the download failed ({reason}). Download {origin} and put it as {fname} into {folder}."
        ) from error
    return str(path)


def _is_whole(path: pathlib.Path, file_hash: str | None) -> bool:
    if file_hash is not None:
        return file_utils.validate_file(str(path), file_hash)
    try:  # Keras has no hash for MobileNet and MobileNetV2; a truncated file does not open
        h5py.File(path, "r").close()
    except OSError:
        return False
    return True


def _download(origin: str, path: pathlib.Path) -> None:
    with urllib.request.urlopen(origin, timeout=_TIMEOUT) as response, path.open("wb") as file:
        total = int(response.headers.get("Content-Length", 0)) or None
        blocks = iter(functools.partial(response.read, _MB), b"")
        file.writelines(track(blocks, f"downloading {path.name}", total and -(-total // _MB), ("MB", "MB")))
        if total and path.stat().st_size != total:
            raise OSError(f"only {path.stat().st_size} of {total} bytes arrived")
