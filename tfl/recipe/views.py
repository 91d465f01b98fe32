"""Pre-train a backbone without labels: two augmented views of each example get the same embedding (Barlow Twins)."""

import dataclasses
import json
import zipfile
from typing import Any

import keras
import numpy as np
from etils import epath
from keras import layers

from tfl.backbones import get_backbone_spec
from tfl.backbones.stages import HEAD_PREFIX
from tfl.build import input_of_config, load_splits
from tfl.checks import check_outside_of_sources
from tfl.config import TransferConfig
from tfl.config.values import split_source
from tfl.data import Splits, write_quarantine_csv
from tfl.data.index import read_splits
from tfl.data.unlabelled import has_class_folders, load_unlabelled
from tfl.data.views import TwoViews
from tfl.distribution.replicas import strategy_of
from tfl.distribution.strategy import make_strategy
from tfl.errors import InputError
from tfl.files.reading import read_json
from tfl.files.schemas import PRETRAINED
from tfl.files.writing import write_atomically
from tfl.models.batch_norm import shorten_statistics
from tfl.models.heads import pool
from tfl.models.precision import computing_in
from tfl.models.regularization import regularize
from tfl.progress import say
from tfl.recipe.backbone import backbone_of
from tfl.recipe.feature_quality import Quality, measure_quality
from tfl.recipe.finetune import write_history
from tfl.training import CheckpointOptions, compile, fit, make_optimizer, make_schedule
from tfl.training.contract.checks import Contract
from tfl.training.objective.views import EmbeddingSpread, ViewsLoss
from tfl.workdir import CHECKPOINTS, PRETRAINING, Workdir, write_json

L2 = 1e-4  # of all kernels
EMBEDDING = 512  # dimensions of the projector's layers
LEAST = 2  # examples on a replica, for a variance


@dataclasses.dataclass(frozen=True)
class PretrainingData:
    """The examples of pre-training: all but those of the test split."""

    splits: Splits
    has_labels: bool

    @property
    def rows(self) -> np.ndarray:
        """Rows of the index, int64."""
        return self.splits.outside_of_test


def load_examples(config: TransferConfig) -> PretrainingData:
    """Open the source of a config for pre-training without labels.

    A folder that has no class folders is read with all folders below it, and all its examples are used. Any other
    source is divided as in training, and the examples of its test split are left out.

    Raises:
        InputError: the source cannot be used, or holds fewer than two examples.
    """
    kind, (first, *others) = input_of_config(config), split_source(config.data.source)
    place, _, path = first.partition(":")
    is_plain = place == "folder" and not others and not config.data.label_pattern
    if is_plain and not has_class_folders(path, kind):
        source = load_unlabelled(path, kind, config.data.max_bad_fraction).at_depth(config.data.bit_depth)
        data = PretrainingData(Splits(source), has_labels=False)
        say(f"{first} has no class folders: all its {len(data.rows):,} {kind.noun[1]} are used, without labels")
    else:
        data = PretrainingData(load_splits(config), has_labels=True)
        say(
            f"{len(data.rows):,} {kind.noun[1]} of train and validation are used, without their labels; the "
            f"{len(data.splits.test):,} of test are left out"
        )
    if not data.splits.source.has_random_access:
        raise InputError(
            "`data.source` must be one that is read in any order for pre-training without labels, as folder, csv and "
            f"tfrecord are. Received: {config.data.source!r}. Did you mean to write it with `tfl convert` first?"
        )
    if len(data.rows) < LEAST:
        raise InputError(
            f"`data.source` must have at least {LEAST} {kind.noun[1]} for pre-training. Received: {len(data.rows)}."
        )
    return data


