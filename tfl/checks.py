"""Check a config and its data as far as this needs no TensorFlow."""

import dataclasses
from pathlib import Path
from typing import Any

from etils import epath

from tfl.backbones.buildable import check_backbone
from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.content import check_content
from tfl.backbones.left import candidates_of, is_left, with_a_backbone
from tfl.backbones.spec import BackboneSpec, state_poolings
from tfl.backbones.weight_files import PUBLISHED, RANDOM, find_weights
from tfl.config import (
    CHOSEN_NAME,
    POOLINGS,
    DataConfig,
    TransferConfig,
    absolute_paths,
    data_of_pretraining,
)
from tfl.config.values import NO_TIMES, SPLIT_RULES, has_pairs, source_kinds, split_source
from tfl.data.layout import recognise
from tfl.data.masks.pairs import find_pairs
from tfl.data.reading import Reading
from tfl.data.records.files import check_records
from tfl.data.table.columns import usual_name
from tfl.data.table.names import read_meaning, table_of_folder
from tfl.data.table.read import read_table
from tfl.data.tree import read_tree
from tfl.errors import InputError
from tfl.features.installed import check_runtime
from tfl.files.existing import check_file, check_source, existing_folder, existing_splits, nearest
from tfl.files.parquet import check_parquet
from tfl.inputs.files import input_files

PIECES_OF_PAIRS = 5  # with the three that begin and end texts
_TABLE_BYTES = 2**24  # a larger table is read only once, later


def check_config(config: TransferConfig) -> TransferConfig:
    """Return a config as a workdir records it: with the official spelling of every name, and with absolute paths.

    Raises:
        InputError: an option breaks its rule, the backbone cannot be built with it, or the data does not exist.
    """
    config = absolute_paths(config.validate())
    backbone = config.backbone
    spec = get_backbone_spec(backbone.name).for_columns(config.data.columns)
    check_backbone(spec, spec.size_of(config.data.image_size), backbone.alpha, backbone.weights)
    _check_sources(config, spec)
    _check_texts(config, spec)
    if backbone.weights not in (PUBLISHED, RANDOM):
        find_weights(backbone.weights, spec, backbone.alpha)
    check_source(config.data.source, "data.source")
    for name in ("decisions", "groups"):
        if (file := getattr(config.data, name)) != "none":
            check_file(file, f"data.{name}")
    _check_tfds(config)
    check_source(config.pretrain.source, "pretrain.source")
    if config.data.split_by not in SPLIT_RULES:
        existing_splits(config.data.split_by)
    check_runtime(config.features.runtime)
    content = check_content(backbone.sha256, spec.name)
    return dataclasses.replace(config, backbone=dataclasses.replace(backbone, name=spec.name, sha256=content))


def _check_sources(config: TransferConfig, spec: BackboneSpec) -> None:
    """Refuse sources that cannot have the examples of the network."""
    files = input_files(spec.input)
    if files is None or not files.sources:
        return
    if wrong := source_kinds(config.data.source) & {"digits", "masks", "boxes", "tfds", "tfrecord"} - {*files.sources}:
        raise InputError(
            f"`data.source` must be csv:FILE or folder:PATH for {files.noun[1]}. "
            f"Received: data.source={config.data.source!r} ({min(wrong)})."
        )


def _check_texts(config: TransferConfig, spec: BackboneSpec) -> None:
    """Refuse what tfl cannot do with texts."""
    files = input_files(spec.input)
    are_texts = files is not None and bool(files.cell)
    _check_pooling(config, spec, are_texts)
    if files is None or not are_texts:
        return
    why = f"tfl does not pre-train on {files.noun[1]}"
    rules: tuple[tuple[str, Any, Any, str], ...] = (
        ("pretrain.source", config.pretrain.source, "", why),
        ("features.views", config.features.views, 0, f"{files.noun[1]} have no augmentation"),
        ("backbone.alpha", config.backbone.alpha, 1, "the network has one width"),
    )
    for name, value, allowed, reason in rules:
        if value != allowed:
            raise InputError(f"`{name}` must be {allowed!r}, because {reason}. Received: {name}={value!r}.")
    if 0 < config.data.image_size < PIECES_OF_PAIRS and has_pairs(config.data.columns):
        raise InputError(
            f"`data.image_size` must be at least {PIECES_OF_PAIRS} for pairs of texts. "
            f"Received: data.image_size={config.data.image_size}."
        )


