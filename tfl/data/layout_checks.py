"""Refuse trees that can be read in more than one way, or in no way, with one line that draws the tree."""

import collections
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from tfl.data.split_names import find_splits
from tfl.data.tree import Folder, is_junk, sketch
from tfl.errors import InputError
from tfl.registry import look_alike, normal_name

IMAGE_WORDS = {"images", "imgs", "jpegimages", "jpgs", "pngs", "image_files"}
_DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")
_PART = re.compile(r"(fold|chunk|shard|batch|subset)[_ -]?\d+")


class ClassFolder(NamedTuple):
    """A folder with images of one class; `split` is "" if the data has no splits of its own."""

    split: str
    class_name: str
    folder: Folder


def refuse(rule: str, folder: Folder, advice: str = "") -> NoReturn:
    """Raise the error for a tree that breaks a rule; the message draws the tree."""
    drawn = str(Path(folder.path).parent / sketch(folder))
    raise InputError(f"`data.source` must {rule}. Received: {drawn}.{f' Did you mean {advice}?' if advice else ''}")


def is_nested(folder: Folder) -> bool:
    """Return whether most images of a folder are in its sub-folders; a few images directly in it do not matter."""
    return folder.own_examples * 2 < folder.num_examples


def check_classes(folder: Folder, candidates: Sequence[Folder], several: str, at_least: int) -> None:
    """Check the number, the images and the names of folders that may be classes.

    Args:
        folder: that contains them.
        candidates: the folders.
        several: the name of several examples, for messages.
        at_least: smallest number of them.

    Raises:
        InputError: they cannot be classes.
    """
    if len(candidates) < at_least:
        found = f"only the class folder {candidates[0].name}" if candidates else "no class folders"
        advice = "" if candidates else _folder_of_classes(folder)
        refuse(f"hold at least two class folders, as in CLASS/1.jpg, but it has {found}", folder, advice)
    empty = next((item for item in candidates if not item.num_files), None)
    if empty:
        refuse(f"have {several} for every class, but the class folder {empty.path} is empty", folder, "to remove it")
    without = next((item for item in candidates if not item.num_examples), None)
    if without:
        refuse(
            f"have usable {several} for every class, but class '{without.name}' has none",
            folder,
            f"to move {without.path} elsewhere",
        )
    names = {item.name.lower() for item in candidates}
    if names & IMAGE_WORDS:
        what = f"hold class folders, and not {several} beside labels or masks as for detection or segmentation"
        refuse(what, folder, "masks:PATH, which reads masks, or boxes:PATH")
    if all(_PART.fullmatch(name) for name in names):
        refuse("hold class folders, not parts of a data set", folder, "to sort them as CLASS/fold1/1.jpg")
    if all(_DATE.fullmatch(name) for name in names) and any(map(is_nested, candidates)):
        refuse("hold class folders at the top, not below dates", folder, "to sort them as CLASS/2023/1.jpg")


def _folder_of_classes(folder: Folder) -> str:
    """Return "folder:PATH" of the folder above, if this one looks like one of several class folders in it."""
    above = Path(folder.path).absolute().parent
    if folder.folders or not folder.own_examples:
        return ""
    try:
        beside = [item for item in above.iterdir() if item.is_dir() and not is_junk(item.name, is_folder=True)]
        classes = [item for item in beside if _holds_only_examples(item, folder)]
    except OSError:  # a folder beside it cannot be read
        return ""
    return f"folder:{above}" if len(classes) > 1 else ""


def _holds_only_examples(path: Path, other: Folder) -> bool:
    """Return whether a folder looks like a class folder: it has files that may be examples, and no folders."""
    with os.scandir(path) as entries:
        found = list(entries)
    return any(other.may_be(Path(item.name).suffix) for item in found) and not any(item.is_dir() for item in found)


def check_nesting(folder: Folder, candidates: Sequence[Folder]) -> None:
    """Check that no folder below the class folders could itself be a split or a class.

    Raises:
        InputError: there are split folders below, several classes without their own images have the same sub-folders,
            or a sub-folder has the name of another class.
    """
    for item in (folder, *(below for candidate in candidates for below in (candidate, *candidate.below()))):
        if {"train"} < set(find_splits(part.name for part in item.folders).values()):
            refuse("hold split folders at its top, and nothing beside them", folder, f"folder:{item.path}")
    tops = {_key(item): item.name for item in candidates}
    nested = {item.name for item in candidates if is_nested(item)}
    owners: dict[str, set[str]] = collections.defaultdict(set)
    for name, owner in _names_below(candidates):
        owners[name].add(owner)
    for name, found in owners.items():
        if len(found & nested) > 1 or (name in tops and found != {tops[name]}):
            refuse(
                f"have all class folders at one level; '{name}' is in more than one place",
                folder,
                "to merge the lower folders at the top, or, if the upper ones are the classes, to move their files up",
            )


def check_same_classes(found: Sequence[ClassFolder]) -> None:
    """Check that every split has the same classes.

    Raises:
        InputError: a class is missing in a split; the message shows names that differ only in case or blanks.
    """
    classes: dict[str, set[str]] = {}
    for item in found:
        classes.setdefault(item.split, set()).add(item.class_name)
    for name, names in classes.items():
        for other, others in classes.items():
            missing = sorted(names - others)
            if missing:
                alike = next((one for one in others if look_alike(one, missing[0])), None)
                hint = f" Names that differ only in case or blanks: {missing[0]!r}, {alike!r}." if alike else ""
                raise InputError(
                    "`data.source` must have the same classes in every split. "
                    f"Received: {', '.join(missing[:5])} in {name} but not in {other}.{hint}"
                )


def _names_below(candidates: Sequence[Folder]) -> Iterator[tuple[str, str]]:
    """Yield each folder name below a class, and the class; skip dates, parts and `images`, which are never classes."""
    for item in candidates:
        for below in item.below():
            name = _key(below)
            if below.num_examples and name not in IMAGE_WORDS and not (_DATE.fullmatch(name) or _PART.fullmatch(name)):
                yield name, item.name


def _key(folder: Folder) -> str:
    return normal_name(folder.name).casefold()
