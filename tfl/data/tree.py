"""Read a folder tree from disk, without the files that other programs left in it."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tfl.errors import InputError
from tfl.registry import natural_key

_JUNK_FOLDERS = {  # in lower case; of network drives, Windows, macOS, Linux and Python
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "lost+found", "__macosx"),
    *("$recycle.bin", "system volume information", "found.000", "network trash folder", "temporary items"),
    *("_gsdata_", "__pycache__"),
}
_JUNK_FILES = {
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "picasa.ini",
    "zbthumbnail.info",
    "icon\r",
}
_JUNK_ENDINGS = (":zone.identifier", "@synoeastream", "@synoresource", ".aae", ".xmp", ".pp3")


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder with all its files and sub-folders, in natural order.

    Attributes:
        path: as given.
        real: the path without symbolic links.
        files: paths of the files directly in it.
        folders: the folders directly in it.
        ignored: names of ignored files and folders, here and below: hidden, or of other programs.
        may_be: whether a file with an ending may be an example; see `Input.may_be`.
    """

    path: str
    real: str
    files: tuple[str, ...]
    folders: tuple["Folder", ...]
    ignored: tuple[str, ...]
    may_be: Callable[[str], bool] = dataclasses.field(compare=False)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return Path(self.path).name

    @functools.cached_property
    def own_examples(self) -> int:
        """Number of files directly in it that may be examples."""
        return sum(self.may_be(os.path.splitext(file)[1]) for file in self.files)  # noqa: PTH122 - fast for many

    @functools.cached_property
    def num_examples(self) -> int:
        """Number of files here and below that may be examples."""
        return self.own_examples + sum(folder.num_examples for folder in self.folders)

    @functools.cached_property
    def num_files(self) -> int:
        """Number of files here and below."""
        return len(self.files) + sum(folder.num_files for folder in self.folders)

    def below(self) -> Iterator["Folder"]:
        """Yield every folder below this one."""
        for folder in self.folders:
            yield folder
            yield from folder.below()

    def all_files(self) -> list[str]:
        """Return the paths of all files here and below; a folder that is linked twice counts once."""
        seen: set[str] = set()
        return [
            file
            for folder in (self, *self.below())
            if not (folder.real in seen or seen.add(folder.real))
            for file in folder.files
        ]


def read_tree(
    path: str | Path, may_be: Callable[[str], bool] = lambda suffix: True, above: frozenset[str] = frozenset()
) -> Folder:
    """Read a folder with all its sub-folders. Links are followed, except links to a folder above (an endless loop).

    Args:
        path: of the folder; it is read even if its own name is one that is ignored.
        may_be: whether a file with an ending may be an example; see `Input.may_be`.
        above: real paths of the folders above.

    Raises:
        InputError: a folder cannot be opened.
    """
    real = os.path.realpath(path)
    try:
        with os.scandir(path) as entries:
            found = sorted(((entry.name, entry.path, entry.is_dir()) for entry in entries), key=_by_name)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"`folder` must be readable. Received: folder={path} ({reason}).") from error
    wanted = [item for item in found if not is_junk(item[0], is_folder=item[2])]
    linked = above | {real}
    folders = tuple(
        read_tree(path, may_be, linked)
        for _, path, is_folder in wanted
        if is_folder and os.path.realpath(path) not in linked
    )
    return Folder(
        str(path),
        real,
        tuple(path for _, path, is_folder in wanted if not is_folder),
        folders,
        (
            *(name for name, _, is_folder in found if is_junk(name, is_folder=is_folder)),
            *(name for folder in folders for name in folder.ignored),
        ),
        may_be,
    )


def is_junk(name: str, *, is_folder: bool) -> bool:
    """Return whether a name is hidden, or is a name that other programs use for their own files (thumbnails)."""
    if name.startswith("."):
        return True
    name = name.lower()
    return name in _JUNK_FOLDERS if is_folder else name in _JUNK_FILES or name.endswith(_JUNK_ENDINGS)


def describe_ignored(names: Iterable[str]) -> str:
    """Return one line about the ignored files and folders, or "" if there are none."""
    names = list(names)
    different = sorted(set(names), key=natural_key)
    listing = ", ".join(map(repr, different[:4])) + (", ..." if len(different) > 4 else "")
    subject = f"{len(names)} files and folders that are hidden or belong to other programs"
    return f"Ignored: {subject} ({listing})." if names else ""


def sketch(folder: Folder, depth: int = 3, width: int = 4) -> str:
    """Draw a tree in one line: each folder with its number of files, and its sub-folders in braces.

    Example: `photos {train {cat (20), dog (20)}, test (10)}`.
    """
    count = f" ({len(folder.files):,})" if folder.files or not folder.folders else ""
    shown = [sketch(item, depth - 1, width) for item in folder.folders[:width]] if depth else []
    hidden = len(folder.folders) - len(shown)
    shown += [f"{'+' if shown else ''}{hidden} {'more' if shown else 'folders'}"] if hidden else []
    name = folder.name if folder.name.isprintable() else repr(folder.name)
    return f"{name}{count}" + (f" {{{', '.join(shown)}}}" if shown else "")


def _by_name(item: tuple[str, str, bool]) -> tuple[tuple[int, int, str], ...]:
    return natural_key(item[0])
