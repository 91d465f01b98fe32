"""Run a model over a data set: every example once, in order, the last short batch included."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.progress import track


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a model gives for a split.

    Attributes:
        values: `(N, D)` float32; an array, or what reads like one from disk.
        labels: `(N,)` int64, or `(N, K)` float32; `(0,)` where the data has none.
        ids: `(N,)` int64, rows in the index.
    """

    values: Any
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def run_over(model: keras.Model, datasets: Mapping[str, tf.data.Dataset]) -> dict[str, Outputs]:
    """Return the output of `model`, in inference mode, for every example of some data sets.

    The graph is traced once for all of them; for a deep network that is a second saved each.

    Args:
        model: from images `(B, H, W, 3)` to `(B, D)`.
        datasets: what is shown beside the progress bar, and batches with "image", "id" and, where it
            is known, "label".

    Returns:
        The outputs by the same names, in memory: 4 D bytes an example.
    """
    # A concrete function takes no other trace by accident.
    image = next(iter(datasets.values())).element_spec["image"]
    forward = tf.function(lambda images: model(images, training=False)).get_concrete_function(
        tf.TensorSpec([None, *image.shape[1:]], image.dtype)
    )
    return {name: _collect(forward, dataset, name) for name, dataset in datasets.items()}


def _collect(forward: Callable[[tf.Tensor], tf.Tensor], dataset: tf.data.Dataset, description: str) -> Outputs:
    values, labels, ids = [], [], []
    for batch in track(dataset, description, unit="batch"):
        values.append(forward(batch["image"]).numpy())
        if "label" in batch:
            labels.append(batch["label"].numpy())
        ids.append(batch["id"].numpy())
    known = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    return Outputs(np.concatenate(values).astype(np.float32), known, np.concatenate(ids))
