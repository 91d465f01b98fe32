"""Classify photos with the model of a finished run or with an exported artefact."""

import csv
import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.data import explain_lost, make_prediction_dataset
from tfl.errors import InputError
from tfl.export import Artefact, load_artefact
from tfl.files.box_files import in_own_pixels, write_coco
from tfl.files.mask_pictures import write_masks
from tfl.files.spreadsheets import guard_cells
from tfl.progress import say, track
from tfl.runs import TOP
from tfl.runs.answers import Answers
from tfl.workdir import naming_the_output, write_csv

BATCH = 32


@dataclasses.dataclass(frozen=True)
class Predicted:
    """What a model says about some files.

    Attributes:
        paths: of the N usable files.
        outputs: (N, ...), in the same order: what the task keeps of the scores, see `Task.kept`.
        num_left_out: number of the files without an answer.
    """

    paths: list[str]
    outputs: np.ndarray
    num_left_out: int


def predict_files(
    model: epath.PathLike, files: Sequence[str], output: str = "", *, top: int = TOP, masks: str = "", coco: str = ""
) -> list[list[Any]]:
    """Predict the classes of photos, and write them as CSV: path, class, probability, and the most probable classes.

    For regression the columns are the path and the values, for segmentation the path and the share of each class. For
    detection each box has a row, with its class, its confidence and its sides in pixels of the photo. The
    probabilities use the temperature that is saved in the model, and every format gets the same pixels. A file that is
    unusable, or that is missing or changed when it is read, is reported and left out.

    Args:
        model: a finished run, or an artefact: a `.keras`, `.tflite` or `.onnx` file, or a SavedModel folder.
        files: image files, and folders that are searched with all their subfolders.
        output: the CSV file to write; empty: the rows are printed.
        top: number of classes in the last column, the most probable ones.
        masks: the folder for the masks of a segmentation, see `write_masks`; empty: none are written.
        coco: the JSON file for the boxes of a detection, see `write_coco`; empty: none is written.

    Returns:
        One row per usable file, as in the CSV; for detection one per box.

    Raises:
        InputError: there is no model, the model has no class names, or no image is usable.

    Example:
        >>> rows = tfl.predict_files("runs/photos", ["photos/ant", "ant.jpg"], "predicted.csv")
        >>> path, name, probability, top = rows[-1]
    """
    return write_answers(model, files, output, top, masks=masks, coco=coco)[0]


def write_answers(
    model: epath.PathLike, files: Sequence[str], output: str = "", top: int = TOP, *, masks: str = "", coco: str = ""
) -> tuple[list[list[Any]], Predicted]:
    """Do what `predict_files` does; return also what it predicted."""
    if top < 1:
        raise InputError(f"`top` must be at least 1. Received: top={top}.")
    artefact = load_artefact(model)
    task, names = artefact.metadata.task, artefact.metadata.class_names
    for name, value, gives in (("masks", masks, task.answers_masks), ("coco", coco, task.answers_boxes)):
        if value and not gives:
            what = "boxes" if name == "coco" else name
            raise InputError(
                f"`{name}` must be empty for a model that gives no {what}. Received: {name}={value!r}, a model for "
                f"{task.name}."
            )
    predicted = predict_each(artefact, files)
    if masks:
        write_masks(masks, predicted.paths, predicted.outputs)
        say(f"written: {masks}")
    if coco:
        write_coco(coco, predicted.paths, predicted.outputs, names)
        say(f"written: {coco}")
    header = ["path", *task.table_header(names, top)]
    pairs = zip(predicted.paths, predicted.outputs, strict=True)
    rows = [[path, *row] for path, kept in pairs for row in task.table_rows(kept, names, top)]
    if output:
        with naming_the_output(output):
            write_csv(output, header, rows)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows(guard_cells([header, *rows]))
    return rows, predicted


def answer_files(artefact: Artefact, files: Sequence[str], top: int = TOP) -> Answers:
    """Return the answer of the task for each usable file, with its path.

    Args:
        artefact: the model.
        files: files, and folders that are searched with all their subfolders.
        top: number of classes in an answer, the most probable ones.
    """
    task, names = artefact.metadata.task, artefact.metadata.class_names
    predicted = predict_each(artefact, files)
    pairs = list(zip(predicted.paths, predicted.outputs, strict=True))
    answers = [{"path": path, **task.answer(row, names, top)} for path, row in pairs]
    rows = [(path, *cells) for path, row in pairs for cells in task.table_rows(row, names, top)]
    return Answers(answers, task.table_header(names, top), rows, artefact.metadata.input)


def predict_each(artefact: Artefact, files: Sequence[str]) -> Predicted:
    """Run a model over the usable files; a warning names each of the others.

    Raises:
        InputError: no file is usable.
    """
    kind = artefact.metadata.input
    dataset, paths, bad = make_prediction_dataset(files, kind, BATCH)
    _warn(bad)
    ids, outputs = [np.zeros(0, np.int64)], []
    for batch in track(dataset, "predict"):
        ids.append(batch["id"].numpy())
        outputs.append(artefact.metadata.task.kept(artefact.predict_prepared(batch["input"].numpy())))
    rows = np.concatenate(ids)
    lost = explain_lost(paths, rows, kind)
    _warn(lost)
    if not outputs:
        raise InputError(f"`files` must stay as they are while they are read. Received: {lost[0][0]}: {lost[0][1]}.")
    answered, kept = [paths[row] for row in rows], np.concatenate(outputs)
    if artefact.metadata.task.answers_boxes:
        kept = in_own_pixels(kept, answered, artefact.metadata.image_size)
    return Predicted(answered, kept, len(bad) + len(lost))


def _warn(left_out: Sequence[tuple[str, str]]) -> None:
    for path, reason in left_out:
        say(f"Warning: left out: {path}: {reason}")
