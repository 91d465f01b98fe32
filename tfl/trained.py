"""What is done with a finished run: evaluate it again or elsewhere, and predict."""

import contextlib
import csv
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from etils import epath

from tfl.config import TransferConfig
from tfl.data import Source, load_source, make_dataset, make_prediction_dataset, reading_explained
from tfl.data.index import describe_order
from tfl.errors import InputError
from tfl.evaluation import (
    Predictions,
    mean_luminance,
    predict,
    read_predictions,
    slice_by_column,
    slice_by_image,
    summarize,
)
from tfl.export import load_artefact
from tfl.models.classifier import Metadata, load_model
from tfl.progress import say, track
from tfl.registry import did_you_mean, find_same, look_alike
from tfl.workdir import Workdir, read_csv, write_csv, write_json

BATCH = 32
TOP = 5


@reading_explained()
def evaluate_workdir(workdir: epath.PathLike, source: str = "", slices: str = "") -> dict[str, Any]:
    """Evaluate a finished run, on its own test split or on other data.

    Args:
        workdir: a finished run.
        source: a source string: its test split where it has splits of its own (of only two, the second),
            else all of it. Its classes must be among the model's. Empty: the run's own test images, as
            `splits.csv` lists them: files that came later do not count.
        slices: `FILE.csv:COLUMN`, a column by which the test images are cut too; see `slice_by_column`.

    Returns:
        All that `evaluation.json` holds of the run's own test images (see `summarize`); the exact metrics are under
        "test". The temperature is the saved model's, thresholds are chosen on the run's validation images.

    Raises:
        InputError: no finished run, test images that are gone or changed, a class that the model does not
            know, or no such column.
    """
    run = Workdir(workdir)
    config = TransferConfig.from_dict(run.read_config())
    model, metadata = _load_named(workdir)
    data = load_source(source or config.data.source, config.data.max_bad_fraction)
    renumber, recorded = _class_numbers(data, metadata), recorded_splits(run)
    rows = _held_out(data, recorded) if source else recorded_rows(data, recorded, config.data.source)
    if slices:
        slice_by_column(slices, data.index.ids[rows])  # a mistake is to be told before the slow part
    dataset = make_dataset(data, rows, image_size=metadata.image_size, batch_size=BATCH)
    table = predict(model, dataset, metadata.target, "evaluate")
    labels = renumber[table.labels] if data.index.is_multiclass else table.labels
    slicings = slice_by_image(data.index, table.ids, mean_luminance(data, table.ids))
    if slices:
        slicings |= dict([slice_by_column(slices, data.index.ids[table.ids])])
    return summarize(
        Predictions(table.ids, labels, table.logits, table.target),
        metadata.class_names,
        temperature=metadata.temperature,
        validation=_recorded_validation(run, metadata, config, recorded),
        slicings=slicings,
    )


def say_evaluation(evaluation: dict[str, Any], output: str = "") -> None:
    """Say in lines what an evaluation comes to, slice by slice, and write all of it where that is asked for.

    Args:
        evaluation: from `evaluate_workdir`.
        output: a JSON file; empty: none.
    """
    intervals = evaluation["intervals"]
    for name in ("accuracy", "mean_absolute_error"):
        if name in evaluation["test"]:
            between = ", 95 % interval {:.4g} to {:.4g}".format(*intervals[name]) if name in intervals else ""
            say(f"{name.replace('_', ' ')} {evaluation['test'][name]:.4g}{between}")
    if "calibration" in evaluation:
        before, after = (evaluation["calibration"][when]["ece"] for when in ("before", "after"))
        say(f"calibration error {before:.4f}, {after:.4f} at temperature {evaluation['temperature']:.3g}")
    for name, rows in evaluation.get("slices", {}).items():
        say(f"by {name}:")
        for row in rows:
            value = row.get("accuracy", row.get("mean_absolute_error"))
            between = "" if row["low"] is None else f" ({row['low']:.4g} to {row['high']:.4g})"
            say(f"  {row['slice']:<32} {row['num_examples']:>6}  {value:.4g}{between}")
    if output:
        with naming_the_output(output):
            write_json(output, evaluation)


