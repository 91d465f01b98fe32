"""Run the frozen part of a model over a data set, once."""

import keras
import tensorflow as tf

from tfl.models.classifier import split_at_features
from tfl.models.inference import Outputs, run_over


def extract_features(model: keras.Model, dataset: tf.data.Dataset, description: str = "features") -> Outputs:
    """Return the pooled features that a classifier's head sees, for every example of `dataset`.

    Args:
        model: a classifier; everything below its first dense layer is run.
        dataset: batches with "image", "label" and "id"; the last may be short.
        description: shown beside the progress bar.

    Returns:
        Features `(N, D)` float32 in the order of the data set, with labels and ids.
    """
    extractor, _ = split_at_features(model)
    return run_over(extractor, dataset, description)
