"""Find which folders are the classes and which are the splits; refuse a tree that can be read in more than one way.

A wrong reading gives no error but a useless model: it would separate `Training` from `Testing`, 2023 from 2024, or
images from masks.
"""

import dataclasses
import re
from collections.abc import Sequence

from tfl.data.layout_checks import (
    IMAGE_WORDS,
    ClassFolder,
    check_classes,
    check_nesting,
    check_same_classes,
    is_nested,
    refuse,
)
from tfl.data.split_names import SPLITS, find_splits
from tfl.data.tree import Folder
from tfl.registry import normal_name

_COMPANIONS = {  # folders beside the images; without images in them they are not classes
    *("label", "labels", "annotation", "annotations", "anns", "mask", "masks", "groundtruth", "ground_truth", "gt"),
    *("xmls", "imagesets", "bboxes", "metadata"),
}
_UNLABELLED = re.compile(r"(^|[\W_])(preds?|predict|predictions?|unlabell?ed|unsupervised)([\W_\d]|$)", re.IGNORECASE)


@dataclasses.dataclass
class Layout:
    """The class folders and splits of a tree.

    Attributes:
        classes: in the order train, validation, test; a class may have several folders.
        notes: lines for the user about decisions that are not obvious.
        nouns: the name of one example and of several, for messages.
    """

    classes: list[ClassFolder]
    notes: list[str]
    nouns: tuple[str, str]


def recognise(root: Folder, nouns: tuple[str, str]) -> Layout:
    """Find the class folders below a folder, also below split folders and wrapper folders.

    Args:
        root: the folder.
        nouns: the name of one example and of several, for messages.

    Raises:
        InputError: there are no class folders, or the tree can be read in two ways; the message draws the tree.
    """
    layout = Layout([], [], nouns)
    top = _unwrap(root, layout)
    if top is not root:
        layout.notes.append(f"The data is read from {top.path}.")
    for split, folder in _split_folders(top, layout) or [("", top)]:
        _add_classes(_unwrap(folder, layout) if split else folder, split, layout)
    layout.classes.sort(key=lambda item: ("", *SPLITS).index(item.split))
    check_same_classes(layout.classes)
    if len({item.class_name for item in layout.classes}) < 2:
        refuse("hold at least two class folders with different names", top)
    return layout


def _unwrap(folder: Folder, layout: Layout) -> Folder:
    """Go down while a single folder holds all the data, as in unpacked archives (`photos/photos/cat`)."""
    while True:
        holders = [item for item in folder.folders if item.num_examples or not item.num_files]
        if len(holders) != 1 or not is_nested(holders[0]):
            return folder
        _note_unread(folder, holders, layout)
        folder = holders[0]


def _split_folders(top: Folder, layout: Layout) -> list[tuple[str, Folder]]:
    """Return (split, folder) pairs, or an empty list if the folders are not splits."""
    roles = find_splits(item.name for item in top.folders)
    splits = [(roles[item.name], item) for item in top.folders if item.name in roles]
    others = [item for item in top.folders if item.name not in roles]
    names = [split for split, _ in splits]
    # A single `train` may be a class (of vehicles); it is a split if class folders are below it.
    is_lone_split = names == ["train"] and is_nested(splits[0][1])
    if not ({"train"} < set(names) or is_lone_split or (len(names) > 1 and not others)):
        return []
    clash = any(item.num_examples and not _UNLABELLED.search(item.name) for item in others)
    if clash or len(set(names)) < len(names) or "train" not in names:
        refuse("hold each split folder (train, validation, test) once and no class folders beside them", top)
    flat = [item for _, item in splits if not _class_candidates(_unwrap(item, Layout([], [], layout.nouns)))]
    if flat:
        train = next(item for split, item in splits if split == "train")
        advice = "" if train in flat else f"folder:{train.path}"
        refuse(f"have class folders in every split, as in {flat[0].name}/CLASS/1.jpg", top, advice)
    _note_unread(top, [item for _, item in splits], layout)
    return sorted(splits, key=lambda item: SPLITS.index(item[0]))


def _class_candidates(folder: Folder) -> list[Folder]:
    """Return the folders that may be classes: not a single folder `images`, and not `test/test`."""
    found = [item for item in folder.folders if item.num_examples or item.name.lower() not in _COMPANIONS]
    names = [item.name for item in found]
    if len(found) == 1 and (names == [folder.name] or names[0].lower() in IMAGE_WORDS or find_splits(names)):
        return []
    return found


def _add_classes(folder: Folder, split: str, layout: Layout) -> None:
    candidates = _class_candidates(folder)
    check_classes(folder, candidates, layout.nouns[1], at_least=1 if split else 2)  # splits are compared later
    swapped = _splits_below(candidates)
    if swapped and not split:
        layout.classes += swapped
        layout.notes.append(f"The splits are the folders in each class folder of {folder.path}.")
    else:
        check_nesting(folder, candidates)
        layout.classes += [ClassFolder(split, normal_name(item.name), item) for item in candidates]
        nested = next((item for item in candidates if is_nested(item)), None)
        if nested:
            below = ", ".join(item.name for item in nested.folders[:3])
            layout.notes.append(
                f"The classes are the {len(candidates)} folders in {folder.path}; "
                f"{layout.nouns[1]} in folders below a class belong to that class, as in {nested.name}: {below}."
            )
    _note_unread(folder, candidates, layout)


def _splits_below(candidates: Sequence[Folder]) -> list[ClassFolder]:
    """Return `cat/train, cat/test, dog/train, ...` as classes by split, or an empty list for any other layout."""
    result: list[ClassFolder] = []
    for item in candidates:
        roles = find_splits(part.name for part in item.folders)
        is_plain = all(part.name in roles and part.num_examples and not is_nested(part) for part in item.folders)
        if item.own_examples or not is_plain or len(set(roles.values())) < len(item.folders):
            return []
        result += [ClassFolder(roles[part.name], normal_name(item.name), part) for part in item.folders]
    return result if {"train"} < {part.split for part in result} else []


def _note_unread(folder: Folder, read: Sequence[Folder], layout: Layout) -> None:
    """Note the files and folders beside `read` that are not read; refuse a folder with most images directly in it."""
    if folder.own_examples and folder.own_examples * 2 >= folder.num_examples:
        refuse(f"have every {layout.nouns[0]} in a class folder", folder)
    if folder.own_examples:
        layout.notes.append(f"Not read: {folder.own_examples} files beside the folders in {folder.path}.")
    for item in folder.folders:
        if item not in read:
            layout.notes.append(f"Not read: {item.path}: it has no class folders with {layout.nouns[1]}.")
