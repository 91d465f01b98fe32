"""Pre-train a backbone, with or without labels; the workdir is then a `backbone.weights`."""

import dataclasses
from typing import Any

import keras
from etils import epath

from tfl.build import checked
from tfl.config import SUPERVISED, TransferConfig, flatten
from tfl.data import reading_explained
from tfl.distribution.strategy import make_deterministic, make_strategy
from tfl.models.classifier import load_model
from tfl.progress import say
from tfl.recipe.inner_runs import own_pretraining
from tfl.recipe.transfer import transfer
from tfl.recipe.views import check_augmentation, pretrain_on_views
from tfl.workdir import Workdir

_USED = (  # options of pre-training without labels; those of data count for the reading
    *("seed", "strategy", "precision", "deterministic", "backbone.", "pretrain.", "checkpoint.", "data."),
    *("head.pooling", "features.runtime"),
    *(f"finetune.{name}" for name in ("clip_norm", "ema", "jit_compile", "max_skipped_steps")),
)
_UNUSED = ("pretrain.source", "data.augmentation")


@dataclasses.dataclass(frozen=True)
class PretrainResult:
    """The result of pre-training.

    Attributes:
        model: the network from examples to a feature map; with labels the classifier, as from `tfl.transfer`.
        metrics: the contents of `metrics.json`.
        workdir: the folder of the run; `backbone.weights` takes it.

    Example:
        >>> result = tfl.pretrain(config, "runs/supervised")
        >>> config.backbone.weights = str(result.workdir)
    """

    model: keras.Model
    metrics: dict[str, Any]
    workdir: epath.Path


@reading_explained()
def pretrain(config: TransferConfig, workdir: epath.PathLike) -> PretrainResult:
    """Train a whole backbone on the examples of `data.source`, as a start for other tasks.

    `pretrain.method` says how. "supervised" learns the labels, with the recipe of training in steps. "barlow_twins"
    needs no labels: two augmented views of an example get the same embedding, whose dimensions say different things.
    Training starts from random weights (`backbone.weights="none"`), or continues from published weights or a file.

    Args:
        config: the options; epochs, learning rate and augmentation are those of `pretrain`.
        workdir: the folder of the run. If you repeat the same command, an unfinished run continues, and a finished run
            is only reported as finished. Give the folder as `backbone.weights` to another run.

    Returns:
        The network, its metrics and the folder.

    Raises:
        InputError: the config, the data or the workdir cannot be used; raised before anything slow starts.

    Example:
        >>> config = tfl.load_recipe("pretrain_selfsupervised", "photos")
        >>> result = tfl.pretrain(config, "runs/pretrained")
        >>> config = tfl.load_recipe("folder", "photos", {"backbone.weights": "runs/pretrained"})

    Reference:
        Zbontar, Jing, Misra, LeCun and Deny 2021, Barlow Twins, arXiv:2103.03230.
    """
    config = checked(config)
    if config.pretrain.method == SUPERVISED:
        supervised = transfer(own_pretraining(config), workdir)
        return PretrainResult(supervised.model, supervised.metrics, supervised.workdir)
    check_augmentation(config)
    for path in _without_effect(config):
        say(f"Warning: {path} has no effect, because pre-training without labels does not use it.")
    make_strategy(config.strategy)  # must come before any other TensorFlow operation
    if config.deterministic:
        make_deterministic()
    metrics, run = pretrain_on_views(config, workdir), Workdir(workdir)
    say(f"the pre-trained backbone is in {run.path}; use it with --config.backbone.weights={run.path}")
    return PretrainResult(load_model(run.path), metrics, run.path)


def _without_effect(config: TransferConfig) -> list[str]:
    """Return the options that were set, but that pre-training without labels does not use."""
    usual = flatten(TransferConfig().to_dict())
    return [
        path
        for path, value in flatten(config.to_dict()).items()
        if value != usual[path] and (path in _UNUSED or not path.startswith(_USED))
    ]
