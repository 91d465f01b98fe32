"""The folder of a network as the library transformers writes it: config.json, model.safetensors and other files."""

import json
from pathlib import Path
from typing import Any

from tfl.errors import InputError
from tfl.files.existing import nearest

PREFIX = "hf:"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def is_folder_name(name: str) -> bool:
    """Return whether the name of a network is that of a folder.

    Example:
        >>> is_folder_name("hf:models/minilm"), is_folder_name("MobileNetV2")
        (True, False)
    """
    return name.startswith(PREFIX)


def find_folder(name: str) -> Path:
    """Return the folder that `backbone.name` names.

    Raises:
        InputError: it does not exist, or has no config.json.
    """
    folder = Path(name.removeprefix(PREFIX)).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(
            f"`backbone.name` must name a folder that exists after {PREFIX!r}. Received: {name!r}.{nearest(folder)}"
        )
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise refuse(folder, f"it has no {file}", _in_another_form(folder) if file == WEIGHTS else "")
    return folder


def _in_another_form(folder: Path) -> str:
    other = next((name for name in ("pytorch_model.bin", "tf_model.h5") if (folder / name).is_file()), "")
    return f" Did you mean to save the model of {other} with save_pretrained(..., safe_serialization=True)?" * bool(
        other
    )


def refuse(folder: Path, reason: str, hint: str = "") -> InputError:
    """Return the error of a folder that cannot be used."""
    rule = "`backbone.name` must name a folder with a network that tfl can build"
    return InputError(f"{rule}. Received: {PREFIX}{folder}: {reason}.{hint}")


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise refuse(file.parent, f"{file.name} cannot be read ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(values, dict):
        raise refuse(file.parent, f"{file.name} must hold an object")
    return values
