"""How good a model is, from one table of predictions."""

from tfl.evaluation.metrics import compute_metrics
from tfl.evaluation.predictions import Predictions, evaluate, predict, to_probabilities

__all__ = ["Predictions", "compute_metrics", "evaluate", "predict", "to_probabilities"]
