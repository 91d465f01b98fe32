"""Read a folder of examples without labels: directly in it, or in any folders below it."""

from pathlib import Path

import numpy as np

from tfl import progress
from tfl.data.folder import FileSource, make_file_source, scan_rows
from tfl.data.layout import recognise
from tfl.data.tree import describe_ignored, read_tree
from tfl.errors import InputError
from tfl.files.existing import existing_folder
from tfl.inputs import Input


def has_class_folders(path: str, kind: Input) -> bool:
    """Return whether the examples of a folder are in class folders that can be read in one way.

    Args:
        path: of the folder.
        kind: what the files hold.

    Raises:
        InputError: the folder does not exist.
    """
    tree = read_tree(existing_folder(path, "data.source"), kind.may_be)
    try:
        recognise(tree, kind.noun)
    except InputError:
        return False
    return True


def load_unlabelled(path: str, kind: Input, max_bad_fraction: float = 0.1, argument: str = "data.source") -> FileSource:
    """Read all examples of a folder and of the folders below it; every label is 0, and all are in the split train.

    Args:
        path: of the folder; `~` is the home folder.
        kind: what the files hold.
        max_bad_fraction: more bad files than this fraction stop the run.
        argument: the option that names the folder, for messages.

    Raises:
        InputError: the folder does not exist, or has no example.

    Example:
        >>> source = load_unlabelled("photos", tfl.inputs.get_input("image").sized(32))
        >>> set(source.index.splits.tolist())
        {'train'}
    """
    root = existing_folder(path, argument)
    tree = read_tree(root, kind.may_be)
    files = [file for file in tree.all_files() if kind.may_be(Path(file).suffix)]
    if not files:
        raise InputError(f"`{argument}` must have {kind.noun[1]}. Received: folder:{path}, which has none.")
    if line := describe_ignored(tree.ignored):
        progress.say(line)
    good, bad = scan_rows(kind, [("train", "", file) for file in files], max_bad_fraction)
    ids = [Path(file).relative_to(root).as_posix() for (_, _, file), _ in good]
    return make_file_source(kind, ids, good, bad, np.zeros(len(good), np.float32), ())
