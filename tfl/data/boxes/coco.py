"""Boxes in JSON files as COCO has them: one file for all images, or one for each split."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfl.data.boxes.annotation import Annotation, Annotations, read_corners, read_size
from tfl.data.boxes.images import Images, splits_of
from tfl.data.boxes.text import LabelledBox
from tfl.errors import InputError

_PARTS = ("images", "annotations", "categories")
_KEYS = ("file_name", "bbox")
_MAIN = "instances_"  # COCO has files of captions and key points beside those of boxes


def is_coco(file: str) -> bool:
    """Return whether a file may be a COCO file of boxes by its name and its parts."""
    if not file.lower().endswith(".json") or not Path(file).is_file():
        return False
    content = Path(file).read_bytes()
    return sum(f'"{key}"'.encode() in content for key in (*_PARTS, *_KEYS)) > 1  # a file that is cut short lacks some


def read_coco(files: Sequence[str], images: Images, root: Path) -> Annotations:
    """Read COCO files; an image that a file lists without boxes has no object.

    Args:
        files: the JSON files.
        images: all images of the folder.
        root: the folder.

    Raises:
        InputError: a file is not whole JSON, none has boxes, or two files have different classes.
    """
    main = [file for file in files if Path(file).name.startswith(_MAIN)] or list(files)
    splits = splits_of(main, root, by_stem=True)
    contents = {file: parse(file) for file in main}
    contents = {file: content for file, content in contents.items() if _may_hold_boxes(content)}
    if not contents:
        raise InputError(
            "`data.source` must have a COCO file with lists of images, annotations with a bbox, and categories. "
            f"Received: {', '.join(main)}."
        )
    notes = [f"Not read: {file}, which has no boxes." for file in files if file not in contents]
    names = class_names(contents)
    found: list[Annotation] = []
    alone: list[tuple[str, str]] = []
    used: dict[str, str] = {}
    for file, content in contents.items():
        for annotation in read_images(file, content, images, splits[file], alone):
            if annotation.image in used:
                same = "twice" if used[annotation.image] == file else f"in {used[annotation.image]}, too"
                alone.append((annotation.image, f"{file} lists it {same}; the first one counts"))
                continue
            used[annotation.image] = file
            found.append(annotation)
    more = len(images.near(used))
    notes += [f"Not read: {more} images that no annotation lists."] if more else []
    return Annotations(found, names, tuple(alone), tuple(notes))


def parse(file: str) -> dict[str, Any]:
    """Return the content of a JSON file, {} if it is not an object.

    Raises:
        InputError: the file cannot be read, or is not JSON.
    """
    try:
        content = json.loads(Path(file).read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = str(error) or "nested too deep"
        raise InputError(f"`data.source` must have whole JSON files. Received: {file}: {reason}.") from error
    except OSError as error:
        raise InputError(f"`data.source` must be readable. Received: {file}: {error.strerror or error}.") from error
    return content if isinstance(content, dict) else {}


def _is_list_of_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _may_hold_boxes(content: Mapping[str, Any]) -> bool:
    items = content.get("annotations")
    return (
        all(_is_list_of_dicts(content.get(part)) for part in _PARTS)
        and bool(content["categories"])
        and (not items or any("bbox" in item for item in items))
    )


def class_names(contents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the classes in the order of their ids, which must be the same in all files."""
    tables = {file: categories_of(content) for file, content in contents.items()}
    every = {name: None for table in tables.values() for name in table.values()}
    for file, table in tables.items():
        lacking = [name for name in every if name not in table.values()]
        if lacking:
            raise InputError(
                f"`data.source` must have the same categories in all files. Received: {file} without {lacking[0]!r}."
            )
    return tuple(every)


def categories_of(content: Mapping[str, Any]) -> dict[Any, str]:
    """Return the names of the categories by their ids, in the order of the ids; one without a name is left out."""
    named = [(item["id"], str(item.get("name") or "").strip()) for item in content["categories"] if is_id(item)]
    return dict(
        sorted(((number, name) for number, name in named if name), key=lambda pair: (str(type(pair[0])), pair[0]))
    )


def is_id(item: Mapping[str, Any], key: str = "id") -> bool:
    """Return whether an entry has a number or a text under a key that identifies something."""
    return isinstance(item.get(key), (int, str))


def read_images(
    file: str, content: Mapping[str, Any], images: Images, split: str, alone: list[tuple[str, str]]
) -> list[Annotation]:
    """Return what a file says about its images; the files without a partner are added to `alone`."""
    names, boxes = categories_of(content), {}
    for item in content["annotations"]:
        if is_id(item, "image_id"):
            boxes.setdefault(item["image_id"], []).append(item)
        else:
            alone.append((file, f"an annotation is of the image {item.get('image_id')!r}, which is no id"))
    found, known = [], set()
    for item in content["images"]:
        name = str(item.get("file_name") or "")
        path, reason = images.named(name, file) if name and is_id(item) else ("", "an image has no id or no name")
        if not reason and item["id"] in known:
            reason = f"its id {item['id']!r} is also that of another image"
        known.add(item["id"] if is_id(item) else None)
        if reason:
            alone.append((f"{file}: {name}", reason))
            continue
        found.append(_annotation(file, path, split, item, (boxes.get(item["id"], []), names)))
    lost = [number for number in boxes if number not in known]
    alone += [(file, f"annotations are of the image {number!r}, which is not listed") for number in lost]
    return found


def _annotation(
    file: str, path: str, split: str, item: Mapping[str, Any], given: tuple[list[dict[str, Any]], Mapping[Any, str]]
) -> Annotation:
    try:
        boxes = tuple(_box(box, given[1]) for box in given[0])
        size = read_size([item.get(side) for side in ("width", "height")])
    except ValueError as error:
        return Annotation(file, path, split, fault=str(error))
    return Annotation(file, path, split, boxes, size)


def _box(item: Mapping[str, Any], names: Mapping[Any, str]) -> LabelledBox:
    number = item.get("category_id")
    name = names.get(number) if isinstance(number, (int, str)) else None
    if name is None:
        raise ValueError(f"an annotation has the category {number!r}, which has no name")
    given = item.get("bbox")
    x, y, width, height = read_corners(given if isinstance(given, list) else [given])
    return LabelledBox((x, y, x + width, y + height), name, bool(item.get("iscrowd")))