def batch_of(config: TransferConfig, count: int, replicas: int) -> int:
    """Return the number of examples in a batch: that of the config, or all examples if they are fewer.

    Raises:
        InputError: it cannot be divided among the replicas with at least two examples for each.
    """
    size = min(config.data.batch_size, count // replicas * replicas)
    if size < LEAST * replicas or size % replicas:
        raise InputError(
            f"`data.batch_size` must be a multiple of the {replicas} replicas, with at least {LEAST} examples for "
            "each, for pre-training without labels. "
            f"Received: data.batch_size={config.data.batch_size}, {count} examples."
        )
    return size


def check_augmentation(config: TransferConfig) -> None:
    """Refuse an augmentation that the input does not know, and none at all.

    Raises:
        InputError: the two views of an example would be equal, or cannot be made.
    """
    name, kind = config.pretrain.augmentation, input_of_config(config)
    known = [each for each in kind.augmentations if each != "none"]
    if name not in known:
        raise InputError(
            f"`pretrain.augmentation` must be one of {', '.join(known) or 'those of another kind of input'} for two "
            f"views of {kind.one_example}. Received: pretrain.augmentation={name!r}."
        )


def pretrain_on_views(
    config: TransferConfig, workdir: epath.PathLike, data: PretrainingData | None = None
) -> dict[str, Any]:
    """Pre-train without labels in a workdir, unless that run is finished; return the contents of its `metrics.json`.

    Args:
        config: a checked config, whose `data.source` is the source of pre-training.
        workdir: the folder of the run.
        data: from `load_examples`; None: it is called here.

    Raises:
        InputError: the data or the workdir cannot be used.
    """
    with Workdir.open(workdir, config.to_dict()) as run:
        check_outside_of_sources(run.path, config)
        if (run / "metrics.json").exists():
            say(f"{run.path}: this run is finished")
            return read_json(run / "metrics.json", PRETRAINED)
        return _train(config, run, data or load_examples(config))


def _train(config: TransferConfig, run: Workdir, data: PretrainingData) -> dict[str, Any]:
    """Pre-train, or continue, and write all files of the run; `metrics.json` comes last."""
    if (run / "splits.csv").exists():
        data.splits.index.check_same(read_splits(run / "splits.csv"))
    strategy = make_strategy(config.strategy)
    batch_size = batch_of(config, len(data.rows), strategy.num_replicas_in_sync)
    with strategy.scope():
        backbone = backbone_of(config)
        model = add_projector(backbone, config.head.pooling)
    run.begin(config.to_dict())
    if run.writes:
        data.splits.index.write_csv(run / "splits.csv")
        write_quarantine_csv(run / "quarantine.csv", data.splits.quarantine)
    size = int(model.input.shape[1])
    feed = TwoViews(data.splits.source, data.rows, size, batch_size, config.pretrain.augmentation, config.seed)
    history, contract = _fit(config, run, model, feed)
    # Measured only now, so that a run that is stopped again and again does not measure its start each time.
    before, after = (_quality(config, data, network) for network in (backbone_of(config), backbone))
    metrics = _metrics(history, feed, before, after) | {"contract": contract}
    say(_describe(metrics))
    if run.writes:
        about = describe_pretraining(config, metrics)
        save_backbone(backbone, about, run / "model.keras")
        write_json(run / PRETRAINING, about)
        write_json(run / "metrics.json", metrics)
    return metrics


def _quality(config: TransferConfig, data: PretrainingData, backbone: keras.Model) -> Quality:
    features = keras.Model(backbone.input, pool(backbone.output, config.head.pooling))
    return measure_quality(config, data.splits, data.rows, features, has_labels=data.has_labels)


def add_projector(backbone: keras.Model, pooling: str) -> keras.Model:
    """Return a model from examples to embeddings `(B, 512)`: the backbone, pooling, and three dense layers."""
    values = pool(backbone.output, pooling)
    for number in (1, 2):
        values = layers.Dense(EMBEDDING, use_bias=False, name=f"{HEAD_PREFIX}projector{number}")(values)
        values = layers.BatchNormalization(name=f"{HEAD_PREFIX}norm{number}")(values)
        values = layers.ReLU(name=f"{HEAD_PREFIX}relu{number}")(values)
    values = layers.Dense(EMBEDDING, use_bias=False, dtype="float32", name=HEAD_PREFIX + "embedding")(values)
    return keras.Model(backbone.input, values)


def _fit(
    config: TransferConfig, run: Workdir, model: keras.Model, feed: TwoViews
) -> tuple[keras.callbacks.History, dict[str, Any]]:
    options, tuning, saving = config.pretrain, config.finetune, config.checkpoint
    steps = options.epochs * feed.num_batches
    regularize(model, head_l2=L2, l2=L2)
    shorten_statistics(model, steps)
    with strategy_of(model).scope():
        compile(
            model,
            make_optimizer("adam", make_schedule("cosine", options.learning_rate, steps)),
            loss=ViewsLoss(),
            metrics=[EmbeddingSpread()],
            clip_norm=tuning.clip_norm,
            ema=tuning.ema,
            jit_compile=tuning.jit_compile,
        )
    promise = Contract.before(model, phase="pre-training")
    checkpoint = CheckpointOptions(
        run / CHECKPOINTS / "pretrain", saving.every_seconds, saving.every_steps, saving.keep
    )
    with computing_in(model, config.precision):
        history = fit(
            model,
            feed,
            epochs=options.epochs,
            callbacks=[keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False)],
            seed=config.seed,
            checkpoint=checkpoint,
            max_skipped_steps=tuning.max_skipped_steps,
            names=feed.source.index.ids,
        )
    _check_converged(config, history)
    write_history(run, history)
    return history, promise.verify(history, steps=steps)


