"""Parquet files need pyarrow, which is in the extra `parquet`."""

import importlib
from importlib.util import find_spec
from typing import Any

from tfl.errors import InputError
from tfl.version import install_command


def check_parquet(argument: str, received: object) -> None:
    """Refuse a Parquet file if pyarrow is not installed; nothing is imported.

    Args:
        argument: the option that names the file, for the message.
        received: what the user gave.

    Raises:
        InputError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise InputError(
            f"`{argument}` needs pyarrow for a Parquet file: {install_command('parquet')}. Received: {str(received)!r}."
        )


def import_parquet(argument: str, received: object) -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`; the import takes a second.

    Raises:
        InputError: pyarrow is not installed.
    """
    check_parquet(argument, received)
    return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
