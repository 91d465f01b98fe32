"""The options, data, model and folder of a run. A phase changes only the model's weights, and returns its result."""

import contextlib
import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfl.build import make_extractor
from tfl.config import TransferConfig
from tfl.data import Splits, make_dataset
from tfl.distribution.strategy import make_strategy
from tfl.distribution.workers import Workers
from tfl.evaluation import Predictions
from tfl.features import Extractor, View, open_store
from tfl.features.extract import BATCH
from tfl.features.reuse import with_labels
from tfl.features.view import PLAIN
from tfl.models.classifier import logits_layer
from tfl.models.inference import Outputs
from tfl.recipe.balance import Balance
from tfl.recipe.budget import Budget
from tfl.tasks import get_task
from tfl.tracking.guard import Tracking
from tfl.training.objective.units import Units
from tfl.workdir import Workdir


class Run:
    """Everything that the phases of a run need, checked and built.

    Attributes:
        config: the options.
        splits: the data.
        model: the classifier; each phase leaves its weights in it.
        folder: the workdir.
        tracking: what records the run while it runs.
        budget: the time that it may take.
        callbacks: more callbacks of fine-tuning.
        task: the task, which says what the model predicts for an example.
        workers: the processes that train together. All make the same calls: each extracts and predicts its own part,
            and waits for the others.
        units: the units of the values in a regression, None for other tasks; each phase standardises the values
            internally.
        store: the store of the features.
        balance: weights, offsets and losses for classes of different sizes and wrong labels.
    """

    def __init__(
        self,
        config: TransferConfig,
        splits: Splits,
        model: keras.Model,
        folder: Workdir,
        tracking: Tracking | None = None,
        budget: Budget | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        self.config, self.splits, self.model, self.folder = config, splits, model, folder
        self.tracking, self.budget, self.callbacks = tracking or Tracking(), budget or Budget(0), callbacks
        self.task, self.workers = get_task(config.task.name), Workers(make_strategy(config.strategy))
        self.units: Units | None = None
        if self.task.standardizes:
            self.units = Units(splits.index.labels[splits.train])
            self.units.to_user(logits_layer(model))
        self.store = open_store(config.features)
        self.balance = Balance.of(config.finetune, self.task, splits)

    def dataset(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return some examples as batches, in order and without augmentation."""
        size = self.model.metadata.image_size
        return make_dataset(self.splits.source, rows, image_size=size, batch_size=BATCH)

    def with_labels(self, batches: tf.data.Dataset, rows: np.ndarray) -> tf.data.Dataset:
        """Return batches of stored features with the labels of their examples, as the source prepares them.

        Args:
            batches: of `BATCH` examples, in the order of `rows`.
            rows: of the examples in the index.
        """
        if not self.splits.source.labels_have_places:  # the index has the labels themselves
            return batches
        size = self.model.metadata.image_size
        return with_labels(batches, self.splits.source, rows, image_size=size, batch_size=BATCH)

    def rows(self, split: str) -> np.ndarray:
        """Return the rows of one split in the index."""
        return getattr(self.splits, split)

    def example_weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the weight of each example for choices on validation, with mean 1; None: all have the same weight."""
        class_weight, own = self.balance.class_weight, self.own_weights(rows)
        if class_weight is None and own is None:
            return None
        weights = np.ones(len(rows)) if own is None else own.astype(np.float64)
        if class_weight is not None:
            weights *= [class_weight.get(int(label), 1.0) for label in self.splits.index.labels[rows]]
        return weights / weights.mean()

    def own_weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the weights that the data gives to some examples; None: all count the same."""
        index = self.splits.index
        return index.weights_of(rows) if len(index.weights) else None

    def as_learned(self, table: Predictions) -> Predictions:
        """Return predictions whose losses have the offsets and weights that the head is solved with."""
        return dataclasses.replace(table, task=self.balance.solved)

    def weighted(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Add the weights of `example_weights` to batches of validation."""
        rows = self.rows("validation")
        weights = self.example_weights(rows)
        if weights is None:
            return batches
        table = np.ones(len(self.splits.index), np.float32)
        table[rows] = weights
        return batches.map(lambda batch: batch | {"weight": tf.gather(table, batch["id"])})

    def standardized(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the model gives standardised values; a classifier does not change."""
        if self.units is None:
            return contextlib.nullcontext()
        return self.units.standardized(logits_layer(self.model))

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this worker's part of some rows: whole batches, the same batches that a single process would make."""
        return rows[self.workers.share(len(rows), BATCH)]

    def fill(self, extractor: Extractor, rows: np.ndarray, views: Sequence[View | None] = PLAIN) -> None:
        """Let each of several workers run a frozen part over its own images, and store the features.

        If the workers share no file system, a worker later computes the features that its store lacks.
        """
        if self.workers.number > 1:
            extractor.fill(self.share(rows), views)
            self.workers.mean(0.0)  # wait until all workers have stored their features

    def features(
        self, extractor: Extractor, rows: np.ndarray, views: Sequence[View | None] = PLAIN, name: str = "features"
    ) -> Outputs:
        """Return the features of some images from a frozen part, computed by all workers together."""
        if self.workers.number == 1:
            return extractor(rows, views, name)
        mine = self.workers.share(len(rows), BATCH)
        places = np.concatenate([number * len(rows) + mine for number in range(len(views))])
        ids, values = np.tile(rows, len(views)), np.zeros((0, *extractor.shape), np.float32)
        if len(mine):
            values = np.asarray(extractor(rows[mine], views, name).values)
        return Outputs(self.workers.gather(values, places, len(ids)), self.splits.index.labels[ids], ids)

    def extractor(self, lower: keras.Model) -> Extractor:
        """Return an extractor that runs a frozen part of the model over this run's images."""
        return make_extractor(lower, self.splits.source, self.config.features, self.store)

    def views(self) -> list[View]:
        """Return the augmented versions of the training images that are stored."""
        data = self.config.data
        return [View(data.augmentation, self.config.seed, number) for number in range(self.config.features.views)]
