"""How each kind of network is built from layers of Keras, and where its weights are in the file."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfl.backbones.hf import decoder, encoder
from tfl.backbones.hf.tensors import Tensors


class Network(NamedTuple):
    """One kind of network.

    Attributes:
        build: from options and a Keras tensor to the output.
        weights: from options and tensors to the weights of each layer, in the order of its variables.
        prefix: what stands before the names of tensors in the file of a model for a task.
    """

    build: Callable[[Any, Any], Any]
    weights: Callable[[Any, Tensors], Mapping[str, list[np.ndarray]]]
    prefix: str


NETWORKS = {
    "bert": Network(encoder.build, functools.partial(encoder.weights, encoder.BERT), "bert."),
    "distilbert": Network(encoder.build, functools.partial(encoder.weights, encoder.DISTILBERT), "distilbert."),
    "roberta": Network(encoder.build, functools.partial(encoder.weights, encoder.BERT), "roberta."),
    "gpt2": Network(decoder.build, decoder.weights, "transformer."),
}


def load_weights(kind: str, options: Any, folder: Path, model: keras.Model) -> None:
    """Copy the weights of a folder into a network.

    Args:
        kind: from `NETWORKS`.
        options: of the network.
        folder: with the file of weights.
        model: that `build` made.

    Raises:
        InputError: a weight is missing or has another shape, or the file cannot be read.
    """
    network = NETWORKS[kind]
    for layer_name, values in network.weights(options, Tensors(folder, network.prefix)).items():
        layer = model.get_layer(layer_name)
        for variable, value in zip(layer.weights, values, strict=True):
            variable.assign(np.reshape(value, variable.shape))
