"""Check the process-wide settings of Keras: tfl needs their default values."""

import json
import os
import sys
from pathlib import Path

from tfl.errors import InputError

NEEDED = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32", "dtype_policy": "float32"}
_HINTS = {
    "backend": "KERAS_BACKEND=tensorflow",
    "image_data_format": '"channels_last"',
    "floatx": '"float32", and the option `precision` for training in half precision',
    "dtype_policy": 'keras.config.set_dtype_policy("float32"), and the option `precision`',
}


def check_keras_settings() -> None:
    """Refuse a backend, an image layout or a float type that tfl does not support.

    If Keras is not imported yet, the function reads the settings from the places where Keras will read them, and does
    not import it.

    Raises:
        InputError: a setting has another value; the message names the setting and the place where it was set.

    Example:
        >>> check_keras_settings()
    """
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        values = {name: getattr(keras.config, name)() for name in NEEDED}
        settings = {name: (getattr(value, "name", value), "keras.config") for name, value in values.items()}
    else:
        settings = _settings_of_files()
    for name, needed in NEEDED.items():
        value, place = settings.get(name, (needed, ""))
        if value != needed:
            raise InputError(
                f"`{name}` of Keras must be {needed!r}. Received: {value!r}, from {place}. Did you mean {_HINTS[name]}?"
            )


def _settings_of_files() -> dict[str, tuple[object, str]]:
    """Return the settings that Keras will read, each with its value and the name of its place."""
    file = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # Keras ignores such a file too
        values = {}
    settings = {name: (value, str(file)) for name, value in values.items()} if isinstance(values, dict) else {}
    if "KERAS_BACKEND" in os.environ:
        settings["backend"] = (os.environ["KERAS_BACKEND"], "KERAS_BACKEND")
    return settings
