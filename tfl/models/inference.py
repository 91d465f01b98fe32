"""Run a model over a data set: every example once, in order, the last short batch included."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfl.progress import track


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a model gives for a split.

    Attributes:
        values: `(N, D)` float32.
        labels: `(N,)` int64, or `(N, K)` float32; `(0,)` where the data has none.
        ids: `(N,)` int64, rows in the index.
    """

    values: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def run_over(model: keras.Model, dataset: tf.data.Dataset, description: str) -> Outputs:
    """Return the output of `model`, in inference mode, for every example of `dataset`.

    Args:
        model: from images `(B, H, W, 3)` to `(B, D)`.
        dataset: batches with "image", "id" and, where it is known, "label".
        description: shown beside the progress bar.

    Returns:
        The outputs in memory: 4 D bytes an example.
    """

    @tf.function(reduce_retracing=True)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    values, labels, ids = [], [], []
    for batch in track(dataset, description, unit="batch"):
        values.append(forward(batch["image"]).numpy())
        if "label" in batch:
            labels.append(batch["label"].numpy())
        ids.append(batch["id"].numpy())
    known = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    return Outputs(np.concatenate(values).astype(np.float32), known, np.concatenate(ids))
