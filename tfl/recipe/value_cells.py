"""One cell of a measurement of the worth of pre-training: a way, a number of labels and a seed."""

import dataclasses
import functools
import gc
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.backbones import get_backbone_spec
from tfl.backbones.stages import find_stages
from tfl.config import TransferConfig
from tfl.config.ways import FINETUNED, FROZEN, SCRATCH
from tfl.data import EpochFeed, Splits, make_dataset
from tfl.data.index import UNUSED
from tfl.evaluation import predict
from tfl.features import assign_head, cross_validate_head, solve_head
from tfl.features.extract import BATCH
from tfl.features.probe import HeadSolution
from tfl.models.classifier import logits_layer
from tfl.models.freezing import select_layers, train_only
from tfl.models.regularization import regularize
from tfl.progress import quiet, track
from tfl.recipe.balance import Balance
from tfl.recipe.compiling import compile_tuning
from tfl.recipe.transfer import make_backbone, make_classifier, output_names
from tfl.selection.similarity import linear_cka
from tfl.selection.subsets import entry_sizes
from tfl.tasks import get_task
from tfl.training import fit

FOLDS = 5
FEWEST_FOLDS = 3  # if most classes have fewer examples λ is not cross-validated
FIXED_L2 = 0.03  # times the variance of the features, where λ is not cross-validated
FEWEST_STEPS = 60  # of a training
VERSIONS = 8  # of each example, augmented
MOST_COMPARED = 256  # test examples whose activations are compared
MOST_BYTES = 2**30  # of these versions in memory


@dataclasses.dataclass(frozen=True)
class Cell:
    """A way, the labels a class at most, and a seed.

    Attributes:
        way: "scratch", "frozen" or "finetuned".
        size: largest number of labels a class.
        seed: of the choice of the labels, the random weights and the order of the examples.
    """

    way: str
    size: int
    seed: int

    @property
    def file(self) -> str:
        """The name of its file in the folder of cells."""
        return f"{self.way}-{self.size}-{self.seed}.json"


class Material:
    """The data, the features and the configs that all cells share.

    Args:
        tuned: the config of fine-tuning.
        scratch: the config of training from random weights.
        splits: the data.
        features: `(N, D)` of the frozen network, for all N examples of the index.
    """

    def __init__(self, tuned: TransferConfig, scratch: TransferConfig, splits: Splits, features: np.ndarray) -> None:
        self.tuned, self.scratch, self.splits, self.features = tuned, scratch, splits, features
        self.task, self.names = get_task(tuned.task.name), output_names(tuned, splits)
        self.pool = splits.outside_of_test
        self.groups = splits.index.together()

    def rows(self, cell: Cell) -> np.ndarray:
        """Return the labelled rows of a cell."""
        entry = entry_sizes(self.splits.index.labels[self.pool], self.groups[self.pool], cell.seed)
        return self.pool[entry <= cell.size]

    def with_labels(self, rows: np.ndarray) -> Splits:
        """Return the data with some rows for training, and nothing for validation."""
        index = self.splits.index
        parts = np.where(index.splits == "test", "test", UNUSED)
        parts[rows] = "train"
        return self.splits.divided_as(parts)

    @property
    def size(self) -> int:
        """The size of an example that the network takes."""
        return get_backbone_spec(self.tuned.backbone.name).size_of(self.tuned.data.image_size)

    @functools.cached_property
    def versions(self) -> np.ndarray | None:
        """The inputs of the labelled examples, augmented: `(V, P, ...)` for the P rows of `pool`.

        None if they are too many. All cells read them from memory, so that each file is decoded once, and not in every
        epoch of every cell.
        """
        data, source = self.tuned.data, self.splits.source
        size = self.size
        number = VERSIONS if data.augmentation != "none" else 1
        example = source.kind.sized(size).spec
        needed = number * len(self.pool) * math.prod(example.shape) * example.dtype.size
        if needed > MOST_BYTES or self.tuned.finetune.sampling != "uniform" or not source.has_random_access:
            return None
        batches = make_dataset(
            source,
            np.tile(self.pool, number),
            image_size=size,
            batch_size=BATCH,
            augmentation=data.augmentation,
            seed=self.tuned.seed,
            epoch=0,
            shuffle=False,
        )
        inputs = [batch["input"].numpy() for batch in track(batches, "versions of the training examples")]
        together = np.concatenate(inputs)
        if len(together) != number * len(self.pool):  # a file was lost while it was read
            return None
        return together.reshape(number, len(self.pool), *together.shape[1:])

    def config(self, cell: Cell) -> TransferConfig:
        """Return the config of a cell that is trained."""
        config = self.scratch if cell.way == SCRATCH else self.tuned
        return dataclasses.replace(config, seed=cell.seed)


def measure(material: Material, cell: Cell) -> dict[str, Any]:
    """Train a cell and test it.

    Returns:
        The number of labels, and for each test example whether its prediction is correct, ready for JSON.
    """
    rows = material.rows(cell)
    kept: dict[str, float] = {}
    if cell.way == FROZEN:
        test = material.splits.test
        logits = solve(material, cell, rows).logits(np.asarray(material.features[test], np.float64))
        correct = material.task.is_correct(logits, material.splits.index.labels[test])
    else:
        model = built_model(material, cell, rows)
        look = cell.way == FINETUNED and len(rows) == len(material.pool)
        before = activations(material, model) if look else {}
        _fit(material, model, material.config(cell), rows)
        after = activations(material, model) if look else {}
        kept = {name: linear_cka(before[name], after[name]) for name in before}
        correct = _in_order(material, _predicted(material, model))
        gc.collect()  # the model is in circles, which Python would keep for long
    bits = "".join("01"[int(one)] for one in correct)
    found = {"num_labels": len(rows), "accuracy": float(np.mean(correct)), "correct": bits}
    return found | ({"cka": kept} if kept else {})


