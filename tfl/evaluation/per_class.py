"""Each class by itself: precision, recall, and what it is taken for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from tfl.evaluation.predictions import Predictions, classification_of
from tfl.tasks.ranking import ranking_by_class
from tfl.tasks.scores import shape_for_scikit


def per_class_metrics(table: Predictions, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row a class, ready for JSON.

    Args:
        table: of a classifier of any kind.
        class_names: in the order of the columns of `table.probabilities`.

    Returns:
        "class", "precision", "recall", "f1", "support" (how many examples are truly of it), "roc_auc" and
        "average_precision"; None where a number is undefined: the precision of a class that is never said, the
        recall of one that does not occur.
    """
    task = classification_of(table)
    labels, predicted = task.as_classes(table.labels), task.said(table.logits)
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
    """Return how often each class (rows) is taken for each (columns), int64 `(C, C)`; not for multilabel."""
    task = classification_of(table)
    labels, predicted = task.as_classes(table.labels), task.said(table.logits)
    return sklearn.metrics.confusion_matrix(labels, predicted, labels=np.arange(num_classes))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
