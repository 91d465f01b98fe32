"""The images of a folder, found by the names that files of annotations give them."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from tfl.data.masks.pairs import is_mask_folder
from tfl.data.split_names import find_splits
from tfl.data.tree import Folder


class Images:
    """All images below a folder.

    Args:
        tree: the folder.
    """

    def __init__(self, tree: Folder) -> None:
        self.paths = [file for file in tree.all_files() if tree.may_be(Path(file).suffix) and Path(file).suffix]
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(Path(path).name, []).append(path)
            self._by_stem.setdefault(Path(path).stem, []).append(path)

    def beside(self, file: str) -> tuple[str, str]:
        """Return the image with the name of an annotation of one image, and "" or the reason that there is none."""
        found = self._by_stem.get(Path(file).stem, [])
        photos = [path for path in found if not is_mask_folder(Path(path).parent.name)]  # VOC has masks of that name
        return _only(_nearest(photos or found, Path(file).parent))

    def named(self, name: str, file: str) -> tuple[str, str]:
        """Return the image that an annotation names, and "" or the reason that there is none.

        Args:
            name: with or without folders.
            file: that names it; of several images of one name the nearest one counts.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        found = self._by_name.get(wanted.name, [])
        parts = [part for part in wanted.parts if part not in ("/", ".", "..")]
        whole = [path for path in found if list(Path(path).parts[-len(parts) :]) == parts]
        return _only(_nearest(whole or found, Path(file).with_suffix("")))

    def near(self, used: Collection[str]) -> list[str]:
        """Return the images that are in the folders of the used ones and are not used themselves."""
        folders = {Path(path).parent for path in used}
        return [path for path in self.paths if path not in used and Path(path).parent in folders]


def splits_of(files: Iterable[str], root: Path, *, by_stem: bool = False) -> dict[str, str]:
    """Return the split of each file by the names of the folders that it is in; "" for none.

    Args:
        files: below the root.
        root: the folder above which no name counts.
        by_stem: whether the name of the file itself counts first, as that of a file about many images.

    Example:
        >>> splits_of(["d/train/a.xml", "d/val/b.xml", "d/notes/c.xml"], Path("d"))
        {'d/train/a.xml': 'train', 'd/val/b.xml': 'validation', 'd/notes/c.xml': ''}
    """
    parts = {file: _names(file, root)[not by_stem :] for file in files}
    found = dict.fromkeys(parts, "")
    for level in range(max(map(len, parts.values()), default=0)):
        roles = find_splits({names[level] for names in parts.values() if level < len(names)})
        for file, names in parts.items():
            if not found[file] and level < len(names):
                found[file] = roles.get(names[level], "")
    return found


def _names(file: str, root: Path) -> list[str]:
    """Return the stem of a file and the names of its folders, from the inside to the outside."""
    path = Path(file).relative_to(root)
    return [path.stem, *(part.name for part in path.parents if part.name)]


def _nearest(found: Sequence[str], place: Path) -> list[str]:
    """Return the paths that share the most words of folders with a place."""
    if len(found) < 2:
        return list(found)
    shared = {path: _shared(Path(path).parent, place) for path in found}
    return [path for path in found if shared[path] == max(shared.values())]


def _shared(folder: Path, place: Path) -> int:
    return len(_words(folder) & _words(place))


def _words(folder: Path) -> set[str]:
    roles = find_splits(folder.parts)
    return {roles.get(part, part) for part in folder.parts} | {
        word for part in folder.parts for word in part.split("_")
    }


def _only(found: Sequence[str]) -> tuple[str, str]:
    if len(found) == 1:
        return found[0], ""
    names = ", ".join(Path(path).name for path in found[:3])
    return "", f"it has {len(found)} images: {names}" if found else "its image is missing"
