"""A baseline without a network: what a simple description of the examples reaches on the same splits."""

import dataclasses
from typing import Any

import numpy as np

from tfl.evaluation import Predictions, compare_predictions, summarize
from tfl.evaluation.intervals import FEW_GROUPS
from tfl.progress import say
from tfl.recipe.plain import describe_sounds, describe_texts, fit_logistic
from tfl.recipe.run import Run


def measure_baseline(run: Run, test: Predictions) -> dict[str, Any]:
    """Fit the baseline on the examples that the head is solved on, and compare it with the model on the test examples.

    All of its choices are made by cross-validation on these examples; those of one group stay together.

    Args:
        run: the run.
        test: the predictions of its model on the test examples.

    Returns:
        The entry `baseline` of metrics.json; {} for examples that are neither texts nor sounds, or labels of another
        kind than one of several classes, and if no text has a word.
    """
    kind = run.splits.source.kind
    describe = describe_texts if kind.cell else describe_sounds if kind.has_sounds else None
    if describe is None or not run.task.labels.has_one_class:
        return {}
    rows = run.splits.outside_of_test if run.config.probe.folds else run.rows("train")  # as the head
    index = run.splits.index
    try:
        described = describe(run, rows, test.ids)
        say(f"baseline: {described.method} on {len(rows):,} {kind.noun[1]}")
        groups = index.together()[rows] if len(index.groups) else None
        scores, strength = fit_logistic(described, index.labels[rows], groups, len(index.class_names))
    except ValueError as error:  # no text has a word, or all have one class
        say(f"baseline: left out, because {str(error).partition('.')[0]}")
        return {}
    baseline = Predictions(test.ids, test.labels, run.task.outputs(scores), test.task, test.groups)
    evaluation = summarize(baseline, run.model.metadata.class_names)
    difference = compare_predictions(test, baseline)
    metric, interval = difference.metric, evaluation.intervals.get(difference.metric)
    say(
        f"baseline: test {metric} {difference.second:.4f}; the network has {difference.first:.4f}, a difference of "
        f"{difference.difference:+.4f} (95 % interval {difference.low:+.4f} to {difference.high:+.4f}{_few(test)})"
    )
    return {
        "baseline": {
            "method": described.method,
            "inverse_strength": strength,
            "test": evaluation.test,
            "intervals": {} if interval is None else {metric: list(interval)},
            "difference": {name: value for name, value in dataclasses.asdict(difference).items() if name != "headline"},
        }
    }


def _few(test: Predictions) -> str:
    """Say that an interval is too narrow because few groups are resampled."""
    number = 0 if test.groups is None else len(np.unique(test.groups))
    return f"; too narrow, because it resamples {number} groups" if 0 < number < FEW_GROUPS else ""
