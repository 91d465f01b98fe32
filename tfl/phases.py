"""What the phases of one run hand to each other: `tfl/solving.py` solves the head, `tfl/finetuning.py` trains on."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.config import FeaturesConfig, TransferConfig
from tfl.data import Source, Splits, load_data, make_dataset
from tfl.errors import InputError
from tfl.evaluation import Predictions, predict, write_predictions
from tfl.features import Extractor, FeatureStore, View, make_feature_dataset, open_store
from tfl.features.extract import BATCH
from tfl.models.classifier import load_model, save_model
from tfl.progress import say
from tfl.training.contract import check_agreement, check_evaluation
from tfl.training.replicas import mean_over_workers
from tfl.training.strategy import make_strategy, num_workers, worker_index
from tfl.workdir import CHECKPOINTS, Workdir, read_json, write_json

HIDDEN_HEAD_L2 = 1e-4  # of a head that is not solved, where `probe.l2` leaves the choice to us
SAMPLE = 8  # images that the whole model sees again, to agree with what its parts said


@dataclasses.dataclass(frozen=True)
class Part:
    """A model in two at the end of what is frozen: the lower part runs once per image."""

    extractor: Extractor
    upper: keras.Model


def load_splits(config: TransferConfig, data: Any = None) -> Splits:
    """Open and cut the data that a config asks for; `data` takes the place of `config.data.source`."""
    return load_data(
        config.data.source if data is None else data,
        split=config.data.split,
        seed=config.seed,
        max_bad_fraction=config.data.max_bad_fraction,
        train_examples_per_class=config.data.train_examples_per_class,
    )


def make_extractor(
    lower: keras.Model, source: Source, options: FeaturesConfig, store: FeatureStore | None
) -> Extractor:
    """Return a frozen part of a model over a source of images, as the config asks for it."""
    size = int(lower.input.shape[1])
    return Extractor(lower, source, size, store=store, runtime=options.runtime, dtype=options.dtype)


class Job:
    """The state that the phases of one run hand to each other.

    Attributes:
        config: the run's options.
        splits: its data.
        model: the classifier; each phase leaves its result in it.
        run: the folder.
        part: how the model is evaluated without running what is frozen again; None where it must run whole.
    """

    def __init__(self, config: TransferConfig, splits: Splits, model: keras.Model, run: Workdir) -> None:
        self.config, self.splits, self.model, self.run = config, splits, model, run
        self.target = config.head.target
        self.head_l2 = config.probe.l2 or HIDDEN_HEAD_L2
        self.store = open_store(config.features)
        self.part: Part | None = None
        self.kept = "random weights"
        self.phases: dict[str, Any] = {}
        self.contract: dict[str, Any] = {}

    def dataset(self, split: str) -> tf.data.Dataset:
        """Return one split as batches, in order and as it is."""
        return make_dataset(
            self.splits.source, self.rows(split), image_size=self.model.metadata.image_size, batch_size=BATCH
        )

    def rows(self, split: str) -> np.ndarray:
        """Return the rows of one split in the index."""
        return getattr(self.splits, split)

    def probe_rows(self) -> np.ndarray:
        """Return the rows that pass through the frozen backbone: those of test too where it is the result."""
        is_result = not self.config.finetune.epochs or bool(self.config.scratch.epochs)
        names = ("train", "validation", "test") if is_result else ("train", "validation")
        return np.sort(np.concatenate([self.rows(name) for name in names]))

    def fill(self, extractor: Extractor) -> None:
        """Run the frozen backbone over the images of the run, of several workers each over its own part.

        What the store of one does not have afterwards, because they share no file system, it computes itself.
        """
        strategy = make_strategy(self.config.strategy)
        extractor.fill(self.probe_rows()[worker_index(strategy) :: num_workers(strategy)])
        mean_over_workers(strategy, 0.0)  # all have stored theirs

    def extractor(self, lower: keras.Model) -> Extractor:
        """Return a frozen part of the model over this run's images."""
        return make_extractor(lower, self.splits.source, self.config.features, self.store)

    def views(self) -> list[View]:
        """Return the augmented versions of the training images that are stored."""
        data = self.config.data
        return [View(data.augmentation, self.config.seed, number) for number in range(self.config.features.views)]

    def predictions(self, split: str) -> Predictions:
        """Run the model over one split, every example once, and let the contract see that it was so."""
        name = f"evaluate {split}"
        if self.part is None:
            table = predict(self.model, self.dataset(split), self.target, name)
        else:
            features = self.part.extractor(self.rows(split), description=f"features of {split}")
            dataset = make_feature_dataset(features, np.arange(len(features)), BATCH)
            table = predict(self.part.upper, dataset, self.target, name)
        self.contract[name] = check_evaluation(table.ids, self.rows(split))
        return table

    def _check_parts(self, test: Predictions) -> None:
        """Let the model that is saved, as a whole, look at some images of which its parts spoke."""
        rows = self.rows("test")[:SAMPLE]
        size = self.model.metadata.image_size
        (batch,) = make_dataset(self.splits.source, rows, image_size=size, batch_size=SAMPLE)
        self.contract["evaluate test"] |= check_agreement(self.model, batch, test)

    def finish_phase(self, name: str, contract: dict[str, Any], record: dict[str, Any]) -> None:
        """Measure the phase on validation, and store its result so that an interrupted run goes on from here."""
        record["validation"] = record.pop("cross_validation", None) or self.predictions("validation").metrics()
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
            stored = read_json(file)
            self.model.set_weights(load_model(file.with_suffix(".keras")).get_weights())
        except InputError as error:
            say(f"{name}: done again, what an earlier start stored is damaged: {error}")
            return False
        self.phases[name], self.contract[name], self.kept = stored["phase"], stored["contract"], name
        self.head_l2 = stored["phase"]["l2"]
        say(f"{name}: finished by an earlier start of this run; going on from there")
        return True

    def report(self) -> dict[str, Any]:
        """Evaluate the kept model on every example of validation and test, and write the predictions."""
        test = self.predictions("test")
        if self.part is not None:
            self._check_parts(test)
        if self.run.writes:
            names, classes = self.splits.index.ids, self.model.metadata.class_names
            write_predictions(test, self.run / "predictions.csv", names, classes)
        metrics = {
            "test": test.metrics(),
            "validation": self.phases[self.kept]["validation"],
            "kept": self.kept,
            "num_examples": {name: len(self.rows(name)) for name in ("train", "validation", "test")},
            "phases": self.phases,
            "contract": self.contract,
        }
        if self.config.scratch.epochs:
            names = {"probe": "frozen", "finetune": "fine_tuned"}
            metrics["comparison"] = {names[name]: phase["test"] for name, phase in self.phases.items()}
        return metrics
