"""Bring the boxes of an image into its pixels: turn them with the photo, clip them, and leave out what is no box."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tfl.data.boxes.annotation import Annotation
from tfl.data.boxes.text import LabelledBox

Size = tuple[int, int]  # width and height
Corners = tuple[float, float, float, float]
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = 5  # from this orientation on, a photo is displayed with its sides swapped
_SLACK = 1.0  # in pixels: a box that ends so little outside is rounded, and needs no remark


def clean(
    annotation: Annotation, size: Size, *, has_stored_pixels: bool = False
) -> tuple[list[LabelledBox], list[str]]:
    """Return the boxes of an image in pixels of the upright image, and a remark about each box that was changed.

    Boxes that reach out of the image are clipped. Boxes without area, outside of the image, and the second of two equal
    boxes are left out: none of them hides an object.

    Args:
        annotation: of the image.
        size: of the upright image.
        has_stored_pixels: whether the boxes of an image are those of its stored pixels where its sides do not tell; see
            `have_stored_pixels`.

    Raises:
        ValueError: the annotation does not belong to this image; the message says why.
    """
    turn = _turn_of(annotation, size, has_stored_pixels=has_stored_pixels)
    kept: list[LabelledBox] = []
    remarks = []
    for number, box in enumerate(annotation.boxes, 1):
        corners, remark = _place(box.corners, annotation, size, turn)
        placed = box._replace(corners=corners)
        if not remark and placed in kept:
            remark = "is there twice, and the second one is left out"
        if remark:
            remarks.append(f"box {number} ({box.name}) {remark}")
        if corners[0] < corners[2] and corners[1] < corners[3] and placed not in kept:
            kept.append(placed)
    return kept, remarks


def _place(corners: Corners, annotation: Annotation, size: Size, turn: int) -> tuple[Corners, str]:
    """Return the corners of a box in the upright image, and what is to say about it; "" if nothing is."""
    x1, y1, x2, y2 = corners
    if not (x1 < x2 and y1 < y2):
        return (0.0, 0.0, 0.0, 0.0), "has no area and is left out"
    width, height = size
    if annotation.is_relative:
        x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
    else:
        x1, y1, x2, y2 = _turned((x1, y1, x2, y2), size, turn)
    x1, y1, x2, y2 = (float(np.float32(value)) for value in (x1, y1, x2, y2))  # as the index writes them
    inside = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if not (inside[0] < inside[2] and inside[1] < inside[3]):
        return (0.0, 0.0, 0.0, 0.0), "is outside of its image and is left out"
    moved = max(abs(new - old) for new, old in zip(inside, (x1, y1, x2, y2), strict=True))
    return inside, "reaches out of its image and is clipped" if moved > _SLACK else ""


def have_stored_pixels(annotations: Sequence[Annotation], sizes: Sequence[Size]) -> bool:
    """Return whether the tool that made the annotations of a source ignored EXIF.

    A photo that lies on its side tells it by the stated size: that of the stored pixels, and of no other photo that of
    the upright image. A photo that is upside down or mirrored, or a square one, has the same size both ways; its boxes
    were made as those of the others.

    Args:
        annotations: one for each image.
        sizes: of the upright images.
    """
    pairs = list(zip(annotations, sizes, strict=True))
    has_stored = any(stated.size == size[::-1] != size for stated, size in pairs)
    if not has_stored:  # the usual case, in which no file is opened
        return False
    same = (stated for stated, size in pairs if stated.size == size != size[::-1])
    return not any(_orientation(stated.image) >= _TURNED for stated in same)


def _turn_of(annotation: Annotation, size: Size, *, has_stored_pixels: bool) -> int:
    """Return the EXIF orientation by which the boxes must be turned with the photo; 1: they fit the upright image.

    A tool that ignores EXIF states the sides in the order in which they are stored, and one that displays photos
    upright in the order of the upright image. If the file states no size, the boxes are those of the upright image.

    Raises:
        ValueError: the size is neither.
    """
    stated = annotation.size
    if annotation.is_relative or not all(stated):
        return 1
    if stated == size:
        turn = _orientation(annotation.image) if has_stored_pixels else 1
        return turn if turn < _TURNED or size == size[::-1] else 1
    if stated == size[::-1]:
        orientation = _orientation(annotation.image)
        if orientation >= _TURNED:
            return orientation
    raise ValueError(f"it is for {stated[0]} x {stated[1]} pixels, and its image has {size[0]} x {size[1]}")


def _orientation(image: str) -> int:
    """Return the EXIF orientation of a photo, 1 to 8; 1 if it has none."""
    with Image.open(image) as opened:
        found = int(opened.getexif().get(_ORIENTATION, 1))
    return found if 1 <= found <= 8 else 1


def _turned(corners: Corners, size: Size, orientation: int) -> Corners:
    """Return a box of the stored pixels in the upright image; see `tfl.inputs.image.orientation.upright`."""
    x1, y1, x2, y2 = corners
    width, height = size
    xs, ys = ((y1, y2), (x1, x2)) if orientation >= _TURNED else ((x1, x2), (y1, y2))
    if orientation in (2, 3, 6, 7):
        xs = (width - xs[1], width - xs[0])
    if orientation in (3, 4, 7, 8):
        ys = (height - ys[1], height - ys[0])
    return xs[0], ys[0], xs[1], ys[1]


def describe_remarks(remarks: Sequence[tuple[str, str]]) -> str:
    """Return one line about the boxes that were changed or left out; "" if there are none."""
    if not remarks:
        return ""
    file, first = remarks[0]
    count = len(remarks)
    were = "1 box was" if count == 1 else f"{count:,} boxes were"
    return f"{were} clipped or left out; the first: {file}: {first}."
