"""Find the folders of images and of masks below a folder, and the pairs of files by their names."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from tfl.data.split_names import NO_SPLIT, SPLIT_WORDS, find_splits, in_no_split
from tfl.data.tree import Folder, sketch
from tfl.errors import InputError
from tfl.registry import natural_key

_MASK = "|".join(
    (
        *("annot(?:ation)?s?", "masks?", "labels?", "gt", "gtfine", "ground_?truth", "trimaps?"),
        *("seg(?:mentation)?s?", "segmentation_?(?:class|mask)s?"),
    )
)
_IMAGE = r"images?|imgs?|jpe?g_?images|photos?|pictures?|pics?|rgb|leftimg8bit|raw|inputs?"
_SPLIT = "|".join(sorted(SPLIT_WORDS, key=len, reverse=True))
_FOLDER = re.compile(
    rf"(?:(?P<before>{_SPLIT})[\W_]*)?(?:(?P<mask>{_MASK})|(?P<image>{_IMAGE}))(?:[\W_]*(?P<after>{_SPLIT}|\d+))?",
    re.IGNORECASE,
)
_MASK_FILES = (".png", ".tif", ".tiff", ".bmp", ".gif")  # beside the endings of the examples, which may be .npy
_MASK_ENDING = re.compile(rf"[\W_](?:{_MASK}|gtfine_labelids|labelids|color|l|p)$", re.IGNORECASE)
_IMAGE_ENDING = re.compile(rf"[\W_](?:{_IMAGE}|sat)$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Attributes:
        split: "train", "validation", "test" or "".
        image: path of the image.
        mask: path of the mask.
    """

    split: str
    image: str
    mask: str


Alone = tuple[tuple[str, str], ...]  # (path, reason) of the files that have no partner


@dataclasses.dataclass(frozen=True)
class _Place:
    """What the path of a folder says: whether it holds masks, and the words that it shares with its partner."""

    has_masks: bool
    key: tuple[str, ...]


def find_pairs(tree: Folder, source: str) -> tuple[list[Pair], Alone]:
    """Return the pairs of image and mask below a folder, and the files without a partner.

    A folder of masks is found by a word in its name: `images` and `masks`, `train` and `trainannot`, `val/images` and
    `val/labels`, `JPEGImages` and `SegmentationClass`. Two files belong together if their names are equal without their
    endings, or if only the mask has an ending such as `_mask`.

    Args:
        tree: the folder.
        source: the source string, for the message.

    Raises:
        InputError: there are no two such folders.
    """
    places = _places(tree)
    found = {key: sides for key, sides in places.items() if len(sides) == 2}
    if not found:
        raise InputError(
            "`data.source` must be a folder with a folder of images and a folder of masks, as images and masks, or "
            f"train and trainannot, or with a COCO file of outlines. Received: {source}: {sketch(tree)}."
        )
    pairs, alone = [], []
    for key, sides in found.items():
        split = next(filter(None, map(_split_of, key)), "")
        matched, left = _match(split, *(_files(sides[side], has_masks=side) for side in (False, True)))
        pairs += matched
        alone += left
    for key, sides in places.items():
        if key not in found:
            has_masks = True in sides
            reason = f"its folder has no partner of {'images' if has_masks else 'masks'}"
            alone += [(file, reason) for file in _files(sides[has_masks], has_masks=has_masks)]
    return leave_out_without_split(pairs, alone)


def leave_out_without_split(pairs: Sequence[Pair], alone: Sequence[tuple[str, str]]) -> tuple[list[Pair], Alone]:
    """Return the pairs without those that are in no split, if others are in one, and the latter among `alone`."""
    outside = in_no_split([pair.split for pair in pairs])
    left = [(pair.image, NO_SPLIT) for pair, is_outside in zip(pairs, outside, strict=True) if is_outside]
    return [pair for pair, is_outside in zip(pairs, outside, strict=True) if not is_outside], (*alone, *left)


def has_pairs(tree: Folder) -> bool:
    """Return whether there is a folder of images and one of masks below a folder that belong together."""
    return any(len(sides) == 2 for sides in _places(tree).values())


def _places(tree: Folder) -> dict[tuple[str, ...], dict[bool, list[Folder]]]:
    """Return the folders of images (False) and of masks (True) that belong together."""
    places: dict[tuple[str, ...], dict[bool, list[Folder]]] = {}
    for folder in (tree, *tree.below()):
        place = _read(Path(folder.path).relative_to(tree.path).parts)
        if _examples(folder, has_masks=place.has_masks):
            places.setdefault(place.key, {}).setdefault(place.has_masks, []).append(folder)
    return places


def _read(parts: Sequence[str]) -> _Place:
    """Read the folders of a path below the source."""
    has_masks, key = False, []
    for part in parts:
        found = _FOLDER.fullmatch(part)
        if found is None:
            key.append(_split_of(part) or part.lower())
            continue
        has_masks |= found["mask"] is not None
        key += [_split_of(word) or word for word in (found["before"], found["after"]) if word]
    return _Place(has_masks, tuple(key))


def is_mask_folder(name: str) -> bool:
    """Return whether the name of a folder says that it has masks of classes or of objects.

    Example:
        >>> is_mask_folder("SegmentationClass"), is_mask_folder("JPEGImages")
        (True, False)
    """
    found = _FOLDER.fullmatch(name)
    return name == "SegmentationObject" or (found is not None and found["mask"] is not None)


def _split_of(name: str) -> str:
    return find_splits([name]).get(name, "")


def _examples(folder: Folder, *, has_masks: bool) -> list[str]:
    """Return the files of a folder that may be examples, or masks of examples."""
    endings = [(file, Path(file).suffix) for file in folder.files]
    return [file for file, end in endings if folder.may_be(end) or (has_masks and end.lower() in _MASK_FILES)]


def _files(folders: Sequence[Folder], *, has_masks: bool) -> list[str]:
    return [file for folder in folders for file in _examples(folder, has_masks=has_masks)]


def _match(split: str, images: Sequence[str], masks: Sequence[str]) -> tuple[list[Pair], list[tuple[str, str]]]:
    """Return the pairs of two lists of files, and the files that are left, with the reason."""
    by_name: dict[str, list[str]] = {}
    for mask in masks:
        by_name.setdefault(Path(mask).stem, []).append(mask)
    by_stem: dict[str, list[str]] = {}
    for name, files in by_name.items():
        by_stem.setdefault(_MASK_ENDING.sub("", name), []).extend(files)
    pairs, left, used = [], [], set()
    for image in sorted(images, key=natural_key):
        name = Path(image).stem
        found = by_name.get(name) or by_stem.get(name) or by_stem.get(_IMAGE_ENDING.sub("", name)) or []
        if len(found) != 1:
            reason = "it has no mask" if not found else f"it has {len(found)} masks: {', '.join(found[:3])}"
            left.append((image, reason))
            used.update(found)
            continue
        pairs.append(Pair(split, image, found[0]))
        used.add(found[0])
    return pairs, left + [(mask, "it has no image") for mask in masks if mask not in used]
