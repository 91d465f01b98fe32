"""Check that the files of a run agree: a value that is in several files must be the same in all of them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from tfl.files.reading import read_csv, refuse_file
from tfl.registry import normal_name
from tfl.report.facts import Facts
from tfl.runs.recorded import check_recorded_config
from tfl.tasks.task import PER_CLASS

CLOSE = 1e-3  # tolerance: a second evaluation of a run may round differently
LOSSES = ("loss", "val_loss")
METRICS, EVALUATION = "metrics.json", "evaluation.json"


def read_history(path: epath.PathLike) -> list[dict[str, float]]:
    """Read `history.csv`: one row per epoch, and all cells are numbers; a loss may be infinite or NaN.

    Returns:
        The rows with "epoch" counted from 1, also for the file of an older run, which counts from 0.

    Raises:
        InputError: the file is damaged, or its epochs are neither 1, 2, 3, ... nor 0, 1, 2, ...
    """
    rows, first = [], 0
    for place, row in enumerate(read_csv(path, ("epoch", *LOSSES), key="epoch")):
        try:
            values = {name: float(value) for name, value in row.items() if value}
        except ValueError as error:
            raise refuse_file(path, error) from error
        first = 1 if place == 0 and values.get("epoch") == 1 else first
        number = first + place
        if values.get("epoch") != number:
            raise refuse_file(path, f"row {place + 2} is of epoch {row['epoch']}")
        if not set(LOSSES) <= values.keys():
            raise refuse_file(path, f"epoch {number} lacks {' or '.join(LOSSES)}")
        for name, value in values.items():
            if (name.endswith("accuracy") and not 0 <= value <= 1) or (name.endswith("loss") and value < 0):
                raise refuse_file(path, f"{name} of epoch {number} is {value:g}")
        rows.append({**values, "epoch": place + 1.0})
    return rows


def check_facts(facts: Facts) -> None:
    """Check that the files of a finished run agree.

    Raises:
        InputError: two files differ.
    """
    check_recorded_config(facts.config, facts.metadata, facts.path / "config.json")
    metrics, evaluation = facts.metrics, facts.evaluation
    _check_metrics(facts, METRICS, metrics.test, metrics.intervals)
    if metrics.kept not in (*metrics.phases, "random weights"):
        raise refuse_file(facts.path / METRICS, f"{metrics.kept!r} is kept, and is not among the phases")
    if facts.is_measured:
        _check_metrics(facts, EVALUATION, evaluation.test, evaluation.intervals)
        _check_evaluation(facts, facts.path / EVALUATION)
    sizes = {name: sum(row["split"] == name for row in facts.splits) for name in metrics.num_examples}
    if facts.splits and sizes != metrics.num_examples:
        raise refuse_file(facts.path / METRICS, f"num_examples is not that of splits.csv, {sizes}")
    if len(facts.history) > facts.config.finetune.epochs:
        raise refuse_file(
            facts.path / "history.csv",
            f"{len(facts.history)} epochs, and finetune.epochs={facts.config.finetune.epochs}",
        )


def _check_metrics(
    facts: Facts, name: str, test: Mapping[str, Any], intervals: Mapping[str, tuple[float, float]]
) -> None:
    path = facts.path / name
    if facts.headline not in test:
        raise refuse_file(path, f"test lacks {facts.headline!r}")
    for metric, (low, high) in intervals.items():
        if not low <= high:
            raise refuse_file(path, f"intervals.{metric}: {low} to {high}")
    if len(facts.table) and test["num_examples"] != len(facts.table):
        raise refuse_file(path, f"test.num_examples is {test['num_examples']}, of predictions {len(facts.table)}")


def _check_evaluation(facts: Facts, path: epath.Path) -> None:
    evaluation, names = facts.evaluation, list(map(normal_name, facts.metadata.class_names))
    first, second = facts.metrics.test, evaluation.test
    for metric in first.keys() & second.keys():
        if not math.isclose(first[metric], second[metric], rel_tol=CLOSE, abs_tol=CLOSE):
            raise refuse_file(path, f"test.{metric} is {second[metric]}, and in {METRICS} {first[metric]}")
    if not math.isclose(evaluation.temperature, facts.metadata.temperature, rel_tol=CLOSE):
        raise refuse_file(path, f"temperature is {evaluation.temperature}, the model's {facts.metadata.temperature}")
    if PER_CLASS in evaluation.results and [normal_name(row.name) for row in evaluation.per_class] != names:
        raise refuse_file(path, f"per_class has other classes than the model, {', '.join(names)}")
    if not {normal_name(row.name) for row in evaluation.precision_thresholds} <= set(names):
        raise refuse_file(path, "decisions.precision_thresholds has classes that the model does not have")
    if matrix := evaluation.confusion_matrix:
        if len(matrix) != len(names) or any(len(row) != len(names) for row in matrix):
            raise refuse_file(path, f"confusion_matrix is not {len(names)} x {len(names)}")
        if np.sum(matrix) != second["num_examples"]:
            raise refuse_file(path, f"confusion_matrix has {np.sum(matrix)} examples, test {second['num_examples']}")
    for cut, rows in evaluation.slices.items():
        for row in rows:
            if row.num_examples > second["num_examples"]:
                raise refuse_file(path, f"slices.{cut}: {row.name!r} is no part of the test {facts.nouns[1]}")


def check_ends(values: Any, path: epath.Path) -> None:
    """Check in a JSON file, at any depth, that every interval has either no ends, or both ends in the correct order.

    Raises:
        InputError: the ends of an interval are in the wrong order, or one is missing.
    """
    for inner in values.values() if isinstance(values, dict) else values:
        if isinstance(inner, (dict, list)):
            check_ends(inner, path)
    for low, high in (("low", "high"), ("coverage_low", "coverage_high")):
        if isinstance(values, dict) and (low in values or high in values):
            start, end = values.get(low), values.get(high)
            if (start is None) != (end is None) or (start is not None and start > end):
                raise refuse_file(path, f"an interval goes from {start} to {end}")
