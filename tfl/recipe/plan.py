"""Tell the user before a run what it will do, and about how long it takes."""

from collections.abc import Callable
from typing import Any

import keras

from tfl.config import TransferConfig
from tfl.data import Splits
from tfl.features import Extractor
from tfl.features.speed import Speed
from tfl.models.cost import share_above
from tfl.models.freezing import select_layers, train_only
from tfl.progress import human_time, say
from tfl.recipe.balance import describe_balance
from tfl.recipe.run import Run
from tfl.recipe.work import remaining_work
from tfl.workdir import CHECKPOINTS

LATER = "how long this takes is known after the first steps of training"
SayPlan = Callable[[TransferConfig, Splits, keras.Model], None]


def say_plan(config: TransferConfig, splits: Splits, model: keras.Model) -> None:
    """Tell the user the data, the network and the phases of a run, and which layers it trains.

    The phases set again which layers of `model` are trainable.
    """
    say_phases(config, splits, model)
    say(str(train_only(model, _trained(config, model), config.finetune.batch_norm)))


def say_phases(config: TransferConfig, splits: Splits, model: keras.Model) -> None:
    """Tell the user the same without the table of layers, for a run inside a run."""
    counts = ", ".join(f"{name} {len(getattr(splits, name))}" for name in ("train", "validation", "test"))
    say(
        f"{splits.source.kind.noun[1]}: {counts}"
        + (f"; {len(splits.class_names)} classes" if splits.class_names else "")
    )
    say(f"network: {_network(model)}")
    if config.backbone.weights == "none" and not config.pretrain.source and not config.finetune.epochs:
        say("network: its weights are random and stay so; `backbone.weights` names others")
    if splits.source.kind.adaptation:
        say(splits.source.kind.adaptation)
    say(f"plan: {', then '.join(_phases(config, splits, model))}")
    for line in describe_balance(config):
        say(f"classes: {line}")
    if config.probe.solver == "none":  # there are no features whose time could be measured
        say(LATER)


def say_time(run: Run, extractor: Extractor, missing: int) -> None:
    """Tell the user about how long the run takes, as soon as the speed of the frozen network is known.

    Args:
        run: the run.
        extractor: of the frozen network; it tells its speed after the first features.
        missing: number of its features that are not stored.
    """
    if (run.folder / CHECKPOINTS / "finetune").exists():
        say(LATER)  # an earlier start has trained some epochs
        return
    told: list[Speed] = []
    share = trained_share(run.config, run.model)
    counts = {name: len(run.rows(name)) for name in ("train", "validation", "test")}
    work = remaining_work(run.config, counts, missing=missing, trained_share=share)

    def tell(speed: Speed) -> None:
        if not told:
            say(f"this run takes about {human_time(work.seconds(speed) / run.workers.number)}, {basis}")
        told.append(speed)

    if missing:
        basis = f"judging by its first {run.splits.source.kind.noun[1]}"
        extractor.tell = tell
        return
    say(f"features: all are stored, so the frozen network does not run over the {run.splits.source.kind.noun[1]} again")
    if not run.config.finetune.epochs:
        return
    basis, speed = "judging by the time that the stored features took", extractor.recorded_speed()
    if speed is None:
        say(LATER)
    else:
        tell(speed)


def _network(model: keras.Model) -> str:
    metadata: Any = model.metadata
    width = f" (alpha {metadata.alpha:g})" if metadata.alpha != 1 else ""
    size = "x".join(str(size) for size in model.inputs[0].shape[1:3] if size)
    return f"{metadata.backbone}{width}, input {size}, {model.count_params():,} parameters"


def _phases(config: TransferConfig, splits: Splits, model: keras.Model) -> list[str]:
    options, several, phases = config.finetune, splits.source.kind.noun[1], []
    if config.pretrain.source:
        phases.append(f"pre-train for {_times(config.pretrain.epochs, 'epoch')} on {config.pretrain.source}")
    if config.probe.solver != "none":
        count = len(splits.train) * max(1, config.features.views + 1) + len(splits.validation)
        head = "train the head" if config.head.hidden_units else "solve the head"
        phases.append(f"compute features of {count:,} {several} and {head}")
    if options.epochs:
        steps = -(-len(splits.train) // config.data.batch_size)
        lowest = _lowest(config, model)
        where = f"the layers from {lowest} on" if lowest else "the head"
        verb = "train" if config.probe.solver == "none" else "fine-tune"
        phases.append(f"{verb} {where} for {_times(options.epochs, 'epoch')} of {_times(steps, 'step')}")
    phases.append(f"evaluate on {len(splits.test):,} {several}")
    if config.scratch.epochs:
        phases.append(f"train from scratch for {_times(config.scratch.epochs, 'epoch')}, to compare")
    return phases


def _times(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _trained(config: TransferConfig, model: keras.Model) -> set[str]:
    """Return the names of the layers of the backbone that the last phase trains."""
    options = config.finetune
    if not options.epochs:
        return set()
    return select_layers(model, options.unfreeze, from_top=True, batch_norm=options.batch_norm)


def _lowest(config: TransferConfig, model: keras.Model) -> str:
    """Return the name of the lowest layer that fine-tuning trains; "" if it trains the head alone."""
    names = _trained(config, model)
    return next((layer.name for layer in model.layers if layer.name in names and layer.weights), "")


def trained_share(config: TransferConfig, model: keras.Model) -> float:
    """Return the share of the network's operations from the lowest layer on that fine-tuning trains."""
    lowest = _lowest(config, model)
    return share_above(model, lowest) if lowest else 0.0
