"""Make the tables and charts of the results on the test split."""

from typing import Any

import numpy as np

from tfl.report.facts import Facts
from tfl.report.figures import confusion_picture, reliability, selective
from tfl.report.wording import count, figure, percent, points, spoken

READABLE_CLASSES = 20  # up to this number of classes the confusion matrix is a table, above it a picture
MOST_PAIRS = 15
MOST_ROWS = 1000
CONFORMAL = {  # key: whether the task has classes; value: caption and the last two columns
    True: (
        "Conformal prediction sets: the sets hold the true class as often as stated",
        "mean classes in a set",
        "threshold",
    ),
    False: (
        "Conformal prediction intervals: they hold the true value as often as stated",
        "mean width",
        "up and down from the value",
    ),
}
CLASS_COLUMNS = ("precision", "recall", "f1", "roc_auc", "average_precision", "support")


def describe_results(facts: Facts) -> dict[str, Any]:
    """Return everything that the results section shows; values that were not measured are empty."""
    decisions = facts.evaluation.get("decisions", {})
    return {
        **_metrics(facts),
        **_confusion(facts),
        **_classes(facts),
        "reliability": reliability(facts),
        "calibration": _calibration(facts),
        "selective": selective(facts),
        "conformal_caption": CONFORMAL[facts.has_classes][0],
        "conformal_columns": [
            "coverage wanted",
            "coverage on test",
            "95 % interval",
            *CONFORMAL[facts.has_classes][1:],
        ],
        "conformal": [
            [
                percent(row["coverage"]),
                percent(row["test_coverage"]),
                _between(row),
                figure(row["mean_set_size"]),
                figure(row["threshold"]),
            ]
            for row in decisions.get("conformal", [])
        ],
        "thresholds": [
            [
                row["class"],
                percent(row["precision"]),
                figure(row["threshold"]),
                figure(row.get("test_precision")),
                _between(row),
                figure(row.get("test_recall")),
            ]
            for row in decisions.get("precision_thresholds", [])[:MOST_ROWS]
        ],
        "slices": [(name, [_slice(facts, row) for row in rows[:MOST_ROWS]]) for name, rows in _slices(facts).items()],
        "slice_metric": spoken(facts.headline).lower(),
        "held_out": facts.held_out,
        "is_measured": bool(facts.evaluation),
    }


def _between(row: dict[str, Any]) -> str:
    """Format the interval of a row; a row of an older run or a row without examples has no interval."""
    return figure(None) if row.get("low") is None else f"{percent(row['low'])} to {percent(row['high'])}"


def _slices(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    return facts.evaluation.get("slices", {})


def _slice(facts: Facts, row: dict[str, Any]) -> list[str]:
    between = figure(None) if row["low"] is None else f"{facts.write(row['low'])} to {facts.write(row['high'])}"
    return [row["slice"], f"{row['num_examples']:,}", facts.write(row[facts.headline]), between]


def has_value(row: dict[str, Any], name: str) -> bool:
    """Return whether a class has test examples and a value of a metric."""
    return bool(row.get("support")) and row.get(name) is not None


def _metrics(facts: Facts) -> dict[str, Any]:
    test, validation = facts.test, facts.metrics.get("validation", {})
    intervals = facts.intervals | ({facts.headline: facts.headline_interval} if facts.headline_interval else {})
    first = [facts.headline, *(name for name in test if name not in (facts.headline, "num_examples"))]
    rows = [
        [
            spoken(name),
            figure(test[name]),
            f"{figure(intervals[name][0])} to {figure(intervals[name][1])}" if name in intervals else "–",
            figure(validation.get(name)),
        ]
        for name in [*first, "num_examples"]
        if not isinstance(test[name], (dict, list))
    ]
    return {
        "columns": ["metric", "test", "95 % interval", "validation"],
        "metrics": rows,
        "has_intervals": bool(intervals),
    }


def _confusion(facts: Facts) -> dict[str, Any]:
    matrix, names = np.array(facts.evaluation.get("confusion_matrix", [])), facts.metadata.class_names
    empty = {"names": names, "matrix": [], "shades": [], "matrix_picture": "", "matrix_alt": "", "pairs": []}
    if not matrix.size:
        return empty
    rows = np.maximum(matrix.sum(axis=1), 1)
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    order = [divmod(int(place), len(matrix)) for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]]
    pairs = [
        [names[i], names[j], str(wrong[i, j]), percent(wrong[i, j] / rows[i])] for i, j in order if wrong[i, j] > 0
    ]
    if len(matrix) <= READABLE_CLASSES:
        shades = np.round(0.75 * matrix / rows[:, None], 2).tolist()
        return empty | {"matrix": matrix.tolist(), "shades": shades, "pairs": pairs if len(matrix) > 4 else []}
    alt = (
        f"Confusion matrix of {len(matrix)} classes: {count(int(wrong.sum()), 'error')} among {matrix.sum():,} images"
        + (f", the most frequent: {pairs[0][2]} “{pairs[0][0]}” taken for “{pairs[0][1]}”." if pairs else ".")
    )
    return empty | {"matrix_picture": confusion_picture(matrix), "matrix_alt": alt, "pairs": pairs}


def _classes(facts: Facts) -> dict[str, Any]:
    """Return one row per class, the classes with the lowest recall first."""
    per_class = facts.evaluation.get("per_class", [])
    per_class = sorted(per_class, key=lambda row: row["recall"] if has_value(row, "recall") else 2.0)
    columns = [name for name in CLASS_COLUMNS if any(row.get(name) is not None for row in per_class)]
    rows = [[row["class"], *(figure(row.get(name)) for name in columns)] for row in per_class[:MOST_ROWS]]
    return {"class_columns": ["class", *map(spoken, columns)], "classes": rows}


def _calibration(facts: Facts) -> str:
    calibration = facts.evaluation.get("calibration", {})
    if "after" not in calibration:
        return ""
    before, after = calibration["before"], calibration["after"]
    return (
        f"Expected calibration error: {points(before['ece'])} as trained, {points(after['ece'])} after temperature "
        f"scaling with T = {facts.temperature:.2f}, which was fitted on {facts.held_out} and does not change what is "
        "said most probable."
    )
