"""The whole config, and the checks that its options fit together.

These checks need neither the data nor the network. Names of backbones, stages and layers are checked when they are
resolved, also before anything slow starts.
"""

import dataclasses
from typing import Any

from tfl.config.data_section import DataConfig
from tfl.config.moved import move_options
from tfl.config.names import NO_TRACKER, TRACKERS
from tfl.config.option import CHOSEN_NAME, NOT_NEGATIVE, Between, OneOf, Switch, check_options, option, read_options
from tfl.config.sections import (
    BackboneConfig,
    CheckpointConfig,
    FeaturesConfig,
    FinetuneConfig,
    HeadConfig,
    PretrainConfig,
    ProbeConfig,
    ReportConfig,
    ScratchConfig,
    SegmentationConfig,
    TaskConfig,
)
from tfl.config.torch_names import with_torch_name
from tfl.config.values import STRATEGY
from tfl.errors import InputError

# Options of `data` that are only for the target data, and not for pre-training.
OF_TARGET = (
    *("split", "train_examples_per_class", "split_by", "label_pattern", "group_pattern"),
    *("tfds_splits", "decisions", "groups"),
)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass
class TransferConfig:
    """The options of one whole run, from data to a saved and evaluated model.

    Example:
        >>> config = TransferConfig(data=DataConfig(source="folder:photos"))
        >>> config = config.validate()
    """

    seed: int = option(0, Between(0, 2**31 - 1), "Seed of all random choices.")
    strategy: str = option(
        "auto",
        STRATEGY,
        "Devices and workers that train together; auto: all GPUs, the TPU, or the workers of TF_CONFIG.",
    )
    precision: str = option("float32", OneOf(PRECISIONS), "Precision of the layers' arithmetic in training.")
    deterministic: bool = option(False, Switch(), "Every run gives the same bits, even if that is slower.")
    budget_minutes: float = option(
        0.0, NOT_NEGATIVE, "Minutes that a run may take; it then ends with the best that it has, 0: no limit."
    )
    tracking: str = option(NO_TRACKER, OneOf(TRACKERS), "The program that records options, curves and results of runs.")
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    pretrain: PretrainConfig = dataclasses.field(default_factory=PretrainConfig)
    scratch: ScratchConfig = dataclasses.field(default_factory=ScratchConfig)
    task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
    segmentation: SegmentationConfig = dataclasses.field(default_factory=SegmentationConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    features: FeaturesConfig = dataclasses.field(default_factory=FeaturesConfig)
    probe: ProbeConfig = dataclasses.field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = dataclasses.field(default_factory=FinetuneConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    report: ReportConfig = dataclasses.field(default_factory=ReportConfig)

    def validate(self) -> "TransferConfig":
        """Check all options, and return a copy in which names have their standard spelling.

        Names are accepted in upper or lower case. Other code compares names exactly, so pass only this copy to it.

        Raises:
            InputError: an option breaks its rule or contradicts another option; the message names the first one.

        Example:
            >>> TransferConfig(precision="Mixed_BFloat16").validate().precision
            'mixed_bfloat16'
        """
        config = check_options(self)
        config.backbone.name = with_torch_name(config.backbone.name, config.backbone.torch_name)
        _check_together(config)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return the options as nested plain dicts, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TransferConfig":
        """Build a config from the result of `to_dict()`, also of an older version; lists of JSON become tuples again.

        Raises:
            InputError: an option does not exist, or the value of a section is not a dict.
        """
        return read_options(cls, move_options(values))


def _check_together(config: TransferConfig) -> None:
    """Check that options fit together; each of them has already passed its own rule."""
    for check in (
        _check_solver,
        _check_views,
        _check_folds,
        _check_ridge,
        _check_pull,
        _check_weights,
        _check_chosen_backbone,
        _check_balance,
        _check_window,
    ):
        check(config)


def _check_solver(config: TransferConfig) -> None:
    if config.probe.solver == "none" and config.finetune.epochs == 0:
        raise InputError(
            "`finetune.epochs` must be at least 1 if the head is not solved. "
            "Received: finetune.epochs=0, probe.solver='none'."
        )


def _check_views(config: TransferConfig) -> None:
    if config.features.views > 0 and config.data.augmentation == "none":
        raise InputError(
            "`features.views` must be 0 without augmentation. "
            f"Received: features.views={config.features.views}, data.augmentation='none'."
        )


def _check_folds(config: TransferConfig) -> None:
    others = {
        "scratch.epochs": (config.scratch.epochs, "training from scratch needs the validation split"),
        "probe.l2": (config.probe.l2, "a given lambda leaves nothing to choose"),
        "head.hidden_units": (config.head.hidden_units, "only a linear head can be solved"),
    }
    clash = next((name for name, (value, _) in others.items() if value), None) if config.probe.folds > 0 else None
    if clash is not None:
        rule, received = f"0 if {clash} is set, because {others[clash][1]}", f"{clash}={others[clash][0]}"
        raise InputError(f"`probe.folds` must be {rule}. Received: probe.folds={config.probe.folds}, {received}.")


def _check_ridge(config: TransferConfig) -> None:
    """Refuse what ridge regression cannot do; an option that is left to tfl becomes 0."""
    others = {
        "head.hidden_units": (config.head.hidden_units, "only a linear head can be solved"),
        "probe.folds": (max(config.probe.folds, 0), "ridge leaves out one example at a time"),
        "features.views": (max(config.features.views, 0), "ridge leaves out one example at a time"),
        "finetune.epochs": (max(config.finetune.epochs, 0), "ridge keeps no validation split for fine-tuning"),
        "scratch.epochs": (config.scratch.epochs, "training from scratch needs the validation split"),
        "finetune.logit_adjustment": (config.finetune.logit_adjustment, "squared errors have no log frequencies"),
    }
    clash = next((name for name, (value, _) in others.items() if value), None)
    if config.probe.solver == "ridge" and clash is not None:
        raise InputError(
            f"`probe.solver` must be 'lbfgs' if {clash} is set, because {others[clash][1]}. "
            f"Received: probe.solver='ridge', {clash}={others[clash][0]}."
        )


def _check_pull(config: TransferConfig) -> None:
    if config.finetune.l2 > 0 and config.finetune.l2_sp > 0:
        raise InputError(
            "`finetune.l2` and `finetune.l2_sp` must not both be set, because both pull the same weights. "
            f"Received: finetune.l2={config.finetune.l2}, finetune.l2_sp={config.finetune.l2_sp}."
        )


def _check_weights(config: TransferConfig) -> None:
    if config.pretrain.source and config.backbone.weights != "none":
        raise InputError(
            "`backbone.weights` must be 'none' if `pretrain.source` is set, because pre-training starts from random "
            f"weights. Received: backbone.weights={config.backbone.weights!r}, "
            f"pretrain.source={config.pretrain.source!r}."
        )


def _check_chosen_backbone(config: TransferConfig) -> None:
    """Refuse what needs a certain network if tfl is to choose it."""
    backbone, unfreeze = config.backbone, config.finetune.unfreeze
    needs = {
        "backbone.alpha": (backbone.alpha == BackboneConfig.alpha, "left out", backbone.alpha),
        "backbone.weights": (backbone.weights == BackboneConfig.weights, "'imagenet'", backbone.weights),
        "finetune.unfreeze": (
            unfreeze in ("all", CHOSEN_NAME) or unfreeze.replace(".", "", 1).isdigit(),
            "a number of stages, a fraction, 'all' or 'auto'",
            unfreeze,
        ),
    }
    wrong = next((path for path, (fits, _, _) in needs.items() if not fits), "")
    if backbone.name == CHOSEN_NAME and wrong:
        _, rule, received = needs[wrong]
        raise InputError(
            f"`{wrong}` must be {rule} if backbone.name is 'auto', because tfl chooses the network. "
            f"Received: {wrong}={received!r}."
        )


def _check_balance(config: TransferConfig) -> None:
    options = config.finetune
    given = {
        "class_weight": options.class_weight != "none",
        "sampling": options.sampling != "uniform",
        "logit_adjustment": options.logit_adjustment > 0,
    }
    first, *others = [name for name, is_given in given.items() if is_given] or [""]
    if others:
        received = ", ".join(f"finetune.{name}={getattr(options, name)!r}" for name in (first, *others))
        raise InputError(
            f"`finetune.{first}` must be left out if finetune.{others[0]} is set, because each of them makes up for "
            f"the sizes of the classes. Received: {received}."
        )


def _check_window(config: TransferConfig) -> None:
    if config.data.window and config.data.bit_depth != DataConfig().bit_depth:
        raise InputError(
            "`data.bit_depth` must be left out if `data.window` is set, because a window says which values of a file "
            f"count. Received: data.bit_depth={config.data.bit_depth}, data.window={config.data.window}."
        )


def data_of_pretraining(config: TransferConfig) -> DataConfig:
    """Return how pre-training reads its own source; limits, rules and files about examples are for the target data."""
    defaults = {name: getattr(DataConfig, name) for name in OF_TARGET}
    source = {"source": config.pretrain.source, "augmentation": config.pretrain.augmentation}
    return dataclasses.replace(config.data, **defaults, **source)
