"""Choose which unlabelled examples to label next, by the features of the frozen network."""

from pathlib import Path

import numpy as np
from etils import epath

from tfl.build import input_of_config, load_splits
from tfl.config import TransferConfig
from tfl.config.ways import FROZEN
from tfl.data import Splits, reading_explained
from tfl.data.unlabelled import load_unlabelled
from tfl.errors import InputError
from tfl.files.existing import existing_folder
from tfl.files.writing import expand_home, make_folder
from tfl.progress import say
from tfl.recipe.extraction import frozen_extractor, frozen_features
from tfl.recipe.pooling import choose_features
from tfl.recipe.transfer import config_of, prepared
from tfl.recipe.value_cells import Cell, Material, solve
from tfl.selection.next_labels import AUTO, NextLabels, Probabilities, check_choice, choose_next, resolve_method
from tfl.tasks import get_task
from tfl.workdir import naming_the_output, write_csv

NEXT_TABLE = "next_labels.csv"
TOP = 2  # classes of an example that are listed: those between which the head wavers


@reading_explained()
def choose_next_labels(
    config: TransferConfig | str,
    unlabelled: str,
    output: epath.PathLike = "",
    *,
    next_count: int = 20,
    next_method: str = AUTO,
) -> NextLabels:
    """Choose which examples of a folder without labels to label next.

    The frozen network computes features, once. With labels, the head is solved on the examples of train and validation,
    and "margin" takes the examples whose two most probable classes are closest; "dropquery" those whose class changes
    if features are dropped, spread over clusters. "typiclust" needs no label: it takes typical examples of the largest
    clusters without a labelled one. An example with the content of a labelled one is never chosen, also of one in the
    test split, and of several with the same content one is.

    Args:
        config: as for `tfl.transfer`; its `data.source` has the labelled examples. If it is the folder `unlabelled`
            itself, nothing is labelled yet.
        unlabelled: a folder; examples in all folders below it count.
        output: a folder for next_labels.csv; empty: no file.
        next_count: how many to choose; if there are fewer, all are.
        next_method: "typiclust", "margin", "dropquery", or "auto": margin from 10 labels a class on, TypiClust
            with fewer.

    Returns:
        The chosen examples, the first to label first.

    Raises:
        InputError: the config, the data or the folder cannot be used, the method needs labels and there are none, or
            the package of the extra `label` is not installed.

    Example:
        >>> found = tfl.choose_next_labels("folder:photos", "insects", next_count=3)
        >>> found.method, len(found.paths)
        ('margin', 3)
    """
    config = prepared(config_of(config, None))
    has_labels = not _is_the_source(config, unlabelled)
    next_method = check_choice(next_count, next_method, has_labels=has_labels)
    if has_labels:
        check_one_class(config)
    splits = load_splits(config) if has_labels else None
    pool = load_pool(config, unlabelled, splits)
    material = None
    if splits is not None:
        config = choose_features(config, splits)
        material = Material(config, config, splits, np.asarray(frozen_features(config, splits).values[:]))
    found = choose(config, material, pool, next_count, next_method)
    if output:
        with naming_the_output(str(output)):
            folder = expand_home(output, "output")
            make_folder(folder)
            write_next_labels(found, folder)
    return found


def check_one_class(config: TransferConfig) -> None:
    """Refuse a task without one class for each example.

    Raises:
        InputError: examples have several labels or values.
    """
    if not get_task(config.task.name, "task.name").labels.has_one_class:
        raise InputError(
            "`task.name` must be a task with one class for each example, whose labels can be counted. "
            f"Received: task.name={config.task.name!r}."
        )


def load_pool(config: TransferConfig, unlabelled: str, labelled: Splits | None) -> Splits:
    """Return the candidates: the different examples of a folder whose content no labelled example has.

    Args:
        config: a checked config.
        unlabelled: the folder.
        labelled: the labelled data; None: there is none.

    Raises:
        InputError: the folder cannot be used, or has no such example.
    """
    kind, path = input_of_config(config), unlabelled.removeprefix("folder:")
    source = load_unlabelled(path, kind, config.data.max_bad_fraction, "unlabelled").at_depth(config.data.bit_depth)
    index = source.index
    known = labelled.index.sha256[labelled.index.sha256 != ""] if labelled is not None else []
    is_first = index.contents() == np.arange(len(index))
    parts = np.where(is_first & ~np.isin(index.sha256, known), "train", "excluded")
    if "train" not in parts:
        raise InputError(
            f"`unlabelled` must have {kind.noun[1]} that are not labelled yet. Received: {unlabelled}, with "
            f"{len(index)} {kind.noun[1]}, all with the content of labelled ones."
        )
    return Splits(source).divided_as(parts)


def choose(config: TransferConfig, material: Material | None, pool: Splits, count: int, method: str) -> NextLabels:
    """Choose some candidates, and say how many by which method.

    Args:
        config: a checked config.
        material: the labelled data with their features; None: there are no labels.
        pool: from `load_pool`.
        count: how many to choose.
        method: from `check_choice`.
    """
    extractor = frozen_extractor(config, pool)
    features = np.asarray(extractor(pool.train, description="unlabelled").values[:], np.float64)
    labelled, probabilities, names = np.zeros((0, features.shape[1])), None, ()
    if material is not None:
        labelled, names = np.asarray(material.features[material.pool], np.float64), material.names
        probabilities = _solved(material, config.seed)
    method = resolve_method(method, len(labelled) / max(1, len(names)))
    chosen = choose_next(labelled, features, count, probabilities, method=method, seed=config.seed)
    paths = pool.index.paths[pool.train[chosen]].tolist()
    header, rows = ("place", "path"), [(place, path) for place, path in enumerate(paths, 1)]
    if material is not None and probabilities is not None:
        header += tuple(material.task.table_header(names, TOP))
        scores = probabilities(features[chosen])
        rows = [(*row, *material.task.table_row(one, names, TOP)) for row, one in zip(rows, scores, strict=True)]
    say(f"next labels: {len(rows)} of {len(features):,} {pool.source.kind.noun[1]} without labels, by {method}")
    return NextLabels(method, len(features), header, tuple(rows))


def _solved(material: Material, seed: int) -> Probabilities:
    """Return the probabilities by the head that all labelled examples outside of the test split solve."""
    head = solve(material, Cell(FROZEN, 0, seed), material.pool)
    return lambda features: material.task.scores(head.logits(features))


def write_next_labels(found: NextLabels, folder: epath.Path) -> None:
    """Write next_labels.csv into a folder.

    Raises:
        InputError: the file cannot be written.
    """
    write_csv(folder / NEXT_TABLE, found.header, found.rows)


def _is_the_source(config: TransferConfig, unlabelled: str) -> bool:
    """Return whether the source of a config is the folder without labels itself."""
    place, _, path = config.data.source.partition(":")
    root = existing_folder(unlabelled.removeprefix("folder:"), "unlabelled")
    return place == "folder" and Path(path).expanduser().resolve() == root.resolve()
