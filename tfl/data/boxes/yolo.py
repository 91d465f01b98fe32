"""Boxes in text files as YOLO has them: one file for each image, a line for each box, fractions of the sides."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tfl.data.boxes.annotation import Annotation, Annotations, read_corners
from tfl.data.boxes.images import Images, splits_of
from tfl.data.boxes.text import LabelledBox
from tfl.data.source import check_distinct
from tfl.data.tree import Folder
from tfl.errors import InputError

_NAME_FILES = ("classes.txt", "obj.names", "classes.names", "labels.txt", "predefined_classes.txt", "_darknet.labels")
_LINE = re.compile(r"\s*\d+(?:\s+[-+.\deE]+){4,}\s*")
_SLACK = 0.01  # fractions so little outside are rounded
_BOX = 5  # numbers in a line: class, centre, width and height; more are the corners of a polygon


def is_yolo(file: str) -> bool:
    """Return whether a file has the boxes of one image by its first line."""
    if not file.lower().endswith(".txt") or Path(file).name in _NAME_FILES or not Path(file).is_file():
        return False
    with Path(file).open("rb") as opened:
        return _LINE.fullmatch(opened.readline(2000).decode("utf-8-sig", "replace")) is not None


def read_yolo(texts: Sequence[str], images: Images, tree: Folder) -> Annotations:
    """Read the text files of a folder. An image without a file, or with an empty one, has no object.

    Args:
        texts: the text files of the folder, those of names and notes among them.
        images: all images of the folder.
        tree: the folder, with `data.yaml`, `classes.txt` or `obj.names` for the names.

    Raises:
        InputError: a file of names cannot be read.
    """
    names = _read_names(tree)
    places = {Path(file).parent for file in texts if is_yolo(file)}
    files = [file for file in texts if Path(file).parent in places and Path(file).name not in _NAME_FILES]
    root = Path(tree.path)
    used: dict[str, str] = {}
    alone = []
    for file in files:
        image, reason = images.beside(file)
        if image and image not in used:
            used[image] = file
        elif is_yolo(file) or reason != "its image is missing":
            alone.append((file, reason or "its image has another annotation, too"))
    blamed = {Path(file).stem for file, _ in alone}
    bare = [path for path in images.near(used) if Path(path).stem not in blamed]
    splits = splits_of([*used, *bare], root)
    found = [_read(file, image, splits[image], names) for image, file in used.items()]
    found += [Annotation(path, path, splits[path]) for path in bare]
    notes = (f"Images without a file of boxes, which have no object: {len(bare)}.",) if bare else ()
    return Annotations(found, names or (), tuple(alone), notes)


def _read(file: str, image: str, split: str, names: tuple[str, ...]) -> Annotation:
    try:
        lines = Path(file).read_text("utf-8-sig").splitlines()
        boxes = tuple(_box(line.split(), names) for line in lines if line.strip())
    except UnicodeDecodeError:
        return Annotation(file, image, split, fault="it is not a text")
    except OSError as error:
        return Annotation(file, image, split, fault=f"cannot be read: {error.strerror or error}")
    except ValueError as error:
        return Annotation(file, image, split, fault=str(error))
    return Annotation(file, image, split, boxes, is_relative=True)


def _box(words: Sequence[str], names: tuple[str, ...]) -> LabelledBox:
    number = words[0]
    if not number.isdecimal():
        raise ValueError(f"a line has the class {number[:20]!r}, which is no whole number")
    if names and int(number) >= len(names):
        raise ValueError(f"a line has the class {number}, and there are {len(names)} names, from 0 on")
    name = names[int(number)] if names else str(int(number))
    if len(words) != _BOX and (len(words) < 7 or len(words) % 2 == 0):
        raise ValueError(f"a line has {len(words)} numbers, and not class, centre, width and height")
    numbers = [read_corners([word, 0, 0, 0])[0] for word in words[1:]]
    outside = next((value for value in numbers if not -_SLACK <= value <= 1 + _SLACK), None)
    if outside is not None:
        raise ValueError(f"a line has the number {outside:g}, which is no fraction of a side")
    if len(words) > _BOX:
        xs, ys = numbers[::2], numbers[1::2]
        return LabelledBox((min(xs), min(ys), max(xs), max(ys)), name)
    x, y, width, height = numbers
    return LabelledBox((x - width / 2, y - height / 2, x + width / 2, y + height / 2), name)


def _read_names(tree: Folder) -> tuple[str, ...]:
    """Return the names of the classes from the first file that has some; an empty tuple if there is none."""
    for folder in (tree, *tree.below()):
        for file in map(Path, folder.files):
            if file.suffix.lower() in (".yaml", ".yml"):
                names = _names_in_yaml(file)
            elif file.name in _NAME_FILES:
                names = [line.strip() for line in _text_of(file).splitlines() if line.strip()]
            else:
                continue
            if names:
                return check_distinct(names, f"classes of {file}")
    return ()


def _names_in_yaml(file: Path) -> list[str]:
    try:
        content = yaml.safe_load(_text_of(file))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"`data.source` must have whole YAML files. Received: {file}: {reason}.") from error
    names: Any = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise InputError(
                f"`data.source` must number its classes from 0 on. Received: {file} with {list(names)[:5]}."
            )
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        return []
    if any(isinstance(name, (list, dict)) for name in names):  # with aliases, a text of it may be endless
        raise InputError(f"`data.source` must have a text for the name of each class. Received: {file} with a list.")
    return [str(name) for name in names]


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"`data.source` must have files of names that can be read. Received: {file}: {error}."
        ) from error
