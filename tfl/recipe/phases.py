"""What the phases of one run hand to each other: `probe.py` solves the head, `finetune.py` trains on."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.build import make_extractor
from tfl.config import TransferConfig
from tfl.data import Splits, make_dataset
from tfl.distribution.strategy import make_strategy
from tfl.distribution.workers import Workers
from tfl.errors import InputError
from tfl.evaluation import (
    Predictions,
    fit_temperature,
    main_figures,
    mean_luminance,
    predict,
    slice_by_image,
    summarize,
    write_predictions,
)
from tfl.features import Extractor, View, make_feature_dataset, open_store
from tfl.features.extract import BATCH, PLAIN
from tfl.files.reading import read_json
from tfl.files.schemas import PROBE_CHECKPOINT
from tfl.models.classifier import load_model, logits_layer, save_model
from tfl.models.inference import Outputs
from tfl.progress import say
from tfl.tasks import get_task
from tfl.training import balanced_class_weight
from tfl.training.contract.checks import check_agreement, check_evaluation
from tfl.training.objective.units import Units
from tfl.workdir import CHECKPOINTS, Workdir, write_json

HIDDEN_HEAD_L2 = 1e-4  # of a head that is not solved, where `probe.l2` leaves the choice to us
SAMPLE = 8  # images that the whole model sees again, to agree with what its parts said


@dataclasses.dataclass(frozen=True)
class Part:
    """A model in two at the end of what is frozen: the lower part runs once per image."""

    extractor: Extractor
    upper: keras.Model


class Job:
    """The state that the phases of one run hand to each other.

    Attributes:
        config: the run's options.
        splits: its data.
        model: the classifier; each phase leaves its result in it.
        run: the folder.
        part: how the model is evaluated without running what is frozen again; None where it must run whole.
        workers: the processes that run this job together. All make the same calls of it: each does its own part of
            what is extracted and predicted, and waits for the others.
    """

    def __init__(self, config: TransferConfig, splits: Splits, model: keras.Model, run: Workdir) -> None:
        self.config, self.splits, self.model, self.run = config, splits, model, run
        self.task, self.workers = get_task(config.head.target), Workers(make_strategy(config.strategy))
        self.head_l2 = config.probe.l2 or HIDDEN_HEAD_L2
        self.units: Units | None = None  # where values are learned: each phase standardises them inside
        if self.task.standardizes:
            self.units = Units(splits.index.labels[splits.train])
            self.units.to_user(logits_layer(model))
        self.store = open_store(config.features)
        self.part: Part | None = None
        self.kept = "random weights"
        self.phases: dict[str, Any] = {}
        self.validated: dict[str, Predictions] = {}  # what each phase says of examples that it was not fitted on
        self.choice: dict[str, Any] = {}  # the losses by which one of two phases was kept
        self.class_weight: dict[int, float] | None = None
        if config.finetune.class_weight == "balanced":
            self.class_weight = balanced_class_weight(splits.index.labels[splits.train])
        self.contract: dict[str, Any] = {}

    def dataset(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return some examples as batches, in order and as they are."""
        size = self.model.metadata.image_size
        return make_dataset(self.splits.source, rows, image_size=size, batch_size=BATCH)

    def rows(self, split: str) -> np.ndarray:
        """Return the rows of one split in the index."""
        return getattr(self.splits, split)

    def probe_rows(self) -> np.ndarray:
        """Return the rows that pass through the frozen backbone: those of test too where it is the result."""
        is_result = not self.config.finetune.epochs or bool(self.config.scratch.epochs)
        names = ("train", "validation", "test") if is_result else ("train", "validation")
        return np.sort(np.concatenate([self.rows(name) for name in names]))

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

    def predictions(self, split: str) -> Predictions:
        """Run the model over one split, every example once, and let the contract see that it was so.

        Of several workers each runs its own batches, and all get the whole table.
        """
        name, rows, labels = f"evaluate {split}", self.rows(split), self.splits.index.labels
        mine = self.workers.share(len(rows), BATCH)
        table = self._predict(rows[mine], name) if len(mine) else None
        ids = np.zeros(0, np.int64) if table is None else table.ids
        logits = np.zeros((0, self.model.output_shape[-1]), np.float32) if table is None else table.logits
        ids, logits = (self.workers.gather(values, mine, len(rows)) for values in (ids, logits))
        self.contract[name] = check_evaluation(ids, rows)
        return Predictions(ids, labels[ids], logits, self.task)

    def _predict(self, rows: np.ndarray, name: str) -> Predictions:
        if self.part is None:
            return predict(self.model, self.dataset(rows), self.task, name)
        features = self.part.extractor(rows, description=name.replace("evaluate", "features of"))
        return predict(self.part.upper, make_feature_dataset(features, np.arange(len(rows)), BATCH), self.task, name)

    def _check_parts(self, test: Predictions) -> None:
        """Let the model that is saved, as a whole, look at some images of which its parts spoke."""
        (batch,) = self.dataset(self.rows("test")[:SAMPLE])
        self.contract["evaluate test"] |= check_agreement(self.model, batch, test)

    def finish_phase(self, name: str, contract: dict[str, Any], record: dict[str, Any]) -> None:
        """Measure the phase on validation, and store its result so that an interrupted run goes on from here."""
        if name not in self.validated:  # cross-validation has said it of examples that were left out
            self.validated[name] = self.predictions("validation")
        record["validation"] = self.validated[name].metrics()
        if self.config.scratch.epochs:
            record["test"] = self.predictions("test").metrics()
        self.phases[name], self.contract[name], self.kept = record, contract, name
        if name == "probe" and self.config.finetune.epochs and self.run.writes:
            save_model(self.model, self.run / CHECKPOINTS / f"{name}.keras")
            write_json(self.run / CHECKPOINTS / f"{name}.json", {"phase": record, "contract": contract})

    def restore(self, name: str) -> bool:
        """Take a phase that an interrupted run of the same config had finished."""
        file = self.run / CHECKPOINTS / f"{name}.json"
        if not file.exists():
            return False
        try:
            stored = read_json(file, PROBE_CHECKPOINT)
            self.model.set_weights(load_model(file.with_suffix(".keras")).get_weights())
        except InputError as error:
            say(f"{name}: done again, what an earlier start stored is damaged: {error}")
            return False
        self.phases[name], self.contract[name], self.kept = stored["phase"], stored["contract"], name
        self.head_l2, self.validated[name] = stored["phase"]["l2"], self.predictions("validation")
        say(f"{name}: finished by an earlier start of this run; going on from there")
        return True

    def report(self) -> dict[str, Any]:
        """Evaluate the kept model on every example of validation and test, and write what it says of them."""
        test, validation = self.predictions("test"), self.validated.get(self.kept) or self.predictions("validation")
        if self.part is not None:
            self._check_parts(test)
        evaluation = self._evaluate(test, validation)
        if self.run.writes:
            ids, classes = self.splits.index.ids, self.model.metadata.class_names
            write_predictions(test, self.run / "predictions.csv", ids, classes)
            write_predictions(validation, self.run / "validation_predictions.csv", ids, classes)
            write_json(self.run / "evaluation.json", evaluation)
        metrics = {
            "test": evaluation["test"],
            "validation": self.phases[self.kept]["validation"],
            **main_figures(evaluation),
            "kept": self.kept,
            **({"choice": self.choice} if self.choice else {}),
            "num_examples": {name: len(self.rows(name)) for name in ("train", "validation", "test")},
            "phases": self.phases,
            "contract": self.contract,
        }
        if self.config.scratch.epochs:
            names = {"probe": "frozen", "finetune": "fine_tuned"}
            metrics["comparison"] = {names[name]: phase["test"] for name, phase in self.phases.items()}
        return metrics

    def _evaluate(self, test: Predictions, validation: Predictions) -> dict[str, Any]:
        """Fit the temperature that the saved model carries, and describe the model on test."""
        fit = fit_temperature(validation)
        if fit.reason and self.task.has_temperature:
            say(f"temperature {fit.temperature:.3g}: {fit.reason}")
        self.model.metadata = dataclasses.replace(self.model.metadata, temperature=fit.temperature)
        slicings = None
        if self.run.writes:  # of several workers the others write no slices
            luminance = mean_luminance(self.splits.source, test.ids)
            slicings = slice_by_image(self.splits.index, test.ids, luminance)
        names = self.model.metadata.class_names
        return summarize(test, names, temperature=fit.temperature, validation=validation, slicings=slicings)
