"""Table with one row per example: the output of the model and the true label."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.data import reading_explained
from tfl.data.passes import check_ends
from tfl.errors import InputError
from tfl.inputs.batches import has_entries
from tfl.models.batch_checks import guard_batches
from tfl.models.inference import run_over
from tfl.models.labels import rule_of_task
from tfl.notebook import html_table
from tfl.tasks import Classification, Task, get_task


@dataclasses.dataclass(frozen=True, init=False)
class Predictions:
    """Predictions of a model for the examples of a split.

    Attributes:
        ids: `(N,)` int64, rows in the index, in the order of prediction; the names of the examples if the table was
            read from a file.
        labels: `(N,)` or `(N, K)`, as in the index.
        logits: `(N, K)` float32; for regression the predicted values; for maps what `Task.collect` keeps of an example.
        task: the task, or its name.
        groups: `(N,)`, equal for examples that are not independent, such as all images of one patient; intervals then
            resample the groups. None: the examples are independent.

    Example:
        >>> logits = np.array([[2.0, 0.0], [1.0, 0.0]])
        >>> table = Predictions(ids=np.arange(2), labels=np.array([0, 1]), logits=logits, task="multiclass")
        >>> table.metrics()["accuracy"]
        0.5
    """

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    task: Task
    groups: np.ndarray | None = None

    def __init__(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        task: str | Task,
        groups: np.ndarray | None = None,
    ) -> None:
        values = {"ids": ids, "labels": labels, "logits": logits, "task": get_task(task), "groups": groups}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def probabilities(self) -> np.ndarray:
        """Probabilities `(N, C)` float64, one column for each class; for regression the predicted values.

        For maps it is what `Task.table_scores` says of each example.
        """
        return self.task.table_scores(self.logits)

    def at(self, temperature: float) -> "Predictions":
        """Return the same table with its logits divided by a temperature; values of a regression do not change."""
        if not self.task.has_temperature or temperature == 1.0:
            return self
        return dataclasses.replace(self, logits=np.asarray(self.logits, np.float64) / temperature)

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return a table of the chosen rows, given as positions or as a mask."""
        groups = None if self.groups is None else self.groups[rows]
        return Predictions(self.ids[rows], self.labels[rows], self.logits[rows], self.task, groups)

    @property
    def num_groups(self) -> int:
        """The number of groups; 0 if the examples are independent."""
        return 0 if self.groups is None else len(np.unique(self.groups))

    def metrics(self) -> dict[str, Any]:
        """Return the exact metrics of this table, ready for JSON.

        docs/explanation/evaluation.md lists the metrics of each task.
        """
        return self.task.measure(self.logits, self.labels) if len(self) else {"num_examples": 0}

    def headline_value(self) -> float:
        """Return the main metric of this table; NaN if it is not defined."""
        headline = self.task.headline
        if not headline.is_mean:
            return float(self.metrics().get(headline.metric, np.nan))
        return float(np.mean(self.task.headline_values(self.logits, self.labels)))

    def losses(self) -> np.ndarray:
        """Return the loss of each example, float64 `(N,)`."""
        return self.task.losses(self.logits, self.labels)

    def correct(self) -> np.ndarray:
        """Return whether each prediction is correct, bool `(N,)`; always False for regression."""
        return self.task.is_correct(np.asarray(self.logits), self.labels)

    def __repr__(self) -> str:
        headline = self.task.headline
        value = f", {headline.noun} {self.headline_value():{headline.digits}}" if len(self) else ""
        return f"Predictions({len(self)} examples, {self.task.name}{value})"

    def _repr_html_(self) -> str:
        scores = self.probabilities
        header = ("id", "label", "predicted", *(f"score {number}" for number in range(scores.shape[1])))
        texts = ([str(row) for row in column] for column in (self.ids, self.labels, self.task.decisions(scores)))
        rows = zip(*texts, *(map(float, column) for column in scores.T), strict=True)
        return html_table(header, rows, repr(self))


def classification_of(table: Predictions) -> Classification:
    """Return the task of a table, which must come from a classifier.

    Raises:
        InputError: the table holds values of a regression.
    """
    if not isinstance(table.task, Classification):
        raise InputError(f"`predictions` must be of a classifier. Received: {table.task.name} examples.")
    return table.task


@reading_explained()
def predict(
    model: keras.Model, dataset: tf.data.Dataset, target: str | Task, description: str = "predict"
) -> Predictions:
    """Run a model over every example of a data set, once each.

    Args:
        model: model from images to logits.
        dataset: batches with "input", "label" and "id"; the last batch may be short.
        target: the task, or its name.
        description: text beside the progress bar.

    Returns:
        One row for each example: id, label and logits.

    Raises:
        InputError: the data set never ends, the labels do not fit the target and the outputs, or the pixels do not
            fit a classifier of tfl.

    Example:
        >>> table = tfl.predict(model, dataset, "multiclass")
        >>> table.probabilities.shape == (len(table), 3)
        True
    """
    _check_entries(dataset, ("id",))
    check_ends(dataset, "dataset")
    task = get_task(target)
    rule = rule_of_task(task, model.output_shape[-1])
    dataset = guard_batches(dataset, rule, "dataset", model)
    keep = task.collect if task.stands_on != "vector" else None
    outputs = run_over(model, {description: dataset}, keep)[description]
    labels = outputs.labels if keep is None else np.full(len(outputs.ids), "")
    return Predictions(outputs.ids, labels, outputs.values, task)


def evaluate(model: keras.Model, dataset: tf.data.Dataset, target: str | Task = "multiclass") -> dict[str, Any]:
    """Return the exact metrics of a model on a data set: every example counts once.

    Args:
        model: model from images to logits.
        dataset: batches with "input", "label" and "id"; the last batch may be short.
        target: the task, or its name.

    Returns:
        The metrics by name, ready for JSON; docs/explanation/evaluation.md lists the metrics of each task.

    Raises:
        InputError: as `predict`.

    Example:
        >>> accuracy = tfl.evaluate(model, dataset)["accuracy"]
    """
    _check_entries(dataset, ("label", "id"))
    return predict(model, dataset, target, "evaluate").metrics()


def _check_entries(dataset: Any, names: Sequence[str]) -> None:
    """Refuse anything but a data set whose batches are dicts with "input" (or "image") and some more entries."""
    spec = dataset.element_spec if isinstance(dataset, tf.data.Dataset) else None
    if not has_entries(spec, names):
        is_dict = isinstance(spec, Mapping)
        received = f"batches with {', '.join(sorted(spec))}" if is_dict else type(spec or dataset).__name__
        raise InputError(
            f"`dataset` must be a batched tf.data.Dataset of dicts with 'input', {', '.join(map(repr, names))}. "
            f"Received: {received}."
        )
