"""Run the frozen part of a model over a data set, once."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfl.models.classifier import split_at_features
from tfl.models.inference import Outputs, run_over


def extract_features(model: keras.Model, datasets: Mapping[str, tf.data.Dataset]) -> dict[str, Outputs]:
    """Return the pooled features that a classifier's head sees, for every example of some data sets.

    Args:
        model: a classifier; everything below its first dense layer is run.
        datasets: name to batches with "image", "label" and "id"; the last batch may be short.

    Returns:
        Features `(N, D)` float32 by the same names, each in the order of its data set, with labels and ids.

    Example:
        >>> features = tfl.extract_features(model, {"train": train, "validation": validation})
    """
    extractor, _ = split_at_features(model)
    outputs = run_over(extractor, {f"features of {name}": dataset for name, dataset in datasets.items()})
    return dict(zip(datasets, outputs.values(), strict=True))
