"""What each option must be: its names or range, and what must not be asked for together.

Only what can be known without looking at the data or the network; names of backbones, stages and layers are
checked where they are resolved, still before anything slow starts.
"""

import copy
import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

from tfl.cluster import parse_strategy
from tfl.errors import InputError
from tfl.registry import did_you_mean, resolve

POOLINGS = ("avg", "max", "gem")
TARGETS = ("multiclass", "binary", "multilabel", "regression")
AUGMENTATIONS = ("none", "light", "shift", "rand")
OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "step")
BATCH_NORMS = ("frozen", "train")
RUNTIMES = ("auto", "tensorflow", "openvino")
FEATURE_DTYPES = ("float32", "float16")
SOLVERS = ("lbfgs", "none")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
FOLD_RULES = ("best", "one_standard_error")
CLASS_WEIGHTS = ("none", "balanced")
SOURCES = ("digits", "folder", "tfds")
PYTHON_DATA = "python"  # recorded as the source of a run on data that were passed to it

_NAMES = {
    "precision": PRECISIONS,
    "data.augmentation": AUGMENTATIONS,
    "pretrain.augmentation": AUGMENTATIONS,
    "head.pooling": POOLINGS,
    "head.target": TARGETS,
    "features.runtime": RUNTIMES,
    "features.dtype": FEATURE_DTYPES,
    "probe.solver": SOLVERS,
    "probe.rule": FOLD_RULES,
    "finetune.batch_norm": BATCH_NORMS,
    "finetune.optimizer": OPTIMIZERS,
    "finetune.schedule": SCHEDULES,
    "finetune.class_weight": CLASS_WEIGHTS,
}
_WORDS = {  # options that take a path or a layer's name, and beside it these words
    "backbone.weights": ("imagenet", "none"),
    "features.store": ("cache", "none"),
    "finetune.unfreeze": ("all",),
}
_INF = math.inf
_RANGES = {
    "seed": (0, 2**31 - 1),
    "data.image_size": (0, 4096),
    "data.batch_size": (1, _INF),
    "data.train_examples_per_class": (0, _INF),
    "data.max_bad_fraction": (0, 1),
    "data.bit_depth": (8, 16),
    "backbone.alpha": (0.01, 10),
    "pretrain.epochs": (1, _INF),
    "pretrain.learning_rate": (1e-12, _INF),
    "scratch.epochs": (0, _INF),
    "scratch.learning_rate": (1e-12, _INF),
    "head.dropout": (0, 0.99),
    "features.views": (0, 1000),
    "features.max_bytes": (0, _INF),
    "probe.l2": (0, _INF),
    "probe.folds": (0, 100),
    "finetune.epochs": (0, _INF),
    "finetune.learning_rate": (1e-12, _INF),
    "finetune.momentum": (0, 1),
    "finetune.warmup_fraction": (0, 1),
    "finetune.layer_decay": (1e-6, 1),
    "finetune.l2": (0, _INF),
    "finetune.l2_sp": (0, _INF),
    "finetune.weight_decay": (0, _INF),
    "finetune.clip_norm": (0, _INF),
    "finetune.label_smoothing": (0, 0.99),
    "finetune.mixup": (0, _INF),
    "finetune.cutmix": (0, _INF),
    "finetune.ema": (0, 0.999999),
    "finetune.early_stopping": (0, _INF),
    "finetune.accumulate": (1, 4096),
    "finetune.max_skipped_steps": (0, _INF),
    "checkpoint.every_seconds": (0, _INF),
    "checkpoint.every_steps": (0, _INF),
    "checkpoint.keep": (1, 1000),
    "report.gallery": (0, 100),
}


def validate(config: Any) -> Any:
    """Return a `TransferConfig` with every name spelled as it is spelled here; the given one stays as it is.

    Names are accepted in any case. Code below compares them as they are, so only this copy may be passed on.

    Raises:
        InputError: an option breaks its rule; the first one is named.
    """
    _check_types(config, "")
    config = copy.deepcopy(config)
    for path, known in _NAMES.items():
        _set(config, path, resolve(value_of(config, path), known, path))
    for path, words in _WORDS.items():
        value = value_of(config, path)
        _set(config, path, value.lower() if value.lower() in words else value)
    for path, (low, high) in _RANGES.items():
        value = value_of(config, path)
        if not (low <= value <= high and math.isfinite(value)):
            bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise InputError(f"`{path}` must be {bounds}. Received: {path}={value!r}.")
    kind, count = parse_strategy(config.strategy)
    config.strategy = f"{kind}:{count}" if count else kind
    if config.data.source != PYTHON_DATA:
        config.data.source = validate_source(config.data.source, "data.source")
    if config.pretrain.source:
        config.pretrain.source = validate_source(config.pretrain.source, "pretrain.source")
    validate_split(config.data.split)
    _validate_phases(config)
    return config


def validate_source(source: str, argument: str) -> str:
    """Return a source string with its kind in lower case.

    Raises:
        InputError: the kind is unknown, or no name stands behind the colon where one is due.
    """
    kind, colon, name = source.partition(":")
    kind = kind.lower()
    if source == PYTHON_DATA:
        raise InputError(
            f"`{argument}` must name data, or the same Python data be given, as this run was made on them. "
            f"Received: {source!r}."
        )
    if kind not in SOURCES:
        hint = did_you_mean(kind, SOURCES)
        raise InputError(f"`{argument}` must be digits, folder:PATH or tfds:NAME. Received: {source!r}.{hint}")
    if kind != "digits" and not name:
        raise InputError(f"`{argument}` must name what to read, as in {kind}:NAME. Received: {source!r}.")
    return kind + colon + name


