"""Update a finished run: add and remove examples, and solve its head again without the whole training."""

import collections
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from etils import epath

from tfl.build import make_extractor
from tfl.checks import check_outside_of_sources
from tfl.config import DataConfig, PretrainConfig, TransferConfig
from tfl.data import reading_explained
from tfl.data.folder import FileSource
from tfl.data.index import index_of_splits
from tfl.data.reading import Reading
from tfl.data.table.read import Table
from tfl.data.table.source import load_table
from tfl.errors import InputError
from tfl.features import open_store, ridge_targets
from tfl.features.statistics_file import StoredStatistics, example_key, read_statistics
from tfl.files.existing import guess_source
from tfl.files.reading import read_csv
from tfl.models.classifier import load_model, split_at_features
from tfl.models.metadata import Metadata
from tfl.progress import say
from tfl.recipe.finished import TransferResult
from tfl.recipe.transfer import transfer
from tfl.recipe.update_plan import Plan, make_plan, open_added
from tfl.runs.recorded import check_recorded_config, recorded_splits
from tfl.runs.updating import Row, check_update, find_removed
from tfl.workdir import EXAMPLES, STATISTICS, Workdir, write_csv


@reading_explained()
def update_run(
    workdir: epath.PathLike,
    output: epath.PathLike,
    *,
    add: str | os.PathLike[str] = "",
    remove: str | os.PathLike[str] | Sequence[str] = (),
) -> TransferResult:
    """Add examples to a finished run and remove others, and write a new finished run.

    Only the new examples go through the network. The sums from which ridge regression solves the head change by the
    examples that come and go, and the result is that of a run on all remaining examples. The run must have been
    trained with `probe.solver="ridge"`. No example changes its split: the test split is the old one, without what is
    removed and with a share of the new examples, by `data.split` of the run.

    Args:
        workdir: the folder of the finished run; nothing in it changes.
        output: the folder of the new run.
        add: a source of new examples, as a folder of class folders; its classes may be known or new, and it may have
            one class only. Examples that the run has already are named and left out. Empty: none.
        remove: ids or paths of examples, as in the splits.csv of the run; or a text file with one of them in each line.

    Returns:
        The new run. Its `examples.csv` lists all its examples, and is its source.

    Raises:
        InputError: the run has no statistics, the source or the ids cannot be used, a class would lose all examples
            of training or test, an old file is missing or has changed, or the output cannot be written.

    Example:
        >>> ridge = tfl.TransferConfig(data=tfl.DataConfig("folder:photos"), probe=tfl.ProbeConfig("ridge"))
        >>> result = tfl.transfer(ridge, "runs/ridge")
        >>> first = tfl.load_data("folder:photos").index.ids[0]
        >>> tfl.update_run("runs/ridge", "runs/updated", remove=[first]).workdir.name
        'updated'
    """
    run, config = check_update(workdir)
    model, recorded = load_model(run.path), recorded_splits(run)
    check_recorded_config(config, model.metadata, run / "config.json")
    words = [os.fspath(remove)] if isinstance(remove, (str, os.PathLike)) else [*remove]
    removed = find_removed([word for word in words if word], recorded)
    source = guess_source(os.fspath(add)) if os.fspath(add) else ""
    _check_outside(output, config, source)
    added = open_added(config, model.metadata, source) if source else None
    plan = make_plan(config, model.metadata, recorded, added, removed)
    columns, table = make_table(plan, model.metadata)
    _check_files(plan, table, model.metadata)
    stored = without_removed(run, config, model, plan.removed)
    config = _updated(config, run, output, columns)
    _begin(output, config, table, stored)
    del model
    return transfer(config, output)


def _check_outside(output: epath.PathLike, config: TransferConfig, source: str) -> None:
    """Refuse an output among old or new examples: a later reading would take it for a class."""
    sources = ",".join(filter(None, (config.data.source, source)))
    try:
        check_outside_of_sources(output, dataclasses.replace(config, data=DataConfig(source=sources)))
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`output`")) from error


def make_table(plan: Plan, metadata: Metadata) -> tuple[str, Table]:
    """Return the examples of a plan as a table, and its columns in the form of `data.columns`."""
    by_output = not metadata.task.labels.has_one_class
    labels = [*metadata.class_names] if by_output else ["label"]
    rows = plan.rows()
    more = [name for name in ("group", "weight") if any(row.get(name) for row in rows)]
    cells = [
        [row["path"], *(_cells(row, metadata) if by_output else [row["label"]]), row["split"]]
        + [row.get(name) or {"weight": "1"}.get(name, "") for name in more]
        for row in rows
    ]
    meaning = {"path": "path", "label": "+".join(labels), "split": "split", **{name: name for name in more}}
    names = ("path", *labels, "split", *more)
    places = [f"{EXAMPLES}:{number}" for number in range(2, len(cells) + 2)]
    return ",".join(f"{role}={name}" for role, name in meaning.items()), Table(EXAMPLES, names, cells, places, [])


