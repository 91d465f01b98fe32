"""Let a network that was pre-trained on RGB take more channels: widen its first convolution by its mean weights."""

from typing import Any

import keras
import numpy as np

from tfl.backbones.saved import copy_weights
from tfl.errors import InputError

SCALE_NAME = "scale_of_channels"


def widen(model: keras.Model, channels: int) -> keras.Model:
    """Return the same network for images of another number of channels, with values in [0, 255].

    Each new channel gets the mean kernel of the three colours, times 3 / C: an image whose channels are all equal gives
    the features that the same grey image gave. The preprocessing of the family, which has a factor and an offset for
    each colour, becomes one factor and one offset: their means.

    Args:
        model: a flat backbone for RGB in [0, 255], (B, S, S, 3).
        channels: C.

    Returns:
        A model (B, S, S, C) -> the same feature map. The names of its layers are the same, except those of the
        preprocessing, which is one layer "scale_of_channels".

    Raises:
        InputError: the network does not begin with a convolution.

    Example:
        >>> widen(tfl.build_backbone("MobileNetV2", alpha=0.35, weights="none"), 5).input.shape
        (None, 224, 224, 5)
    """
    before, first = _entrance(model)
    factor, offset = _mean_preprocessing(before)
    size = model.inputs[0].shape[1:3]
    inputs = keras.Input((*size, channels), name="bands")
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    dropped = {id(operation) for operation in _operations(before)}
    started = False

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal started
        if id(layer) in dropped:
            return args[0]
        if not started:
            started = True
            scale = keras.layers.Rescaling(factor, offset, name=SCALE_NAME)
            args = (scale(args[0]), *args[1:])
        copy = type(layer).from_config(layer.get_config())
        if isinstance(layer, keras.layers.Layer):
            copies.append((layer, copy))
        return copy(*args, **kwargs)

    wide = keras.models.clone_model(model, input_tensors=inputs, clone_function=lambda layer: layer, call_function=call)
    copy_weights(
        [_widened(weight, first, channels) for old, _ in copies for weight in old.weights], [new for _, new in copies]
    )
    return wide


def _entrance(model: keras.Model) -> tuple[keras.Model, keras.layers.Layer]:
    """Return the part of a network that prepares the colours, as a model, and the first convolution."""
    first = next((layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)), None)
    if first is None or isinstance(first, keras.layers.DepthwiseConv2D) or first.kernel.shape[2] != 3:
        raise InputError(
            f"`data.channels` must be 3 for a network that does not begin with a convolution of RGB. "
            f"Received: {model.name}."
        )
    before = keras.Model(model.inputs, first.input)
    padding = [layer for layer in before.layers if isinstance(layer, keras.layers.ZeroPadding2D)]
    return (keras.Model(model.inputs, padding[0].input) if padding else before), first


def _operations(before: keras.Model) -> list[Any]:
    return [operation for operation in before.operations if not isinstance(operation, keras.layers.InputLayer)]


def _mean_preprocessing(before: keras.Model) -> tuple[float, float]:
    """Return the factor and the offset of the preprocessing, which is linear in each colour: the means of the three."""
    colours = np.stack([np.full(before.inputs[0].shape[1:], value, np.float32) for value in (0.0, 255.0)])
    low, high = np.asarray(before([colours]))[:, 0, 0]
    return float(np.mean(high - low) / 255.0), float(np.mean(low))


def _widened(weight: Any, first: keras.layers.Layer, channels: int) -> np.ndarray:
    values = keras.ops.convert_to_numpy(weight)
    if weight is not first.kernel:
        return values
    return np.repeat(values.mean(axis=2, keepdims=True) * (3.0 / channels), channels, axis=2)
