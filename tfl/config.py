"""Every option of tfl, once, with its default; what each must be stands in `tfl/rules.py`.

A config is plain data: no TensorFlow, no look-ups, no side effects.
"""

import dataclasses
import json
from typing import Any

from etils import epath

from tfl.errors import InputError
from tfl.registry import did_you_mean
from tfl.rules import validate

MAY_DIFFER = ("strategy", "checkpoint.", "report.")  # options that change how a run is made, not what it gives


@dataclasses.dataclass
class DataConfig:
    """Where the images come from, and how they are cut into splits and batches."""

    source: str = "digits"  # digits[:CLASSES], folder:PATH, tfds:NAME
    image_size: int = 0  # pixels per side; 0: the size the backbone was pre-trained at
    batch_size: int = 32  # global: over all replicas
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)  # train, validation, test, where the source has none
    train_examples_per_class: int = 0  # keep only so many labels a class in train; 0: all
    max_bad_fraction: float = 0.1  # more undecodable files than this stop the run
    bit_depth: int = 16  # so many bits PNG files of 16 bits hold: 12 where values end at 4,095
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
    max_bytes: int = 10 * 10**9  # how large the store may grow; what nobody uses is dropped first


@dataclasses.dataclass
class ProbeConfig:
    """Phase 1: the head, solved on the features of the frozen backbone."""

    solver: str = "lbfgs"  # none: the head starts at random and is trained in phase 2
    l2: float = 0.0  # lambda of the head, R = sum of squares; 0: chosen on the validation split
    folds: int = 0  # choose lambda by cross-validation instead, and solve on train and validation; 0: off
    rule: str = "best"  # of folds: best: smallest mean loss; one_standard_error: strongest lambda within one of it


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
    class_weight: str = "none"  # none, balanced: every class counts the same in both phases and in what is chosen
    mixup: float = 0.0  # alpha of the Beta distribution; 0: off
    cutmix: float = 0.0  # alpha of the Beta distribution; 0: off
    ema: float = 0.0  # momentum of the moving average of the weights; 0: off
    early_stopping: int = 0  # epochs without a better validation loss; 0: run all, still restore the best
    accumulate: int = 1  # passes that a batch is divided into, for less memory; the gradients add up
    jit_compile: bool = False  # let XLA compile the step: for one GPU or TPU; slower on a CPU
    max_skipped_steps: int = 20  # more steps in a row that are not finite end the run; 0: no limit


@dataclasses.dataclass
class CheckpointConfig:
    """How often fine-tuning is saved while it runs; the same command goes on from there."""

    every_seconds: float = 300.0  # 0: only by steps and at the end
    every_steps: int = 0  # 0: only by time and at the end
    keep: int = 2  # how many are kept, beside that of the best epoch


@dataclasses.dataclass
class ReportConfig:
    """What report.html shows beside the numbers."""

    gallery: int = 6  # so many images of each kind, with heat maps; 0: none, which saves a second or two


@dataclasses.dataclass
class TransferConfig:
    """One whole run, from data to a saved and evaluated model.

    Example:
        >>> config = TransferConfig(data=DataConfig(source="folder:photos"))
        >>> config = config.validate()
    """

    seed: int = 0
    strategy: str = "auto"  # auto (from the environment), one, mirrored, multi_worker, tpu, cpu:N
    precision: str = "float32"  # of the layers' arithmetic: float32, mixed_bfloat16, mixed_float16
    deterministic: bool = False  # the same bits from every run, also where TensorFlow would rather be fast
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    pretrain: PretrainConfig = dataclasses.field(default_factory=PretrainConfig)
    scratch: ScratchConfig = dataclasses.field(default_factory=ScratchConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    features: FeaturesConfig = dataclasses.field(default_factory=FeaturesConfig)
    probe: ProbeConfig = dataclasses.field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = dataclasses.field(default_factory=FinetuneConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    report: ReportConfig = dataclasses.field(default_factory=ReportConfig)

    def validate(self) -> "TransferConfig":
        """Return a copy whose names have their one spelling, or raise `InputError`; see `tfl/rules.py`.

        Example:
            >>> TransferConfig(precision="Mixed_BFloat16").validate().precision
            'mixed_bfloat16'
        """
        return validate(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as nested plain dicts, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TransferConfig":
        """Rebuild a config from `to_dict()`, with JSON's lists turned back into tuples.

        Raises:
            InputError: there is no such option, or a section holds no options.
        """
        return _from_dict(cls, values)


def check_option(path: str) -> None:
    """Raise `InputError` with a suggestion where a dotted path is no option of `TransferConfig`.

    Example:
        >>> check_option("data.source")
    """
    section, known = TransferConfig(), flatten(TransferConfig().to_dict())
    for name in path.split("."):
        if not dataclasses.is_dataclass(section) or not hasattr(section, name):
            raise InputError(
                f"`config.{path}` must be an option.{did_you_mean(path, known)} The options: tfl/config.py."
            )
        section = getattr(section, name)
    if dataclasses.is_dataclass(section):
        raise InputError(f"`config.{path}` must name one option in that section, as in config.{path}.NAME=value.")


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options as one dict from dotted path to value.

    Example:
        >>> flatten({"data": {"batch_size": 32}})
        {'data.batch_size': 32}
    """
    flat = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def differing_options(recorded: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Describe the options in which a run that was begun differs from one that is asked for.

    An option that was added since the run was begun has its default there.

    Args:
        recorded: what stands in its `config.json`.
        config: nested options; one that is missing has its default, too.

    Returns:
        For each option that changes what a run gives, "path=value (there: value)".
    """
    defaults = flatten(TransferConfig().to_dict())
    both = json.dumps([defaults | flatten(recorded), defaults | flatten(config)])
    old, new = json.loads(both)  # tuples become lists, as in the file
    return [
        f"{name}={new.get(name)!r} (there: {old.get(name)!r})"
        for name in sorted(old.keys() | new.keys())
        if not _is_same(old.get(name), new.get(name)) and not name.startswith(MAY_DIFFER)
    ]


def _is_same(old: Any, new: Any) -> bool:
    """Compare two values of an option; older versions recorded paths as they were typed, not absolute ones."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return old == new
    kind, colon, path = old.rpartition(":")
    return old == new or new == f"{kind}{colon}{epath.Path(path).expanduser().absolute()}"


def _from_dict(cls: Any, values: Any, section: str = "config") -> Any:
    if not isinstance(values, dict):
        raise InputError(f"`{section}` must be a section of options. Received: {section}={values!r}.")
    defaults, arguments = cls(), {}
    known = [field.name for field in dataclasses.fields(cls)]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"`{name}` must be an option of {cls.__name__}.{did_you_mean(name, known)}")
        default = getattr(defaults, name)
        if dataclasses.is_dataclass(default):
            value = _from_dict(type(default), value, name)
        arguments[name] = tuple(value) if isinstance(default, tuple) and isinstance(value, list) else value
    return cls(**arguments)
