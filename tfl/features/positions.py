"""Positions of maps as the rows of a head that is solved: their features, and what the masks say about them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfl.data import Source
from tfl.data.pipeline import make_label_dataset
from tfl.features.extract import BATCH
from tfl.features.view import PLAIN, View, drawn_as
from tfl.models.classifier import before_logits
from tfl.models.inference import Outputs

MOST_ELEMENTS = 2**23  # in the rows of a head that is solved: 24,000 positions of MobileNetV2, in a few seconds


@dataclasses.dataclass(frozen=True)
class SolverRows(Outputs):
    """Rows that a head is solved on, with the labels in the form of the task of one row.

    `ids` are the rows of the index that they are of: a map gives as many rows as it has positions.

    Attributes:
        weights: `(N,)` float64, how much each row counts; None: all count the same.
    """

    weights: np.ndarray | None = None

    def weighted(self, own: np.ndarray | None) -> Self:
        """Return the rows with further weights, `(N,)`, on top of their own."""
        if own is None:
            return self
        return dataclasses.replace(
            self, weights=np.asarray(own, np.float64) * (1.0 if self.weights is None else self.weights)
        )


class WidenedRows:
    """Rows of features for some positions of some maps, computed when they are read.

    Args:
        maps: `(N, h, w, C)`, an array, or an object that reads examples by an array of numbers.
        widen: from maps `(B, h, w, C)` to what the linear layer gets, `(B, h, w, D)`.
        positions: `(M,)` int64, rising: a position is the number of the map times h w, plus the place in it.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, maps: Any, widen: keras.Model, positions: np.ndarray) -> None:
        self.maps, self.positions, self._per_map = maps, positions, int(np.prod(widen.output.shape[1:3]))
        self.shape = (len(positions), int(widen.output.shape[-1]))
        signature = [tf.TensorSpec((None, *widen.input.shape[1:]), tf.float32)]
        self._widen = tf.function(lambda batch: widen(batch, training=False), input_signature=signature)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        numbers, places = np.divmod(self.positions[rows], self._per_map)
        wanted = np.unique(numbers)
        parts = [np.zeros((0, self.shape[1]), np.float32)]
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            wide = self._widen(np.asarray(self.maps[batch])).numpy().reshape(len(batch), self._per_map, -1)
            mine = (numbers >= batch[0]) & (numbers <= batch[-1])
            parts.append(wide[np.searchsorted(batch, numbers[mine]), places[mine]])
        return np.concatenate(parts)


def rows_of_positions(
    outputs: Outputs,
    source: Source,
    model: keras.Model,
    *,
    views: Sequence[View | None] = PLAIN,
    most: int = MOST_ELEMENTS,
    seed: int = 0,
) -> SolverRows:
    """Return one row for each of some positions of maps, drawn at random if there are many.

    A position stands for a cell of the mask. Its label is the share of each class among the pixels of the cell that
    count, and its weight is their number: so the mean loss of all rows is that of the pixels, if all pixels of a cell
    have the same logits. Neighbours are so alike that a part of the positions says nearly the same.

    Positions are drawn before the masks are read, and of each batch of masks only the drawn ones are kept. So the
    memory depends on `most`, and not on the number of masks.

    Args:
        outputs: maps of some examples, with their rows in the index as ids: all of the first version first.
        source: of the examples.
        model: with a head on maps.
        views: the versions of the examples.
        most: numbers in all rows together.
        seed: of the draw.
    """
    widen, (size, num_classes) = before_logits(model), (model.output_shape[1], model.output_shape[-1])
    grid = (int(widen.output.shape[1]), int(widen.output.shape[2]))
    per_map, room = grid[0] * grid[1], most // int(widen.output.shape[-1])
    positions = _draw(len(outputs) * per_map, room, seed)
    shares, start = np.zeros((len(positions), num_classes), np.float32), 0
    for view, ids in zip(views, np.split(outputs.ids, len(views)), strict=True):
        for batch in make_label_dataset(source, ids, image_size=size, batch_size=BATCH, **drawn_as(view)):
            stop = start + len(batch["label"]) * per_map
            first, last = np.searchsorted(positions, (start, stop))
            all_of_batch = _shares(batch["label"], grid, num_classes).reshape(-1, num_classes)
            shares[first:last] = all_of_batch[positions[first:last] - start]
            start = stop
    counts = shares.sum(axis=1)
    shares = np.where(counts[:, None] > 0, shares / np.maximum(counts, 1e-12)[:, None], 1.0 / num_classes)
    rows = WidenedRows(outputs.values, widen, positions)
    ids = outputs.ids[positions // per_map]
    return SolverRows(rows, shares.astype(np.float32), ids, counts.astype(np.float64))


def _draw(total: int, room: int, seed: int) -> np.ndarray:
    """Return `room` of the numbers below `total`, rising, every set of them equally likely; all, if there are fewer.

    Beyond 50 times `room` numbers NumPy keeps nothing but the drawn ones (Floyd's algorithm).
    """
    if total <= room:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, room, replace=False))


def _shares(masks: tf.Tensor, grid: tuple[int, int], num_classes: int) -> np.ndarray:
    """Return the number of pixels of each class in each cell, as a share of the cell, `(B, h, w, K)`."""
    one_hot = tf.one_hot(tf.cast(masks, tf.int32), num_classes)  # void is none of them
    side = int(one_hot.shape[1])
    cell = side // grid[0]
    if cell * grid[0] == side and cell * grid[1] == side:
        return tf.nn.avg_pool2d(one_hot, cell, cell, "VALID").numpy()
    return tf.image.resize(one_hot, grid, "area").numpy()
