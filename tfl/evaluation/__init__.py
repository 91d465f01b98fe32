"""Measure how good a model is, from one table of predictions."""

from tfl.evaluation.analyses import ANALYSES
from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.calibration import (
    calibration_error,
    confidences,
    describe_calibration,
    reliability_bins,
)
from tfl.evaluation.choice import Choice, compare_losses, compare_phases
from tfl.evaluation.conformal import ConformalSets, fit_conformal
from tfl.evaluation.evaluation import Evaluation
from tfl.evaluation.headline import SMALL_TEST, balanced_text, examples_to_tell_apart, headline_text, needed_text
from tfl.evaluation.intervals import bootstrap_intervals, difference_interval, wilson_interval
from tfl.evaluation.pairs import Comparison, adjust_holm, compare_predictions, paired_interval
from tfl.evaluation.per_class import confusion_matrix, per_class_metrics
from tfl.evaluation.predictions import Predictions, evaluate, predict
from tfl.evaluation.selective import choose_dont_know, selective_curve
from tfl.evaluation.slices import Slicing, measure_examples, measure_slices, slice_by_column, slice_by_content
from tfl.evaluation.summary import main_figures, summarize
from tfl.evaluation.tables import read_predictions, write_predictions
from tfl.evaluation.temperature import TemperatureFit, fit_temperature
from tfl.evaluation.thresholds import precision_thresholds

__all__ = [
    "ANALYSES",
    "SMALL_TEST",
    "Analysis",
    "Choice",
    "Comparison",
    "ConformalSets",
    "Evaluation",
    "Examples",
    "Predictions",
    "Slicing",
    "TemperatureFit",
    "adjust_holm",
    "balanced_text",
    "bootstrap_intervals",
    "calibration_error",
    "choose_dont_know",
    "compare_losses",
    "compare_phases",
    "compare_predictions",
    "confidences",
    "confusion_matrix",
    "describe_calibration",
    "difference_interval",
    "evaluate",
    "examples_to_tell_apart",
    "fit_conformal",
    "fit_temperature",
    "headline_text",
    "main_figures",
    "measure_examples",
    "measure_slices",
    "needed_text",
    "paired_interval",
    "per_class_metrics",
    "precision_thresholds",
    "predict",
    "read_predictions",
    "reliability_bins",
    "selective_curve",
    "slice_by_column",
    "slice_by_content",
    "summarize",
    "wilson_interval",
    "write_predictions",
]
