"""How good a model is, from one table of predictions."""

from tfl.evaluation.metrics import compute_metrics
from tfl.evaluation.per_class import confusion_matrix, per_class_metrics
from tfl.evaluation.predictions import Predictions, evaluate, predict
from tfl.evaluation.probabilities import to_logits, to_probabilities
from tfl.evaluation.tables import read_predictions, write_predictions

__all__ = [
    "Predictions",
    "compute_metrics",
    "confusion_matrix",
    "evaluate",
    "per_class_metrics",
    "predict",
    "read_predictions",
    "to_logits",
    "to_probabilities",
    "write_predictions",
]
