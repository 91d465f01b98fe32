"""What the words of a command mean: a source, a run, a model. All is checked without TensorFlow."""

import re
from collections.abc import Sequence
from pathlib import Path

from tfl.errors import InputError
from tfl.files.existing import guess_source
from tfl.serving.options import problem_of_model
from tfl.workdir import Workdir, check_finished


def name_workdir(source: str) -> str:
    """Return the workdir of a source: `runs/NAME`.

    Example:
        >>> name_workdir("folder:/data/photos"), name_workdir("digits:0-4")
        ('runs/photos', 'runs/digits-0-4')
    """
    kind, _, name = source.partition(":")
    path = Path(name).expanduser()
    names = {"folder": path.resolve().name, "csv": path.stem, "tfds": name}
    name = names.get(kind, source)
    name = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    return f"runs/{name or 'run'}"


def the_one(words: Sequence[str], flag: str | None, name: str) -> str:
    """Return what a command is about: the one word that is not a flag, or the value of a flag.

    Raises:
        InputError: it is given twice, or not at all.
    """
    given = [*words, *([] if flag is None else [flag])]
    if len(given) != 1:
        raise InputError(f"`{name}` must be given once. Received: {' '.join(given) or 'none'}.")
    return given[0]


def finished_run(words: Sequence[str], workdir: str | None) -> str:
    """Return the folder of the finished run that a command is about.

    Raises:
        InputError: it is given twice or not at all, or it is not a finished run.
    """
    path = the_one(words, workdir, "workdir")
    Workdir.open_finished(path)
    return path


def check_model(path: str) -> None:
    """Refuse a path that is neither a finished run nor an exported model.

    Raises:
        InputError: it is none of these.
    """
    check_finished(Path(path).expanduser(), "model")
    problem = problem_of_model(path)
    if problem:
        raise InputError(f"`model` must be a finished workdir or an exported model. Received: {problem}.")


def check_files(files: Sequence[str]) -> None:
    """Refuse files of which none exists.

    Raises:
        InputError: there is none.
    """
    if not any(Path(file).expanduser().exists() for file in files):
        received = f"{files[0]!r}, which does not exist" if files else "no file"
        raise InputError(f"`files` must hold at least one usable file. Received: {received}.")


def other_source(word: str) -> str:
    """Return the source string that a flag means; "" if it is not given."""
    return guess_source(word) if word else ""
