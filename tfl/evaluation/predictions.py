"""One row per example: what the model said, and what was true."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import scipy.special
import tensorflow as tf
from etils import epath

from tfl.evaluation.metrics import compute_metrics
from tfl.models.inference import run_over
from tfl.workdir import write_csv


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model says of a split.

    Attributes:
        ids: `(N,)` int64, rows in the index, in the order they were seen.
        labels: `(N,)` or `(N, K)`, as in the index.
        logits: `(N, K)` float32; for regression the predicted values.
        target: "multiclass", "binary", "multilabel" or "regression".
    """

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    target: str

    @property
    def probabilities(self) -> np.ndarray:
        """`(N, C)` float64, one column a class; for regression the predicted values."""
        return to_probabilities(self.logits, self.target)

    def metrics(self) -> dict[str, Any]:
        """Return the exact metrics of this table; see `compute_metrics`."""
        return compute_metrics(self.target, self.logits, self.labels)

    def write_csv(self, path: epath.PathLike, names: Sequence[str] | np.ndarray, class_names: Sequence[str]) -> None:
        """Write one row per example: id, label, prediction, and a probability (or value) per class.

        Args:
            path: the file.
            names: the id of every row of the index.
            class_names: in the order of the columns of `probabilities`.
        """
        probabilities = self.probabilities
        header = ["id", "label", "predicted", *(f"p_{name}" for name in class_names)]
        rows = (
            [names[row], _show(label, class_names, self.target), _decide(p, class_names, self.target), *map(_digits, p)]
            for row, label, p in zip(self.ids, self.labels, probabilities, strict=True)
        )
        write_csv(path, header, rows)


def _digits(probability: float) -> str:
    return f"{probability:.6g}"


def _show(label: Any, class_names: Sequence[str], target: str) -> str:
    if target in ("multiclass", "binary"):
        return class_names[int(label)]
    values = np.ravel(label)
    if target == "multilabel":
        return "|".join(name for name, present in zip(class_names, values, strict=True) if present)
    return "|".join(map(_digits, values))


def _decide(probabilities: np.ndarray, class_names: Sequence[str], target: str) -> str:
    if target in ("multiclass", "binary"):
        return class_names[int(probabilities.argmax())]
    return _show(probabilities > 0.5 if target == "multilabel" else probabilities, class_names, target)


def to_probabilities(logits: np.ndarray, target: str) -> np.ndarray:
    """Return `(N, C)` float64 probabilities of logits `(N, K)`; binary gets both of its columns."""
    logits = np.asarray(logits, np.float64)
    if target == "multiclass":
        return scipy.special.softmax(logits, axis=1)
    if target == "regression":
        return logits
    positive = scipy.special.expit(logits)
    return np.hstack([1.0 - positive, positive]) if target == "binary" else positive


def predict(model: keras.Model, dataset: tf.data.Dataset, target: str, description: str = "predict") -> Predictions:
    """Run a classifier over every example of a data set, once each.

    Args:
        model: images to logits.
        dataset: batches with "image", "label" and "id"; the last may be short.
        target: the kind of the labels.
        description: shown beside the progress bar.
    """
    outputs = run_over(model, {description: dataset})[description]
    return Predictions(outputs.ids, outputs.labels, outputs.values, target)


def evaluate(model: keras.Model, dataset: tf.data.Dataset, target: str = "multiclass") -> dict[str, Any]:
    """Return the exact metrics of a model on a data set: every example counts once.

    Example:
        >>> tfl.evaluate(model, dataset)["accuracy"]
    """
    return predict(model, dataset, target, "evaluate").metrics()
