"""Collect everything about the quality of a model: the content of `evaluation.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfl.evaluation.calibration import describe_calibration
from tfl.evaluation.conformal import describe_conformal
from tfl.evaluation.decisions import choose_dont_know, precision_thresholds, selective_curve
from tfl.evaluation.intervals import bootstrap_intervals, wilson_interval
from tfl.evaluation.per_class import confusion_matrix, per_class_metrics
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.slices import Slicing, measure_slices
from tfl.tasks.task import CALIBRATION, CONFORMAL, CONFUSION, PER_CLASS, PRECISION, SELECTIVE

MATRIX_LIMIT = 200  # classes; a larger confusion matrix takes megabytes and nobody reads it
MAIN = (
    *("accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", "loss"),
    *("mean_absolute_error", "root_mean_squared_error", "r2"),
)


def summarize(
    test: Predictions,
    class_names: Sequence[str],
    *,
    temperature: float = 1.0,
    validation: Predictions | None = None,
    slicings: Mapping[str, Slicing] | None = None,
) -> dict[str, Any]:
    """Return everything about a model on its test examples, ready for JSON.

    Args:
        test: predictions on the test examples, at temperature 1.
        class_names: in the order of the columns of probabilities.
        temperature: the shipped model divides its logits by this number; decisions use the probabilities after it.
        validation: predictions on examples that the model was not fitted on, at temperature 1, from a validation
            split or from held-out folds. Thresholds and prediction sets are chosen on them. None: nothing is chosen.
        slicings: ways to divide the test examples into parts.

    Returns:
        "temperature", "headline" (the name of the most important metric), "test", "intervals", "per_class",
        "absent_classes" (classes without a test example; means over classes leave them out), "confusion_matrix",
        "calibration", "decisions" and "slices". Entries that do not apply are absent.
    """
    metrics = test.metrics()
    summary: dict[str, Any] = {"temperature": temperature, "headline": test.task.headline.metric, "test": metrics}
    summary["intervals"] = _intervals(test, metrics)
    analyses = test.task.analyses
    if PER_CLASS in analyses:
        summary["per_class"] = per_class_metrics(test, class_names)
        if absent := [row["class"] for row in summary["per_class"] if not row["support"]]:
            summary["absent_classes"] = absent
    if CONFUSION in analyses and len(class_names) <= MATRIX_LIMIT:
        summary["confusion_matrix"] = confusion_matrix(test, len(class_names)).tolist()
    if CALIBRATION in analyses:
        before, after = describe_calibration(test), describe_calibration(test.at(temperature))
        summary["calibration"] = {"before": before, "after": after}
    summary["decisions"] = _decisions(
        test.at(temperature), class_names, None if validation is None else validation.at(temperature)
    )
    if slicings:
        summary["slices"] = measure_slices(test, slicings)
    return summary


def main_figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a summary that goes into `metrics.json`: intervals of the main metrics, and calibration."""
    figures: dict[str, Any] = {
        "intervals": {k: v for k, v in summary["intervals"].items() if k in (*MAIN, summary["headline"])}
    }
    if "calibration" in summary:
        errors = {f"ece_{when}": values["ece"] for when, values in summary["calibration"].items()}
        chance = summary["calibration"]["after"]["ece_by_chance"]
        figures["calibration"] = {"temperature": summary["temperature"], **errors, "ece_by_chance": chance}
    return figures


def _intervals(table: Predictions, metrics: Mapping[str, float]) -> dict[str, list[float]]:
    """Return the interval of each metric: Wilson's for a share of the examples, else the bootstrap's.

    If all resampled tables give the same value, the metric has no bootstrap interval. For example, if every example
    is correct, every resampled table gives 1, which does not show how large the error of this 1 is.
    """
    drawn = bootstrap_intervals(table).items()
    intervals = {name: [low, high] for name, (low, high) in drawn if low < high}
    headline = table.task.headline
    for name in metrics:
        if (name == headline.metric and headline.is_share) or (name.startswith("top_") and name.endswith("_accuracy")):
            intervals[name] = list(wilson_interval(round(metrics[name] * len(table)), len(table)))
    return intervals


def _decisions(test: Predictions, class_names: Sequence[str], validation: Predictions | None) -> dict[str, Any]:
    """Choose thresholds and prediction sets on validation, and measure them on test."""
    decisions: dict[str, Any] = {}
    if validation is None or not len(validation):
        return decisions
    analyses = test.task.analyses
    if SELECTIVE in analyses:
        decisions["selective"] = selective_curve(validation, test)
        if (dont_know := choose_dont_know(validation, test)) is not None:
            decisions["dont_know"] = dont_know
    if PRECISION in analyses:
        decisions["precision_thresholds"] = precision_thresholds(validation, class_names, test=test)
    if CONFORMAL in analyses:
        decisions["conformal"] = describe_conformal(validation, test)
    return decisions
