"""The formats and the folder of a conversion, checked without TensorFlow."""

import importlib.util
import os
from pathlib import Path

from tfl.data.records.manifest import MANIFEST, read_manifest
from tfl.errors import InputError
from tfl.registry import resolve

SUFFIXES = {"tfrecord": ".tfrecord", "array_record": ".array_record"}
MOST_SHARDS = 99_999
LOCK = ".lock"


def check_conversion(file_format: str, output: str | os.PathLike[str], shards: int) -> tuple[str, Path]:
    """Return the name of a format in its standard spelling, and the folder.

    Args:
        file_format: "tfrecord" or "array_record".
        output: a new or empty folder, or the folder of an unfinished conversion.
        shards: number of files; 0: as many as the number of examples asks for.

    Raises:
        InputError: the format is unknown or its package is not installed, or the folder cannot be used.

    Example:
        >>> check_conversion("TFRecord", "records", 0)[0]
        'tfrecord'
    """
    name = resolve(file_format, SUFFIXES, "format")
    if name == "array_record" and importlib.util.find_spec("array_record") is None:
        raise InputError(
            "`format` must be 'tfrecord' where array_record is not installed. Received: 'array_record'. "
            "Did you mean to run pip install array_record?"
        )
    if not 0 <= shards <= MOST_SHARDS:
        raise InputError(f"`shards` must be between 0 and {MOST_SHARDS}. Received: shards={shards}.")
    folder = Path(output).expanduser()
    if not os.fspath(output) or (folder.exists() and not folder.is_dir()):
        raise InputError(f"`output` must be a folder, a new one or one that is empty. Received: {os.fspath(output)!r}.")
    others = [item.name for item in folder.iterdir() if not item.name.startswith(".")] if folder.is_dir() else []
    if others and read_manifest(folder) is None:
        raise InputError(
            f"`output` must be a new or empty folder, or that of an unfinished conversion. Received: {str(folder)!r}, "
            f"which has {min(others)} and no {MANIFEST}."
        )
    return name, folder
