"""What is done with a finished run: evaluate it again or elsewhere, and predict."""

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.config import TransferConfig
from tfl.data import Source, load_data, load_source, make_dataset, make_prediction_dataset
from tfl.errors import InputError
from tfl.evaluation import Predictions, predict, to_probabilities
from tfl.models.classifier import Metadata, load_model
from tfl.models.inference import run_over
from tfl.progress import say
from tfl.registry import did_you_mean
from tfl.workdir import Workdir, write_csv

BATCH = 32
TOP = 5


def evaluate_workdir(workdir: epath.PathLike, source: str = "") -> dict[str, Any]:
    """Evaluate a finished run, on its own test split or on other data.

    Args:
        workdir: a finished run.
        source: a source string: its test split where it has splits of its own, else all of it. Its
            classes must be among the model's. Empty: the run's own test split.

    Returns:
        The exact metrics, as in `metrics.json`.

    Raises:
        InputError: no finished run, or a class that the model does not know.
    """
    config = TransferConfig.from_dict(Workdir(workdir).read_config())
    model = load_model(workdir)
    if source:
        data = load_source(source, config.data.max_bad_fraction)
        own = data.index.rows("test")
        rows = own if len(own) else np.arange(len(data.index))
    else:
        splits = load_data(
            config.data.source,
            split=config.data.split,
            seed=config.seed,
            max_bad_fraction=config.data.max_bad_fraction,
        )
        data, rows = splits.source, splits.test
    renumber = _class_numbers(data, model.metadata)
    dataset = make_dataset(data, rows, image_size=model.metadata.image_size, batch_size=BATCH)
    table = predict(model, dataset, model.metadata.target, "evaluate")
    labels = renumber[table.labels] if data.index.is_multiclass else table.labels
    return Predictions(table.ids, labels, table.logits, table.target).metrics()


def _class_numbers(data: Source, metadata: Metadata) -> np.ndarray:
    """Return for each class of a source its number in the model: other data may lack classes."""
    unknown = [name for name in data.index.class_names if name not in metadata.class_names]
    if unknown:
        raise InputError(
            f"`source` must have classes that the model knows: {', '.join(metadata.class_names)}. "
            f"Received: {', '.join(unknown)}.{did_you_mean(unknown[0], metadata.class_names)}"
        )
    return np.array([metadata.class_names.index(name) for name in data.index.class_names], np.int64)


def predict_files(workdir: epath.PathLike, files: Sequence[str], output: str = "") -> list[list[Any]]:
    """Say what is on photos, and write it as CSV: path, class, probability, and the five most probable.

    Args:
        workdir: a finished run, or a `.keras` file of tfl.
        files: image files, and folders that are searched to the bottom.
        output: a CSV file; empty: the screen.

    Returns:
        One row per usable file, as in the CSV.

    Raises:
        InputError: no model there, one without class names, or no usable image.
    """
    model = load_model(workdir)
    metadata = model.metadata
    if metadata is None:
        raise InputError(
            f"`workdir` must hold a model that tfl saved. Received: {str(workdir)!r}: no class names in it."
        )
    dataset, paths, bad = make_prediction_dataset(files, metadata.image_size, BATCH)
    for path, reason in bad:
        say(f"left out: {path}: {reason}")
    outputs = run_over(model, {"predict": dataset})["predict"]
    probabilities = to_probabilities(outputs.values, metadata.target)
    header = ["path", "class", "probability", f"top_{TOP}"]
    rows = list(_rows(paths, probabilities, metadata))
    if output:
        write_csv(output, header, rows)
        say(f"written: {output}")
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows([header, *rows])
    return rows


def _rows(paths: Sequence[str], probabilities: np.ndarray, metadata: Metadata) -> Iterator[list[Any]]:
    for path, row in zip(paths, probabilities, strict=True):
        order = np.argsort(-row, kind="stable")[:TOP]
        top = "; ".join(f"{metadata.class_names[k]} {row[k]:.4f}" for k in order)
        yield [path, metadata.class_names[order[0]], f"{row[order[0]]:.6f}", top]
