"""The table of all inputs: those of tfl, and those of your own."""

import re

from tfl.inputs.audio.audio_input import AudioInput
from tfl.inputs.image.bands_input import BandsInput
from tfl.inputs.image.image_input import ImageInput
from tfl.inputs.input import Input
from tfl.inputs.text.text_input import TextInput
from tfl.registry import register, resolve

_INPUTS: dict[str, Input] = {kind.name: kind for kind in (ImageInput(), TextInput(), AudioInput())}


def get_input(kind: "str | Input", argument: str = "kind") -> Input:
    """Return the input with a name; upper and lower case are the same. An `Input` object is returned unchanged.

    Args:
        kind: a name, or an input.
        argument: name of the caller's argument, for messages.

    An image of more than three channels is "bands:C".

    Raises:
        InputError: there is no such input.

    Example:
        >>> get_input("Image").noun
        ('image', 'images')
    """
    if isinstance(kind, Input):
        return kind
    if (found := re.fullmatch(r"bands:([1-9]\d{0,2})", str(kind))) is not None:
        return BandsInput(channels=int(found[1]))
    return _INPUTS[resolve(kind, input_names(), argument)]


def input_names() -> list[str]:
    """Return the names of all registered inputs."""
    return list(_INPUTS)


def register_input(kind: Input) -> Input:
    """Register an input under its name, so that backbones and model files can use the name.

    A class that is defined again, as by a notebook cell that runs twice, replaces the earlier one.

    Raises:
        InputError: another input has this name.
    """
    register(_INPUTS, kind, "kind")
    return kind
