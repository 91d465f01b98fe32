"""Cells of a grid as the rows of two heads that are solved: the class of each cell, and the sides of its box."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from tfl.data import Source
from tfl.data.pipeline import make_label_dataset
from tfl.features.extract import BATCH
from tfl.features.positions import MOST_ELEMENTS, SolverRows, WidenedRows
from tfl.features.view import PLAIN, View, drawn_as
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
    outputs: Outputs,
    source: Source,
    model: keras.Model,
    *,
    views: Sequence[View | None] = PLAIN,
    most: int = MOST_ELEMENTS,
    seed: int = 0,
) -> CellRows:
    """Return one row for each cell that answers for a box and for some cells of the background, drawn at random.

    At least half of the rows may be background, and weights make up for the cells that are not drawn. The weights of
    the cells of a box are those of `Targets`.

    Args:
        outputs: maps of some examples, with their rows in the index as ids: all of the first version first.
        source: of the examples.
        model: with a head for boxes.
        views: the versions of the examples.
        most: numbers in all rows together.
        seed: of the draw.
    """
    widen, size = before_logits(model), int(model.input_shape[1])
    height, width = (int(side) for side in widen.output.shape[1:3])
    background = int(model.output_shape[-1]) - SIDES - 1
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for view, ids in zip(views, np.split(outputs.ids, len(views)), strict=True):
        for batch in make_label_dataset(source, ids, image_size=size, batch_size=BATCH, **drawn_as(view)):
            targets = assign(batch["label"], height, width, background)
            answers, weights = targets.boxes.numpy() >= 0, targets.weights.numpy()
            classes = np.where(weights > 0, targets.classes.numpy(), -1).ravel()
            parts.append((classes, targets.distances.numpy()[answers], weights[answers].astype(np.float64)))
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


def _draw(rng: np.random.Generator, count: int, most: int) -> np.ndarray:
    """Return the numbers of all of some things, or of so many of them, rising."""
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))
