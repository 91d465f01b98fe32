"""The sections of the config: each option has its default, rule and help on one line.

A config is plain data: no TensorFlow, no look-ups, no side effects. `python -m tfl.config` lists the options.
"""

import dataclasses
from typing import Any, Self

from tfl.config.moved import refuse_moved
from tfl.config.names import (
    AUGMENTATIONS,
    BATCH_NORMS,
    CLASS_WEIGHTS,
    FEATURE_DTYPES,
    FOLD_RULES,
    LOSSES,
    OPTIMIZERS,
    POOLINGS,
    PRETRAINING,
    RUNTIMES,
    SAMPLINGS,
    SCHEDULES,
    SOLVERS,
    STATE_POOLINGS,
    SUPERVISED,
    TARGETS,
)
from tfl.config.option import (
    AT_LEAST_ONE,
    CHOSEN_NAME,
    NOT_NEGATIVE,
    SHARE,
    Between,
    OneOf,
    OrChosen,
    Place,
    Switch,
    Text,
    option,
)
from tfl.config.torch_names import TORCH_NAME
from tfl.config.values import (
    FOLDS,
    SHA256,
    SOURCE_OR_NONE,
    UNITS,
)

_LEARNING_RATE = Between(1e-12)
_STAGES = Text(
    "a number of stages from the top, a fraction, the name of a stage or layer, 're:PATTERN'", ("all", CHOSEN_NAME)
)


@dataclasses.dataclass
class BackboneConfig:
    """The pretrained network.

    Example:
        >>> config = tfl.TransferConfig(backbone=BackboneConfig(name="MobileNetV2", alpha=0.35))
        >>> config.validate().backbone.weights
        'imagenet'
    """

    name: str = option(
        "MobileNetV2",
        Text("a network that `tfl backbones` lists", (CHOSEN_NAME,)),
        "Name of the network; auto: tfl chooses it and its alpha from those whose published weights are at hand.",
    )
    alpha: float = option(1.0, Between(0.01, 10), "Width multiplier; MobileNet families only.")
    weights: str = option("imagenet", Place("a file, a tfl workdir", ("imagenet", "none")), "Weights to start from.")
    torch_name: str = option(
        "",
        TORCH_NAME,
        "Name in torchvision or timm of the network of torch:FILE; empty: as the file says.",
    )
    sha256: str = option(
        "", SHA256, "SHA-256 of the content of hf:FOLDER or torch:FILE, which a run records; empty: any content."
    )


@dataclasses.dataclass
class PretrainConfig:
    """Pre-training of the backbone: in `tfl pretrain` on its source, in `tfl train` before it on another source.

    Example:
        >>> pretrain = PretrainConfig(source="folder:insects", epochs=30)
        >>> config = tfl.TransferConfig(backbone=tfl.BackboneConfig(weights="none"), pretrain=pretrain)
        >>> config.validate().pretrain.augmentation
        'rand'
    """

    source: str = option("", SOURCE_OR_NONE, "Images to pre-train on before a run; empty: no pre-training.")
    method: str = option(
        SUPERVISED,
        OneOf(PRETRAINING),
        "What is learned; supervised: the labels, barlow_twins: what two augmented views of an image share.",
    )
    epochs: int = option(20, AT_LEAST_ONE, "Epochs of pre-training.")
    learning_rate: float = option(3e-3, _LEARNING_RATE, "Learning rate of pre-training.")
    augmentation: str = option(
        "rand",
        OneOf(AUGMENTATIONS),
        "Random changes of the images; strong ones help with classes that this source lacks.",
    )


@dataclasses.dataclass
class ScratchConfig:
    """The same network, trained on the same labels without any pre-training, for comparison.

    Example:
        >>> config = tfl.TransferConfig(scratch=ScratchConfig(epochs=20))
        >>> config.validate().scratch.learning_rate
        0.003
    """

    epochs: int = option(0, NOT_NEGATIVE, "Epochs of training from scratch; 0: no comparison.")
    learning_rate: float = option(3e-3, _LEARNING_RATE, "Learning rate of training from scratch.")


@dataclasses.dataclass
class TaskConfig:
    """What the model learns.

    Example:
        >>> config = tfl.TransferConfig(task=TaskConfig(name="Multilabel"))
        >>> config.validate().task.name
        'multilabel'
    """

    name: str = option("multiclass", OneOf(TARGETS), "What is predicted for an image.")


