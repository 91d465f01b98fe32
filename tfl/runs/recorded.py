"""Find the images of a finished run again, in their old place or in a new one."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.build import reading_options
from tfl.config import PYTHON_DATA, TransferConfig
from tfl.config.values import source_kinds
from tfl.data import Source, load_source
from tfl.data.decisions import RELABEL, apply_decisions, read_decisions
from tfl.data.groups import with_recorded_groups
from tfl.data.index import read_splits
from tfl.data.reading import OPTIONS
from tfl.errors import InputError
from tfl.evaluation.evaluation import Evaluation
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.tables import read_column, read_predictions
from tfl.files.reading import read_json, refuse_file
from tfl.files.schemas import EVALUATION
from tfl.inputs import Input
from tfl.models.metadata import Metadata
from tfl.progress import say
from tfl.registry import normal_name
from tfl.tasks import Task
from tfl.workdir import DECISIONS, GROUPS, Workdir

Rows = Sequence[dict[str, str]]


def recorded_splits(run: Workdir) -> list[dict[str, str]]:
    """Read the splits.csv of a run: id, path, label, split, sha256, ... of every image."""
    file = run / "splits.csv"
    if not file.exists():
        raise InputError(f"`workdir` must be a finished run. Received: {str(run.path)!r}, which has no splits.csv.")
    return read_splits(file)


def recorded_predictions(
    run: Workdir, split: str, target: str | Task = "", class_names: Sequence[str] = ()
) -> tuple[Predictions, tuple[str, ...]]:
    """Read the predictions of a run on its test or validation images.

    Args:
        run: a finished run.
        split: "test" or "validation".
        target: the task, or its name.
        class_names: the class names of the model, which the table must have; empty: no check.

    Returns:
        The table, with the names of the examples as its ids and the groups of splits.csv, and the class names.

    Raises:
        InputError: the file is missing or damaged, or it has other classes than the model or other examples than
            splits.csv.
    """
    file = run / {"test": "predictions.csv", "validation": "validation_predictions.csv"}[split]
    if not file.exists():
        raise InputError(f"`workdir` must be a finished run. Received: {str(run.path)!r}, which has no {file.name}.")
    table, names = read_predictions(file, target)
    if class_names and [*map(normal_name, names)] != [*map(normal_name, class_names)]:
        raise refuse_file(
            file, f"its classes are {', '.join(names)}, and those of the model are {', '.join(class_names)}"
        )
    rows = recorded_splits(run)
    _check_listed(file, split, rows)
    return dataclasses.replace(table, groups=_groups(table, rows)), names


def _groups(table: Predictions, rows: Rows) -> np.ndarray | None:
    """Return a number for each example, equal for those of one group; None if the run has no groups."""
    group_of = {row["id"]: row["group"] for row in rows if row.get("group")}
    if not group_of:
        return None
    names = table.ids.tolist()  # an example of no group is a group of its own
    keys = [("group", group_of[name]) if name in group_of else ("id", name) for name in names]
    first = {key: number for number, key in reversed([*enumerate(keys)])}
    return np.array([first[key] for key in keys], np.int64)


def recorded_evaluation(run: Workdir, task: Task) -> Evaluation | None:
    """Read the evaluation.json of a run; None if the run did not write it, as older runs.

    Raises:
        InputError: the file is damaged.
    """
    file = run / "evaluation.json"
    if not file.exists():
        return None
    values = read_json(file, EVALUATION)
    try:
        return Evaluation.from_dict(values, task.headline.metric)
    except ValueError as error:
        raise refuse_file(file, error) from error


def _check_listed(file: Any, split: str, recorded: Rows) -> None:
    """Check that a table of predictions has the images that splits.csv lists, with the same labels."""
    labels = read_column(file, "label")
    wanted = {row["id"]: row["label"] for row in recorded if row["split"] == split}
    # With held-out folds, the table of validation also has the images of train.
    listed = wanted if split == "test" else {row["id"]: row["label"] for row in recorded if row["split"] != "test"}
    if unlisted := next((name for name in labels if name not in listed), None):
        raise refuse_file(file, f"splits.csv does not list {unlisted!r} for {split}")
    if missing := next((name for name in wanted if name not in labels), None):
        raise refuse_file(file, f"it lacks {missing!r}, which splits.csv lists for {split}")
    for name, label in labels.items():
        if not _is_same_label(label, listed[name]):
            raise refuse_file(file, f"the label of {name!r} is {label!r}, but {listed[name]!r} in splits.csv")


def _is_same_label(first: str, second: str) -> bool:
    """Compare two labels as they are written; one of the files rounds values to nine digits."""
    if normal_name(first) == normal_name(second):
        return True
    try:
        return math.isclose(float(first), float(second), rel_tol=1e-6)
    except ValueError:
        return False


def check_recorded_config(config: TransferConfig, metadata: Metadata, path: Any) -> None:
    """Check that config.json describes the network in the model file.

    Raises:
        InputError: config.json describes another network.
    """
    pairs = {
        "backbone.name": (config.backbone.name.lower(), metadata.backbone.lower()),
        "backbone.alpha": (config.backbone.alpha, metadata.alpha),
        "data.image_size": (config.data.image_size or metadata.image_size, metadata.image_size),
        "task.name": (config.task.name, metadata.target),
    }
    for name, (recorded, model) in pairs.items():
        if recorded != model:
            raise refuse_file(path, f"{name} is {recorded!r}, but {model!r} in the model")


def open_recorded(
    config: TransferConfig, kind: Input, source: str = "", data: Any = None, class_names: Sequence[str] = ()
) -> tuple[Source, str]:
    """Open the data of a run again.

    Args:
        config: the config of the run.
        kind: the input of its model.
        source: the new place of its images; empty: they were not moved.
        data: the same Python data again, if the run was made on Python data.
        class_names: the class names of the model; a folder may have only some of them.

    Returns:
        The data, and its name for messages.

    Raises:
        InputError: the data cannot be opened.
    """
    if source and data is not None:
        raise InputError(f"`source` must be empty if `data` is given. Received: source={source!r}.")
    most, depth = config.data.max_bad_fraction, config.data.bit_depth
    table = reading_options(config)
    if data is not None:
        return load_source(data, most, bit_depth=depth, kind=kind, **table), PYTHON_DATA
    here, there = (source_kinds(place) for place in (config.data.source, source or config.data.source))
    for name, (kinds, _) in OPTIONS.items():
        if not set(kinds) & there or (here != there and name in ("columns", "tfds_splits", "tfds_dir")):
            table[name] = ""  # the new place may be a folder
    try:
        opened = load_source(source or config.data.source, most, class_names, depth, kind, **table)
        return opened, source or config.data.source
    except InputError as error:
        if source or "folder that exists" not in str(error):
            raise
        raise InputError(f"{error} If the photos were moved, give their new place as `source`.") from error


def as_decided(run: Workdir, data: Source, recorded: Rows) -> Source:
    """Return the data of a run with the labels and the groups that files gave to its examples.

    Args:
        run: the folder of the run.
        data: the run's source, opened again, or another one: only examples with the same id and content change.
        recorded: the rows of the run's splits.csv.
    """
    if (run / GROUPS).exists():
        data = data.with_index(with_recorded_groups(data.index, run / GROUPS))
    if not (run / DECISIONS).exists():
        return data
    index, digests = data.index, {row["id"]: row["sha256"] for row in recorded}
    here = dict(zip(index.ids.tolist(), index.sha256.tolist(), strict=True))
    decisions = {
        name: (choice, label)
        for name, (choice, label) in read_decisions(run / DECISIONS).items()
        if choice == RELABEL and here.get(name) == digests.get(name, "")
    }
    return data.with_index(apply_decisions(index, decisions)[0])


def recorded_rows(data: Source, recorded: Rows, source: str, split: str = "test") -> np.ndarray:
    """Find the images of one recorded split of a run.

    A new random split of the same data could put training images into the test split.

    Args:
        data: the run's source, opened again.
        recorded: the rows of the run's splits.csv.
        source: the source string, for the message.
        split: "train", "validation" or "test".

    Returns:
        The rows of these images in the index of `data`, int64.

    Raises:
        InputError: some of the images are missing or changed.
    """
    wanted, lost = _lost(data, recorded, split)
    if lost:
        raise InputError(
            f"`data.source` of the run must still have its {split} {data.kind.noun[1]}; if they were moved, give "
            f"`source`. Received: {source} with {len(lost)} of {len(wanted)} missing or changed, the first: {lost[0]}."
        )
    return np.flatnonzero(np.isin(data.index.ids, wanted)).astype(np.int64)


def held_out_rows(data: Source, recorded: Rows, *, folds: bool = False) -> np.ndarray:
    """Choose the images of another source to evaluate, and warn if the model was trained or chosen on some of them.

    If the source holds all test images of the run under the same ids, it is the run's own source, perhaps moved. Then
    only these test images are evaluated.

    Args:
        data: the source.
        recorded: the rows of the run's splits.csv.
        folds: whether the head was solved on the validation images too.

    Returns:
        Rows in the index of `data`, int64.
    """
    several = data.kind.noun[1]
    wanted, lost = _lost(data, recorded, "test")
    if wanted and not lost:
        say(f"The source has all {len(wanted)} test {several} of the run, so only these are evaluated.")
        return np.flatnonzero(np.isin(data.index.ids, wanted)).astype(np.int64)
    own = [rows for rows in map(data.index.rows, ("test", "validation")) if len(rows)]
    rows = own[0] if own else np.arange(len(data.index))
    _warn_of_seen(data.index.sha256[rows], recorded, several, folds=folds)
    return rows


def _lost(data: Source, recorded: Rows, split: str) -> tuple[list[str], list[str]]:
    """Return the ids of a split, and the ids of the images that are missing from the data or have other contents."""
    digests = dict(zip(data.index.ids.tolist(), data.index.sha256.tolist(), strict=True))
    wanted = {row["id"]: row["sha256"] for row in recorded if row["split"] == split}
    return list(wanted), [name for name, digest in wanted.items() if digests.get(name) != digest]


def _warn_of_seen(digests: np.ndarray, recorded: Rows, several: str, *, folds: bool) -> None:
    splits = {"trained": {"train", "validation"} if folds else {"train"}, "chosen": {"validation"}}
    counts = {
        verb: int(np.isin(digests, [row["sha256"] for row in recorded if row["split"] in names]).sum())
        for verb, names in splits.items()
    }
    if folds:  # the same images as "trained"
        counts["chosen"] = 0
    uses = " and ".join(f"{verb} on {count}" for verb, count in counts.items() if count)
    if uses:
        say(f"Warning: the model was {uses} of these {len(digests)} {several}, so the results are too optimistic.")
