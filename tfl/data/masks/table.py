"""The classes of a set of masks: which value of a file means which class, and what it is called."""

import csv
import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tfl.data.masks.mask_file import COLOURS, GREY, GREYS, NUMBERS, ScannedMask
from tfl.data.source import check_distinct
from tfl.errors import InputError

VOID = 255  # class number of a position that does not count
USUAL_VOID = 255  # of masks of numbers, and the default of `segmentation.ignore_label`
NAME_FILES = ("classes", "class_names", "names", "labels", "codes", "label_colors", "label_colours", "class_dict")
_ENDINGS = (".txt", ".csv")
_COLOUR = re.compile(
    r"\W*(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\S.*)|(\S.*?)[\s,;]+(\d{1,3})[,;]\s*(\d{1,3})[,;]\s*(\d{1,3})\s*"
)


@dataclasses.dataclass(frozen=True)
class Named:
    """The classes of a file of names.

    Attributes:
        file: its path; "" if there is no such file.
        values: the value of each class in a mask: its line, counted from 0, or its colour.
        names: of the classes.
        has_colours: whether the file gives colours.
    """

    file: str = ""
    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    has_colours: bool = False


@dataclasses.dataclass(frozen=True)
class MaskTable:
    """The classes of a set of masks.

    Attributes:
        values: value in the files of each class, in order of the class numbers.
        names: of the classes.
        ignored: the value that does not count; -1: all count.
        has_colours: whether the values are colours.
        numbers: the class number of each class in the model; by default 0, 1, ...
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    ignored: int
    has_colours: bool
    numbers: tuple[int, ...] = ()

    def describe_misfit(self, mask: ScannedMask) -> str:
        """Return why a mask does not fit these classes; "" if it does."""
        values = {value * self._unit(mask.form) for value in mask.values}
        if (mask.form == COLOURS) != self.has_colours and mask.form != GREYS and values - set(self.values):
            kinds = ("class numbers", "colours")
            return f"it has {kinds[mask.form == COLOURS]}, and the other masks have {kinds[self.has_colours]}"
        unknown = sorted(values - {*self.values, self.ignored})
        if unknown:
            return (
                f"it has the {'colour' if self.has_colours else 'value'} {_shown(unknown[0], self.has_colours)}, "
                "which is no class"
            )
        return "" if values - {self.ignored} else "no pixel of it counts"

    def _unit(self, form: str) -> int:
        """Return what a value of a form is multiplied by: a grey one is a colour if the others are colours."""
        return GREY if self.has_colours and form == GREYS else 1

    def to_numbers(self, values: np.ndarray, form: str) -> np.ndarray:
        """Return class numbers, uint8, of the values of a mask; `VOID` for what does not count."""
        values = values * self._unit(form)
        known = np.array([*self.values, self.ignored], np.int64)
        numbers = np.array([*(self.numbers or range(len(self.values))), VOID], np.uint8)
        order = np.argsort(known, kind="stable")
        places = np.searchsorted(known[order], values)
        return numbers[order][np.minimum(places, len(known) - 1)]


def make_table(masks: Sequence[ScannedMask], named: Named, ignored: int, source: str) -> MaskTable:
    """Return the classes of masks: those that a file names, or all values that occur.

    Args:
        masks: what the scan found.
        named: from `read_names`.
        ignored: the value that does not count; -1: all count. The usual 255 is one of numbers: it leaves out no colour.
        source: the source string, for messages.

    Raises:
        InputError: there are fewer than two classes, or more than 255.
    """
    coloured = sum(mask.form == COLOURS for mask in masks)
    has_colours = named.has_colours or (not named.file and 2 * coloured > len(masks))
    if has_colours and ignored == USUAL_VOID:  # as a colour it would be a blue
        ignored = -1
    if named.file:
        kept = [place for place, value in enumerate(named.values) if value != ignored]
        values, names = tuple(named.values[place] for place in kept), tuple(named.names[place] for place in kept)
    else:
        forms = {COLOURS: 1, GREYS: GREY} if has_colours else {NUMBERS: 1, GREYS: 1}
        occurring = {value * forms[mask.form] for mask in masks if mask.form in forms for value in mask.values}
        values = tuple(sorted(occurring - {ignored}))
        names = tuple(_shown(value, has_colours) for value in values)
    if not 2 <= len(values) <= VOID:
        shown = ", ".join(names[:5]) or "none"
        hint = (
            f" Did you mean --config.segmentation.ignore_label=-1, so that {ignored} is a class?"
            if len(values) < 2 and any(ignored in mask.values for mask in masks)
            else ""
        )
        raise InputError(
            f"`data.source` must have masks of 2 to {VOID} classes. Received: {source} with {len(values)}: {shown}."
            f"{hint}"
        )
    return MaskTable(values, names, ignored, has_colours)


def read_names(folder: Path) -> Named:
    """Read the names of the classes from a file in the folder, such as classes.txt; an empty result if none is there.

    A line is the name of the class whose number is that of the line, counted from 0; or a colour and a name, as in
    `128 64 128 road`; or a name and a colour, as in `road,128,64,128`.

    Raises:
        InputError: a line has no name, or two have the same.
    """
    files = (folder / f"{name}{ending}" for name in NAME_FILES for ending in _ENDINGS)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return Named()
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"`data.source` must have names of classes in UTF-8. Received: {file}: {error}.") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    colours = [_COLOUR.fullmatch(line) for line in lines]
    if colours and colours[0] is None and len(colours) > 1 and all(colours[1:]):  # a header
        lines, colours = lines[1:], colours[1:]
    found = [match for match in colours if match is not None]
    if lines and len(found) == len(lines):
        rows = [_colour_and_name(match.groups()) for match in found]
        return Named(str(file), tuple(value for value, _ in rows), _names([n for _, n in rows], file), has_colours=True)
    names = [next(csv.reader([line])) for line in lines] if file.suffix == ".csv" else [[line] for line in lines]
    return Named(str(file), tuple(range(len(names))), _names([row[0] for row in names], file))


def _names(names: Iterable[str], file: Path) -> tuple[str, ...]:
    return check_distinct(list(names), f"classes of {file}")


def _colour_and_name(groups: tuple[str | None, ...]) -> tuple[int, str]:
    red, green, blue, name, first, *later = groups
    channels = [int(text or 0) for text in ((red, green, blue) if name else later)]
    return 65536 * channels[0] + 256 * channels[1] + channels[2], (name or first or "").strip()


def _shown(value: int, is_colour: bool) -> str:
    return f"#{value:06x}" if is_colour else str(value)
