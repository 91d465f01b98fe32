"""The first six layers of YAMNet, a MobileNet that was trained on the sounds of AudioSet.

Everything above the spectrogram is convolution, so a clip may have any length. The last map keeps the bands: a position
is a time, and its channels are those of all bands side by side, so that `head.pooling` pools over time alone. A mean
over the bands would forget which pitch was heard.
"""

from pathlib import Path
from typing import Any

import keras
from keras import layers

from tfl.backbones.audio.arrays import read_arrays
from tfl.backbones.audio.front import log_mel

LAYERS = ((32, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1))  # channels and stride of each
EPSILON = 1e-4  # params.py of the reference code


def yamnet(samples: Any) -> Any:
    """Return the map of the sixth layer of YAMNet, with the bands among its channels.

    Args:
        samples: a Keras tensor, float32 (B, N), of clips with 16,000 samples per second in [-1, 1]; N is at least 400.

    Returns:
        A Keras tensor, float32 (B, T, 1, 2048): T positions in time, about 80 ms apart, each with 256 channels of 8
        bands.

    Reference:
        Plakal and Ellis 2020, YAMNet; Howard et al. 2017, MobileNets, arXiv:1704.04861; Gemmeke et al. 2017, Audio Set,
        ICASSP.
    """
    maps = log_mel(samples)
    for number, (channels, stride) in enumerate(LAYERS, start=1):
        name, end = f"layer{number}", f"block{number}_end"
        if number == 1:
            convolution = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")
            maps = _normal(convolution(maps), f"{name}_conv", end)
            continue
        depthwise = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv")
        maps = _normal(depthwise(maps), f"{name}_depthwise_conv", f"{name}_depthwise_relu")
        pointwise = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise_conv")
        maps = _normal(pointwise(maps), f"{name}_pointwise_conv", end)
    bands, channels = maps.shape[2:]
    return layers.Reshape((-1, 1, bands * channels), name="bands_side_by_side")(maps)


def _normal(maps: Any, name: str, end: str) -> Any:
    normal = layers.BatchNormalization(scale=False, epsilon=EPSILON, name=f"{name}_bn")(maps)
    return layers.ReLU(name=end)(normal)


def load_arrays(file: Path, model: keras.Model) -> None:
    """Give a network from `yamnet` the weights of an `.npz` file.

    Args:
        file: with an array for each weight, by the names of the reference code, as in `layer1.conv.kernel` and
            `layer1.conv.bn.beta`.
        model: with the layers of `yamnet`; its spectrogram is left as it is.

    Raises:
        InputError: the file cannot be read, or its arrays are not those of the network.
    """
    weights = {_array_of(layer, weight): weight for layer in model.layers for weight in layer.weights}
    weights = {name: weight for name, weight in weights.items() if name.startswith("layer")}
    arrays = read_arrays(file, {name: tuple(weight.shape) for name, weight in weights.items()})
    for name, weight in weights.items():
        weight.assign(arrays[name])


def _array_of(layer: Any, weight: Any) -> str:
    """Return the name of the array of a weight, such as "layer2.depthwise_conv.depthwise_kernel"."""
    is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
    name = layer.name.replace("_", ".", 1).replace("_bn", ".bn")
    return f"{name}.{'depthwise_kernel' if is_depthwise else weight.name}"
