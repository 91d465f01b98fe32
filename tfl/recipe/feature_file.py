"""The formats in which features are written, checked without TensorFlow."""

import os

from etils import epath

from tfl.errors import InputError
from tfl.files.parquet import check_parquet
from tfl.registry import resolve

FORMATS = ("npy", "parquet", "tfrecord")


def check_format(file_format: str, output: epath.PathLike) -> str:
    """Return the name of a format in its standard spelling; check the output before the slow work.

    Args:
        file_format: "npy" for a folder, "parquet" or "tfrecord" for a file.
        output: the folder or file to write.

    Raises:
        InputError: the format is unknown or needs a package that is not installed, or the output cannot be written.

    Example:
        >>> check_format("NPY", "features")
        'npy'
    """
    name = resolve(file_format, FORMATS, "format")
    if name == "parquet":
        check_parquet("format", name)
    _check_output(output, is_folder=name == "npy")
    return name


def _check_output(name: epath.PathLike, *, is_folder: bool) -> None:
    """Check the output before the slow work, so that the write does not fail after it."""
    output = epath.Path(name).expanduser()
    if not os.fspath(name) or (output.exists() and output.is_dir() != is_folder):
        kind = "folder" if is_folder else "file"
        raise InputError(f"`output` must be a {kind}, a new one or one that exists. Received: {os.fspath(name)!r}.")
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    if "://" not in str(output) and not os.access(existing, os.W_OK):
        raise InputError(f"`output` must be writable. Received: {str(output)!r}: {existing} is read-only.")
