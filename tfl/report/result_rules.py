"""Rules for findings about the test results, and about how reliable they are.

A rule is a function from facts to findings; most rules give at most one. The rule contains its own threshold.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tfl.evaluation.intervals import LEVEL, wilson_interval
from tfl.explain import most_confident_errors
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.wording import count, percent, points

HIGH_CONFIDENCE = 0.95


def _no_better_than_guessing(facts: Facts) -> Iterator[Finding]:
    support = [row["support"] for row in facts.evaluation.get("per_class", [])]
    if not (facts.task.labels.has_one_class and facts.task.headline.is_share) or not support or not sum(support):
        return
    share, low = max(support) / sum(support), (facts.headline_interval or [facts.test["accuracy"]])[0]
    if low <= share:
        name = facts.evaluation["per_class"][int(np.argmax(support))]["class"]
        yield Finding(
            "problem",
            95,
            f"Not shown to be better than always saying “{name}”, which is right {percent(share)} of the time: "
            f"accuracy is {percent(facts.test['accuracy'])}, and may be as low as {percent(low)}.",
        )


def _small_test_set(facts: Facts) -> Iterator[Finding]:
    interval, size = facts.headline_interval, facts.test["num_examples"]
    if not facts.task.headline.is_share or interval is None:
        return
    width = (interval[1] - interval[0]) / 2
    if width > 0.03:
        needed = int(np.ceil(size * (width / 0.02) ** 2 / 100) * 100)
        yield Finding(
            "advice",
            70 if width > 0.05 else 50,
            f"With {count(size, 'test image')} the accuracy is known to ±{points(width)} only "
            f"({percent(interval[0])} to {percent(interval[1])}): smaller differences between two models are chance. "
            f"±2 points take about {needed:,} images.",
        )


def _weak_class(facts: Facts) -> Iterator[Finding]:
    rows = [row for row in facts.evaluation.get("per_class", []) if row.get("recall") is not None and row["support"]]
    if len(rows) < 2:
        return
    mean = float(np.mean([row["recall"] for row in rows]))
    level = 1 - 0.05 / len(rows)  # Bonferroni: the worst of many classes may be low by chance
    weak = [row for row in rows if row["recall"] < mean - 0.1 and _recall_interval(row, level)[1] < mean]
    if weak:
        worst = min(weak, key=lambda row: row["recall"])
        low, high = _recall_interval(worst)
        yield Finding(
            "problem",
            80,
            f"“{worst['class']}” is found {percent(worst['recall'])} of the time (of "
            f"{count(worst['support'], 'test image')}; 95 % interval {percent(low)} to {percent(high)}), "
            f"against {percent(mean)} of a class on average.",
        )


def _recall_interval(row: dict[str, Any], level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a class's recall; it is wide if the class has only a few images."""
    return wilson_interval(round(row["recall"] * row["support"]), row["support"], level)


def _confused(facts: Facts) -> Iterator[Finding]:
    matrix = np.array(facts.evaluation.get("confusion_matrix") or np.zeros((0, 0), int))
    if not matrix.size:
        return
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    true, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    number, total = int(wrong[true, predicted]), int(matrix[true].sum())
    if number >= 3 and number / total >= 0.1:
        names = facts.metadata.class_names
        yield Finding(
            "problem",
            60,
            f"{number} of {total} “{names[true]}” are taken for “{names[predicted]}” ({percent(number / total)}): more "
            "images that tell these two apart, or one class of both.",
        )


def _calibration(facts: Facts) -> Iterator[Finding]:
    calibration = facts.evaluation.get("calibration", {})
    if "after" not in calibration:
        return
    before, after = calibration["before"]["ece"], calibration["after"]["ece"]
    chance = calibration["after"]["ece_by_chance"]
    highest = calibration["after"].get("ece_by_chance_high", 1.5 * chance)  # older runs do not have it
    if after > max(0.03, highest):
        yield Finding(
            "problem",
            65,
            f"Probabilities are off by {points(after)} on average, where chance would make {points(chance)} (before "
            f"temperature scaling {points(before)}): do not decide by them; more validation images fit a better T.",
        )
    elif after <= highest:
        scaled = f" (T = {facts.temperature:.2f}; {points(before)} before)" if before - after > 0.01 else ""
        yield Finding(
            "good",
            20,
            f"Probabilities can be taken at their word, as far as {count(facts.test['num_examples'], 'test image')} "
            f"tell: they are off by {points(after)} on average{scaled}, and those of a perfect model would be off by "
            f"{points(chance)} by chance.",
        )
    elif before - after > 0.01:
        yield Finding(
            "good",
            20,
            f"Temperature scaling (T = {facts.temperature:.2f}) brought the error of the probabilities from "
            f"{points(before)} to {points(after)}.",
        )


def _slices(facts: Facts) -> Iterator[Finding]:
    overall = facts.test.get("accuracy")
    rows = [
        (name, row) for name, rows in facts.evaluation.get("slices", {}).items() for row in rows if "accuracy" in row
    ]
    level = 1 - 0.05 / max(1, len(rows))  # Bonferroni: the weakest of many slices may be low by chance
    weak = [
        (row["accuracy"], name, row)
        for name, row in rows
        if overall is not None and _slice_interval(row, level)[1] < overall
    ]
    if weak:
        accuracy, name, row = min(weak, key=lambda entry: entry[0])
        yield Finding(
            "problem",
            68,
            f"Weaker where {name} is {row['slice']}: {percent(accuracy)} of {count(row['num_examples'], 'image')} are "
            f"right (at most {percent(row['high'])}), against {percent(overall)} overall.",
        )


def _slice_interval(row: dict[str, Any], level: float) -> tuple[float, float]:
    return wilson_interval(round(row["accuracy"] * row["num_examples"]), row["num_examples"], level)


def _sure_errors(facts: Facts) -> Iterator[Finding]:
    if not len(facts.table) or not (facts.task.labels.has_one_class and facts.task.is_classifier):
        return
    outcomes = facts.task.outcomes(facts.probabilities, facts.table.labels)
    sure = most_confident_errors(outcomes, len(facts.table))
    sure = sure[outcomes.confidence[sure] >= HIGH_CONFIDENCE]
    if len(sure):
        yield Finding(
            "advice",
            58,
            f"{len(sure)} of {count(int((~outcomes.is_correct).sum()), 'error')} "
            f"{'was' if len(sure) == 1 else 'were'} made with at least {percent(HIGH_CONFIDENCE)} confidence, "
            f"the first: {facts.table.ids[sure[0]]}. Check the label before the model.",
        )


def _dont_know(facts: Facts) -> Iterator[Finding]:
    """Report the effect on test of a threshold that was chosen before the test; nothing if there is none."""
    row, overall = facts.evaluation.get("decisions", {}).get("dont_know"), facts.test.get("accuracy", 1.0)
    if row is None or row["accuracy"] is None or row.get("low") is None or row.get("high") is None:
        return
    between = f"{percent(row['low'])} to {percent(row['high'])}"
    shown = "more than chance" if row["low"] > overall else "may be chance"
    yield Finding(
        "good" if row["low"] > overall else "advice",
        35,
        f"“Don’t know” below {percent(row['threshold'])} confidence, chosen on {facts.held_out}, hands "
        f"{percent(1 - row['coverage'])} of the test images to a person. Of the others {percent(row['accuracy'])} are "
        f"right ({between}), against {percent(overall)} of all: {shown}.",
    )


RULES = (
    _no_better_than_guessing,
    _small_test_set,
    _weak_class,
    _confused,
    _calibration,
    _slices,
    _sure_errors,
    _dont_know,
)
