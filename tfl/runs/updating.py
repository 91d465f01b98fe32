"""Which finished runs can be updated, and which of their examples to remove; answered without TensorFlow."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from etils import epath

from tfl.config import PYTHON_DATA, TransferConfig
from tfl.errors import InputError
from tfl.registry import did_you_mean
from tfl.workdir import STATISTICS, Workdir, read_config

Row = dict[str, str]  # an example as in splits.csv


def check_update(workdir: epath.PathLike) -> tuple[Workdir, TransferConfig]:
    """Open a finished run that can be updated.

    Raises:
        InputError: it is not finished, its head was not solved by ridge regression, or its examples are no files.
    """
    run = Workdir.open_finished(workdir)
    config = read_config(run)
    if config.probe.solver != "ridge" or not (run / STATISTICS).exists():
        raise InputError(
            "`workdir` must be a run whose head was solved by ridge regression: train it with "
            "--config.probe.solver=ridge. "
            f"Received: {str(run.path)!r}, which has probe.solver={config.probe.solver!r}"
            f"{'' if (run / STATISTICS).exists() else f' and no {STATISTICS}'}."
        )
    kinds = {part.partition(":")[0] for part in config.data.source.split(",")}
    if config.data.source == PYTHON_DATA or not kinds <= {"folder", "csv"}:
        raise InputError(
            "`workdir` must be a run on files, from a folder or a table. "
            f"Received: {str(run.path)!r}, which has data.source={config.data.source!r}."
        )
    return run, config


def find_removed(words: Sequence[str], recorded: Sequence[Row]) -> list[Row]:
    """Return the recorded examples that words name by their ids, by their paths, or line by line in a file.

    Raises:
        InputError: a word names no example.
    """
    by_name = {row["path"]: row for row in recorded if row["path"]} | {row["id"]: row for row in recorded}
    names = [name for word in words for name in _names_in(word, by_name)]
    known = {name: by_name.get(name) or by_name.get(_full(name)) for name in names}
    if unknown := [name for name, row in known.items() if row is None]:
        raise InputError(
            "`remove` must name examples of the run by the ids or paths of its splits.csv, or a file with one in "
            f"each line. Received: {unknown[0]!r}.{did_you_mean(unknown[0], by_name)}"
        )
    found = {row["id"]: row for row in known.values() if row is not None}
    return list(found.values())


def _names_in(word: str, by_name: Mapping[str, Row]) -> list[str]:
    """Return the names in one word: a name, the lines of a file, or several names with commas between them."""
    if word in by_name or _full(word) in by_name:
        return [word]
    if Path(word).expanduser().is_file():
        try:
            lines = Path(word).expanduser().read_text("utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise InputError(f"`remove` must name a text file with one id in each line. Received: {word!r}.") from error
        return [line.strip() for line in lines if line.strip()]
    return [part.strip() for part in word.split(",") if part.strip()]


def _full(path: str) -> str:
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - does not follow links, as the paths of a run
