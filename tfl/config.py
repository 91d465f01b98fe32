"""Every option of tfl, once, with its default and its rule.

A config is plain data: no TensorFlow, no look-ups, no side effects. `validate()` checks what can be
known without looking at the data or the network; names of backbones, stages and layers are checked
where they are resolved, still before anything slow starts.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

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
CLASS_WEIGHTS = ("none", "balanced")
SOURCES = ("digits", "folder", "tfds")


@dataclasses.dataclass
class DataConfig:
    """Where the images come from, and how they are cut into splits and batches."""

    source: str = "digits"  # digits[:CLASSES], folder:PATH, tfds:NAME
    image_size: int = 0  # pixels per side; 0: the size the backbone was pre-trained at
    batch_size: int = 32  # global: over all replicas
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)  # train, validation, test, where the source has none
    train_examples_per_class: int = 0  # keep only so many labels a class in train; 0: all
    max_bad_fraction: float = 0.1  # more undecodable files than this stop the run
    augmentation: str = "light"  # of the fine-tuning phase: none, light, shift (light without the flip), rand


@dataclasses.dataclass
class BackboneConfig:
    """Which pretrained network."""

    name: str = "MobileNetV2"
    alpha: float = 1.0  # width multiplier, MobileNet families only
    weights: str = "imagenet"  # imagenet, none, a file, or a tfl workdir


@dataclasses.dataclass
class PretrainConfig:
    """The first stage, where no published weights are wanted: train the backbone on another source."""

    source: str = ""  # as data.source; empty: no pre-training, backbone.weights as given
    epochs: int = 20
    learning_rate: float = 3e-3
    augmentation: str = "rand"  # strong: what is seen in stage 1 is to serve for other classes


@dataclasses.dataclass
class ScratchConfig:
    """A comparison: the same network on the same labels, without any pre-training."""

    epochs: int = 0  # 0: no comparison
    learning_rate: float = 3e-3


@dataclasses.dataclass
class HeadConfig:
    """What stands on the backbone."""

    pooling: str = "avg"  # avg, max, gem
    hidden_units: tuple[int, ...] = ()
    dropout: float = 0.0
    target: str = "multiclass"  # multiclass, binary, multilabel, regression


@dataclasses.dataclass
class FeaturesConfig:
    """What the frozen part of the backbone gives: computed once per image, and kept."""

    runtime: str = "auto"  # what computes it: tensorflow, openvino, or auto for the fastest that is installed
    store: str = "cache"  # a folder; cache: the user's cache folder ($TFL_CACHE); none: kept in memory alone
    dtype: str = "float32"  # on disk: float32, or float16 for half the bytes
    views: int = 0  # so many augmented versions of each training image, beside the image itself
    max_bytes: int = 10 * 10**9  # how large the store may grow; what does not fit is not stored


@dataclasses.dataclass
class ProbeConfig:
    """Phase 1: the head, solved on the features of the frozen backbone."""

    solver: str = "lbfgs"  # none: the head starts at random and is trained in phase 2
    l2: float = 0.0  # lambda of the head, R = sum of squares; 0: chosen on the validation split
    folds: int = 0  # choose lambda by cross-validation instead, and solve on train and validation; 0: off


@dataclasses.dataclass
class FinetuneConfig:
    """Phase 2: part of the backbone and the head, trained on from the solution of phase 1."""

    epochs: int = 0  # 0: the frozen backbone with the solved head is the result
    unfreeze: str = "1"  # number of stages from the top, a name, a fraction, "re:PATTERN", "all"; "0": the head alone
    batch_norm: str = "frozen"  # frozen: inference mode everywhere; train: unfrozen stages update it
    optimizer: str = "adam"  # sgd, adam, adamw
    learning_rate: float = 1e-4
    momentum: float = 0.9  # sgd only
    nesterov: bool = False  # sgd only
    schedule: str = "cosine"  # constant, cosine (with warm-up), step
    warmup_fraction: float = 0.1  # of all steps, cosine only
    layer_decay: float = 1.0  # learning rate of a stage is this times that of the stage above
    l2: float = 0.0  # pull of the trained backbone weights towards zero
    l2_sp: float = 0.0  # pull of the trained backbone weights towards their pretrained values
    weight_decay: float = 0.0  # decoupled, through the optimizer
    clip_norm: float = 0.0  # global gradient norm; 0: no clipping
    label_smoothing: float = 0.0
    class_weight: str = "none"  # none, balanced
    mixup: float = 0.0  # alpha of the Beta distribution; 0: off
    cutmix: float = 0.0  # alpha of the Beta distribution; 0: off
    ema: float = 0.0  # momentum of the moving average of the weights; 0: off
    early_stopping: int = 0  # epochs without a better validation loss; 0: run all, still restore the best


@dataclasses.dataclass
class TransferConfig:
    """One whole run, from data to a saved and evaluated model.

    Example:
        >>> config = TransferConfig(data=DataConfig(source="folder:photos"))
        >>> config.validate()
    """

    seed: int = 0
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    pretrain: PretrainConfig = dataclasses.field(default_factory=PretrainConfig)
    scratch: ScratchConfig = dataclasses.field(default_factory=ScratchConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    features: FeaturesConfig = dataclasses.field(default_factory=FeaturesConfig)
    probe: ProbeConfig = dataclasses.field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = dataclasses.field(default_factory=FinetuneConfig)

    def validate(self) -> None:
        """Raise `InputError` for the first option that breaks its rule."""
        _check_types(self, "")
        for path, known in _NAMES.items():
            resolve(_get(self, path), known, path)
        for path, (low, high) in _RANGES.items():
            value = _get(self, path)
            if not (low <= value <= high and math.isfinite(value)):
                bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
                raise InputError(f"`{path}` must be {bounds}. Received: {path}={value!r}.")
        validate_source(self.data.source, "data.source")
        if self.pretrain.source:
            validate_source(self.pretrain.source, "pretrain.source")
        validate_split(self.data.split)
        _validate_phases(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as nested plain dicts, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TransferConfig":
        """Rebuild a config from `to_dict()`, with JSON's lists turned back into tuples."""
        return _from_dict(cls, values)


