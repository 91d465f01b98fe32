"""The one place that turns a config into objects: its data, and the frozen part of a model on that data."""

import dataclasses
from typing import Any

import keras
from etils import epath

from tfl.backbones import get_backbone_spec
from tfl.backbones.left import is_left, with_a_backbone
from tfl.checks import check_config, check_run
from tfl.config import PYTHON_DATA, DataConfig, FeaturesConfig, FinetuneConfig, TransferConfig
from tfl.config.values import source_kinds
from tfl.data import Source, Splits, load_data
from tfl.data.boxes.text import from_text
from tfl.errors import InputError
from tfl.features import Extractor, FeatureStore
from tfl.inputs import Input, get_input
from tfl.keras_settings import check_keras_settings
from tfl.tasks import Task, get_task


def checked(config: TransferConfig) -> TransferConfig:
    """Return the config with the official spelling of every name, also of the backbone, and with absolute paths.

    Raises:
        InputError: an option breaks its rule, or does not fit the task, the backbone or the data.
    """
    check_keras_settings()
    return validate_config(check_config(config))


def checked_run(config: TransferConfig, workdir: epath.PathLike) -> TransferConfig:
    """Do the same for the config of a run, which may leave its backbone to tfl.

    Raises:
        InputError: as for `checked`, or no network at hand can be chosen.
    """
    check_keras_settings()
    config = check_run(config, workdir)
    ready = validate_config(with_a_backbone(config, workdir))
    if not is_left(config):
        return ready
    if get_task(config.task.name).convex is None:
        raise InputError(
            "`backbone.name` must name a network for a task whose head is not solved. "
            f"Received: 'auto', task.name={config.task.name!r}."
        )
    return dataclasses.replace(ready, backbone=config.backbone)


def validate_config(config: TransferConfig) -> TransferConfig:
    """Return a copy of the config with the official spelling of every name; see `TransferConfig.validate`.

    Raises:
        InputError: an option breaks its rule, or does not fit the task.
    """
    config = config.validate()
    task, options = get_task(config.task.name, "task.name"), config.finetune
    task.check_installed()
    _check_loss(options, task)
    _check_maps(config, task)
    _check_ridge(config, task)
    if options.label_smoothing > 0 and not task.smooths_labels:
        raise InputError(
            f"`finetune.label_smoothing` must be 0 for {task.name}. "
            f"Received: finetune.label_smoothing={options.label_smoothing}, task.name={task.name!r}."
        )
    kind = input_of_config(config)
    augments = options.epochs > 0 or config.features.views > 0
    if augments and config.data.augmentation not in kind.augmentations:
        raise InputError(
            f"`data.augmentation` must be one of {', '.join(kind.augmentations)} for {kind.noun[1]}. "
            f"Received: data.augmentation={config.data.augmentation!r}."
        )
    return config


def _check_loss(options: FinetuneConfig, task: Task) -> None:
    """Refuse weights of classes and losses that have no meaning for the task."""
    may = {
        "class_weight": task.labels.has_one_class or task.is_cross_entropy,
        "sampling": task.labels.has_one_class,
        "loss": task.is_cross_entropy,
        "logit_adjustment": task.is_cross_entropy,
    }
    for name, allowed in may.items():
        value, default = getattr(options, name), getattr(FinetuneConfig, name)
        if value != default and not allowed:
            why = "an example does not have exactly one class" if name == "sampling" else "the loss is no cross-entropy"
            raise InputError(
                f"`finetune.{name}` must be {default!r} if {why}. "
                f"Received: finetune.{name}={value!r}, task.name={task.name!r}."
            )


def _check_maps(config: TransferConfig, task: Task) -> None:
    """Refuse what a head on maps does not have."""
    if task.stands_on == "vector":
        return
    kinds = source_kinds(config.data.source)
    rules: tuple[tuple[str, Any, Any, str], ...] = (  # an option, its value, the allowed value, and why
        ("head.hidden_units", config.head.hidden_units, (), "its head is linear"),
        ("probe.folds", config.probe.folds, 0, "lambda is chosen on the validation split"),
        ("finetune.mixup", config.finetune.mixup, 0.0, "masks and boxes are not mixed"),
        ("finetune.cutmix", config.finetune.cutmix, 0.0, "masks and boxes are not mixed"),
        ("pretrain.source", config.pretrain.source, "", "a backbone is pre-trained with one label for each image"),
    )
    for name, value, allowed, why in rules:
        if value != allowed:
            raise InputError(
                f"`{name}` must be {allowed!r} for {task.name}, because {why}. Received: {name}={value!r}."
            )
    if (len(kinds) > 1 or not kinds <= task.sources.keys()) and config.data.source != PYTHON_DATA:
        raise InputError(
            f"`data.source` must be {', or '.join(task.sources.values())}, for {task.name}. "
            f"Received: data.source={config.data.source!r}."
        )


