"""The cost of a network: how many multiplications its layers need for one example."""

import math
from typing import Any

import keras

from tfl.backbones.stages import backbone_layers


def multiply_adds(layer: keras.layers.Layer) -> int:
    """Return the multiplications of the kernels of a layer for one example; 0 for a layer without kernels.

    A kernel of a convolution is applied at every position of its output. Unknown sizes count as 1.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, padding="same")])
        >>> multiply_adds(model.layers[0]) == 8 * 8 * (3 * 3 * 3) * 4
        True
    """
    kernels = sum(math.prod(weight.shape) for weight in layer.weights if weight.name.endswith("kernel"))
    outputs = keras.tree.flatten(layer.output) if kernels else []
    return max((kernels * math.prod(size or 1 for size in output.shape[1:-1]) for output in outputs), default=0)


def total_multiply_adds(model: keras.Model) -> int:
    """Return the multiplications of the kernels of a model for one example.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
        >>> total_multiply_adds(model)
        40
    """
    return sum(map(multiply_adds, model.layers))


def memory_bytes(model: keras.Model, batch_size: int = 32) -> int:
    """Return the bytes that a functional model holds at once in a forward pass: weights and activations, in float32.

    It is counted from the graph, as if no layer worked in place; the working memory of TensorFlow comes on top.

    Example:
        >>> entrance = keras.Input((8,))
        >>> model = keras.Model(entrance, keras.layers.Dense(4, use_bias=False)(entrance))
        >>> memory_bytes(model, batch_size=10) == 4 * (8 * 4 + 10 * (8 + 4))
        True
    """
    steps = [(_tensors(each, "input"), _tensors(each, "output")) for each in model.operations]
    last = {id(tensor): place for place, (read, _) in enumerate(steps) for tensor in read}
    held: dict[int, int] = {}
    peak = 0
    for place, (read, written) in enumerate(steps):
        held |= {id(tensor): math.prod(size or 1 for size in tensor.shape[1:]) for tensor in written}
        peak = max(peak, sum(held.values()))
        for tensor in read:
            if last[id(tensor)] == place:
                held.pop(id(tensor), None)
    return 4 * (model.count_params() + batch_size * peak)


def _tensors(operation: Any, name: str) -> list[Any]:
    """Return the inputs or outputs of an operation of a model; an input layer has no inputs."""
    if name == "input" and isinstance(operation, keras.layers.InputLayer):
        return []
    return keras.tree.flatten(getattr(operation, name))


def share_above(model: keras.Model, name: str) -> float:
    """Return the share, in [0, 1], of the multiplications of a backbone that a layer and the layers above it need.

    Args:
        model: a backbone or a classifier.
        name: of the lowest of these layers.

    Example:
        >>> backbone = tfl.build_backbone("MobileNetV2", image_size=96, weights="none")
        >>> share_above(backbone, backbone.layers[0].name)
        1.0
    """
    layers = backbone_layers(model)
    costs = [multiply_adds(layer) for layer in layers]
    first = next(place for place, layer in enumerate(layers) if layer.name == name)
    return sum(costs[first:]) / sum(costs) if any(costs) else 1.0
