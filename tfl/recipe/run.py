"""What a run works with: its options, data, model and folder. No phase changes it; the phases hand on their results."""

import contextlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfl.build import make_extractor
from tfl.config import TransferConfig
from tfl.data import Splits, make_dataset
from tfl.distribution.strategy import make_strategy
from tfl.distribution.workers import Workers
from tfl.features import Extractor, View, open_store
from tfl.features.extract import BATCH, PLAIN
from tfl.models.classifier import logits_layer
from tfl.models.inference import Outputs
from tfl.tasks import get_task
from tfl.training import balanced_class_weight
from tfl.training.objective.units import Units
from tfl.workdir import Workdir


class Run:
    """Everything that the phases of a run need, checked and built.

    Attributes:
        config: the options.
        splits: the data.
        model: the classifier; each phase leaves its weights in it.
        folder: the workdir.
        task: what is asked of an example.
        workers: the processes that run this job together. All make the same calls: each does its own part of what is
            extracted and predicted, and waits for the others.
        units: of the values that are learned, None for other tasks: each phase standardises them inside.
        store: where features are kept.
        class_weight: how much the examples of each class count; None: all the same.
    """

    def __init__(self, config: TransferConfig, splits: Splits, model: keras.Model, folder: Workdir) -> None:
        self.config, self.splits, self.model, self.folder = config, splits, model, folder
        self.task, self.workers = get_task(config.head.target), Workers(make_strategy(config.strategy))
        self.units: Units | None = None
        if self.task.standardizes:
            self.units = Units(splits.index.labels[splits.train])
            self.units.to_user(logits_layer(model))
        self.store = open_store(config.features)
        self.class_weight: dict[int, float] | None = None
        if config.finetune.class_weight == "balanced":
            self.class_weight = balanced_class_weight(splits.index.labels[splits.train])

    def dataset(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return some examples as batches, in order and as they are."""
        size = self.model.metadata.image_size
        return make_dataset(self.splits.source, rows, image_size=size, batch_size=BATCH)

    def rows(self, split: str) -> np.ndarray:
        """Return the rows of one split in the index."""
        return getattr(self.splits, split)

    def example_weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return how much each of some examples counts where something is chosen, of mean 1; None: all the same."""
        if self.class_weight is None:
            return None
        weights = np.array([self.class_weight.get(int(label), 1.0) for label in self.splits.index.labels[rows]])
        return weights / weights.mean()

    def weighted(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Give batches of validation the weights by which something is chosen on them."""
        rows = self.rows("validation")
        weights = self.example_weights(rows)
        if weights is None:
            return batches
        table = np.ones(len(self.splits.index), np.float32)
        table[rows] = weights
        return batches.map(lambda batch: batch | {"weight": tf.gather(table, batch["id"])})

    def standardized(self) -> contextlib.AbstractContextManager[None]:
        """Within the context the model gives values in standard deviations from their mean; classifiers are as ever."""
        if self.units is None:
            return contextlib.nullcontext()
        return self.units.standardized(logits_layer(self.model))

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows that are this worker's: whole batches, so that they are those of one process."""
        return rows[self.workers.share(len(rows), BATCH)]

    def fill(self, extractor: Extractor, rows: np.ndarray, views: Sequence[View | None] = PLAIN) -> None:
        """Let several workers run a frozen part over some images, each over its own, and store what it gives.

        What the store of one does not have afterwards, because they share no file system, it computes itself.
        """
        if self.workers.number > 1:
            extractor.fill(self.share(rows), views)
            self.workers.mean(0.0)  # all have stored theirs

    def features(
        self, extractor: Extractor, rows: np.ndarray, views: Sequence[View | None] = PLAIN, name: str = "features"
    ) -> Outputs:
        """Return what a frozen part gives for some images, computed by the workers together."""
        if self.workers.number == 1:
            return extractor(rows, views, name)
        mine = self.workers.share(len(rows), BATCH)
        places = np.concatenate([number * len(rows) + mine for number in range(len(views))])
        ids, values = np.tile(rows, len(views)), np.zeros((0, *extractor.shape), np.float32)
        if len(mine):
            values = np.asarray(extractor(rows[mine], views, name).values)
        return Outputs(self.workers.gather(values, places, len(ids)), self.splits.index.labels[ids], ids)

    def extractor(self, lower: keras.Model) -> Extractor:
        """Return a frozen part of the model over this run's images."""
        return make_extractor(lower, self.splits.source, self.config.features, self.store)

    def views(self) -> list[View]:
        """Return the augmented versions of the training images that are stored."""
        data = self.config.data
        return [View(data.augmentation, self.config.seed, number) for number in range(self.config.features.views)]