def _check_converged(config: TransferConfig, history: keras.callbacks.History) -> None:
    skipped, loss = int(np.sum(history.history["skipped_steps"])), float(history.history["loss"][-1])
    if 2 * skipped >= history.steps or not np.isfinite(loss):
        raise InputError(
            "`pretrain.learning_rate` must be small enough for training to converge. Received: "
            f"pretrain.learning_rate={config.pretrain.learning_rate}: in {skipped} of {history.steps} steps the loss "
            "or gradient was not finite."
        )


def _metrics(history: keras.callbacks.History, feed: TwoViews, before: Quality, after: Quality) -> dict[str, Any]:
    last = {name: float(np.asarray(history.history[name][-1])) for name in ("loss", "embedding_spread")}
    return {
        **last,
        "num_examples": len(feed.rows),
        "batch_size": feed.batch_size,
        "epochs": len(history.epoch),
        "steps": int(history.steps),
        "skipped_steps": int(np.sum(history.history["skipped_steps"])),
        "collapsed": after.is_collapsed,
        "before": dataclasses.asdict(before),
        "after": dataclasses.asdict(after),
    }


def _describe(metrics: dict[str, Any]) -> str:
    before, after = (Quality(**metrics[name]) for name in ("before", "after"))
    lines = [f"before pre-training: {before.describe()}", f"after:               {after.describe()}"]
    if after.is_collapsed:
        lines.append(
            "Warning: the features are collapsed: they say almost nothing about an example. Do not use them. Try a "
            "smaller pretrain.learning_rate, a larger data.batch_size, or more epochs."
        )
    return "\n".join(lines)


def describe_pretraining(config: TransferConfig, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return how a backbone was pre-trained, for `pretraining.json` and for the model file."""
    spec, options = get_backbone_spec(config.backbone.name), config.pretrain
    return {
        "method": options.method,
        "backbone": spec.name,
        "alpha": config.backbone.alpha,
        "image_size": spec.size_of(config.data.image_size),
        "started_from": config.backbone.weights,
        "source": config.data.source,
        "augmentation": options.augmentation,
        "learning_rate": options.learning_rate,
        "seed": config.seed,
        **{name: metrics[name] for name in ("num_examples", "batch_size", "epochs", "steps", "loss", "collapsed")},
        "effective_rank": metrics["after"]["effective_rank"],
    }


def save_backbone(backbone: keras.Model, about: dict[str, Any], path: epath.Path) -> None:
    """Write a backbone as a `.keras` file that also holds how it was pre-trained; Keras loads it without tfl."""

    def write(temporary: epath.Path) -> None:
        keras.Model(backbone.input, backbone.output, name=backbone.name).save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:  # Keras ignores unknown entries
            archive.writestr(PRETRAINING, json.dumps(about, indent=2))

    write_atomically(path, write)
