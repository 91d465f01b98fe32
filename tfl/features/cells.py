"""Cells of a grid as the rows of two heads that are solved: the class of each cell, and the sides of its box."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfl.data import Source
from tfl.data.pipeline import make_label_dataset
from tfl.features.extract import BATCH
from tfl.features.positions import MOST_ELEMENTS, SolverRows, WidenedRows
from tfl.models.classifier import before_logits
from tfl.models.inference import Outputs
from tfl.tasks.cells import SIDES, assign


@dataclasses.dataclass(frozen=True)
class CellRows:
    """Rows for the two problems of a head for boxes.

    Attributes:
        classes: some cells, with class numbers as labels; K is background.
        distances: those of them that answer for a box, with the logarithms of the distances to its sides.
    """

    classes: SolverRows
    distances: SolverRows


def rows_of_cells(
    outputs: Outputs, source: Source, model: keras.Model, *, most: int = MOST_ELEMENTS, seed: int = 0
) -> CellRows:
    """Return one row for each cell that answers for a box and for some cells of the background, drawn at random.

    At least half of the rows may be background, and weights make up for the cells that are not drawn. The cells of a
    box share a weight of the square root of their number: if large boxes had the weight of all their cells, the
    solution would hardly find small ones.

    Args:
        outputs: maps of some examples, with their rows in the index as ids.
        source: of the examples.
        model: with a head for boxes.
        most: numbers in all rows together.
        seed: of the draw.
    """
    widen, size = before_logits(model), int(model.input_shape[1])
    height, width = (int(side) for side in widen.output.shape[1:3])
    background = int(model.output_shape[-1]) - SIDES - 1
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for batch in make_label_dataset(source, outputs.ids, image_size=size, batch_size=BATCH):
        targets = assign(batch["label"], height, width, background)
        answers = targets.boxes.numpy() >= 0
        weights = _weights(targets.boxes.numpy())[answers]
        classes = tf.where(targets.counted, targets.classes, -1).numpy().ravel()
        parts.append((classes, targets.distances.numpy()[answers], weights))
    numbers, sides, weights = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    own, room = np.flatnonzero((numbers >= 0) & (numbers < background)), most // int(widen.output.shape[-1])
    rng, empty = np.random.default_rng(seed), np.flatnonzero(numbers == background)
    chosen = _draw(rng, len(own), room - min(len(empty), room // 2))
    rest = empty[_draw(rng, len(empty), room - len(chosen))]

    def rows(positions: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> SolverRows:
        values = WidenedRows(outputs.values, widen, positions)
        return SolverRows(values, labels, outputs.ids[positions // (height * width)], weights)

    positions = np.concatenate([own[chosen], rest])
    order = np.argsort(positions)
    counts = np.full(len(rest), len(empty) / max(len(rest), 1))
    every = np.concatenate([weights[chosen] * (len(own) / max(len(chosen), 1)), counts])[order]
    positions = positions[order]
    classes = rows(positions, numbers[positions].astype(np.int64), every)
    return CellRows(classes, rows(own[chosen], sides[chosen], weights[chosen]))


def _weights(boxes: np.ndarray) -> np.ndarray:
    """Return the weight of each cell that answers for a box: 1 over the square root of the number of cells of its box.

    Args:
        boxes: `(B, h, w)`, see `Targets`.
    """
    keys = boxes + np.arange(len(boxes))[:, None, None] * (boxes.max(initial=0) + 1)
    counts = np.bincount(keys[boxes >= 0], minlength=keys.max(initial=0) + 1)
    return 1.0 / np.sqrt(np.maximum(counts[np.maximum(keys, 0)], 1))


def _draw(rng: np.random.Generator, count: int, most: int) -> np.ndarray:
    """Return the numbers of all of some things, or of so many of them, rising."""
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))