def absolute_paths(config: Any) -> Any:
    """Return a copy of a config in which every path is absolute, so that it means the same from any folder."""
    config = copy.deepcopy(config)
    for path in ("data.source", "pretrain.source"):
        kind, colon, name = value_of(config, path).partition(":")
        if kind == "folder" and name:
            _set(config, path, kind + colon + _absolute(name))
    for path in ("backbone.weights", "features.store"):
        value = value_of(config, path)
        if value and value not in _WORDS[path]:
            _set(config, path, _absolute(value))
    return config


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - links stay


def validate_split(split: Sequence[float]) -> None:
    """Check that split fractions are three positive numbers that add up to 1."""
    numbers = all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in split)
    if not (len(split) == 3 and numbers and all(part > 0 for part in split) and abs(sum(split) - 1) < 1e-6):
        raise InputError(
            "`data.split` must be three positive fractions (train, validation, test) that add up to 1. "
            f"Received: data.split={tuple(split)!r}."
        )


def _validate_phases(config: Any) -> None:
    if not all(isinstance(units, int) and units > 0 for units in config.head.hidden_units):
        raise InputError(f"`head.hidden_units` must be positive integers. Received: {config.head.hidden_units!r}.")
    if config.probe.solver == "none" and config.finetune.epochs == 0:
        raise InputError(
            "`finetune.epochs` must be at least 1 where the head is not solved. "
            "Received: finetune.epochs=0, probe.solver='none'."
        )
    if not config.features.store:
        raise InputError("`features.store` must be a folder, 'cache' or 'none'. Received: features.store=''.")
    if config.features.views and config.data.augmentation == "none":
        raise InputError(
            "`features.views` must be 0 where nothing is augmented. "
            f"Received: features.views={config.features.views}, data.augmentation='none'."
        )
    _validate_folds(config)
    target = config.head.target
    if config.finetune.class_weight == "balanced" and target not in ("multiclass", "binary"):
        raise InputError(
            "`finetune.class_weight` must be 'none' where an example has no one class. "
            f"Received: finetune.class_weight='balanced', head.target={target!r}."
        )
    if config.finetune.label_smoothing > 0 and target == "regression":
        raise InputError(
            "`finetune.label_smoothing` must be 0 for regression. "
            f"Received: finetune.label_smoothing={config.finetune.label_smoothing}, head.target={target!r}."
        )
    if config.finetune.l2 > 0 and config.finetune.l2_sp > 0:
        raise InputError(
            "`finetune.l2` and `finetune.l2_sp` must not both be set: each is a pull of the same weights. "
            f"Received: finetune.l2={config.finetune.l2}, finetune.l2_sp={config.finetune.l2_sp}."
        )
    if config.pretrain.source and config.backbone.weights != "none":
        raise InputError(
            "`backbone.weights` must be 'none' where `pretrain.source` makes them. "
            f"Received: backbone.weights={config.backbone.weights!r}, pretrain.source={config.pretrain.source!r}."
        )


def _validate_folds(config: Any) -> None:
    others = {
        "finetune.epochs": (config.finetune.epochs, "fine-tuning is chosen on the validation split"),
        "scratch.epochs": (config.scratch.epochs, "training from scratch is chosen on the validation split"),
        "probe.l2": (config.probe.l2, "there is nothing to choose"),
        "features.views": (config.features.views, "views of one image must not be on both sides of a fold"),
        "head.hidden_units": (config.head.hidden_units, "only a linear head is solved"),
    }
    clash = next((name for name, (value, _) in others.items() if value), None) if config.probe.folds else None
    if clash is not None or config.probe.folds == 1:
        received = f"probe.folds={config.probe.folds}"
        rule = "at least 2, or 0 for off" if clash is None else f"0 with {clash}: {others[clash][1]}"
        received += "" if clash is None else f", {clash}={others[clash][0]}"
        raise InputError(f"`probe.folds` must be {rule}. Received: {received}.")


def value_of(config: Any, path: str) -> Any:
    """Return one option of a config by its dotted name."""
    for name in path.split("."):
        config = getattr(config, name)
    return config


def _set(config: Any, path: str, value: Any) -> None:
    section, _, name = path.rpartition(".")
    setattr(value_of(config, section) if section else config, name, value)


def _check_types(section: Any, prefix: str) -> None:
    """Python does not check dataclass fields, and a config built in Python may hold anything."""
    for field in dataclasses.fields(section):
        value, path = getattr(section, field.name), prefix + field.name
        default = getattr(type(section)(), field.name)
        if dataclasses.is_dataclass(default):
            if type(value) is not type(default):
                raise InputError(f"`{path}` must be a {type(default).__name__}. Received: {value!r}.")
            _check_types(value, path + ".")
        elif isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            continue  # 1 is a fine way to write 1.0
        elif isinstance(default, tuple) and isinstance(value, (tuple, list)):
            continue
        elif type(value) is not type(default):
            raise InputError(f"`{path}` must be of type {type(default).__name__}. Received: {path}={value!r}.")
