"""What is known of the files of an input without TensorFlow, to look at a source before anything slow starts."""

import dataclasses
from collections.abc import Callable

from tfl.inputs.audio.endings import NOUN as AUDIO_NOUN
from tfl.inputs.audio.endings import may_be_audio
from tfl.inputs.image.endings import NOUN, may_be_bands, may_be_image
from tfl.inputs.text.endings import CELL, may_be_text
from tfl.inputs.text.endings import NOUN as TEXT_NOUN


@dataclasses.dataclass(frozen=True)
class InputFiles:
    """The files of one kind of example.

    Attributes:
        noun: of one example and of several; see `Input.noun`.
        may_be: whether files with an ending may be examples; see `Input.may_be`.
        cell: what a table calls the column of the examples; see `Input.cell`.
        largest: the largest size of an example.
        sources: the kinds of sources that can have such examples; empty: all.
    """

    noun: tuple[str, str]
    may_be: Callable[[str], bool]
    cell: str = ""
    largest: int = 4096
    sources: tuple[str, ...] = ()


_KNOWN = {
    "image": InputFiles(NOUN, may_be_image),
    "bands": InputFiles(NOUN, may_be_bands),
    "text": InputFiles(TEXT_NOUN, may_be_text, CELL, sources=("csv", "folder")),
    "audio": InputFiles(AUDIO_NOUN, may_be_audio, largest=960_000, sources=("csv", "folder")),  # a minute
}


def input_files(name: str) -> InputFiles | None:
    """Return what is known of the files of an input; None for an input of your own, which may need TensorFlow.

    Example:
        >>> input_files("image").may_be(".txt")
        False
    """
    return _KNOWN.get(name.partition(":")[0])
