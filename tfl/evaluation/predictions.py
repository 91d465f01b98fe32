"""One row per example: what the model said, and what was true."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.config import TARGETS
from tfl.data import reading_explained
from tfl.data.passes import check_ends
from tfl.evaluation.metrics import compute_metrics
from tfl.evaluation.probabilities import to_probabilities
from tfl.models.batch_checks import guard_batches
from tfl.models.classifier import takes_pixels
from tfl.models.inference import run_over
from tfl.models.labels import rule_of_target
from tfl.registry import resolve


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model says of a split.

    Attributes:
        ids: `(N,)` int64, rows in the index, in the order they were seen; the names of the examples where the
            table was read from a file.
        labels: `(N,)` or `(N, K)`, as in the index.
        logits: `(N, K)` float32; for regression the predicted values.
        target: "multiclass", "binary", "multilabel" or "regression".
    """

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    target: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", resolve(self.target, TARGETS, "target"))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def probabilities(self) -> np.ndarray:
        """`(N, C)` float64, one column a class; for regression the predicted values."""
        return to_probabilities(self.logits, self.target)

    def at(self, temperature: float) -> "Predictions":
        """Return the same table with its logits divided by a temperature; values stay as they are."""
        if self.target == "regression" or temperature == 1.0:
            return self
        return dataclasses.replace(self, logits=np.asarray(self.logits, np.float64) / temperature)

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return the table of some of the rows, given as positions or as a mask."""
        return dataclasses.replace(self, ids=self.ids[rows], labels=self.labels[rows], logits=self.logits[rows])

    def metrics(self) -> dict[str, Any]:
        """Return the exact metrics of this table; see `compute_metrics`."""
        return compute_metrics(self.target, self.logits, self.labels)


@reading_explained()
def predict(model: keras.Model, dataset: tf.data.Dataset, target: str, description: str = "predict") -> Predictions:
    """Run a classifier over every example of a data set, once each.

    Args:
        model: images to logits.
        dataset: batches with "image", "label" and "id"; the last may be short.
        target: the kind of the labels.
        description: shown beside the progress bar.

    Raises:
        InputError: the data set never ends, labels do not fit the target and the outputs, or pixels do not fit a
            classifier of tfl.
    """
    check_ends(dataset, "dataset")
    rule = rule_of_target(resolve(target, TARGETS, "target"), model.output_shape[-1])
    dataset = guard_batches(dataset, rule, "dataset", pixels=takes_pixels(model))
    outputs = run_over(model, {description: dataset})[description]
    return Predictions(outputs.ids, outputs.labels, outputs.values, target)


def evaluate(model: keras.Model, dataset: tf.data.Dataset, target: str = "multiclass") -> dict[str, Any]:
    """Return the exact metrics of a model on a data set: every example counts once.

    Example:
        >>> tfl.evaluate(model, dataset)["accuracy"]
    """
    return predict(model, dataset, target, "evaluate").metrics()
