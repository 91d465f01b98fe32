"""Boxes in a table: a row for each box, with the columns path, x1, y1, x2, y2 and class, or names that mean them."""

import re
from collections.abc import Sequence
from pathlib import Path

from tfl.data.boxes.annotation import Annotation, Annotations, read_corners, read_size
from tfl.data.boxes.images import Images
from tfl.data.boxes.text import LabelledBox
from tfl.data.split_names import find_splits
from tfl.data.table.columns import USUAL
from tfl.data.table.read import read_table
from tfl.errors import InputError

_CORNERS = {
    "x1": ("x1", "xmin", "left"),
    "y1": ("y1", "ymin", "top"),
    "x2": ("x2", "xmax", "right"),
    "y2": ("y2", "ymax", "bottom"),
}
_MEANINGS = {"path": USUAL["path"], **_CORNERS, "class": ("name", *USUAL["label"]), "split": USUAL["split"]}
_OPTIONAL = ("split",)
_SIDES = ("width", "height")  # columns with the size of the image, if there are some


def is_box_table(file: str) -> bool:
    """Return whether a file is a table of boxes by its header."""
    if not file.lower().endswith(".csv") or not Path(file).is_file():
        return False
    with Path(file).open("rb") as opened:
        header = opened.readline(2000).decode("utf-8-sig", "replace")
    found = _columns(re.split(r"[,;\t]", header.strip().replace('"', "")))
    return not [name for name in _MEANINGS if name not in found and name not in _OPTIONAL]


def read_box_table(file: str, images: Images) -> Annotations:
    """Read a table. A row without corners and class means an image without objects.

    Args:
        file: the table.
        images: all images of its folder.

    Raises:
        InputError: a column is missing.
    """
    table = read_table(file)
    places = _columns(table.names)
    lacking = [name for name in _MEANINGS if name not in places and name not in _OPTIONAL]
    if lacking:
        raise InputError(
            f"`data.source` must be a table with the columns path, x1, y1, x2, y2 and class. Received: {file} without "
            f"{lacking[0]!r}, with {', '.join(table.names)}."
        )
    rows: dict[str, list[list[str]]] = {}
    for row in table.rows:
        rows.setdefault(row[places["path"]], []).append(row)
    alone, found, used = list(table.bad), [], {}
    words = find_splits({row[places["split"]] for row in table.rows}) if "split" in places else {}
    sides = [table.names.index(name) for name in _SIDES if name in table.names]
    for name, own in rows.items():
        path, reason = images.named(name, file)
        if reason or path in used:
            alone.append((f"{file}: {name}", reason or f"{used[path]} is the same image"))
            continue
        used[path] = name
        split = words.get(own[0][places["split"]], "") if words else ""
        found.append(_annotation(file, path, split, own, (places, sides)))
    more = len(images.near(used))
    notes = (f"Not read: {more} images that no row names.",) if more else ()
    return Annotations(found, alone=tuple(alone), notes=notes)


def _annotation(
    file: str, path: str, split: str, rows: Sequence[Sequence[str]], where: tuple[dict[str, int], Sequence[int]]
) -> Annotation:
    columns, sides = where
    try:
        boxes = tuple(_box(row, columns) for row in rows if any(row[columns[name]] for name in (*_CORNERS, "class")))
        size = read_size([rows[0][side] for side in sides]) if len(sides) == 2 else (0, 0)
    except ValueError as error:
        return Annotation(file, path, split, fault=str(error))
    return Annotation(file, path, split, boxes, size)


def _box(row: Sequence[str], columns: dict[str, int]) -> LabelledBox:
    name = row[columns["class"]]
    if not name:
        raise ValueError("a box has no class")
    return LabelledBox(read_corners([row[columns[corner]] for corner in _CORNERS]), name)


def _columns(names: Sequence[str]) -> dict[str, int]:
    """Return the place of each column by its meaning."""
    plain = [re.sub(r"[\W_]+", "", name.lower()) for name in names]
    found = {}
    for meaning, usual in _MEANINGS.items():
        place = next((plain.index(name) for name in usual if name in plain), None)
        if place is not None:
            found[meaning] = place
    return found
