"""Collect everything about the quality of a model in one `Evaluation`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.evaluation.analyses import ANALYSES
from tfl.evaluation.analysis import Examples
from tfl.evaluation.evaluation import Evaluation
from tfl.evaluation.intervals import bootstrap_intervals, share_interval, wilson_interval
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.slices import Slicing, measure_slices
from tfl.registry import resolve

MAIN = (
    *("accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", "loss"),
    *("mean_absolute_error", "root_mean_squared_error", "r2"),
    *("ap50", "ap75"),
)


def summarize(
    test: Predictions,
    class_names: Sequence[str],
    *,
    temperature: float = 1.0,
    validation: Predictions | None = None,
    slicings: Mapping[str, Slicing] | None = None,
) -> Evaluation:
    """Measure everything about a model on its test examples: the metrics, and the analyses that its task declares.

    Args:
        test: predictions on the test examples, at temperature 1.
        class_names: in the order of the columns of probabilities.
        temperature: the shipped model divides its logits by this number; decisions use the probabilities after it.
        validation: predictions on examples that the model was not fitted on, at temperature 1, from a validation
            split or from held-out folds. Thresholds and prediction sets are chosen on them. None: nothing is chosen.
        slicings: ways to divide the test examples into parts.

    Raises:
        InputError: the task declares an analysis that does not exist.
    """
    metrics, task = test.metrics(), test.task
    scaled_validation = None if validation is None else validation.at(temperature)
    examples = Examples(test, test.at(temperature), scaled_validation, class_names)
    analyses = [ANALYSES[resolve(name, list(ANALYSES), "analyses")] for name in task.analyses]
    results = {analysis.name: analysis.measure(examples) for analysis in analyses}
    return Evaluation(
        temperature=temperature,
        headline=task.headline.metric,
        test=metrics,
        intervals=_intervals(test, metrics),
        results={name: result for name, result in results.items() if result is not None},
        slices=measure_slices(test, slicings or {}),
        num_groups=test.num_groups,
    )


def main_figures(evaluation: Evaluation) -> dict[str, Any]:
    """Return what goes into `metrics.json`: the intervals of the main metrics, and the calibration errors."""
    main = (*MAIN, evaluation.headline)
    figures: dict[str, Any] = {
        "intervals": {name: list(ends) for name, ends in evaluation.intervals.items() if name in main}
    }
    if evaluation.num_groups:
        figures["num_groups"] = evaluation.num_groups
    if evaluation.calibration is not None:
        before, after = evaluation.calibration.before, evaluation.calibration.after
        figures["calibration"] = {
            "temperature": evaluation.temperature,
            "ece_before": before.ece,
            "ece_after": after.ece,
            "ece_by_chance": after.ece_by_chance,
        }
    return figures


def _intervals(table: Predictions, metrics: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the interval of each metric: Wilson's for a share of the examples, else the bootstrap's.

    With groups it is the bootstrap's for all of them, because Wilson's takes examples to be independent.

    If all resampled tables give the same value, the metric has no bootstrap interval. For example, if every example
    is correct, every resampled table gives 1, which does not show how large the error of this 1 is.
    """
    intervals = {name: (low, high) for name, (low, high) in bootstrap_intervals(table).items() if low < high}
    headline = table.task.headline
    for name in metrics:
        if name == headline.metric and headline.is_share:
            hits = np.asarray(table.task.headline_values(table.logits, table.labels))
            intervals[name] = share_interval(hits, table.groups)
        elif name.startswith("top_") and name.endswith("_accuracy") and table.groups is None:
            intervals[name] = wilson_interval(round(metrics[name] * len(table)), len(table))
    return intervals