def _cells(row: Row, metadata: Metadata) -> list[str]:
    """Return one cell for each label or value of an example."""
    values = metadata.task.labels.parse([row["label"]], metadata.class_names)
    return [f"{value:.9g}" for value in np.ravel(values)]


def _check_files(plan: Plan, table: Table, metadata: Metadata) -> None:
    """Refuse old files that are missing or have changed since the run, before anything is written."""
    try:
        reading = Reading(1.0, _columns(table), labels=metadata.task.labels)
        source = load_table(table, metadata.input, folder=Path(), reading=reading)
    except InputError as error:
        raise InputError(str(error).replace("`data.source`", "`add` and `remove`")) from error
    found = dict(zip(source.index.paths.tolist(), source.index.sha256.tolist(), strict=True))
    bad = [row for row in plan.rows() if found.get(row["path"]) != row["sha256"]]
    if bad:
        raise InputError(
            f"`workdir` must be a run whose files are still there and unchanged, but for those in `remove`. Received: "
            f"{len(bad)} missing or changed, the first: {bad[0]['path']}."
        )


def _columns(table: Table) -> str:
    labels = [name for name in table.names[1:] if name not in ("split", "group", "weight")]
    return f"path=path,label={'+'.join(labels)},split=split"


def without_removed(
    run: Workdir, config: TransferConfig, model: keras.Model, removed: Sequence[Row]
) -> StoredStatistics | None:
    """Return the statistics of a run without removed examples; None if all must be summed anew, with the reason told.

    The features of the removed examples come from the store, so their files need not exist any more.
    """
    stored, metadata = read_statistics(run / STATISTICS), model.metadata
    rows = [row for row in removed if row["split"] in ("train", "validation")]
    if not rows:
        return stored
    weights = np.array([float(row.get("weight") or 1) for row in rows])
    keys = [
        example_key(row["sha256"] or row["id"], row["label"], f"{weight:.9g}")
        for row, weight in zip(rows, weights.tolist(), strict=True)
    ]
    left = collections.Counter(stored.examples)
    left.subtract(keys)
    lower, _ = split_at_features(model)
    index = index_of_splits(rows)
    source = FileSource(index, metadata.input, fingerprints=np.zeros(len(index), np.int64))
    extractor = make_extractor(lower, source, config.features, open_store(config.features))
    places = np.arange(len(index))
    reasons = {
        "the classes have weights that depend on all examples": min(left.values()) < 0,
        "the features are of another version of the network": extractor.digest() != stored.network,
        "the features of the removed examples are no longer stored": extractor.count_missing(places) > 0,
    }
    if reason := next((text for text, holds in reasons.items() if holds), ""):
        say(f"{STATISTICS}: made anew, because {reason}")
        return None
    labels = metadata.task.labels.parse([row["label"] for row in rows], metadata.class_names)
    targets = ridge_targets(metadata.task, labels, metadata.num_outputs)
    statistics = stored.statistics.remove(extractor(places).values, targets, weights)
    return StoredStatistics(statistics, tuple(left.elements()), stored.network)


def _updated(config: TransferConfig, run: Workdir, output: epath.PathLike, columns: str) -> TransferConfig:
    """Return the config of the new run: its source is the table of its examples, which has their splits."""
    place = Workdir.at(output).path.absolute()
    defaults = {
        name: getattr(DataConfig(), name)
        for name in ("label_pattern", "group_pattern", "tfds_splits", "tfds_dir", "decisions", "groups", "split_by")
    }
    data = dataclasses.replace(
        config.data, **defaults, source=f"csv:{place / EXAMPLES}", columns=columns, train_examples_per_class=0
    )
    backbone = config.backbone
    if config.pretrain.source:
        backbone = dataclasses.replace(backbone, weights=str(run.path.absolute() / "pretrain"))
    return dataclasses.replace(config, data=data, backbone=backbone, pretrain=PretrainConfig()).validate()


def _begin(output: epath.PathLike, config: TransferConfig, table: Table, stored: StoredStatistics | None) -> None:
    """Write the table and the statistics into the folder of the new run, which `transfer` then continues."""
    try:
        with Workdir.open(output, config.to_dict()) as folder:
            rows = [dict(zip(table.names, row, strict=True)) for row in table.rows]
            is_other = (folder / EXAMPLES).exists() and read_csv(folder / EXAMPLES) != rows
            if is_other or folder.read_metrics() is not None:
                raise InputError(
                    f"`output` must be a new folder. Received: {str(folder.path)!r}, which has a run of its own."
                )
            folder.begin(config.to_dict())
            write_csv(folder / EXAMPLES, table.names, table.rows)
            if stored is not None:
                stored.write(folder / STATISTICS)
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`output`")) from error
