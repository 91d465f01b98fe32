"""Masks that are not in files of their own: drawn from the outlines of objects in JSON files as COCO has them.

An outline is a list of polygons or runs of pixels (RLE), which faster-coco-eval turns into pixels as COCO's own tools
do. All objects of an image are drawn into one mask from the largest to the smallest, so that a small object in front of
a large one stays visible. What no object covers is the class "background".
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfl import progress
from tfl.data.boxes.annotation import Annotation
from tfl.data.boxes.coco import categories_of, class_names, is_coco, is_id, parse, read_images
from tfl.data.boxes.images import Images, splits_of
from tfl.data.masks.mask_file import NUMBERS
from tfl.data.masks.pairs import Alone, Pair, leave_out_without_split
from tfl.data.masks.table import VOID, Named
from tfl.data.tree import Folder
from tfl.errors import InputError
from tfl.extras import check_extra

BACKGROUND = "background"
_KEY = "segmentation"


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The objects of one image.

    Attributes:
        size: width and height of the image.
        objects: (class number, runs of pixels) of each object, in the order in which they are drawn.
    """

    size: tuple[int, int]
    objects: tuple[tuple[int, dict[str, Any]], ...]

    def draw(self) -> np.ndarray:
        """Return the class number of each pixel, int32 `(H, W)`."""
        from faster_coco_eval.core import mask

        width, height = self.size
        values = np.zeros((height, width), np.int32)
        for number, runs in self.objects:
            values[mask.decode(runs) > 0] = number
        return values


@dataclasses.dataclass(frozen=True)
class Outlines:
    """What the JSON files of a folder say.

    Attributes:
        pairs: of images and the keys of their drawings.
        drawings: by key, `FILE: IMAGE`.
        named: the classes.
        alone: (path, reason) of what cannot be used.
    """

    pairs: list[Pair]
    drawings: Mapping[str, Drawing]
    named: Named
    alone: Alone

    def read(self, key: str) -> tuple[np.ndarray, str]:
        """Return the values of a mask, and what they are; see `read_values`."""
        return self.drawings[key].draw(), NUMBERS


def find_outline_files(tree: Folder) -> list[str]:
    """Return the JSON files below a folder that have outlines of objects."""
    return [file for file in tree.all_files() if is_coco(file) and f'"{_KEY}"'.encode() in Path(file).read_bytes()]


def read_outlines(files: Sequence[str], tree: Folder, root: Path) -> Outlines:
    """Read COCO files with outlines; an image without an object is background.

    Args:
        files: JSON files.
        tree: the folder of the images.
        root: its path; folders above it do not name a split.

    Raises:
        InputError: faster-coco-eval is not installed, a file is not whole JSON, none has outlines, two files have
            different classes, or there are more than 254 of them.
    """
    check_extra("masks:PATH with outlines of COCO", "faster_coco_eval", "detection")
    contents = {file: content for file in files if _has_outlines(content := parse(file))}
    if not contents:
        raise InputError(
            "`data.source` must have a COCO file with lists of images, annotations with a segmentation, and "
            f"categories. Received: {', '.join(files)}."
        )
    names = class_names(contents)
    plain = next((name for name in names if name.lower() == BACKGROUND), BACKGROUND)
    names = (plain, *(name for name in names if name != plain))
    if len(names) >= VOID:
        raise InputError(f"`data.source` must have masks of 2 to {VOID - 1} classes. Received: {len(names)}.")
    reader = _Reader(Images(tree), {name: number for number, name in enumerate(names)})
    for file, split in splits_of(contents, root, by_stem=True).items():
        reader.read(file, contents[file], split)
    if reader.empty:
        progress.say(f"Not drawn: {reader.empty} objects that cover no pixel.")
    named = Named(next(iter(contents)), tuple(range(len(names))), names)
    pairs, alone = leave_out_without_split(reader.pairs, reader.alone)
    return Outlines(pairs, reader.drawings, named, alone)


def _has_outlines(content: Mapping[str, Any]) -> bool:
    parts = [content.get(part) for part in ("images", "annotations", "categories")]
    are_lists = all(isinstance(part, list) and all(isinstance(item, dict) for item in part) for part in parts)
    return are_lists and bool(content["categories"]) and any(item.get(_KEY) for item in content["annotations"])


