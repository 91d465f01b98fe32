"""Evaluate a finished run again, or on other data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from etils import epath

from tfl.data import Source, make_dataset, reading_explained
from tfl.errors import InputError
from tfl.evaluation import (
    Evaluation,
    Predictions,
    predict,
    slice_by_column,
    slice_by_content,
    summarize,
    write_predictions,
)
from tfl.models.classifier import Metadata, load_model
from tfl.progress import say
from tfl.runs.recorded import (
    as_decided,
    check_recorded_config,
    held_out_rows,
    open_recorded,
    recorded_predictions,
    recorded_rows,
    recorded_splits,
)
from tfl.workdir import Workdir, is_from_folds, naming_the_output, read_config, write_json

BATCH = 32


@reading_explained()
def evaluate_workdir(
    workdir: epath.PathLike, source: str = "", slices: str = "", *, data: Any = None, predictions: str = ""
) -> dict[str, Any]:
    """Evaluate a finished run, on its own test split or on other data.

    Args:
        workdir: the folder of a finished run.
        source: a source string. If the source has splits of its own, its test split is evaluated (of two splits, the
            second); otherwise all of it. Its classes must be classes of the model; it may lack some of them. If the
            source holds the run's own test images under the same ids, those are evaluated: the photos were moved.
            Empty: the run's own test images, as `splits.csv` lists them; files that were added later do not count.
        slices: `FILE.csv:COLUMN`, a column that divides the test images into more slices; see `slice_by_column`.
        data: the same Python data again, if the run was made on Python data; see `tfl.transfer`.
        predictions: the file to write the prediction of each image to; `compare_runs` reads such files. Empty: no
            file.

    Returns:
        The same entries that `evaluation.json` holds for the run's own test images (see `Evaluation`). The exact
        metrics are under "test". The temperature is that of the saved model, and the thresholds are chosen on the
        run's validation images.

    Raises:
        InputError: the run is not finished, test images are missing or changed, the model does not know a class, or
            there is no such column.

    Example:
        >>> evaluation = tfl.evaluate_workdir("runs/photos", predictions="predictions.csv")
        >>> low, high = evaluation["intervals"]["accuracy"]
    """
    run = Workdir.open_finished(workdir)
    config = read_config(run)
    model, metadata = _load_named(workdir)
    check_recorded_config(config, metadata, run / "config.json")
    known = metadata.class_names if source and metadata.task.labels.has_names else ()
    source_data, name = open_recorded(config, metadata.input, source, data, known)
    recorded = recorded_splits(run)
    source_data = as_decided(run, source_data, recorded)
    order = _order(source_data, metadata)
    if source:
        rows = held_out_rows(source_data, recorded, folds=is_from_folds(run))
    else:
        rows = recorded_rows(source_data, recorded, name)
    index = source_data.index
    if slices:
        slice_by_column(slices, index.ids[rows])  # raises an error in `slices` before the slow part
    labels = metadata.task.labels
    table = _predict(model, source_data.numbered_as(labels, order), rows)
    if predictions:
        with naming_the_output(predictions):
            write_predictions(table, predictions, index.ids, metadata.class_names, index.sha256)
    slicings = slice_by_content(source_data, table.ids)
    if slices:
        slicings |= dict([slice_by_column(slices, index.ids[table.ids])])
    return summarize(
        table,
        metadata.class_names,
        temperature=metadata.temperature,
        validation=_recorded_validation(run, metadata, recorded),
        slicings=slicings,
    ).to_dict()


def show_evaluation(evaluation: dict[str, Any], output: str = "") -> None:
    """Print the main results of an evaluation, slice by slice, and write all results to a file if asked to.

    Args:
        evaluation: the result of `evaluate_workdir`.
        output: the JSON file to write; empty: no file.
    """
    measured = Evaluation.from_dict(evaluation)
    headline, interval = measured.headline, measured.intervals.get(measured.headline)
    between = f", 95 % interval {interval[0]:.4g} to {interval[1]:.4g}" if interval else ""
    say(f"{headline.replace('_', ' ')} {measured.test[headline]:.4g}{between}")
    if measured.absent_classes:
        say(f"no example of: {', '.join(measured.absent_classes)}; means over classes are of the others")
    if measured.calibration is not None:
        before, after = measured.calibration.before.ece, measured.calibration.after.ece
        say(f"calibration error {before:.4f}, {after:.4f} at temperature {measured.temperature:.3g}")
    for name, rows in measured.slices.items():
        say(f"by {name}:")
        for row in rows:
            between = "" if row.low is None else f" ({row.low:.4g} to {row.high:.4g})"
            say(f"  {row.name:<32} {row.num_examples:>6}  {row.value:.4g}{between}")
    if output:
        with naming_the_output(output):
            write_json(output, evaluation)


def _recorded_validation(run: Workdir, metadata: Metadata, recorded: Sequence[dict[str, str]]) -> Predictions | None:
    """Read the run's predictions on images that it was not fitted on; None if an older version did not write them.

    With folds, older versions wrote the predictions of the final head on validation images, and the head was solved
    on these images too. Such a table is not used. The table of the held-out folds has all images of train and
    validation.
    """
    file = run / "validation_predictions.csv"
    if not file.exists():
        return None
    table, _ = recorded_predictions(run, "validation", metadata.target, metadata.class_names)
    solved_on = {row["id"] for row in recorded if row["split"] in ("train", "validation")}
    return None if is_from_folds(run) and set(table.ids) != solved_on else table


def _order(data: Source, metadata: Metadata) -> np.ndarray:
    """Return the mapping from the labels of a source to those of the model.

    Returns:
        For classes: the model's class number for each class of the source, which may lack some of the model's
        classes. For several labels or values: the column of the source for each output of the model.

    Raises:
        InputError: the labels are of another kind, or the model does not know a class or column.
    """
    index, labels = data.index, metadata.task.labels
    misfit = labels.describe_misfit(index.labels)
    if misfit:
        raise InputError(f"`source` must have labels that fit the model, {metadata.target}. Received: {misfit}")
    return labels.match(index.labels, index.label_names, metadata.class_names)


def _predict(model: keras.Model, data: Source, rows: np.ndarray) -> Predictions:
    """Return the predictions of a model on some images of a source whose labels are in the model's order."""
    metadata = model.metadata
    dataset = make_dataset(data, rows, image_size=metadata.image_size, batch_size=BATCH)
    table = predict(model, dataset, metadata.task, "evaluate")
    return dataclasses.replace(table, labels=data.index.labels[table.ids], groups=data.index.group_numbers(table.ids))


def _load_named(workdir: epath.PathLike) -> tuple[keras.Model, Metadata]:
    """Load a model with its metadata; refuse a model without class names."""
    model = load_model(workdir)
    if model.metadata is None:
        raise InputError(
            f"`workdir` must hold a model that tfl saved. Received: {str(workdir)!r}: no class names in it."
        )
    return model, model.metadata