def _check_ridge(config: TransferConfig, task: Task) -> None:
    """Refuse ridge regression for losses that neither squared errors nor their factor can stand for."""
    if config.probe.solver != "ridge":
        return
    squared = task.convex is not None and task.convex.is_quadratic
    if not (task.is_cross_entropy or squared):
        raise InputError(
            "`probe.solver` must be 'lbfgs' or 'none' for a task whose loss is neither cross-entropy nor the squared "
            f"error. Received: probe.solver='ridge', task.name={task.name!r}."
        )
    if config.finetune.class_weight != "none" and not task.labels.has_one_class:
        raise InputError(
            "`finetune.class_weight` must be 'none' for ridge regression on several labels, because each label would "
            f"need a solution of its own. Received: finetune.class_weight={config.finetune.class_weight!r}."
        )


def input_of_config(config: TransferConfig) -> Input:
    """Return the input that the backbone of a config takes, for examples of the config's size."""
    spec = get_backbone_spec(config.backbone.name).for_columns(config.data.columns)
    kind = get_input(spec.input_of(config.data.channels), "input").sized(spec.size_of(config.data.image_size))
    if config.data.image_size < 0 and not kind.size_step:
        raise InputError(
            f"`data.image_size` must be at least 0 for a network that takes {kind.noun[1]}. "
            f"Received: data.image_size={config.data.image_size}."
        )
    for name in ("window", "scaled_decoding"):
        value, default = getattr(config.data, name), getattr(DataConfig(), name)
        if value != default and name not in kind.file_options:
            raise InputError(
                f"`data.{name}` must be {default!r} for a network that takes {kind.noun[1]}. Received: {value!r}."
            )
    options = {"window": tuple(config.data.window), "scaled_decoding": config.data.scaled_decoding}
    return dataclasses.replace(kind, tokenizer=spec.tokenizer, **options)


def reading_options(config: TransferConfig) -> dict[str, Any]:
    """Return the options of a config that say how its source is read, as arguments of `load_source`."""
    data = config.data
    return {
        "columns": data.columns,
        "label_pattern": data.label_pattern,
        "group_pattern": data.group_pattern,
        "tfds_splits": data.tfds_splits,
        "tfds_dir": data.tfds_dir if "tfds" in source_kinds(data.source) and data.tfds_dir != "default" else "",
        "labels": get_task(config.task.name).labels,
        "ignore_label": config.segmentation.ignore_label,
    }


def load_splits(config: TransferConfig, data: Any = None, kind: Input | None = None) -> Splits:
    """Open and split the data of a config.

    Args:
        config: a checked config.
        data: replaces `config.data.source`.
        kind: what an example is; None: the input of the network of the config. With the input of a finished model the
            files of the network are not needed.
    """
    splits = load_data(
        config.data.source if data is None else data,
        split=config.data.split,
        seed=config.seed,
        split_by=config.data.split_by,
        max_bad_fraction=config.data.max_bad_fraction,
        train_examples_per_class=config.data.train_examples_per_class,
        bit_depth=config.data.bit_depth,
        kind=kind or input_of_config(config),
        **reading_options(config),
        decisions="" if config.data.decisions == "none" else config.data.decisions,
        groups="" if config.data.groups == "none" else config.data.groups,
    )
    task = get_task(config.task.name)
    if task.answers_boxes:
        _check_boxes(splits)
    if task.labels.has_names or splits.index.is_multiclass:
        return splits
    index = dataclasses.replace(splits.index, class_names=())  # rows of values
    return dataclasses.replace(splits, source=splits.source.with_index(index))


def _check_boxes(splits: Splits) -> None:
    """Refuse a split in which nothing can be found: average precision is not defined for it.

    Raises:
        InputError: no example of a split has a box; crowds do not count.
    """
    for name in ("train", "validation", "test"):
        rows = getattr(splits, name)
        texts = splits.index.labels[rows].tolist()
        if texts and all(box.is_crowd for text in texts for box in from_text(text)):
            raise InputError(f"`data.source` must have boxes in every split. Received: no box in {name}.")


def make_extractor(
    lower: keras.Model, source: Source, options: FeaturesConfig, store: FeatureStore | None
) -> Extractor:
    """Return an `Extractor` that runs a frozen part of a model on a source of images, with the config's options."""
    size = int(lower.input.shape[1])
    return Extractor(lower, source, size, store=store, runtime=options.runtime, dtype=options.dtype)
