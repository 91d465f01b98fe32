"""Metrics of each class: precision, recall, and the confusion matrix."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.evaluation.rows import KEY, rows_from_json, to_json
from tfl.tasks.ranking import ranking_by_class
from tfl.tasks.scores import shape_for_scikit
from tfl.tasks.task import CONFUSION, PER_CLASS

MATRIX_LIMIT = 200  # classes; a larger confusion matrix takes megabytes and nobody reads it

Matrix = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """The metrics of one class. A number is None if it is undefined.

    For example, the precision of a class that is never predicted and the recall of a class without examples are
    undefined.

    Attributes:
        name: name of the class; "class" in JSON.
        precision: share of the predictions of the class that are correct.
        recall: share of the examples of the class that are found.
        f1: harmonic mean of precision and recall.
        support: number of examples that truly belong to the class.
        roc_auc: area under the ROC curve of the class against the others.
        average_precision: area under the precision-recall curve.
    """

    name: str = dataclasses.field(metadata={KEY: "class"})
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int
    roc_auc: float | None = None
    average_precision: float | None = None


class PerClassAnalysis(Analysis[tuple[ClassMetrics, ...]]):
    """The metrics of each class on test."""

    name = PER_CLASS

    def measure(self, examples: Examples) -> tuple[ClassMetrics, ...]:
        """Return one row for each class."""
        return per_class_metrics(examples.test, examples.class_names)

    def to_dict(self, result: tuple[ClassMetrics, ...]) -> dict[str, Any]:
        """Return the rows, and the names of the classes without an example, if there are any."""
        absent = absent_classes(result)
        return {self.name: to_json(result)} | ({"absent_classes": absent} if absent else {})

    def from_dict(self, values: Mapping[str, Any]) -> tuple[ClassMetrics, ...] | None:
        """Return the rows from the entry "per_class"; None if there is none."""
        return rows_from_json(ClassMetrics, values[self.name]) if self.name in values else None


class ConfusionAnalysis(Analysis[Matrix]):
    """How often each true class (row) is predicted as each class (column)."""

    name = CONFUSION

    def measure(self, examples: Examples) -> Matrix | None:
        """Return the matrix; None if there are too many classes to read it."""
        num_classes = len(examples.class_names)
        if num_classes > MATRIX_LIMIT:
            return None
        return tuple(map(tuple, confusion_matrix(examples.test, num_classes).tolist()))

    def from_dict(self, values: Mapping[str, Any]) -> Matrix | None:
        """Return the matrix from the entry "confusion_matrix"; None if there is none."""
        return tuple(map(tuple, values[self.name])) if values.get(self.name) else None


def absent_classes(rows: Sequence[ClassMetrics]) -> list[str]:
    """Return the classes without a test example; means over classes leave them out."""
    return [row.name for row in rows if not row.support]


def per_class_metrics(table: Predictions, class_names: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Return one row of metrics for each class.

    Args:
        table: predictions of a classifier of any kind.
        class_names: in the order of the columns of `table.probabilities`.
    """
    task = classification_of(table)
    labels, predicted = task.as_classes(table.labels), task.predict(table.logits)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        **shape_for_scikit(labels, predicted, len(class_names)), average=None, zero_division=np.nan
    )
    truth = task.one_vs_rest(labels, len(class_names))
    rows = zip(class_names, precision, recall, f1, support, ranking_by_class(truth, table.probabilities), strict=True)
    return tuple(
        ClassMetrics(name=name, precision=_known(p), recall=_known(r), f1=_known(f), support=int(s), **ranking)
        for name, p, r, f, s, ranking in rows
    )


def confusion_matrix(table: Predictions, num_classes: int) -> np.ndarray:
    """Return how often each true class (row) is predicted as each class (column), int64 `(C, C)`.

    Multilabel has no such matrix.
    """
    task = classification_of(table)
    labels, predicted = task.as_classes(table.labels), task.predict(table.logits)
    return sklearn.metrics.confusion_matrix(labels, predicted, labels=np.arange(num_classes))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