@dataclasses.dataclass
class SegmentationConfig:
    """What a mask means; for the task segmentation.

    Example:
        >>> task, masks = tfl.TaskConfig(name="segmentation"), SegmentationConfig(ignore_label=11)
        >>> config = tfl.TransferConfig(task=task, segmentation=masks, data=tfl.DataConfig(source="masks:streets"))
        >>> config.validate().segmentation.ignore_label
        11
    """

    ignore_label: int = option(
        255, Between(-1, 2**24 - 1), "Value of the pixels of a mask that do not count (void); -1: all pixels count."
    )


@dataclasses.dataclass
class HeadConfig:
    """The layers on top of the backbone.

    Example:
        >>> config = tfl.TransferConfig(head=HeadConfig(hidden_units=(256,), dropout=0.2))
        >>> config.validate().head.pooling
        'avg'
    """

    pooling: str = option(
        "avg",
        OneOf((*POOLINGS, *STATE_POOLINGS[1:], CHOSEN_NAME)),
        "How the feature map becomes one vector; gem: generalized mean; cls, layers, layers_cls, auto: texts only.",
    )
    hidden_units: tuple[int, ...] = option((), UNITS, "Units of each hidden layer; empty: a linear head.")
    dropout: float = option(0.0, Between(0, 0.99), "Dropout rate before each dense layer.")

    def __new__(cls, *values: Any, **options: Any) -> Self:
        del values
        refuse_moved("head", options.items())
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_moved("head", [(name, value)])
        super().__setattr__(name, value)


@dataclasses.dataclass
class FeaturesConfig:
    """The outputs of the frozen part of the backbone, which are computed once per image and stored.

    Example:
        >>> config = tfl.TransferConfig(features=FeaturesConfig(views=8, dtype="float16"))
        >>> config.validate().features.runtime
        'auto'
    """

    runtime: str = option("auto", OneOf(RUNTIMES), "What computes the features; auto: the fastest that is installed.")
    store: str = option(
        "cache",
        Place("a folder", ("cache", "none")),
        "Where features are stored; cache: in $TFL_CACHE, none: only in memory.",
    )
    dtype: str = option("float32", OneOf(FEATURE_DTYPES), "Type of the stored features; float16 takes half the bytes.")
    views: int = option(0, OrChosen(high=1000), "Augmented versions of each training image, in addition to itself.")
    max_bytes: int = option(
        10 * 10**9,
        NOT_NEGATIVE,
        "Largest size of the store in bytes; the features used longest ago are removed first.",
    )


@dataclasses.dataclass
class ProbeConfig:
    """Phase 1: the head is solved on the features of the frozen backbone.

    Example:
        >>> config = tfl.TransferConfig(probe=ProbeConfig(folds=5, rule="one_standard_error"))
        >>> config.validate().probe.solver
        'lbfgs'
    """

    solver: str = option(
        "lbfgs",
        OneOf(SOLVERS),
        "How the head is solved; ridge: by sums that `tfl update` can change, none: phase 2 trains it.",
    )
    l2: float = option(0.0, NOT_NEGATIVE, "Lambda of the head's L2 penalty; 0: chosen on the validation split.")
    folds: int = option(
        0, FOLDS, "Folds of cross-validation, which chooses lambda in place of the validation split; 0: no folds."
    )
    rule: str = option(
        "best",
        OneOf(FOLD_RULES),
        "Lambda that the folds choose: that of the smallest mean loss, or the largest within one standard error of it.",
    )

    @property
    def uses_validation(self) -> bool:
        """Whether the head is solved on train and validation together, and judged on examples that were left out."""
        return self.folds > 0 or self.solver == "ridge"


