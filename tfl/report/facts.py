"""The facts about a run, from the files in its workdir."""

import collections
import dataclasses
import functools
from typing import Any

import numpy as np
from etils import epath

from tfl.config import PYTHON_DATA, TransferConfig, flatten
from tfl.config.values import split_source
from tfl.data.index import Index, index_of_splits
from tfl.data.split_names import SPLITS
from tfl.data.splits import find_contradictions, find_leaks
from tfl.evaluation.evaluation import Evaluation
from tfl.evaluation.predictions import Predictions
from tfl.files.existing import place_name
from tfl.models.classifier import Metadata
from tfl.report.certificate import CertifiedFile
from tfl.report.run_metrics import RunMetrics
from tfl.report.wording import count, figure, percent, spoken
from tfl.tasks import Task


@dataclasses.dataclass(frozen=True)
class Facts:
    """The contents of a finished workdir; a file that the run did not write gives an empty attribute.

    Attributes:
        path: the folder.
        config: the config of the run.
        metadata: the metadata in the model file.
        metrics: the contents of `metrics.json`.
        evaluation: the contents of `evaluation.json`; without results if there is none.
        certificate: the exported files of `export/certificate.json`; empty if nothing was exported.
        splits: one row per example, from `splits.csv`.
        history: one row per epoch of fine-tuning, from `history.csv`; "epoch" counts from 1.
        quarantine: one row per file that was left out.
        table: the predictions on every test example, with the ids of `splits`; empty if the run did not write them.
        audit: one row per finding of the short audit; None if the run made none.
        seconds: the seconds from the run's last start to its end; None if they are not known.
    """

    path: epath.Path
    config: TransferConfig
    metadata: Metadata
    metrics: RunMetrics
    evaluation: Evaluation
    certificate: tuple[CertifiedFile, ...]
    splits: list[dict[str, str]]
    history: list[dict[str, float]]
    quarantine: list[dict[str, str]]
    table: Predictions
    seconds: float | None
    audit: list[dict[str, str]] | None = None

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.name

    @property
    def source(self) -> str:
        """Where the images come from, in words."""
        source = self.config.data.source
        return "Python data" if source == PYTHON_DATA else source

    @property
    def data_name(self) -> str:
        """The name of the data without its place on this machine, for what is published."""
        return ", ".join(map(_without_place, split_source(self.source)))

    @property
    def nouns(self) -> tuple[str, str]:
        """The name of one example and of several, such as "image" and "images"."""
        return self.metadata.input.noun

    @property
    def has_pictures(self) -> bool:
        """Whether the examples are pictures, which the report can show."""
        return self.metadata.input.has_pictures

    @property
    def has_texts(self) -> bool:
        """Whether the examples are texts, which the report can show."""
        return bool(self.metadata.input.cell)

    @property
    def shape(self) -> str:
        """The size of a prepared example, in words."""
        size, kind = self.metadata.image_size, self.metadata.input
        return f"resized to {size} x {size} pixels" if kind.has_pictures else f"of shape {tuple(kind.spec.shape)}"

    def count(self, number: int, kind: str = "") -> str:
        """Format a number of examples, for example "12 test images".

        Args:
            number: of the examples.
            kind: a word before the noun.
        """
        return count(number, *(f"{kind} {noun}".strip() for noun in self.nouns))

    def spoken(self, name: str) -> str:
        """Format the name of a metric as words."""
        return spoken(name, self.nouns[1])

    @property
    def task(self) -> Task:
        """The task of the model."""
        return self.metadata.task

    @property
    def has_classes(self) -> bool:
        """Whether the outputs are classes or labels with names, not values."""
        return self.task.labels.has_names

    @property
    def has_maps(self) -> bool:
        """Whether positions or boxes of an example have an answer, from a head that is only solved so far."""
        return self.task.stands_on != "vector"

    @property
    def test(self) -> dict[str, Any]:
        """Every scalar metric of the test split."""
        return {**self.metrics.test, **self.evaluation.test}

    @property
    def is_measured(self) -> bool:
        """Whether the run wrote an `evaluation.json`."""
        return bool(self.evaluation.test)

    @property
    def headline(self) -> str:
        """The name of the most important metric, which is shown first."""
        return self.task.headline.metric

    def write(self, value: float) -> str:
        """Format a value of the headline metric: an accuracy in per cent, an error as a number."""
        return percent(value) if self.task.headline.is_share else figure(value)

    @property
    def headline_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the headline metric; for accuracy it is Wilson's, under another name in older runs."""
        return self.evaluation.headline_interval

    @property
    def held_out(self) -> str:
        """The examples on which thresholds and temperature were chosen, in words."""
        probe = self.config.probe
        if not probe.uses_validation or self.metrics.kept == "finetune":
            return "validation"
        return "held-out folds" if probe.folds else "left-out examples"

    @property
    def temperature(self) -> float:
        """The divisor of the logits before they become probabilities."""
        return float(self.evaluation.temperature)

    @property
    def decided_by(self) -> str:
        """What `phase_losses` are, in words: by them the better of two phases is kept."""
        decides = self.task.kept_by_headline and self.metrics.choice.losses()
        return f"1 - {self.task.headline.noun} on validation" if decides else "validation loss"

    @property
    def phase_losses(self) -> dict[str, float]:
        """The validation loss of each phase; with two phases, what decided between them, see `decided_by`."""
        losses = {name: phase.validation["loss"] for name, phase in self.metrics.phases.items()}
        return losses | {name: loss for name, loss in self.metrics.choice.losses().items() if name in losses}

    @property
    def epoch_losses(self) -> list[float]:
        """The validation loss of each epoch of fine-tuning, by which the best epoch was chosen."""
        rows = [row.get("val_calibrated_loss", row.get("val_loss")) for row in self.history]
        return [loss for loss in rows if loss is not None]

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """The final outputs for every row of `table`: calibrated probabilities, or values, `(N, C)`."""
        return self.task.table_scores(self.table.at(self.temperature).logits)

    @functools.cached_property
    def class_counts(self) -> dict[str, dict[str, int]]:
        """The number of examples of each class (or label) in each split; {} for a regression and for masks."""
        if not self.has_classes or self.has_maps:
            return {}
        counts = {split: collections.Counter() for split in SPLITS}
        for row in self.splits:
            if row["split"] in counts:
                counts[row["split"]].update(self.task.labels.names_in(row["label"]))
        return {name: {split: counts[split][name] for split in SPLITS} for name in self.metadata.class_names}

    @functools.cached_property
    def index(self) -> Index:
        """The index of `splits`, with every label as a class."""
        return index_of_splits(self.splits)

    @functools.cached_property
    def leaks(self) -> int:
        """The number of examples of validation and test that are also in an earlier split, byte for byte."""
        return len(np.unique(np.concatenate(list(find_leaks(self.index).values()))))

    @functools.cached_property
    def seen_tests(self) -> int:
        """The number of test examples that are also in train or validation, byte for byte."""
        leaks = find_leaks(self.index)
        return len(np.unique(np.concatenate([leaks[split, "test"] for split in ("train", "validation")])))

    @functools.cached_property
    def contradictions(self) -> int:
        """The number of different images with several labels: the same bytes are in more than one class."""
        return len(find_contradictions(self.index))

    @functools.cached_property
    def median_side(self) -> float:
        """The median size of the originals in the unit of `data.image_size`: shorter sides in pixels; 0: not known."""
        return self.metadata.input.median_size(self.index.facts) if self.splits else 0.0

    @functools.cached_property
    def changed_options(self) -> list[tuple[str, Any, Any]]:
        """The options that differ from their defaults: path, value, default."""
        values, defaults = flatten(self.config.to_dict()), flatten(TransferConfig().to_dict())
        return [(path, value, defaults[path]) for path, value in values.items() if value != defaults[path]]

    @functools.cached_property
    def all_options(self) -> list[tuple[str, Any]]:
        """Every option: path, value."""
        return list(flatten(self.config.to_dict()).items())


def _without_place(source: str) -> str:
    kind, _, place = source.partition(":")
    return epath.Path(place).name if kind in ("folder", "masks", "csv") else place_name(source) or source