@contextlib.contextmanager
def naming_the_output(output: str) -> Iterator[None]:
    """Say that a file was written, or why not: the user gave it as `output`, not as a workdir."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`output`")) from error
    say(f"written: {output}")


def _recorded_validation(
    run: Workdir, metadata: Metadata, config: TransferConfig, recorded: Sequence[dict[str, str]]
) -> Predictions | None:
    """Read what the run said of images that it was not fitted on; None where an older version did not write it.

    With folds, older versions wrote what the final head says of validation images that it was solved on. The table of
    the held-out folds has all images of train and validation instead.
    """
    file = run / "validation_predictions.csv"
    if not file.exists():
        return None
    table, _ = read_predictions(file, metadata.target)
    solved_on = {row["id"] for row in recorded if row["split"] in ("train", "validation")}
    return None if config.probe.folds and set(table.ids) != solved_on else table


def recorded_splits(run: Workdir) -> list[dict[str, str]]:
    """Read the splits.csv of a run: id, path, label, split, sha256, ... of every image."""
    file = run / "splits.csv"
    if not file.exists():
        raise InputError(f"`workdir` must be a finished run. Received: {str(run.path)!r}: no splits.csv.")
    return read_csv(file)


def recorded_rows(data: Source, recorded: Sequence[dict[str, str]], source: str, split: str = "test") -> np.ndarray:
    """Find the very images that a run was tested on: cutting the data anew could put training images among them.

    Args:
        data: the run's source, opened again.
        recorded: the rows of its splits.csv.
        source: the source string, for the message.
        split: "train", "validation" or "test".

    Returns:
        Their int64 rows in the index of `data`.

    Raises:
        InputError: some of them are gone or changed.
    """
    digests = dict(zip(data.index.ids, data.index.sha256, strict=True))
    wanted = {row["id"]: row["sha256"] for row in recorded if row["split"] == split}
    lost = [name for name, digest in wanted.items() if digests.get(name) != digest]
    if lost:
        raise InputError(
            f"`data.source` of the run must still hold its {split} images; `source` names others. Received: {source} "
            f"with {len(lost)} of {len(wanted)} gone or changed, the first: {lost[0]}."
        )
    return np.flatnonzero(np.isin(data.index.ids, list(wanted))).astype(np.int64)


def _held_out(data: Source, recorded: Sequence[dict[str, str]]) -> np.ndarray:
    """Take what another source holds out; say where the model was trained on some of it."""
    own = [rows for rows in map(data.index.rows, ("test", "validation")) if len(rows)]
    rows = own[0] if own else np.arange(len(data.index))
    trained_on = [row["sha256"] for row in recorded if row["split"] == "train"]
    known = int(np.isin(data.index.sha256[rows], trained_on).sum())
    if known:
        say(f"Warning: the model was trained on {known} of these {len(rows)} images: results will look too good.")
    return rows


def _class_numbers(data: Source, metadata: Metadata) -> np.ndarray:
    """Return for each class of a source its number in the model: other data may lack classes."""
    known = metadata.class_names
    found = [find_same(name, known) for name in data.index.class_names]
    unknown = [name for name, same in zip(data.index.class_names, found, strict=True) if same is None]
    if unknown:
        alike = next((name for name in known if look_alike(name, unknown[0])), None)
        hint = f" The model has {alike!r}: names must be equal in case and blanks." if alike else ""
        raise InputError(
            f"`source` must have classes that the model knows: {', '.join(map(repr, known))}. "
            f"Received: {', '.join(map(repr, unknown))}.{hint or did_you_mean(unknown[0], known)}"
        )
    return np.array([known.index(name) for name in found if name is not None], np.int64)


@reading_explained()
def predict_files(model: epath.PathLike, files: Sequence[str], output: str = "") -> list[list[Any]]:
    """Say what is on photos, and write it as CSV: path, class, probability, and the five most probable.

    For regression targets the columns are the path and the values. Probabilities have the temperature that the
    model carries; every format is shown the same pixels.

    Args:
        model: a finished run, or an artefact: a `.keras`, `.tflite` or `.onnx` file, or a SavedModel folder.
        files: image files, and folders that are searched to the bottom.
        output: a CSV file; empty: the screen.

    Returns:
        One row per usable file, as in the CSV.

    Raises:
        InputError: no model there, one without class names, or no usable image.
    """
    artefact = load_artefact(model)
    metadata = artefact.metadata
    dataset, paths, bad = make_prediction_dataset(files, metadata.image_size, BATCH)
    for path, reason in bad:
        say(f"left out: {path}: {reason}")
    batches = track(dataset, "predict", unit="batch")
    probabilities = np.concatenate([artefact.predict_pixels(batch["image"].numpy()) for batch in batches])
    is_regression = metadata.target == "regression"
    header = ["path", *(metadata.class_names if is_regression else ("class", "probability", f"top_{TOP}"))]
    rows = list(_value_rows(paths, probabilities) if is_regression else _rows(paths, probabilities, metadata))
    if output:
        with naming_the_output(output):
            write_csv(output, header, rows)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows([header, *rows])
    return rows


def say_order(metadata: Metadata) -> None:
    """Say, where a model is written, that its classes are not in the order that Keras would give them."""
    line = describe_order(metadata.class_names) if metadata.target in ("multiclass", "binary") else ""
    if line:
        say(line)


def _load_named(workdir: epath.PathLike) -> tuple[keras.Model, Metadata]:
    """Load a model that says what its outputs are."""
    model = load_model(workdir)
    if model.metadata is None:
        raise InputError(
            f"`workdir` must hold a model that tfl saved. Received: {str(workdir)!r}: no class names in it."
        )
    return model, model.metadata


def _value_rows(paths: Sequence[str], values: np.ndarray) -> Iterator[list[Any]]:
    for path, row in zip(paths, values, strict=True):
        yield [path, *(f"{value:.6g}" for value in row)]


def _rows(paths: Sequence[str], probabilities: np.ndarray, metadata: Metadata) -> Iterator[list[Any]]:
    for path, row in zip(paths, probabilities, strict=True):
        order = np.argsort(-row, kind="stable")[:TOP]
        top = "; ".join(f"{metadata.class_names[k]} {row[k]:.4f}" for k in order)
        yield [path, metadata.class_names[order[0]], f"{row[order[0]]:.6f}", top]
