"""Compare finished runs: which is best, by how much, and is it more than chance (`tfl compare`)."""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.build import input_of_config
from tfl.config import TransferConfig
from tfl.errors import InputError
from tfl.evaluation import Comparison, Predictions, adjust_holm, compare_predictions, read_predictions
from tfl.evaluation.intervals import LEVEL, bootstrap_intervals, share_interval
from tfl.evaluation.tables import read_column
from tfl.inputs import Input
from tfl.registry import normal_name
from tfl.runs.checks import check_compared
from tfl.runs.recorded import recorded_predictions, recorded_splits
from tfl.tasks import get_task
from tfl.workdir import Workdir, naming_the_output, read_config, write_csv, write_json


@dataclasses.dataclass(frozen=True)
class RunPredictions:
    """The predictions of a finished run on its test images.

    Attributes:
        name: the workdir, as the user wrote it.
        table: the predictions, sorted by id.
        class_names: the class names, in the order of the columns.
        digests: the SHA-256 of each test image, by its id.
        several: the name of several examples; "" for a file of predictions, which does not tell it.
    """

    name: str
    table: Predictions
    class_names: tuple[str, ...]
    digests: dict[str, str]
    several: str = ""

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The metrics of the predictions, by name."""
        return self.table.metrics()


def compare_runs(workdirs: Sequence[str], output: str = "") -> list[dict[str, Any]]:
    """Compare finished runs on the same test images, each with the best one, and print the result in sentences.

    If a run has groups, all intervals and tests take the groups as independent, and not the examples. With more than
    two runs, Holm's method corrects the p-values for the number of comparisons. The best run is chosen on the same
    test images, so its own metric is a little too good. This effect grows with the number of runs.

    Args:
        workdirs: the folders of at least two finished runs with the same test images; or files of predictions on the
            same images, as `tfl evaluate --source --predictions` writes them.
        output: the file to write the table to, `.json` or CSV; empty: no file.

    Returns:
        One row per run, best first. Each row has "run", the metric ("accuracy"; for regression
        "mean_absolute_error"), the ends "low" and "high" of its interval, and "loss". Each row but the first also has
        "difference" from the best run with "difference_low" and "difference_high", "only_best" and "only_this" (the
        number of examples that only this one of the two runs has correct), "p_value" and "p_holm".

    Raises:
        InputError: there are fewer than two runs, a run is not finished, or the runs have different images, labels
            or classes; the message names the first difference.

    Example:
        >>> table = tfl.compare_runs(["runs/photos", "runs/again"], "comparison.csv")
        run          accuracy     low    high    loss  difference ...
        >>> table[1]["difference"]
        0.0
    """
    check_compared(workdirs)
    runs = [_read_run(workdir) for workdir in workdirs]
    runs = _grouped([runs[0], *(_matched(run, runs[0]) for run in runs[1:])])
    several = _several_of(runs)
    best, *others = sorted(runs, key=_badness)
    comparisons = [compare_predictions(best.table, other.table) for other in others]
    adjusted = adjust_holm([comparison.p_value for comparison in comparisons])
    rows = [_figures(best)]
    for other, comparison, p_holm in zip(others, comparisons, adjusted, strict=True):
        rows.append(_figures(other) | _difference(comparison, p_holm))
    _say_table(rows)
    for row, comparison in zip(rows[1:], comparisons, strict=True):
        sys.stdout.write(sentence(best.name, row, comparison, len(best.table), len(others), several) + "\n")
    if len(others) > 1:
        sys.stdout.write(
            f"{best.name} was picked on these {len(best.table)} {several}: its own figure is a little too good.\n"
        )
    if output:
        _write(output, rows)
    return rows


def _read_run(workdir: str) -> RunPredictions:
    path = epath.Path(workdir).expanduser()
    if path.is_file():
        table, class_names = read_predictions(path)
        return _sorted(workdir, table, class_names, read_column(path))
    run = Workdir.open_finished(workdir, "workdirs")
    config = read_config(run)
    task = get_task(config.task.name)
    table, class_names = recorded_predictions(run, "test", task.compared_as)
    digests = {row["id"]: row["sha256"] for row in recorded_splits(run) if row["split"] == "test"}
    return dataclasses.replace(_sorted(workdir, table, class_names, digests), several=_several(config))


def _several(config: TransferConfig) -> str:
    """Return the name of several examples of a run."""
    try:
        return input_of_config(config).noun[1]
    except InputError:  # its backbone or input is not registered
        return Input.noun[1]


def _several_of(runs: Sequence[RunPredictions]) -> str:
    """Return the name of several examples of some runs; files of predictions alone are taken for those of images."""
    return next((run.several for run in runs if run.several), "images")


def _sorted(name: str, table: Predictions, class_names: Sequence[str], digests: dict[str, str]) -> RunPredictions:
    """Sort the predictions by id, and normalize the class names, so that all runs have the same form."""
    names = tuple(map(normal_name, class_names))  # a file system may give names in Unicode form NFD
    return RunPredictions(str(name), table.take(np.argsort(table.ids)), names, digests)


def _matched(run: RunPredictions, first: RunPredictions) -> RunPredictions:
    """Bring the columns of a run into the order of the first run; refuse a run on other data."""
    problem = _difference_in_data(run, first)
    if problem:
        raise InputError(
            f"`workdirs` must be of the same test {_several_of([first, run])}. "
            f"Received: {first.name} and {run.name}: {problem}."
        )
    table = run.table
    columns = [run.class_names.index(name) for name in first.class_names]
    if columns != sorted(columns):
        labels = table.task.labels.reorder(table.labels, columns)
        table = dataclasses.replace(table, logits=table.logits[:, columns], labels=labels)
    return dataclasses.replace(run, table=table, class_names=first.class_names)


def _grouped(runs: Sequence[RunPredictions]) -> list[RunPredictions]:
    """Give the groups of the first run that has some to all runs: a file of predictions has none."""
    groups = next((run.table.groups for run in runs if run.table.groups is not None), None)
    return [dataclasses.replace(run, table=dataclasses.replace(run.table, groups=groups)) for run in runs]


def _difference_in_data(run: RunPredictions, first: RunPredictions) -> str:
    """Describe how the test images of two runs differ, with one example; empty if they do not differ."""
    if run.table.task.name != first.table.task.name:
        return f"task.name is {first.table.task.name!r} and {run.table.task.name!r}"
    for one, other in itertools.permutations((first, run)):
        lost = sorted(set(one.class_names) - set(other.class_names))
        if lost:
            return f"the class {lost[0]!r} is in {one.name} alone"
        missing = sorted(set(one.table.ids.tolist()) - set(other.table.ids.tolist()))
        if missing:
            return f"{len(missing)} of {len(one.table)} are in {one.name} alone (first: {missing[0]})"
    common = first.digests.keys() & run.digests.keys() if first.digests and run.digests else set()
    changed = sorted(name for name in common if run.digests[name] != first.digests[name])
    if changed:
        return f"{len(changed)} have another content (first: {changed[0]})"
    labels = [each.table.task.labels.name_labels(each.table.labels, each.class_names) for each in (first, run)]
    relabelled = [name for name, one, other in zip(first.table.ids, *labels, strict=True) if one != other]
    return f"{len(relabelled)} have another label (first: {relabelled[0]})" if relabelled else ""


def _badness(run: RunPredictions) -> tuple[float, float]:
    metrics, headline = run.metrics, run.table.task.headline
    value = metrics[headline.metric]
    return -value if headline.higher_is_better else value, metrics["loss"]


def _figures(run: RunPredictions) -> dict[str, Any]:
    metrics, headline, table = run.metrics, run.table.task.headline, run.table
    metric = headline.metric
    if headline.is_share:
        hits = np.asarray(table.task.headline_values(table.logits, table.labels))
        low, high = share_interval(hits, table.groups)
    else:
        low, high = bootstrap_intervals(run.table)[metric]
    return {"run": run.name, metric: metrics[metric], "low": low, "high": high, "loss": metrics["loss"]}


def _difference(comparison: Comparison, p_holm: float) -> dict[str, Any]:
    return {
        "difference": 0.0 - comparison.difference,
        "difference_low": 0.0 - comparison.high,  # `-x` would give -0.0 for 0.0
        "difference_high": 0.0 - comparison.low,
        "only_best": comparison.only_first,
        "only_this": comparison.only_second,
        "p_value": comparison.p_value,
        "p_holm": p_holm,
    }


def sentence(
    best: str,
    row: dict[str, Any],
    comparison: Comparison,
    num_examples: int,
    num_compared: int,
    several: str,
) -> str:
    """Describe in one plain sentence how a run compares with the best run.

    Args:
        best: the name of the best run.
        row: the row of the other run, from `compare_runs`.
        comparison: the comparison of the two runs, with the best run first.
        num_examples: the number of test examples.
        num_compared: the number of runs that are compared with the best run.
        several: the name of several examples.
    """
    headline, metric, p_value = comparison.headline, comparison.headline.noun, row["p_holm"]
    if not comparison.only_first and not comparison.only_second:
        how = "right and wrong on the same" if headline.is_share else "equally far off on each of"
        return f"{best} and {row['run']} are {how} {num_examples} {several}."
    # The sentence says by how much the best run is better, also where a smaller value is better.
    gain, low, high = comparison.difference, comparison.low, comparison.high
    gain, low, high = (gain, low, high) if headline.higher_is_better else (-gain, 0.0 - high, 0.0 - low)
    size = f"{gain:.4f} (95 % interval {low:+.4f} to {high:+.4f})"
    verb = "right" if headline.is_share else "closer"
    counts = f"it alone is {verb} on {comparison.only_first} {several}, the other alone on {comparison.only_second}"
    how = f"{comparison.test}, p = {p_value:.2g}" + (f" after Holm for {num_compared}" if num_compared > 1 else "")
    if p_value < 1 - LEVEL:
        return f"{best} is better than {row['run']}: {metric} by {size}; {counts}. That is more than chance ({how})."
    if gain <= 0:  # equal metrics: the smaller loss made it the best run
        return f"{best} and {row['run']} have the same {metric}, difference {size}; {counts} ({how})."
    return f"{best} is ahead of {row['run']}: {metric} by {size}; {counts}. That may be chance ({how})."


def _say_table(rows: Sequence[dict[str, Any]]) -> None:
    header = list(rows[-1])
    texts = [header, *([_text(row.get(name)) for name in header] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for line in texts:
        cells = [
            f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _write(output: str, rows: list[dict[str, Any]]) -> None:
    with naming_the_output(output):
        if output.endswith(".json"):
            write_json(output, {"runs": rows})
        else:
            header = list(rows[-1])
            write_csv(output, header, ([row.get(name, "") for name in header] for row in rows))
