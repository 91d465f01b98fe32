"""Which runtimes for computing features are installed."""

import importlib.util

from tfl.errors import InputError
from tfl.version import install_command


def has_openvino() -> bool:
    """Return whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def check_runtime(name: str) -> None:
    """Refuse a runtime that is not installed.

    Args:
        name: "auto", "tensorflow" or "openvino".

    Raises:
        InputError: it is not installed.

    Example:
        >>> check_runtime("auto")
    """
    if name == "openvino" and not has_openvino():
        raise InputError(
            f"`features.runtime` must be an installed runtime: {install_command('fast-cpu')}. "
            "Received: features.runtime='openvino'."
        )