@dataclasses.dataclass
class FinetuneConfig:
    """Phase 2: the head and part of the backbone are trained, starting from the solution of phase 1.

    Example:
        >>> config = tfl.TransferConfig(finetune=FinetuneConfig(epochs=10, unfreeze="2", learning_rate=3e-5))
        >>> config.validate().finetune.optimizer
        'adam'
    """

    epochs: int = option(
        0, OrChosen(), "Epochs of fine-tuning; 0: the result is the frozen backbone with its solved head."
    )
    unfreeze: str = option(
        "1", _STAGES, "The part of the backbone that is trained; 0: the head alone, auto: tfl chooses."
    )
    batch_norm: str = option(
        "frozen",
        OneOf(BATCH_NORMS),
        "BatchNorm in the trained stages; frozen: it stays in inference mode, train: it is trained.",
    )
    optimizer: str = option("adam", OneOf(OPTIMIZERS), "Optimizer of the head and of the unfrozen stages.")
    learning_rate: float = option(1e-4, _LEARNING_RATE, "Highest learning rate of the schedule.")
    momentum: float = option(0.9, SHARE, "Momentum of the optimizer; sgd only.")
    nesterov: bool = option(False, Switch(), "Nesterov momentum; sgd only.")
    schedule: str = option(
        "cosine", OneOf(SCHEDULES), "How the learning rate changes over the steps; cosine: with warm-up."
    )
    warmup_fraction: float = option(0.1, SHARE, "Share of all steps in which the learning rate rises; cosine only.")
    layer_decay: float = option(
        1.0, Between(1e-6, 1), "Learning rate of a stage, divided by that of the stage above it."
    )
    l2: float = option(0.0, NOT_NEGATIVE, "Strength of the pull of trained backbone weights towards zero.")
    l2_sp: float = option(
        0.0, NOT_NEGATIVE, "Strength of the pull of trained backbone weights towards their pretrained values."
    )
    weight_decay: float = option(0.0, NOT_NEGATIVE, "Decoupled weight decay, applied by the optimizer.")
    clip_norm: float = option(0.0, NOT_NEGATIVE, "Largest global norm of the gradient; 0: no clipping.")
    label_smoothing: float = option(0.0, Between(0, 0.99), "Share of each label that is spread over all classes.")
    loss: str = option("cross_entropy", OneOf(LOSSES), "Loss of training in steps; a solved head has cross-entropy.")
    focal_gamma: float = option(
        2.0, NOT_NEGATIVE, "Gamma: how little easy examples count in the focal loss; 0: all alike."
    )
    gce_q: float = option(
        0.7, Between(0.01, 1), "Generalized cross-entropy: near 0 it is cross-entropy, 1 bears most wrong labels."
    )
    class_weight: str = option(
        "none",
        OneOf(CLASS_WEIGHTS, {"inverse": "balanced"}),
        "Weights of the classes in both phases; balanced (or inverse): every class counts the same.",
    )
    class_weight_beta: float = option(
        0.999, Between(0, 0.999999), "Beta of class_weight=effective; 0: no weights, near 1: as balanced."
    )
    sampling: str = option(
        "uniform", OneOf(SAMPLINGS), "Which examples an epoch has; balanced: equally many of each class."
    )
    logit_adjustment: float = option(
        0.0,
        NOT_NEGATIVE,
        "Tau: so many log frequencies of the classes are added to the logits in training; 0: off.",
    )
    mixup: float = option(0.0, NOT_NEGATIVE, "Alpha of the Beta distribution of mixup; 0: off.")
    cutmix: float = option(0.0, NOT_NEGATIVE, "Alpha of the Beta distribution of cutmix; 0: off.")
    ema: float = option(0.0, Between(0, 0.999999), "Momentum of the moving average of the weights; 0: off.")
    early_stopping: int = option(
        0, NOT_NEGATIVE, "Epochs without a lower validation loss before training stops; 0: never."
    )
    accumulate: int = option(1, Between(1, 4096), "Parts into which each batch is divided, to need less memory.")
    jit_compile: bool = option(
        False, Switch(), "Let XLA compile the training step; for one GPU or TPU, slower on a CPU."
    )
    max_skipped_steps: int = option(
        20, NOT_NEGATIVE, "Most steps in a row that may have a loss or gradient that is not finite; 0: no limit."
    )


@dataclasses.dataclass
class CheckpointConfig:
    """How often fine-tuning saves its state; after a stop the same command continues from there.

    Example:
        >>> config = tfl.TransferConfig(checkpoint=CheckpointConfig(every_seconds=60))
        >>> config.validate().checkpoint.keep
        2
    """

    every_seconds: float = option(300.0, NOT_NEGATIVE, "Seconds between two checkpoints; 0: no checkpoints by time.")
    every_steps: int = option(0, NOT_NEGATIVE, "Steps between two checkpoints; 0: no checkpoints by steps.")
    keep: int = option(2, Between(1, 1000), "Newest checkpoints that are kept, in addition to that of the best epoch.")


@dataclasses.dataclass
class ReportConfig:
    """What report.html shows in addition to the numbers.

    Example:
        >>> config = tfl.TransferConfig(report=ReportConfig(gallery=0))
        >>> config.validate().report.gallery
        0
    """

    gallery: int = option(6, Between(0, 100), "Images of each kind, with heat maps; 0: none, which is faster.")
    audit: bool = option(
        True, Switch(), "Look for near duplicates, leaks and suspicious labels among the stored features."
    )
