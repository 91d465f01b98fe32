"""One example of every task: labels that can be learned, and what the task computes, in NumPy and scikit-learn.

Every example has three numbers in [0, 1], its signals, which its content shows and its label depends on. A new task
needs one entry in `TASKS`; then tests/test_every_task_and_input.py takes it the whole way.
"""

import base64
import dataclasses
import io
import xml.etree.ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import pytest
import scipy.special
import sklearn.metrics
from box_formulas import by_pycocotools, cell_loss

from tfl.tasks import get_task

SIGNALS = 3  # of every example
SIDE = 32  # pixels of a mask
Truth = np.ndarray  # labels as a test compares them: class numbers (N,), rows of 0 and 1, or values (N, C)


@dataclasses.dataclass(frozen=True)
class TaskExample:
    """The labels and the formulas of a task. Scores are `(N, C)` probabilities or values at temperature 1.

    Scores of maps are `(N, H, W, C)`, and the truth is masks `(N, H, W)`.

    Attributes:
        draw: from a generator and a count to the signals `(N, 3)` and the labels of a user.
        parse: from labels in a file and the names of the outputs to the truth.
        decide: from scores to what is predicted, in the form of the truth.
        loss: from truth and scores to the mean loss.
        headline: the same for the main metric.
        metric: the name of the main metric.
        at_temperature: from scores to the scores of the logits divided by a temperature.
        listed: from an answer of the service to names and scores.
        written: from the rows of an example in a table of predictions, and the names, to names and scores, with the
            rounding of the table.
        told: from the scores of one example and the names to what answers tell of it, by name.
        rounded: the same, as a table of predictions tells it; None: nothing is rounded that a test would see.
        predicted: from an entry of the response to `:predict` to the same.
        read: from the rows of predictions.csv, the file of each and the model file to truth and scores, for maps, which
            the table does not hold; None: the columns have them.
    """

    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    parse: Callable[[Sequence[str], Sequence[str]], Truth]
    decide: Callable[[np.ndarray], Truth]
    loss: Callable[[Truth, np.ndarray], float]
    headline: Callable[[Truth, np.ndarray], float]
    metric: str
    at_temperature: Callable[[np.ndarray, float], np.ndarray]
    listed: Callable[[dict], dict[str, float]]
    written: Callable[[Sequence[Sequence[str]], Sequence[str]], dict[str, float]]
    told: Callable[[np.ndarray, Sequence[str]], dict[str, float]] = lambda scores, names: dict(
        zip(names, scores.tolist(), strict=True)
    )
    predicted: Callable[[dict], dict[str, float]] = lambda entry: dict(
        zip(entry["class_names"], entry["probabilities"], strict=True)
    )
    rounded: Callable[[np.ndarray, Sequence[str]], dict[str, float]] | None = None
    read: Callable[[Sequence[dict[str, str]], Sequence[Path], Path], tuple[Truth, np.ndarray]] | None = None


def draw_classes(names: Sequence[str]) -> Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]:
    """Return a function that draws equally many examples of each class; class k shows signal k."""

    def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = rng.permutation(np.arange(count) % len(names))
        return np.eye(SIGNALS)[numbers], np.array(names)[numbers]

    return draw


