"""What the words of a command mean: a source, a run, a model. All is checked without TensorFlow."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tfl.config.values import split_source
from tfl.errors import InputError
from tfl.files.existing import guess_source, place_name
from tfl.runs.checks import check_run
from tfl.workdir import Workdir


def name_workdir(source: str) -> str:
    """Return the workdir of a source: `runs/NAME`.

    Example:
        >>> name_workdir("folder:/data/photos,csv:more.csv"), name_workdir("digits:0-4")
        ('runs/photos-more', 'runs/digits-0-4')
    """
    name = re.sub(r"[^\w.-]+", "-", "-".join(map(_name, split_source(source)))).strip("-.")
    return f"runs/{name or 'run'}"


def _name(source: str) -> str:
    name = place_name(source)
    return source.removeprefix("tfds:") if name is None else name


def the_one(words: Sequence[str], flag: str | None, name: str) -> str:
    """Return what a command is about: the one word that is not a flag, or the value of a flag.

    Raises:
        InputError: it is given twice, or not at all.
    """
    given = [*words, *([] if flag is None else [flag])]
    if len(given) != 1:
        raise InputError(f"`{name}` must be given once. Received: {' '.join(given) or 'none'}.")
    return given[0]


def finished_run(words: Sequence[str], workdir: str | None, *needs: str) -> Workdir:
    """Return the finished run that a command is about.

    Args:
        words: the words of the command that are no flags.
        workdir: the flag that may name the run.
        needs: names of files in the run that will be used; see `check_run`.

    Raises:
        InputError: it is given twice or not at all, it is not a finished run, or a file in it is missing or damaged.
    """
    return check_run(the_one(words, workdir, "workdir"), needs=needs)


def check_files(files: Sequence[str]) -> None:
    """Refuse files of which none exists, and folders without any file.

    Raises:
        InputError: there is none.
    """
    if not any(map(_holds_a_file, files)):
        received = "no file"
        if files:
            found = "has no files" if Path(files[0]).expanduser().is_dir() else "does not exist"
            received = f"{files[0]!r}, which {found}"
        raise InputError(f"`files` must hold at least one usable file. Received: {received}.")


def _holds_a_file(path: str) -> bool:
    place = Path(path).expanduser()
    return any(names for _, _, names in os.walk(place)) if place.is_dir() else place.exists()


def other_source(word: str) -> str:
    """Return the source string that a flag means; "" if it is not given."""
    return guess_source(word) if word else ""
