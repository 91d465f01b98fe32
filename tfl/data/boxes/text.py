"""Boxes of one image as text, and as rows of numbers.

The text of a box is its four corners and the name of its class, as in `81 88 522 408 raccoon`; boxes are joined by "|".
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

SEPARATOR = "|"
PADDING = -1  # class number of a row that is no box
_CROWD = "crowd "
_BOX = re.compile(rf"(?P<crowd>{_CROWD})?(?P<corners>\S+ \S+ \S+ \S+) (?P<name>.+)")
_COLUMNS = 5  # x1, y1, x2, y2, class
Number = TypeVar("Number", int, np.ndarray)


class LabelledBox(NamedTuple):
    """A box with the name of its class.

    Attributes:
        corners: x1, y1, x2, y2, in pixels of the upright image: its left upper and its right lower corner.
        name: of the class.
        is_crowd: whether it holds many objects, which a detector needs not to tell apart.
    """

    corners: tuple[float, float, float, float]
    name: str
    is_crowd: bool = False


def to_text(boxes: Iterable[LabelledBox]) -> str:
    """Return the text of the boxes of one image; "" for none.

    Example:
        >>> to_text([LabelledBox((1.0, 2.5, 30.0, 40.0), "cat"), LabelledBox((0, 0, 9, 9), "dog", is_crowd=True)])
        '1 2.5 30 40 cat|crowd 0 0 9 9 dog'
    """
    return SEPARATOR.join(
        f"{_CROWD if box.is_crowd else ''}{' '.join(map(_number, box.corners))} {box.name}" for box in boxes
    )


def from_text(text: str) -> list[LabelledBox]:
    """Return the boxes of a text from `to_text`.

    Raises:
        ValueError: the text is not that of boxes.

    Example:
        >>> from_text("81 88 522 408 raccoon")
        [LabelledBox(corners=(81.0, 88.0, 522.0, 408.0), name='raccoon', is_crowd=False)]
    """
    return [_read(part) for part in text.split(SEPARATOR)] if text else []


def to_rows(text: str, numbers: Mapping[str, int]) -> np.ndarray:
    """Return the boxes of a text as rows x1, y1, x2, y2, class: float32 `(N, 5)`.

    Args:
        text: from `to_text`.
        numbers: the number of each class.

    Returns:
        The class of a crowd of class k is `crowd_of(k)`, which is below `PADDING`: losses that skip negative classes
        skip crowds, too.

    Raises:
        ValueError: the text is not that of boxes.
        KeyError: a class has no number.

    Example:
        >>> to_rows("81 88 522 408 raccoon", {"raccoon": 0}).tolist()
        [[81.0, 88.0, 522.0, 408.0, 0.0]]
    """
    boxes = from_text(text)
    classes = [crowd_of(numbers[box.name]) if box.is_crowd else numbers[box.name] for box in boxes]
    rows = [(*box.corners, number) for box, number in zip(boxes, classes, strict=True)]
    return np.array(rows, np.float32).reshape(-1, _COLUMNS)


def crowd_of(number: Number) -> Number:
    """Return the class number of a crowd of a class: -2 for class 0, -3 for class 1; its own inverse."""
    return PADDING - 1 - number


def _number(value: float) -> str:
    return np.format_float_positional(np.float32(value), trim="-")


def _read(text: str) -> LabelledBox:
    found = _BOX.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a box, as in '81 88 522 408 raccoon'")
    x1, y1, x2, y2 = map(float, found["corners"].split(" "))
    if not (np.isfinite((x1, y1, x2, y2)).all() and x1 < x2 and y1 < y2):
        raise ValueError(f"{text!r} has no area")
    return LabelledBox((x1, y1, x2, y2), found["name"], found["crowd"] is not None)