def draw_sets(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw sets of three labels; every set occurs."""
    numbers = rng.permutation(np.arange(count) % 2**SIGNALS)
    present = (numbers[:, None] >> np.arange(SIGNALS)) & 1
    return present.astype(np.float64), present.astype(np.float32)


def draw_values(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two values of different units, linear in the signals."""
    signals = rng.beta(0.3, 0.3, (count, SIGNALS))
    values = signals @ np.array([[30.0, 0.0], [10.0, 0.2], [0.0, -0.1]]) + [100.0, 0.5]
    return signals, values.astype(np.float32)


def draw_masks(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw masks with a rectangle of the second class and one of the third; the signals of a pixel show its class."""
    masks = np.zeros((count, SIDE, SIDE), np.uint8)
    for mask in masks:
        for number in (1, 2):
            top, left = rng.integers(0, SIDE // 2, 2)
            mask[top : top + SIDE // 2, left : left + SIDE // 2] = number
    return np.eye(SIGNALS)[masks], masks


def draw_boxes(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a box of each of two classes, the second one not always; the signals of a pixel show its class.

    Labels are rows of x1, y1, x2, y2, class; the class -1 is no box.
    """
    labels, masks = np.zeros((count, 2, 5), np.float32), np.zeros((count, SIDE, SIDE), int)
    for rows, mask in zip(labels, masks, strict=True):
        for number, row in enumerate(rows):
            (side, top), left = rng.integers(10, 15, 2), number * SIDE // 2
            row[:] = [left, top, left + side, top + side, number]
            if number and rng.random() < 0.3:
                row[:] = [0, 0, 0, 0, -1]
            else:
                mask[top : top + side, left : left + side] = number + 1
    return np.eye(SIGNALS)[masks], labels


def parse_classes(texts: Sequence[str], names: Sequence[str]) -> Truth:
    """Return class numbers."""
    return np.array([list(names).index(text) for text in texts])


def parse_sets(texts: Sequence[str], names: Sequence[str]) -> Truth:
    """Return rows of 0 and 1."""
    return np.array([[name in text.split("|") for name in names] for text in texts]).astype(int)


def parse_values(texts: Sequence[str], names: Sequence[str]) -> Truth:
    """Return rows of values."""
    return np.array([[float(part) for part in text.split("|")] for text in texts])


def loss_of_classes(truth: Truth, scores: np.ndarray) -> float:
    """Return the mean cross-entropy."""
    return sklearn.metrics.log_loss(truth, scores, labels=np.arange(scores.shape[1]))


def loss_of_sets(truth: Truth, scores: np.ndarray) -> float:
    """Return the mean binary cross-entropy over examples and labels."""
    columns = zip(truth.T, scores.T, strict=True)
    return float(np.mean([sklearn.metrics.log_loss(one, p, labels=[0, 1]) for one, p in columns]))


def accuracy_of_classes(truth: Truth, scores: np.ndarray) -> float:
    """Return the share of the examples whose most probable class is the true one."""
    return float(sklearn.metrics.accuracy_score(truth, scores.argmax(axis=1)))


def accuracy_of_sets(truth: Truth, scores: np.ndarray) -> float:
    """Return the share of the examples that have every label right."""
    return float(sklearn.metrics.accuracy_score(truth, scores > 0.5))


def read_classes(rows: Sequence[Sequence[str]], names: Sequence[str]) -> dict[str, float]:
    """Return the five best classes of the one row; the best one also has a column of its own."""
    ((best, probability, listed),) = rows
    pairs = [pair.rsplit(" ", 1) for pair in listed.split("; ")]
    read = {name: float(value) for name, value in pairs}
    assert best == pairs[0][0] and abs(float(probability) - read[best]) < 1e-4
    return read


def read_values(rows: Sequence[Sequence[str]], names: Sequence[str]) -> dict[str, float]:
    """Return the values of the one row."""
    (cells,) = rows
    return dict(zip(names, map(float, cells), strict=True))


def read_maps(rows: Sequence[dict[str, str]], files: Sequence[Path], model: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the masks, and the probabilities that plain Keras gives; the table must have their IoU of each class."""
    images, masks = (
        np.stack([np.array(PIL.Image.open(folder(file))) for file in files]) for folder in (lambda file: file, mask_of)
    )
    scores = scipy.special.softmax(keras.saving.load_model(model)(images, training=False).numpy(), axis=-1)
    numbers = range(scores.shape[-1])
    for row, mask, decided in zip(rows, masks, scores.argmax(axis=-1), strict=True):
        ious = sklearn.metrics.jaccard_score(mask.ravel(), decided.ravel(), labels=numbers, average=None)
        assert [float(row[f"iou_{number}"]) for number in numbers] == pytest.approx(ious.tolist())
    return masks, scores


def read_cells(rows: Sequence[dict[str, str]], files: Sequence[Path], model: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the true boxes, and the boxes that tfl chooses from what plain Keras gives; the table must have them.

    How boxes are chosen is computed again in tests/tasks/test_detection_task.py.
    """
    images = np.stack([np.array(PIL.Image.open(file)) for file in files])
    outputs = keras.saving.load_model(model)(images, training=False)
    scores, truth = get_task("detection").scores(outputs.numpy()), np.zeros((len(files), 2, 5))
    truth[..., 4] = -1
    for row, own, found, file, cells in zip(rows, truth, scores, files, outputs.numpy(), strict=True):
        for number, item in enumerate(xml.etree.ElementTree.parse(boxes_of(file)).iter("object")):
            own[number] = [*(float(corner.text) for corner in item.find("bndbox")), int(item.find("name").text)]
        written = [list(map(float, box.split())) for box in row["boxes"].split("|")]
        np.testing.assert_allclose(written, found[found[:, 5] >= 0], rtol=1e-4, atol=1e-4)
        CELLS[found.tobytes()] = cells
    return truth, scores


CELLS: dict[bytes, np.ndarray] = {}  # what the cells said, by the boxes that were chosen


def loss_of_boxes(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean loss of the cells that gave these boxes."""
    return float(np.mean([cell_loss(rows, CELLS[found.tobytes()]) for rows, found in zip(truth, scores, strict=True)]))


def tell_boxes(scores: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Return score and corners of each sure box, the best first."""
    told = {}
    for number, (*corners, score, label) in enumerate(scores[(scores[:, 4] >= 0.3) & (scores[:, 5] >= 0)].tolist()):
        values = zip(("score", "x1", "y1", "x2", "y2"), (score, *corners), strict=True)
        told |= {f"{number} {names[int(label)]} {name}": value for name, value in values}
    return told


def list_boxes(answer: dict) -> dict[str, float]:
    """Return the boxes of an answer, which are sorted."""
    names = list(dict.fromkeys(box["class"] for box in answer["boxes"]))
    rows = [[*box["box"], box["confidence"], names.index(box["class"])] for box in answer["boxes"]]
    assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)
    return tell_boxes(np.array(rows).reshape(-1, 6), names)


def predict_boxes(entry: dict) -> dict[str, float]:
    """Return the sure boxes in an entry of `:predict`."""
    assert entry["num_boxes"] == np.sum(np.array(entry["classes"]) >= 0)
    columns = [entry["boxes"], np.array(entry["scores"])[:, None], np.array(entry["classes"])[:, None]]
    return tell_boxes(np.concatenate(columns, axis=1), entry["class_names"])


def read_boxes_of_table(rows: Sequence[Sequence[str]], names: Sequence[str]) -> dict[str, float]:
    """Return the boxes in the rows of an example."""
    boxes = [[*map(float, corners), float(score), list(names).index(name)] for name, score, *corners in rows]
    return tell_boxes(np.array(boxes).reshape(-1, 6), names)


def tell_areas(scores: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Return the share of each class that occurs among the decisions of the positions."""
    counts = np.bincount(scores.argmax(axis=-1).ravel(), minlength=len(names))
    return {name: count / counts.sum() for name, count in zip(names, counts.tolist(), strict=True) if count}


def predict_areas(entry: dict) -> dict[str, float]:
    """Return the areas in an entry of `:predict`, which are those of the mask in it."""
    mask = np.array(PIL.Image.open(io.BytesIO(base64.b64decode(entry["mask_bytes"]["b64"]))))
    names, areas = entry["class_names"], np.bincount(mask.ravel(), minlength=len(entry["class_names"])) / mask.size
    np.testing.assert_allclose(entry["areas"], areas)
    return {name: area for name, area in zip(names, areas.tolist(), strict=True) if area}


def list_areas(answer: dict) -> dict[str, float]:
    """Return the areas of an answer, which are those of its mask, and are sorted."""
    mask = np.array(PIL.Image.open(io.BytesIO(base64.b64decode(answer["mask"].partition(",")[2]))))
    areas = answer["areas"]
    assert [area["pixels"] for area in areas] == sorted((area["pixels"] for area in areas), reverse=True)
    assert [area["pixels"] for area in areas] == [int((mask == area["number"]).sum()) for area in areas]
    return {area["class"]: area["share"] for area in areas}


def list_classes(answer: dict) -> dict[str, float]:
    """Return the classes of an answer, which are sorted."""
    probabilities = [entry["probability"] for entry in answer["classes"]]
    assert probabilities == sorted(probabilities, reverse=True)
    return {entry["class"]: entry["probability"] for entry in answer["classes"]}


def list_values(answer: dict) -> dict[str, float]:
    """Return the values of an answer."""
    return {entry["name"]: entry["value"] for entry in answer["values"]}


_MULTICLASS = TaskExample(
    draw=draw_classes(("amber", "blue", "cyan")),
    parse=parse_classes,
    decide=lambda scores: scores.argmax(axis=1),
    loss=loss_of_classes,
    headline=accuracy_of_classes,
    metric="accuracy",
    at_temperature=lambda scores, temperature: scipy.special.softmax(np.log(scores) / temperature, axis=1),
    listed=list_classes,
    written=read_classes,
)

TASKS: dict[str, TaskExample] = {
    "multiclass": _MULTICLASS,
    "binary": dataclasses.replace(_MULTICLASS, draw=draw_classes(("no", "yes"))),
    "multilabel": TaskExample(
        draw=draw_sets,
        parse=parse_sets,
        decide=lambda scores: (scores > 0.5).astype(int),
        loss=loss_of_sets,
        headline=accuracy_of_sets,
        metric="accuracy",
        at_temperature=lambda scores, temperature: scipy.special.expit(scipy.special.logit(scores) / temperature),
        listed=list_classes,
        written=read_classes,
    ),
    "regression": TaskExample(
        draw=draw_values,
        parse=parse_values,
        decide=lambda scores: scores,
        loss=lambda truth, scores: float(sklearn.metrics.mean_squared_error(truth, scores)),
        headline=lambda truth, scores: float(sklearn.metrics.mean_absolute_error(truth, scores)),
        metric="mean_absolute_error",
        at_temperature=lambda scores, temperature: scores,
        listed=list_values,
        written=read_values,
    ),
    "segmentation": TaskExample(
        draw=draw_masks,
        parse=parse_classes,
        decide=lambda scores: scores.argmax(axis=-1),
        loss=lambda truth, scores: loss_of_classes(truth.ravel(), scores.reshape(-1, scores.shape[-1])),
        headline=lambda truth, scores: float(
            sklearn.metrics.jaccard_score(truth.ravel(), scores.argmax(axis=-1).ravel(), average="macro")
        ),
        metric="mean_iou",
        at_temperature=lambda scores, temperature: scores,
        listed=list_areas,
        written=lambda rows, names: {name: share for name, share in read_values(rows, names).items() if share},
        told=tell_areas,
        predicted=predict_areas,
        read=read_maps,
    ),
    "detection": TaskExample(
        draw=draw_boxes,
        parse=parse_classes,
        decide=lambda scores: scores,
        loss=loss_of_boxes,
        headline=lambda truth, scores: by_pycocotools(truth, scores, 2)[0]["ap"],
        metric="ap",
        at_temperature=lambda scores, temperature: scores,
        listed=list_boxes,
        written=read_boxes_of_table,
        told=tell_boxes,
        rounded=lambda scores, names: tell_boxes(np.concatenate([scores[:, :4].round(1), scores[:, 4:]], 1), names),
        predicted=predict_boxes,
        read=read_cells,
    ),
}


def boxes_of(file: Path) -> Path:
    """Return the path of the annotation of a picture."""
    return file.with_suffix(".xml")


def mask_of(file: Path) -> Path:
    """Return the path of the mask of a picture."""
    return file.parents[1] / "masks" / file.name