def activations(material: Material, model: keras.Model) -> dict[str, np.ndarray]:
    """Return the output of each stage, averaged over its positions, for some test examples; no label plays a part."""
    stages = find_stages(model)
    outputs = [
        keras.ops.mean(stage.cut.tensor, axis=tuple(range(1, len(stage.cut.tensor.shape) - 1))) for stage in stages
    ]
    part = keras.Model(model.inputs, outputs)
    rows = material.splits.test[:: -(-len(material.splits.test) // MOST_COMPARED)]
    batches = make_dataset(material.splits.source, rows, image_size=material.size, batch_size=BATCH)
    blocks = [keras.tree.flatten(part(batch["input"], training=False)) for batch in batches]
    return {
        stage.name: np.concatenate([np.asarray(block[number]) for block in blocks])
        for number, stage in enumerate(stages)
    }


def _predicted(material: Material, model: keras.Model) -> Any:
    size = model.metadata.image_size
    dataset = make_dataset(material.splits.source, material.splits.test, image_size=size, batch_size=BATCH)
    with quiet():
        return predict(model, dataset, material.task)


def _in_order(material: Material, table: Any) -> np.ndarray:
    """Return whether each test example is predicted correctly, in the order of the index; one that was lost is not."""
    return np.isin(material.splits.test, table.ids[table.correct()])


def solve(material: Material, cell: Cell, rows: np.ndarray) -> HeadSolution:
    """Solve the head on the stored features of some rows."""
    index, config = material.splits.index, material.tuned
    balance = Balance.of(config.finetune, material.task, material.with_labels(rows))
    values, labels = np.asarray(material.features[rows], np.float64), index.labels[rows]
    options = {
        "target": balance.solved,
        "num_outputs": material.task.num_outputs(len(material.names)),
        "weights": index.weights_of(rows) if len(index.weights) else None,
        "class_weight": balance.class_weight,
    }
    groups = material.groups[rows]
    counts = [len(np.unique(groups[labels == number])) for number in np.unique(labels)]
    folds = min(FOLDS, int(np.median(counts)))  # a class with fewer is not in every fold
    with quiet():
        if config.probe.l2 or folds < FEWEST_FOLDS:
            l2 = config.probe.l2 or FIXED_L2 * max(float(values.var(axis=0).sum()), 1e-12)
            return solve_head(values, labels, l2=l2, **options)
        return cross_validate_head(values, labels, folds=folds, groups=groups, seed=cell.seed, **options).chosen


def built_model(material: Material, cell: Cell, rows: np.ndarray) -> keras.Model:
    """Return the network of a cell before its training; it trains to its last weights, because nothing is held out."""
    config = material.config(cell)
    keras.utils.clear_session()
    model = make_classifier(make_backbone(config, config.backbone.weights), config, material.names)
    head_l2 = config.probe.l2
    if cell.way == FINETUNED:
        head = solve(material, cell, rows)
        assign_head(logits_layer(model), head)
        head_l2 = head.l2
    options = config.finetune
    train_only(
        model, select_layers(model, options.unfreeze, from_top=True, batch_norm=options.batch_norm), options.batch_norm
    )
    regularize(model, head_l2=head_l2, l2=options.l2, l2_sp=options.l2_sp)
    return model


def num_steps(config: TransferConfig, count: int) -> int:
    """Return the steps over some examples: those of the epochs of the config, and at least 60."""
    return max(FEWEST_STEPS, config.finetune.epochs * -(-count // config.data.batch_size))


def _feed(material: Material, config: TransferConfig, rows: np.ndarray) -> tuple[Any, int]:
    """Return what a training reads, and its epochs.

    With versions in memory one epoch has all steps, because the start of an epoch costs as much as many small steps.
    """
    size, steps = config.data.batch_size, num_steps(config, len(rows))
    if material.versions is None:
        side, options = material.size, config.data
        feed = EpochFeed(
            material.splits.source, rows, side, size, options.augmentation, config.seed, config.finetune.sampling
        )
        return feed, -(-steps // feed.num_batches)
    number, index = len(material.versions), material.splits.index
    inputs = material.versions[:, np.searchsorted(material.pool, rows)].reshape(-1, *material.versions.shape[2:])
    columns = inputs, np.tile(index.labels[rows], number), np.tile(index.weights_of(rows), number)
    rng, passes = np.random.default_rng(config.seed), -(-steps * size // len(inputs))
    order = np.concatenate([rng.permutation(len(inputs)) for _ in range(passes)])[: steps * size]
    with tf.device("CPU"):
        tensors = [tf.constant(column) for column in columns]
    batches = tf.data.Dataset.from_tensor_slices(order.reshape(steps, size))
    return batches.map(lambda places: tuple(tf.gather(tensor, places) for tensor in tensors)).prefetch(2), 1


def _fit(material: Material, model: keras.Model, config: TransferConfig, rows: np.ndarray) -> None:
    options = config.finetune
    balance = Balance.of(options, material.task, material.with_labels(rows))
    feed, epochs = _feed(material, config, rows)
    compile_tuning(options, model, num_steps(config, len(rows)), balance)
    with quiet():
        fit(
            model,
            feed,
            epochs=epochs,
            class_weight=balance.step_weight,
            mixup=options.mixup,
            cutmix=options.cutmix,
            seed=config.seed,
            max_skipped_steps=options.max_skipped_steps,
            verbose=False,
        )