def _check_pooling(config: TransferConfig, spec: BackboneSpec, are_texts: bool) -> None:
    """Refuse features that the network does not have."""
    known = (*state_poolings(spec), CHOSEN_NAME) if are_texts else POOLINGS
    if config.head.pooling not in known:
        raise InputError(
            f"`head.pooling` must be one of {', '.join(known)} for {config.backbone.name}. "
            f"Received: head.pooling={config.head.pooling!r}."
        )


def check_run(config: TransferConfig, workdir: epath.PathLike) -> TransferConfig:
    """Check the config of a run, which may leave its backbone to tfl: it is then checked with one of the candidates.

    Raises:
        InputError: as for `check_config`.
    """
    config = config.validate()
    checked = check_config(with_a_backbone(config, workdir))
    return dataclasses.replace(checked, backbone=config.backbone) if is_left(config) else checked


def _check_tfds(config: TransferConfig) -> None:
    """Refuse a folder of tfds data sets that does not exist, and options of tfds for other sources."""
    folder, is_used = config.data.tfds_dir, "tfds" in source_kinds(config.data.source)
    if config.data.tfds_splits and not is_used:
        raise InputError(
            "`data.tfds_splits` must be empty for a source other than tfds:NAME. "
            f"Received: data.tfds_splits={config.data.tfds_splits!r}, data.source={config.data.source!r}."
        )
    if folder == "default":
        return
    if not is_used and "tfds" not in source_kinds(config.pretrain.source):
        raise InputError(f"`data.tfds_dir` must be 'default' for a source other than tfds:NAME. Received: {folder!r}.")
    if "://" not in folder and not Path(folder).is_dir():
        raise InputError(f"`data.tfds_dir` must be a folder that exists. Received: {folder!r}.{nearest(Path(folder))}")


def check_data(config: TransferConfig) -> None:
    """Look at the folders and tables of a checked config: are there classes, are there the columns?

    The files themselves are checked later.

    Raises:
        InputError: the sources cannot be used.
    """
    spec = get_backbone_spec(candidates_of(config)[0].backbone.name)
    _check_data(config.data, spec)
    try:
        _check_data(data_of_pretraining(config), spec)
    except InputError as error:
        raise InputError(str(error).replace("`data.source`", "`pretrain.source`")) from error


def _check_data(data: DataConfig, spec: BackboneSpec) -> None:
    for part in split_source(data.source):
        _check_part(dataclasses.replace(data, source=part), spec)


def _check_part(data: DataConfig, spec: BackboneSpec) -> None:
    kind, _, path = data.source.partition(":")
    kind_of_example = spec.input_of(data.channels)
    files = input_files(kind_of_example)
    has_times = kind == "csv"  # of a large table it is not known yet
    if kind == "folder" and data.label_pattern:
        root = existing_folder(path, "data.source")
        table_of_folder(read_tree(root), data.label_pattern, data.source, lambda suffix: True)
    elif kind == "folder" and files is not None:
        recognise(read_tree(Path(path), files.may_be), files.noun)
    elif kind == "masks" and files is not None:
        find_pairs(read_tree(Path(path), files.may_be), data.source)
    elif kind == "tfrecord":
        has_times = bool(check_records(path, kind_of_example, data.columns)[1].time)
    elif kind == "csv" and path.lower().endswith(".parquet"):
        check_parquet("data.source", data.source)
    elif kind == "csv" and Path(path).stat().st_size <= _TABLE_BYTES:
        reading = Reading(0, data.columns, data.label_pattern, data.group_pattern)
        cell, table = files.cell if files is not None else "", read_table(path, columns=data.columns)
        label = usual_name("label", table.names) or usual_name("mask", table.names)  # whatever the task needs
        has_times = bool(read_meaning(table, reading, cell or "path", label)[1].time)
    if data.split_by == "time" and not has_times:
        raise InputError(NO_TIMES)


def check_outside_of_sources(workdir: epath.PathLike, config: TransferConfig) -> None:
    """Refuse a workdir inside the folder of the photos: the next run would read it as a class.

    Raises:
        InputError: it is inside.
    """
    place = epath.Path(workdir).expanduser()
    for source in (*split_source(config.data.source), *split_source(config.pretrain.source)):
        kind, _, folder = source.partition(":")
        if kind in ("folder", "masks") and epath.Path(folder).expanduser().resolve() in place.resolve().parents:
            raise InputError(
                f"`workdir` must be outside the folder of the photos. Received: {str(workdir)!r}, which is inside "
                f"{folder}."
            )
