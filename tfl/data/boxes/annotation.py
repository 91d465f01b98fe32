"""What the files of annotations say, whatever their format."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfl.data.boxes.text import LabelledBox


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The boxes of one image, as a file gives them.

    Attributes:
        file: path of the file.
        image: path of the image.
        split: "train", "validation", "test" or "".
        boxes: in pixels, or in fractions of the sides.
        size: width and height of the image that the file states; 0, 0 if it states none.
        is_relative: whether the boxes are in fractions of the sides.
        fault: why the file cannot be used; "" if it can.
    """

    file: str
    image: str
    split: str
    boxes: tuple[LabelledBox, ...] = ()
    size: tuple[int, int] = (0, 0)
    is_relative: bool = False
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Annotations:
    """All annotations of a source.

    Attributes:
        found: one for each image.
        names: of the classes, in the order of their numbers; empty: the names that occur, in natural order.
        alone: (path, reason) of the files that have no partner.
        notes: lines for the user about files that are not read.
    """

    found: Sequence[Annotation]
    names: tuple[str, ...] = ()
    alone: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_corners(values: Sequence[Any]) -> tuple[float, float, float, float]:
    """Return four numbers.

    Raises:
        ValueError: they are not four finite numbers; the message says so.
    """
    try:
        x1, y1, x2, y2 = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"a box has the numbers {_shown(values)}, which are not four numbers") from None
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise ValueError(f"a box has the numbers {_shown(values)}, which are not finite")
    return x1, y1, x2, y2


def read_size(values: Sequence[Any]) -> tuple[int, int]:
    """Return width and height; 0 for what is not stated.

    Raises:
        ValueError: they are not two numbers; the message says so.
    """
    try:
        width, height = (int(float(value or 0)) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"it states the size {_shown(values)}, which is no size") from None
    return width, height


def _shown(values: Sequence[Any]) -> str:
    return ", ".join("nothing" if value is None else str(value)[:20] for value in list(values)[:6]) or "nothing"
