"""Settings of Keras that hold for a whole process, and that tfl needs as they are by default."""

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
    """Refuse another backend, image layout or type of numbers than tfl is written for.

    Before Keras is imported the settings are read where it will read them; no import of it is needed.

    Raises:
        InputError: a setting is another one; names it, and where it was set.

    Example:
        >>> check_keras_settings()
    """
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        values = {name: getattr(keras.config, name)() for name in NEEDED}
        found = {name: (getattr(value, "name", value), "keras.config") for name, value in values.items()}
    else:
        found = _settings_of_files()
    for name, needed in NEEDED.items():
        value, place = found.get(name, (needed, ""))
        if value != needed:
            raise InputError(
                f"`{name}` of Keras must be {needed!r}. Received: {value!r}, from {place}. Did you mean {_HINTS[name]}?"
            )


def _settings_of_files() -> dict[str, tuple[object, str]]:
    """Return the settings that Keras will read, each with the name of its place."""
    file = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError):  # Keras passes over it too
        values = {}
    found = {name: (value, str(file)) for name, value in values.items()} if isinstance(values, dict) else {}
    if "KERAS_BACKEND" in os.environ:
        found["backend"] = (os.environ["KERAS_BACKEND"], "KERAS_BACKEND")
    return found
