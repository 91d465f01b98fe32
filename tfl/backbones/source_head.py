"""The classifier that a pretrained network was trained with, where its file of weights has it."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import scipy.special
from etils import epath

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.donor import SavedLayer, find_backbone, read_h5_layers, read_keras_layers
from tfl.backbones.entries import label_of
from tfl.backbones.names import files_at_hand
from tfl.backbones.stages import backbone_layers
from tfl.backbones.weight_files import PUBLISHED, RANDOM, find_weights
from tfl.config import BackboneConfig
from tfl.workdir import read_config


class SourceHead(NamedTuple):
    """A linear classifier on averaged features.

    Attributes:
        kernel: `(D, Z)`.
        bias: `(Z,)`.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities `(N, Z)` of the source classes, in float64, from features `(N, D)`."""
        logits = np.asarray(features, np.float64) @ self.kernel.astype(np.float64) + self.bias
        return scipy.special.softmax(logits, axis=1)


def read_source_head(options: BackboneConfig, model: keras.Model) -> SourceHead | None:
    """Return the linear layer that stands above the same weights in a file; None if there is none.

    It is looked for in the file of published weights with its top, beside the one without it in the cache of Keras; in
    the given weights file; or in the finished run whose network is taken. It must be one linear layer on averaged
    features, and all weights below it must be those of the model.

    Args:
        options: of the network.
        model: the network, with or without a layer that averages.
    """
    file = _file_with_top(options)
    if file is None:
        return None
    saved = read_h5_layers(file) if file.suffix == ".h5" else read_keras_layers(file)
    layers = [layer for layer in backbone_layers(model) if layer.weights]
    below, top = saved[: len(layers)], saved[len(layers) :]
    return _linear(top[0]) if len(top) == 1 and _is_same(below, layers) else None


def _file_with_top(options: BackboneConfig) -> Path | epath.Path | None:
    """Return the file that may hold the classifier."""
    if options.weights == RANDOM:
        return None
    if options.weights == PUBLISHED:
        return files_at_hand(top=True).get(label_of(options))
    path = epath.Path(options.weights).expanduser()
    if path.is_dir():
        theirs = read_config(path) if (path / "config.json").exists() else None
        if theirs is None or theirs.head.pooling != "avg":
            return None
        return find_weights(options.weights, get_backbone_spec(options.name), options.alpha)
    return path if path.suffix == ".h5" else None


def _is_same(saved: list[SavedLayer], layers: list[keras.layers.Layer]) -> bool:
    values = find_backbone(saved, layers)
    if isinstance(values, str):
        return False
    mine = [weight for layer in layers for weight in layer.weights]
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(values, mine, strict=True))


def _linear(layer: SavedLayer) -> SourceHead | None:
    arrays = [np.asarray(value) for value in layer.values]
    if len(arrays) != 2 or arrays[1].ndim != 1 or arrays[0].size != arrays[0].shape[-2] * len(arrays[1]):
        return None
    return SourceHead(arrays[0].reshape(-1, len(arrays[1])), arrays[1])
