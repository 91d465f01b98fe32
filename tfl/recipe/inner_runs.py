"""The runs inside a run: pre-training before it, and training the same network from scratch for comparison."""

import dataclasses
from typing import Any

from tfl.build import load_splits, validate_config
from tfl.config import (
    OF_TARGET,
    SUPERVISED,
    FeaturesConfig,
    FinetuneConfig,
    PretrainConfig,
    ScratchConfig,
    TransferConfig,
    data_of_pretraining,
)
from tfl.data import Splits
from tfl.errors import InputError
from tfl.progress import say
from tfl.recipe.balance import Balance
from tfl.recipe.probe import HIDDEN_HEAD_L2
from tfl.recipe.views import PretrainingData, check_augmentation, load_examples
from tfl.tasks import get_task, task_of_labels

BACKBONE_L2 = 1e-4  # a network with random weights needs its own L2 regularization
# Training from random weights takes over these options of `finetune`. The other options only make sense for a network
# that is already trained, or depend on the learning rate of fine-tuning.
_TAKEN = (
    *("accumulate", "max_skipped_steps", "jit_compile", "clip_norm", "ema"),
    *("class_weight", "class_weight_beta", "sampling", "logit_adjustment", "loss", "focal_gamma", "gce_q"),
    *("label_smoothing", "mixup", "cutmix"),
)
_REPLACED = ("epochs", "learning_rate", "unfreeze", "batch_norm")  # an inner run always has its own values of these


@dataclasses.dataclass(frozen=True)
class Pretraining:
    """The run that trains the weights of the backbone: its config, and its data, which are already read.

    Attributes:
        config: the options of that run.
        splits: its data, with labels.
        examples: its data for a method without labels; None for one with labels.
    """

    config: TransferConfig
    splits: Splits
    examples: PretrainingData | None = None


def prepare_pretraining(config: TransferConfig) -> Pretraining:
    """Return the run on `pretrain.source`; the task of labels there comes from them, not from `task.name`.

    Raises:
        InputError: the source cannot be used, or does not fit the options.
    """
    try:
        if config.pretrain.method != SUPERVISED:
            return _without_labels(config)
        inner = _from_random_weights(config, config.pretrain)
        inner.data = data_of_pretraining(config)
        splits = load_splits(inner)
        inner.task.name = task_of_labels(splits.index.labels).name
        inner = validate_config(inner)
        Balance.of(inner.finetune, get_task(inner.task.name), splits)
    except InputError as error:
        text = str(error).replace("`data.source`", "`pretrain.source`")
        raise InputError(f"{text} This is about pre-training on pretrain.source={config.pretrain.source!r}.") from error
    _say_differences(config, inner, "pretrain", ("task.name", *(f"data.{name}" for name in OF_TARGET)))
    return Pretraining(inner, splits)


def _without_labels(config: TransferConfig) -> Pretraining:
    inner = TransferConfig.from_dict(config.to_dict())
    inner.data, inner.scratch = data_of_pretraining(config), ScratchConfig()
    inner.pretrain = dataclasses.replace(config.pretrain, source="")
    check_augmentation(inner)
    examples = load_examples(inner)
    return Pretraining(inner, examples.splits, examples)


def own_pretraining(config: TransferConfig) -> TransferConfig:
    """Return the config of a run that learns the labels of `data.source` with the options of `pretrain`.

    Unlike a run inside a run, it has its own task, and may continue from published weights.
    """
    inner = _from_random_weights(config, config.pretrain)
    inner.backbone.weights = config.backbone.weights
    inner.data.augmentation = config.pretrain.augmentation
    _say_differences(config, inner, "pretrain", ())
    return inner


def prepare_scratch(config: TransferConfig) -> TransferConfig:
    """Return the config that trains the same network on the same labels, from random weights."""
    inner = validate_config(_from_random_weights(config, config.scratch))
    _say_differences(config, inner, "scratch", ())
    return inner


def _from_random_weights(config: TransferConfig, stage: Any) -> TransferConfig:
    """Return a copy of the config that trains the whole network from random weights."""
    inner = TransferConfig.from_dict(config.to_dict())
    inner.pretrain, inner.scratch = PretrainConfig(), ScratchConfig()
    inner.backbone.weights = "none"
    inner.probe.solver, inner.probe.folds, inner.probe.l2 = "none", 0, config.probe.l2 or HIDDEN_HEAD_L2
    inner.features.views = FeaturesConfig.views  # nothing is frozen, so there are no features to store
    taken = {option: getattr(config.finetune, option) for option in _TAKEN}
    inner.finetune = FinetuneConfig(
        epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        unfreeze="all",
        batch_norm="train",
        l2=BACKBONE_L2,
        **taken,
    )
    return inner


def _say_differences(config: TransferConfig, inner: TransferConfig, name: str, others: tuple[str, ...]) -> None:
    """Report every option that was set but does not apply to an inner run, with its value there."""
    options = [
        *(f"finetune.{field.name}" for field in dataclasses.fields(FinetuneConfig) if field.name not in _REPLACED),
        *("features.views", "probe.folds", *others),
    ]
    differences, default = [], TransferConfig()
    for option in options:
        section, _, field = option.partition(".")
        requested, actual, usual = (getattr(getattr(place, section), field) for place in (config, inner, default))
        if requested not in (usual, actual):
            differences.append(f"{option}={requested} (this run uses {actual})")
    if differences:
        say(f"{name}: options that do not apply to this run: {', '.join(differences)}")
