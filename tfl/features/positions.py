"""Positions of maps as the rows of a head that is solved: their features, and what the masks say about them."""

import dataclasses
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfl.data import Source
from tfl.data.pipeline import make_label_dataset
from tfl.features.extract import BATCH
from tfl.models.inference import Outputs


@dataclasses.dataclass(frozen=True)
class SolverRows(Outputs):
    """Rows that a head is solved on, with the labels in the form of the task of one row.

    `ids` are the rows of the index that they are of: a map gives as many rows as it has positions.

    Attributes:
        weights: `(N,)` float64, how much each row counts; None: all count the same.
    """

    weights: np.ndarray | None = None

    def weighted(self, own: np.ndarray) -> Self:
        """Return the rows with weights of their examples on top of their own."""
        each = np.repeat(np.asarray(own, np.float64), len(self) // len(own))
        return dataclasses.replace(self, weights=each if self.weights is None else self.weights * each)


class WidenedRows:
    """Rows of features for each position of some maps, computed when they are read.

    Args:
        maps: `(N, h, w, C)`, an array, or an object that reads examples by `[slice]`.
        widen: from maps `(B, h, w, C)` to what the linear layer gets, `(B, h, w, D)`.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, maps: Any, widen: keras.Model) -> None:
        self.maps, self.per_map = maps, int(np.prod(widen.output.shape[1:3]))
        self.shape = (len(maps) * self.per_map, int(widen.output.shape[-1]))
        self._widen = tf.function(lambda batch: widen(batch, training=False), reduce_retracing=True)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise IndexError("rows of positions are read in order")
        first, last = start // self.per_map, -(-stop // self.per_map)
        parts = [
            self._widen(np.asarray(self.maps[place : min(place + BATCH, last)])).numpy().reshape(-1, self.shape[1])
            for place in range(first, last, BATCH)
        ]
        values = np.concatenate(parts) if parts else np.zeros((0, self.shape[1]), np.float32)
        return values[start - first * self.per_map : stop - first * self.per_map]


def rows_of_positions(outputs: Outputs, source: Source, widen: keras.Model, size: int, num_classes: int) -> SolverRows:
    """Return one row for each position of some maps.

    A position stands for a cell of the mask. Its label is the share of each class among the pixels of the cell that
    count, and its weight is their number: so the mean loss of the rows is that of the pixels, if all pixels of a cell
    have the same logits.

    Args:
        outputs: maps of some examples, with their rows in the index as ids.
        source: of the examples.
        widen: from maps to what the linear layer gets.
        size: of the prepared examples, in pixels.
        num_classes: K.
    """
    grid = (int(widen.output.shape[1]), int(widen.output.shape[2]))
    batches = make_label_dataset(source, outputs.ids, image_size=size, batch_size=BATCH)
    shares = np.concatenate([_shares(batch["label"], grid, num_classes) for batch in batches])
    shares = shares.reshape(-1, num_classes)
    counts = shares.sum(axis=1)
    shares = np.where(counts[:, None] > 0, shares / np.maximum(counts, 1e-12)[:, None], 1.0 / num_classes)
    ids = np.repeat(outputs.ids, grid[0] * grid[1])
    return SolverRows(WidenedRows(outputs.values, widen), shares.astype(np.float32), ids, counts.astype(np.float64))


def _shares(masks: tf.Tensor, grid: tuple[int, int], num_classes: int) -> np.ndarray:
    """Return the number of pixels of each class in each cell, as a share of the cell, `(B, h, w, K)`."""
    one_hot = tf.one_hot(tf.cast(masks, tf.int32), num_classes)  # void is none of them
    side = int(one_hot.shape[1])
    cell = side // grid[0]
    if cell * grid[0] == side and cell * grid[1] == side:
        return tf.nn.avg_pool2d(one_hot, cell, cell, "VALID").numpy()
    return tf.image.resize(one_hot, grid, "area").numpy()
