"""Metrics of each class: precision, recall, and the confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from tfl.evaluation.predictions import Predictions, classification_of
from tfl.tasks.ranking import ranking_by_class
from tfl.tasks.scores import shape_for_scikit


def per_class_metrics(table: Predictions, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row of metrics for each class, ready for JSON.

    Args:
        table: predictions of a classifier of any kind.
        class_names: in the order of the columns of `table.probabilities`.

    Returns:
        "class", "precision", "recall", "f1", "support" (number of examples that truly belong to the class), "roc_auc"
        and "average_precision". A number is None if it is undefined, such as the precision of a class that is never
        predicted, or the recall of a class without examples.
    """
    task = classification_of(table)
    labels, predicted = task.as_classes(table.labels), task.predict(table.logits)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        **shape_for_scikit(labels, predicted, len(class_names)), average=None, zero_division=np.nan
    )
    truth = task.one_vs_rest(labels, len(class_names))
    rows = zip(class_names, precision, recall, f1, support, ranking_by_class(truth, table.probabilities), strict=True)
    return [
        {"class": name, "precision": _known(p), "recall": _known(r), "f1": _known(f), "support": int(s), **ranking}
        for name, p, r, f, s, ranking in rows
    ]


def confusion_matrix(table: Predictions, num_classes: int) -> np.ndarray:
    """Return how often each true class (row) is predicted as each class (column), int64 `(C, C)`.

    Multilabel has no such matrix.
    """
    task = classification_of(table)
    labels, predicted = task.as_classes(table.labels), task.predict(table.logits)
    return sklearn.metrics.confusion_matrix(labels, predicted, labels=np.arange(num_classes))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