class _Reader:
    """Collects the drawings of files."""

    def __init__(self, images: Images, numbers: Mapping[str, int]) -> None:
        self.images, self.numbers = images, numbers
        self.pairs: list[Pair] = []
        self.drawings: dict[str, Drawing] = {}
        self.alone: list[tuple[str, str]] = []
        self.empty = 0
        self._used: dict[str, str] = {}

    def read(self, file: str, content: Mapping[str, Any], split: str) -> None:
        objects: dict[Any, list[dict[str, Any]]] = {}
        for item in content["annotations"]:
            if is_id(item, "image_id"):
                objects.setdefault(item["image_id"], []).append(item)
            else:
                self.alone.append((file, f"an annotation is of the image {item.get('image_id')!r}, which is no id"))
        known: set[Any] = set()
        for item in content["images"]:
            if is_id(item) and item["id"] in known:
                reason = f"its id {item['id']!r} is also that of another image"
                self.alone.append((f"{file}: {item.get('file_name') or ''}", reason))
                continue
            known.add(item["id"] if is_id(item) else None)
            alone = {"images": [item], "annotations": [], "categories": content["categories"]}
            for found in read_images(file, alone, self.images, split, self.alone):
                self._take(found, objects.get(item["id"], []), categories_of(content))
        lost = [number for number in objects if number not in known]
        self.alone += [(file, f"annotations are of the image {number!r}, which is not listed") for number in lost]

    def _take(self, found: Annotation, objects: Sequence[Mapping[str, Any]], names: Mapping[Any, str]) -> None:
        if found.image in self._used:
            same = "twice" if self._used[found.image] == found.file else f"in {self._used[found.image]}, too"
            self.alone.append((found.image, f"{found.file} lists it {same}; the first one counts"))
            return
        self._used[found.image] = found.file
        try:
            if found.fault or not all(side > 0 for side in found.size):
                raise ValueError(found.fault or f"{found.file} does not state its size")
            drawing = self._drawing(found.size, objects, names)
        except ValueError as error:
            self.alone.append((found.image, str(error)))
            return
        key = f"{found.file}: {found.image}"
        self.drawings[key] = drawing
        self.pairs.append(Pair(found.split, found.image, key))

    def _drawing(
        self, size: tuple[int, int], objects: Sequence[Mapping[str, Any]], names: Mapping[Any, str]
    ) -> Drawing:
        from faster_coco_eval.core import mask

        drawn = []
        for item in objects:
            number = item.get("category_id")
            name = names.get(number) if isinstance(number, (int, str)) else None
            if name is None:
                raise ValueError(f"an annotation has the category {number!r}, which has no name")
            runs = _runs(item.get(_KEY), size)
            drawn.append((int(mask.area(runs)), self.numbers[name], runs))
        self.empty += sum(not area for area, _, _ in drawn)
        order = sorted((one for one in drawn if one[0]), key=lambda one: -one[0])  # stable: later over earlier
        return Drawing(size, tuple((number, runs) for _, number, runs in order))


def _runs(outline: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Return the pixels of an outline as compressed runs.

    Raises:
        ValueError: it is no list of polygons and no runs of the size of the image; the message says why.
    """
    from faster_coco_eval.core import mask

    width, height = size
    if isinstance(outline, dict):
        if outline.get("size") != [height, width]:
            raise ValueError(f"an outline has the size {outline.get('size')}, and its image {[height, width]}")
        counts = outline.get("counts")
        try:
            if isinstance(counts, list):
                if sum(counts) != height * width or min(counts, default=0) < 0:
                    raise ValueError("they do not cover the image")
                return mask.frPyObjects([outline], height, width)[0]
            runs = {"size": [height, width], "counts": str(counts).encode("ascii")}
            if mask.decode(runs).shape != (height, width):
                raise ValueError("they do not cover the image")
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"an outline has wrong runs of pixels: {str(error)[:80]}") from error
        return runs
    if not isinstance(outline, list) or not outline:
        raise ValueError("an annotation has no outline")
    polygons = outline if isinstance(outline[0], list) else [outline]
    found = mask.frPyObjects([_polygon(polygon) for polygon in polygons], height, width)
    return mask.merge(found if isinstance(found, list) else [found])


def _polygon(points: Any) -> list[float]:
    try:
        numbers = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise ValueError("a polygon has values that are no numbers") from None
    if numbers.ndim != 1 or len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"a polygon has {numbers.size} numbers, and not two for each of at least three corners")
    if not np.isfinite(numbers).all():
        raise ValueError("a polygon has numbers that are not finite")
    return numbers.tolist()
