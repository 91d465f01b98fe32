"""Which images a finished run was made on, and how they are found again: in their place, or where they were moved."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.config import TransferConfig
from tfl.data import Source, load_source
from tfl.errors import InputError
from tfl.progress import say
from tfl.rules import PYTHON_DATA
from tfl.workdir import Workdir, read_csv

Rows = Sequence[dict[str, str]]


def recorded_splits(run: Workdir) -> list[dict[str, str]]:
    """Read the splits.csv of a run: id, path, label, split, sha256, ... of every image."""
    file = run / "splits.csv"
    if not file.exists():
        raise InputError(f"`workdir` must be a finished run. Received: {str(run.path)!r}: no splits.csv.")
    return read_csv(file)


def open_recorded(
    config: TransferConfig, source: str = "", data: Any = None, class_names: Sequence[str] = ()
) -> tuple[Source, str]:
    """Open the data of a run again.

    Args:
        config: the run's.
        source: where its images stand now; empty: where they stood.
        data: where the run was made on Python data, the same again.
        class_names: of the model that is asked; a folder may hold some of these alone.

    Returns:
        The data, and its name for messages.

    Raises:
        InputError: it cannot be opened.
    """
    if source and data is not None:
        raise InputError(f"`source` must be empty where `data` is given. Received: source={source!r}.")
    most = config.data.max_bad_fraction
    if data is not None:
        return load_source(data, most), PYTHON_DATA
    try:
        return load_source(source or config.data.source, most, class_names), source or config.data.source
    except InputError as error:
        if source or "folder that exists" not in str(error):
            raise
        raise InputError(f"{error} Where the photos were moved, `source` names their new place.") from error


def recorded_rows(data: Source, recorded: Rows, source: str, split: str = "test") -> np.ndarray:
    """Find the very images that a run was tested on: cutting the data anew could put training images among them.

    Args:
        data: the run's source, opened again.
        recorded: the rows of its splits.csv.
        source: the source string, for the message.
        split: "train", "validation" or "test".

    Returns:
        Their int64 rows in the index of `data`.

    Raises:
        InputError: some of them are gone or changed.
    """
    wanted, lost = _lost(data, recorded, split)
    if lost:
        raise InputError(
            f"`data.source` of the run must still hold its {split} images; `source` names others. Received: {source} "
            f"with {len(lost)} of {len(wanted)} gone or changed, the first: {lost[0]}."
        )
    return np.flatnonzero(np.isin(data.index.ids, wanted)).astype(np.int64)


def held_out_rows(data: Source, recorded: Rows, *, folds: bool = False) -> np.ndarray:
    """Take what another source holds out; say where the model has seen some of it.

    A source that holds all test images of the run, under the same ids, is the run's own, maybe moved: its test images
    are taken, and no others.

    Args:
        data: the source.
        recorded: the rows of the run's splits.csv.
        folds: whether the head was solved on the validation images too.

    Returns:
        int64 rows in the index of `data`.
    """
    wanted, lost = _lost(data, recorded, "test")
    if wanted and not lost:
        say(f"The source holds the run's own {len(wanted)} test images; these are evaluated.")
        return np.flatnonzero(np.isin(data.index.ids, wanted)).astype(np.int64)
    own = [rows for rows in map(data.index.rows, ("test", "validation")) if len(rows)]
    rows = own[0] if own else np.arange(len(data.index))
    _warn_of_seen(data.index.sha256[rows], recorded, folds=folds)
    return rows


def _lost(data: Source, recorded: Rows, split: str) -> tuple[list[str], list[str]]:
    """Return the ids of a split, and those that the data holds no more, or with another content."""
    digests = dict(zip(data.index.ids.tolist(), data.index.sha256.tolist(), strict=True))
    wanted = {row["id"]: row["sha256"] for row in recorded if row["split"] == split}
    return list(wanted), [name for name, digest in wanted.items() if digests.get(name) != digest]


def _warn_of_seen(digests: np.ndarray, recorded: Rows, *, folds: bool) -> None:
    splits = {"trained": {"train", "validation"} if folds else {"train"}, "chosen": {"validation"}}
    counts = {
        verb: int(np.isin(digests, [row["sha256"] for row in recorded if row["split"] in names]).sum())
        for verb, names in splits.items()
    }
    if folds:  # the same images as "trained"
        counts["chosen"] = 0
    said = " and ".join(f"{verb} on {count}" for verb, count in counts.items() if count)
    if said:
        say(f"Warning: the model was {said} of these {len(digests)} images: results will look too good.")
