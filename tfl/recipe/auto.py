"""Choose the options that the user leaves to tfl, from the data.

An option is left to tfl if its value is -1, or "auto" for a name: see `tfl.config.names.CHOSEN`. The choice is a
function of the config and of the number of examples alone, so the same command chooses the same values again. Each
choice is told with its reason, and config.json has its value.

The rules are in the spirit of the hyperrule of BiT (Kolesnikov et al. 2020, arXiv:1912.11370): few numbers that depend
on the size of the data. docs/explanation/recipe.md says how they were measured.
"""

import dataclasses
from collections.abc import Mapping

from tfl.config import TransferConfig, left_to_tfl, value_of, with_options
from tfl.data import Splits
from tfl.progress import say
from tfl.tasks import get_task
from tfl.workdir import Workdir

FEW = 5000  # examples for training; below, validation would take examples that the head needs
FEWEST = 1000  # examples for training; below, four versions of each image cost little
FOLDS = 5
STEPS = 400  # of fine-tuning, about
EPOCHS = (5, 20)  # of fine-tuning, at least and at most
MANY = 500  # examples for training; from here on three stages learn


@dataclasses.dataclass(frozen=True)
class Decision:
    """A value that tfl chose for an option, and why."""

    value: int | str
    reason: str


def choose_options(config: TransferConfig, splits: Splits) -> TransferConfig:
    """Return a config in which tfl has chosen every option that was left to it, and tell the choices.

    Args:
        config: a checked config.
        splits: its data.
    """
    decisions = decide(config, {name: len(getattr(splits, name)) for name in ("train", "validation")})
    for path, decision in decisions.items():
        say(f"{path}={decision.value}, because {decision.reason}")
    return with_options(config, {path: decision.value for path, decision in decisions.items()}).validate()


def decide(config: TransferConfig, num_examples: Mapping[str, int]) -> dict[str, Decision]:
    """Return the choice for every option that is left to tfl.

    Args:
        config: a checked config.
        num_examples: number of examples in "train" and "validation".

    Example:
        >>> config = tfl.TransferConfig(probe=tfl.ProbeConfig(folds=-1))
        >>> decide(config, {"train": 200, "validation": 43})["probe.folds"].value
        5
    """
    rules = {
        "probe.folds": _folds,
        "features.views": _views,
        "finetune.epochs": _epochs,
        "finetune.unfreeze": _unfreeze,
    }
    if config.probe.solver == "ridge":
        rules |= dict.fromkeys(("probe.folds", "features.views", "finetune.epochs"), _nothing)
    return {path: rules[path](config, num_examples) for path in left_to_tfl(config) if path in rules}


def as_recorded(config: TransferConfig, folder: Workdir) -> TransferConfig:
    """Return the config with the choices of an earlier start in the same folder, so that a run continues with them."""
    if not (folder / "config.json").exists():
        return config
    recorded = TransferConfig.from_dict(folder.read_config())
    return with_options(config, {path: value_of(recorded, path) for path in left_to_tfl(config)}).validate()


def _nothing(config: TransferConfig, num_examples: Mapping[str, int]) -> Decision:
    del config, num_examples
    return Decision(0, "ridge leaves out one example at a time, and keeps the network frozen")


def _folds(config: TransferConfig, num_examples: Mapping[str, int]) -> Decision:
    together = num_examples["train"] + num_examples["validation"]
    if config.probe.solver == "none" or config.head.hidden_units or config.probe.l2 or config.scratch.epochs:
        return Decision(
            0, "λ is not chosen for a solved linear head, or training from scratch needs the validation split"
        )
    if get_task(config.task.name).convex is None:
        return Decision(0, "the head of this task is not solved")
    if together >= FEW:
        return Decision(0, f"{together:,} examples are enough for a validation split")
    return Decision(FOLDS, f"all {together:,} examples for training and validation are few, and each helps the head")


def _views(config: TransferConfig, num_examples: Mapping[str, int]) -> Decision:
    count, augmentation = num_examples["train"], config.data.augmentation
    if augmentation == "none":
        return Decision(0, "there is no augmentation")
    if count >= FEW:
        return Decision(0, f"{count:,} examples for training need no augmented versions")
    views = 4 if count < FEWEST else 2
    return Decision(views, f"{count:,} examples for training are few, and stored versions make each epoch cheap")


def _epochs(config: TransferConfig, num_examples: Mapping[str, int]) -> Decision:
    per_epoch = -(-num_examples["train"] // config.data.batch_size)
    epochs = min(max(round(STEPS / per_epoch), EPOCHS[0]), EPOCHS[1])
    return Decision(epochs, f"an epoch has {per_epoch:,} step{'s' * (per_epoch > 1)}")


def _unfreeze(config: TransferConfig, num_examples: Mapping[str, int]) -> Decision:
    del config
    count = num_examples["train"]
    if count < MANY:
        return Decision("2", f"{count:,} examples for training can change few weights")
    return Decision("3", f"{count:,} examples for training can change the weights of the top three stages")
