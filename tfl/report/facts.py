"""What a workdir knows of its run."""

import collections
import dataclasses
import functools
import statistics
from typing import Any

import numpy as np
from etils import epath

from tfl.config import PYTHON_DATA, TransferConfig, flatten
from tfl.data.index import SPLITS, Index, index_of_splits
from tfl.data.splits import find_contradictions, find_leaks
from tfl.evaluation.predictions import Predictions
from tfl.models.classifier import Metadata
from tfl.report.wording import figure, percent
from tfl.tasks import Task


@dataclasses.dataclass(frozen=True)
class Facts:
    """What stands in a finished workdir; what a run did not write is empty.

    Attributes:
        path: the folder.
        config: what was asked for.
        metadata: what the model file says of itself.
        metrics: `metrics.json`.
        evaluation: `evaluation.json`, {} where there is none.
        certificate: `export/certificate.json`, {} where nothing was exported.
        splits: one row an example, from `splits.csv`.
        history: one row an epoch of fine-tuning, from `history.csv`.
        quarantine: one row a file that was left out.
        table: what the model said of every test example; its ids are those of `splits`. Empty where it is not there.
        seconds: from the run's last start to its end; None where files do not tell.
    """

    path: epath.Path
    config: TransferConfig
    metadata: Metadata
    metrics: dict[str, Any]
    evaluation: dict[str, Any]
    certificate: dict[str, Any]
    splits: list[dict[str, str]]
    history: list[dict[str, float]]
    quarantine: list[dict[str, str]]
    table: Predictions
    seconds: float | None

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
    def task(self) -> Task:
        """What is asked of an example."""
        return self.metadata.task

    @property
    def has_classes(self) -> bool:
        """Whether the outputs stand for classes or labels that have names, not for values."""
        return self.task.labels.has_names

    @property
    def test(self) -> dict[str, Any]:
        """Every scalar metric of the test split."""
        return self.metrics["test"] | self.evaluation.get("test", {})

    @property
    def intervals(self) -> dict[str, list[float]]:
        """95 % intervals of test metrics, by name."""
        return self.evaluation.get("intervals", {})

    @property
    def headline(self) -> str:
        """The name of the one metric that stands first."""
        return self.task.headline.metric

    def write(self, value: float) -> str:
        """Write a value of the headline metric: an accuracy as per cent, an error as it is."""
        return percent(value) if self.task.headline.is_share else figure(value)

    @property
    def headline_interval(self) -> list[float] | None:
        """The 95 % interval of the headline metric; of accuracy Wilson's, which older runs have under its own name."""
        return self.intervals.get(f"{self.headline}_wilson") or self.intervals.get(self.headline)

    @property
    def held_out(self) -> str:
        """What thresholds and temperature are chosen on, in words."""
        return "held-out folds" if self.config.probe.folds else "validation"

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities."""
        return float(self.evaluation.get("temperature", self.metadata.temperature))

    @property
    def phase_losses(self) -> dict[str, float]:
        """The validation loss of each phase; where one of two was kept, that at the phase's own temperature."""
        choice, phases = self.metrics.get("choice", {}), self.metrics.get("phases", {})
        return {name: choice.get(name, phase["validation"]["loss"]) for name, phase in phases.items()}

    @property
    def epoch_losses(self) -> list[float]:
        """The validation loss of each epoch of fine-tuning by which the best one was chosen."""
        rows = [row.get("val_calibrated_loss", row.get("val_loss")) for row in self.history]
        return [loss for loss in rows if loss is not None]

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """What the shipped model says of every row of `table`: calibrated probabilities, or values `(N, C)`."""
        return self.task.scores(self.table.logits, self.temperature)

    @functools.cached_property
    def class_counts(self) -> dict[str, dict[str, int]]:
        """How many examples of each class (or label) each split has; values of a regression are no classes."""
        if not self.has_classes:
            return {}
        counts = {split: collections.Counter() for split in SPLITS}
        for row in self.splits:
            if row["split"] in counts:
                counts[row["split"]].update(self.task.labels.names_in(row["label"]))
        return {name: {split: counts[split][name] for split in SPLITS} for name in self.metadata.class_names}

    @functools.cached_property
    def index(self) -> Index:
        """The table of `splits`, with every label as a class."""
        return index_of_splits(self.splits)

    @functools.cached_property
    def leaks(self) -> int:
        """How many examples of validation and test stand in an earlier split as well, byte for byte."""
        return len(np.unique(np.concatenate(list(find_leaks(self.index).values()))))

    @functools.cached_property
    def contradictions(self) -> int:
        """How many different images have several labels: the same bytes stand in more than one class."""
        return len(find_contradictions(self.index))

    @functools.cached_property
    def median_side(self) -> float:
        """The shorter side of the middling image, in pixels; 0 where it is not known."""
        sides = [min(int(row["width"]), int(row["height"])) for row in self.splits]
        return statistics.median(sides) if sides else 0.0

    @functools.cached_property
    def changed_options(self) -> list[tuple[str, Any, Any]]:
        """The options that differ from their defaults: path, value, default."""
        mine, usual = flatten(self.config.to_dict()), flatten(TransferConfig().to_dict())
        return [(path, value, usual[path]) for path, value in mine.items() if value != usual[path]]

    @functools.cached_property
    def all_options(self) -> list[tuple[str, Any]]:
        """Every option: path, value."""
        return list(flatten(self.config.to_dict()).items())
