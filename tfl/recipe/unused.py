"""Find options of a config that have no effect because of other options of the same config."""

from collections.abc import Callable

from tfl.config import TransferConfig, flatten
from tfl.config.values import SPLIT_RULES
from tfl.recipes import load_recipe, recipes
from tfl.tasks import get_task

_FINETUNE = (
    *("unfreeze", "batch_norm", "optimizer", "learning_rate", "schedule", "layer_decay", "l2", "l2_sp"),
    *("weight_decay", "early_stopping", "momentum", "nesterov", "warmup_fraction"),
)
_EVERY_TRAINING = (  # these also apply to pre-training and to the comparison from scratch
    *("label_smoothing", "mixup", "cutmix", "ema", "clip_norm", "accumulate", "jit_compile", "max_skipped_steps"),
)


def _trains(config: TransferConfig) -> bool:
    return bool(config.finetune.epochs or config.pretrain.source or config.scratch.epochs)


_Rule = tuple[tuple[str, ...], str, Callable[[TransferConfig], bool]]
_RULES: tuple[_Rule, ...] = (  # the options, the reason why they have no effect, and the condition
    (tuple(f"finetune.{name}" for name in _FINETUNE), "finetune.epochs is 0", lambda c: not c.finetune.epochs),
    (tuple(f"finetune.{name}" for name in _EVERY_TRAINING), "finetune.epochs is 0", lambda c: not _trains(c)),
    (
        ("precision", "checkpoint.every_seconds", "checkpoint.every_steps", "checkpoint.keep"),
        "nothing is fine-tuned or pre-trained, and the head is solved in float32",
        lambda c: not _trains(c),
    ),
    (
        ("segmentation.ignore_label",),
        "the task has no masks",
        lambda c: get_task(c.task.name).stands_on != "map",
    ),
    (
        ("head.pooling",),
        "the head gets all positions of the maps",
        lambda c: get_task(c.task.name).stands_on != "vector",
    ),
    (
        ("head.dropout", "data.batch_size"),
        "the head is solved and not trained batch by batch",
        lambda c: not (_trains(c) or c.head.hidden_units),
    ),
    (
        ("data.augmentation",),
        "finetune.epochs and features.views are 0",
        lambda c: not (c.finetune.epochs or c.features.views or (c.scratch.epochs and not c.pretrain.source)),
    ),
    (
        ("finetune.momentum", "finetune.nesterov"),
        "finetune.optimizer is not 'sgd'",
        lambda c: c.finetune.optimizer != "sgd",
    ),
    (
        ("finetune.optimizer",),
        "finetune.weight_decay is 0, and adamw without it is adam",
        lambda c: c.finetune.optimizer == "adamw" and not c.finetune.weight_decay,
    ),
    (("finetune.warmup_fraction",), "finetune.schedule is not 'cosine'", lambda c: c.finetune.schedule != "cosine"),
    (
        ("finetune.batch_norm", "finetune.l2", "finetune.l2_sp", "finetune.layer_decay"),
        "finetune.unfreeze is '0', so only the head is trained",
        lambda c: c.finetune.unfreeze == "0",
    ),
    (tuple(f"pretrain.{name}" for name in ("method", "epochs", "learning_rate", "augmentation")),
     "pretrain.source is empty",
     lambda c: not c.pretrain.source),
    (
        ("finetune.loss",),
        "the head is solved, and a solved head has cross-entropy",
        lambda c: not (_trains(c) or c.head.hidden_units),
    ),
    (("finetune.focal_gamma",), "finetune.loss is not 'focal'", lambda c: c.finetune.loss != "focal"),
    (
        ("finetune.gce_q",),
        "finetune.loss is not 'generalized_cross_entropy'",
        lambda c: c.finetune.loss != "generalized_cross_entropy",
    ),
    (
        ("finetune.class_weight_beta",),
        "finetune.class_weight is not 'effective'",
        lambda c: c.finetune.class_weight != "effective",
    ),
    (("scratch.learning_rate",), "scratch.epochs is 0", lambda c: not c.scratch.epochs),
    (("probe.folds", "probe.rule"), "probe.solver is 'none'", lambda c: c.probe.solver == "none"),
    (("probe.rule",), "probe.folds is 0", lambda c: not c.probe.folds),
    (("data.split",), "data.split_by is the split of another run", lambda c: c.data.split_by not in SPLIT_RULES),
    (("features.max_bytes", "features.dtype"), "features.store is 'none'", lambda c: c.features.store == "none"),
)  # fmt: skip


def unused_options(config: TransferConfig) -> dict[str, str]:
    """Return the options that the user set but that have no effect, each with the reason.

    A config does not say who set an option. So an option counts as set by the user if it differs from its default and
    from its value in the recipe that the config is nearest to.

    Args:
        config: a config that `validate` returned.

    Example:
        >>> config = TransferConfig(finetune=tfl.FinetuneConfig(epochs=1, momentum=0.5))
        >>> unused_options(config.validate())
        {'finetune.momentum': "finetune.optimizer is not 'sgd'"}
    """
    chosen = _chosen_options(config)
    unused: dict[str, str] = {}
    for paths, reason, applies in _RULES:
        if applies(config):
            unused |= {path: reason for path in paths if path in chosen} | unused
    return unused


def _chosen_options(config: TransferConfig) -> set[str]:
    """Return the options that differ from their default, and from the nearest recipe or the defaults themselves."""
    values, defaults = flatten(config.to_dict()), TransferConfig()
    known = [defaults, *(load_recipe(name) for name in sorted(recipes()))]
    differences = [{path for path, value in flatten(each.to_dict()).items() if value != values[path]} for each in known]
    return differences[0] & min(differences, key=lambda paths: len(paths - {"data.source"}))  # each user has own data
