"""How good a model is, from one table of predictions."""

from tfl.evaluation.intervals import bootstrap_intervals, wilson_interval
from tfl.evaluation.metrics import compute_metrics
from tfl.evaluation.pairs import Comparison, compare_predictions
from tfl.evaluation.per_class import confusion_matrix, per_class_metrics
from tfl.evaluation.predictions import Predictions, evaluate, predict
from tfl.evaluation.probabilities import to_logits, to_probabilities
from tfl.evaluation.tables import read_predictions, write_predictions

__all__ = [
    "Comparison",
    "Predictions",
    "bootstrap_intervals",
    "compare_predictions",
    "compute_metrics",
    "confusion_matrix",
    "evaluate",
    "per_class_metrics",
    "predict",
    "read_predictions",
    "to_logits",
    "to_probabilities",
    "wilson_interval",
    "write_predictions",
]
