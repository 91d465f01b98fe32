"""The name of a backbone whose weights are in a torch file: `torch:FILE`, or `torch:NAME@FILE` with its network."""

import re
from pathlib import Path

from tfl.config.option import Checked
from tfl.errors import InputError

TORCH = "torch:"
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_]+)@(?P<file>.+)", re.DOTALL)


def _validate_torch_name(name: str, path: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise InputError(
            f"`{path}` must be empty, or the name of a network in torchvision or timm, as resnet50. Received: {name!r}."
        )
    return name.lower()


def is_torch_name(name: str) -> bool:
    """Return whether a name of a backbone is that of a torch file."""
    return name.lower().startswith(TORCH)


def torch_parts(name: str) -> tuple[str, str]:
    """Return the name of the network, "" if it is not given, and the file.

    Example:
        >>> torch_parts("torch:resnet50@weights.pth"), torch_parts("torch:weights.pth")
        (('resnet50', 'weights.pth'), ('', 'weights.pth'))
    """
    text = name[len(TORCH) :]
    named = _NAMED.fullmatch(text)
    return (named["name"], named["file"]) if named and not Path(text).exists() else ("", text)


def with_torch_name(name: str, torch_name: str) -> str:
    """Return the name of a backbone with the name of the network of its file, as in `torch:resnet50@weights.pth`.

    Args:
        name: of the backbone.
        torch_name: of the network in torchvision or timm; "": the name does not change.

    Raises:
        InputError: the backbone is no torch file, or names another network.
    """
    if not torch_name:
        return name
    if not is_torch_name(name):
        raise InputError(
            "`backbone.torch_name` must be empty if backbone.name is not torch:FILE. "
            f"Received: {torch_name!r}, with backbone.name={name!r}."
        )
    given, file = torch_parts(name)
    if given and given.lower() != torch_name.lower():
        raise InputError(
            f"`backbone.torch_name` must be {given!r} or empty, as backbone.name says. Received: {torch_name!r}."
        )
    return f"{TORCH}{torch_name}@{file}"


TORCH_NAME = Checked("empty, or the name of a network in torchvision or timm", _validate_torch_name)
