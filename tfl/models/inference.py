"""Run a model over a data set: every example once, in order, including the last short batch."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.inputs import input_of
from tfl.progress import track


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The outputs of a model for a split.

    Attributes:
        values: `(N, D)` float32; an array, or an object on disk that can be indexed like an array.
        labels: `(N,)` int64, or `(N, K)` float32; `(0,)` if the data has no labels.
        ids: `(N,)` int64, rows in the index.
    """

    values: Any
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


Keep = Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]  # from outputs and labels of a batch to what is kept


def run_over(
    model: keras.Model, datasets: Mapping[str, tf.data.Dataset], keep: Keep | None = None
) -> dict[str, Outputs]:
    """Return the output of `model`, in inference mode, for every example of some data sets.

    The graph is traced once for all data sets; for a deep network this saves about a second for each.

    Args:
        model: from the inputs in the batches to `(B, D)`.
        datasets: by name, which the progress bar shows; batches with "input", "id" and, if it is known, "label".
        keep: what is kept of a batch, see `Task.collect`; the labels are then not kept. None: outputs and labels.

    Returns:
        The outputs by the same names, in memory: 4 D bytes per example.
    """
    # A concrete function is never traced again by accident.
    spec = input_of(next(iter(datasets.values())).element_spec)
    forward = tf.function(lambda inputs: model(inputs, training=False)).get_concrete_function(
        tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
    )
    made = {name: None if keep is None else _traced(keep, forward, data) for name, data in datasets.items()}
    return {name: _collect(forward, made[name], dataset, name) for name, dataset in datasets.items()}


def _traced(keep: Keep, forward: Any, dataset: tf.data.Dataset) -> Keep:
    """Return `keep` as one graph for all batches; TensorFlow warns of a function that each evaluation traces anew."""
    (outputs,) = forward.outputs
    known = [dataset.element_spec["label"]] if "label" in dataset.element_spec else []
    graph = tf.function(lambda values, *labels: keep(values, labels[0] if labels else None))
    traced = graph.get_concrete_function(tf.TensorSpec(outputs.shape, outputs.dtype), *known)
    return lambda values, labels: traced(values) if labels is None else traced(values, labels)


def _collect(
    forward: Callable[[tf.Tensor], tf.Tensor], keep: Keep | None, dataset: tf.data.Dataset, description: str
) -> Outputs:
    values, labels, ids = [], [], []
    for batch in track(dataset, description):
        outputs = forward(input_of(batch))
        values.append((outputs if keep is None else keep(outputs, batch.get("label"))).numpy())
        if "label" in batch and keep is None:
            labels.append(batch["label"].numpy())
        ids.append(batch["id"].numpy())
    if not values:
        raise InputError(f"`dataset` must have at least one example to {description}. Received: an empty dataset.")
    known = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    return Outputs(np.concatenate(values).astype(np.float32), known, np.concatenate(ids))