_NAMES = {
    "data.augmentation": AUGMENTATIONS,
    "pretrain.augmentation": AUGMENTATIONS,
    "head.pooling": POOLINGS,
    "head.target": TARGETS,
    "features.runtime": RUNTIMES,
    "features.dtype": FEATURE_DTYPES,
    "probe.solver": SOLVERS,
    "finetune.batch_norm": BATCH_NORMS,
    "finetune.optimizer": OPTIMIZERS,
    "finetune.schedule": SCHEDULES,
    "finetune.class_weight": CLASS_WEIGHTS,
}
_INF = math.inf
_RANGES = {
    "seed": (0, 2**31 - 1),
    "data.image_size": (0, 4096),
    "data.batch_size": (1, _INF),
    "data.train_examples_per_class": (0, _INF),
    "data.max_bad_fraction": (0, 1),
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
}


def validate_source(source: str, argument: str) -> None:
    """Check the form of a source string: a known kind, and a name behind the colon where one is due."""
    kind, _, name = source.partition(":")
    if kind not in SOURCES:
        hint = did_you_mean(kind, SOURCES)
        raise InputError(f"`{argument}` must be digits, folder:PATH or tfds:NAME. Received: {source!r}.{hint}")
    if kind != "digits" and not name:
        raise InputError(f"`{argument}` must name what to read, as in {kind}:NAME. Received: {source!r}.")


def validate_split(split: Sequence[float]) -> None:
    """Check that split fractions are three positive numbers that add up to 1."""
    numbers = all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in split)
    if not (len(split) == 3 and numbers and all(part > 0 for part in split) and abs(sum(split) - 1) < 1e-6):
        raise InputError(
            "`data.split` must be three positive fractions (train, validation, test) that add up to 1. "
            f"Received: data.split={tuple(split)!r}."
        )


def check_option(path: str) -> None:
    """Raise `InputError` with a suggestion where a dotted path is no option of `TransferConfig`.

    Example:
        >>> check_option("data.source")
    """
    section, known = TransferConfig(), list(_option_paths(TransferConfig()))
    for name in path.split("."):
        if not dataclasses.is_dataclass(section) or not hasattr(section, name):
            raise InputError(
                f"`config.{path}` must be an option.{did_you_mean(path, known)} The options: tfl/config.py."
            )
        section = getattr(section, name)
    if dataclasses.is_dataclass(section):
        raise InputError(f"`config.{path}` must name one option in that section, as in config.{path}.NAME=value.")


def _option_paths(section: Any, prefix: str = "") -> Iterator[str]:
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _option_paths(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _validate_phases(config: TransferConfig) -> None:
    if not all(isinstance(units, int) and units > 0 for units in config.head.hidden_units):
        raise InputError(f"`head.hidden_units` must be positive integers. Received: {config.head.hidden_units!r}.")
    if config.probe.solver == "none" and config.finetune.epochs == 0:
        raise InputError(
            "`finetune.epochs` must be at least 1 where the head is not solved. "
            "Received: finetune.epochs=0, probe.solver='none'."
        )
    if not config.features.store:
        raise InputError("`features.store` must be a folder, 'cache' or 'none'. Received: features.store=''.")
    if config.features.views and config.data.augmentation.lower() == "none":
        raise InputError(
            "`features.views` must be 0 where nothing is augmented. "
            f"Received: features.views={config.features.views}, data.augmentation='none'."
        )
    _validate_folds(config)
    target = config.head.target.lower()
    if config.finetune.class_weight.lower() == "balanced" and target not in ("multiclass", "binary"):
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


def _validate_folds(config: TransferConfig) -> None:
    others = {
        "finetune.epochs": (config.finetune.epochs, "fine-tuning is chosen on the validation split"),
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


def _get(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name)
    return config


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


def _from_dict(cls: Any, values: dict[str, Any]) -> Any:
    defaults, arguments = cls(), {}
    for name, value in values.items():
        if not hasattr(defaults, name):
            known = [field.name for field in dataclasses.fields(cls)]
            raise InputError(f"`{name}` must be an option of {cls.__name__}.{did_you_mean(name, known)}")
        default = getattr(defaults, name)
        if dataclasses.is_dataclass(default):
            value = _from_dict(type(default), value)
        arguments[name] = tuple(value) if isinstance(default, tuple) else value
    return cls(**arguments)
