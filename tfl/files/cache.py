"""The cache folder, for files that can be computed again: image features, and photos as PNG for the graph."""

import os
from pathlib import Path

from tfl.files.writing import expand_home


def cache_folder(name: str) -> Path:
    """Return `$TFL_CACHE/NAME`, else a folder in the user's cache: `$XDG_CACHE_HOME/tfl/NAME` or `~/.cache/tfl/NAME`.

    Args:
        name: of the content of the folder.

    Raises:
        InputError: the home folder is not known.
    """
    general = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(expand_home(os.environ.get("TFL_CACHE") or f"{general}/tfl", "TFL_CACHE")) / name
