"""Check a path of the user before anything slow starts: it must exist; if not, suggest its nearest neighbour."""

import difflib
from pathlib import Path

from tfl.errors import InputError
from tfl.files.writing import expand_home


def existing_folder(path: str, argument: str) -> Path:
    """Return the folder of images that `folder:PATH` names, without `~`.

    Raises:
        InputError: there is no such folder.
    """
    root = Path(expand_home(path, argument))
    if not root.is_dir():
        raise InputError(f"`{argument}` must name a folder that exists. Received: folder:{path}.{nearest(root)}")
    return root


def nearest(path: Path) -> str:
    """Return " Did you mean ...?" with the folder beside a missing path that has a similar name, "" if none has."""
    parent = path.parent
    names = [item.name for item in parent.iterdir() if item.is_dir()] if parent.is_dir() else []
    similar = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f" Did you mean '{parent / similar[0]}'?" if similar else ""
