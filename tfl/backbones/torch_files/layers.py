"""Keras layers with the sizes, the padding and the names of a torch network."""

from typing import Any

import keras
import numpy as np
from keras import layers

from tfl.backbones.torch_files.state import Read, Shapes
from tfl.errors import InputError

IGNORED = ("num_batches_tracked",)
_LAYER_NORM_EPSILON = 1e-6  # of every network here that has layer normalisation


class TorchLayers:
    """Makes the layers of a network; their sizes are those of the arrays in a state dict.

    torch pads both sides alike, and TensorFlow's "same" pads the right and the bottom more if the stride is 2. The
    timm networks with names that begin with `tf_` have TensorFlow's padding.

    Args:
        shapes: of the arrays by name.
        epsilon: of the batch normalisations.
        pads_as_tensorflow: whether a layer with a stride of 2 is padded as in TensorFlow.
    """

    def __init__(self, shapes: Shapes, *, epsilon: float = 1e-5, pads_as_tensorflow: bool = False) -> None:
        self.shapes, self.epsilon, self.pads_as_tensorflow = shapes, epsilon, pads_as_tensorflow

    def has(self, name: str) -> bool:
        """Return whether the state dict has a layer."""
        return f"{name}.weight" in self.shapes

    def count(self, prefix: str) -> int:
        """Return the number of blocks `prefix.0`, `prefix.1`, ..."""
        number = 0
        while any(name.startswith(f"{prefix}.{number}.") for name in self.shapes):
            number += 1
        return number

    def size(self, name: str) -> int:
        """Return the number of places that the kernel of a convolution has in a row."""
        return self._shape(f"{name}.weight", 4)[-1]

    def check_bias(self, name: str) -> None:
        """Refuse a file without the bias of a layer that has one in every network of its kind."""
        self._shape(f"{name}.bias", 1)

    def conv(self, x: Any, name: str, stride: int = 1) -> Any:
        """Return the output of a convolution, ordinary, depthwise or in groups."""
        shape = self._shape(f"{name}.weight", 4)
        outputs, per_group, size = shape[0], shape[1], shape[2]
        padding = "same"
        if stride > 1 and size > 1 and not self.pads_as_tensorflow:
            x = layers.ZeroPadding2D(size // 2, name=f"{as_layer(name)}_pad")(x)
            padding = "valid"
        options = {"strides": stride, "padding": padding, "use_bias": f"{name}.bias" in self.shapes}
        channels = x.shape[-1]
        if per_group == 1 and outputs == channels > 1:
            return layers.DepthwiseConv2D(size, name=as_layer(name), **options)(x)
        if not per_group or channels % per_group:
            raise InputError(
                f"`backbone.name` must name a file whose layers fit together. Received: {name} for a multiple of "
                f"{per_group} channels, after {channels} channels."
            )
        return layers.Conv2D(outputs, size, groups=channels // per_group, name=as_layer(name), **options)(x)

    def patches(self, x: Any, name: str) -> Any:
        """Return the output of a convolution whose stride is its size, without padding."""
        outputs, _, size, _ = self._shape(f"{name}.weight", 4)
        self.check_bias(name)
        return layers.Conv2D(outputs, size, strides=size, name=as_layer(name))(x)

    def linear(self, x: Any, name: str) -> Any:
        """Return a linear function of the channels, which a file has as a matrix or as a convolution of 1 x 1."""
        self.check_bias(name)
        if len(self.shapes.get(f"{name}.weight", ())) == 4:
            return self.conv(x, name)
        outputs, _ = self._shape(f"{name}.weight", 2)
        return layers.Dense(outputs, name=as_layer(name))(x)

    def scale(self, x: Any, name: str) -> Any:
        """Return the product with one number for each channel. A depthwise convolution of 1 x 1 is a plain layer."""
        if not self.has(name):
            raise InputError(f"`backbone.name` must name a file with {name}. Received: no such array.")
        return layers.DepthwiseConv2D(1, use_bias=False, name=as_layer(name))(x)

    def layer_norm(self, x: Any, name: str) -> Any:
        """Return the output of a layer normalisation of the channels at each place."""
        self._shape(f"{name}.weight", 1)
        return layers.LayerNormalization(epsilon=_LAYER_NORM_EPSILON, name=as_layer(name))(x)

    def norm(self, x: Any, name: str) -> Any:
        """Return the output of a batch normalisation."""
        self._shape(f"{name}.running_var", 1)
        return layers.BatchNormalization(epsilon=self.epsilon, momentum=0.9, name=as_layer(name))(x)

    def conv_norm(self, x: Any, conv: str, norm: str, stride: int = 1) -> Any:
        """Return the output of a convolution and a batch normalisation."""
        return self.norm(self.conv(x, conv, stride), norm)

    def _shape(self, name: str, rank: int) -> tuple[int, ...]:
        shape = self.shapes.get(name)
        if shape is None or len(shape) != rank:
            found = "no such array" if shape is None else f"one of shape {shape}"
            raise InputError(
                f"`backbone.name` must name a file with {name}, an array of {rank} dimensions. Received: {found}."
            )
        return shape


def as_layer(name: str) -> str:
    """Return the name of the Keras layer of a torch layer.

    Example:
        >>> as_layer("blocks.0.0.conv_dw")
        'blocks_0_0_conv_dw'
    """
    return name.replace(".", "_")


def scaled(pixels: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    """Return RGB in [0, 255] as torch networks take it: shares of 1, standardised for each channel."""
    scale = [1 / (255 * each) for each in std]
    offset = [-first / second for first, second in zip(mean, std, strict=True)]
    return layers.Rescaling(scale, offset, name="preprocess")(pixels)


def load_arrays(read: Read, shapes: Shapes, model: keras.Model, head: str | tuple[str, ...]) -> None:
    """Give a network that `TorchLayers` built the arrays of a state dict, one at a time.

    Args:
        read: returns an array by its name.
        shapes: of all arrays by their names.
        model: the network.
        head: prefix or prefixes of the names of its classifier, which is not part of the network.

    Raises:
        InputError: an array has another shape than its layer, or belongs to no layer.
    """
    names = {as_layer(name.rpartition(".")[0]): name.rpartition(".")[0] for name in shapes}
    used: set[str] = set()
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = names[layer.name]
        roles = [role for role in _ROLES[type(layer)] if f"{prefix}.{role}" in shapes]
        used |= {f"{prefix}.{role}" for role in roles}
        values = [_as_keras(layer, role, read(f"{prefix}.{role}")) for role in roles]
        found, expected = [value.shape for value in values], [tuple(weight.shape) for weight in layer.weights]
        if found != expected:
            raise InputError(
                f"`backbone.name` must name a file whose arrays fit the network. Received: {prefix} with {found} "
                f"in place of {expected}."
            )
        layer.set_weights(values)
    if left := [name for name in shapes if name not in used and not name.startswith(head) and not _is_ignored(name)]:
        raise InputError(
            f"`backbone.name` must name a file of a network that tfl builds. Received: {len(left)} arrays that belong "
            f"to no layer of it, the first: {left[0]}."
        )


_KERNEL = ("weight", "bias")
_ROLES: dict[type, tuple[str, ...]] = {
    layers.Conv2D: _KERNEL,
    layers.DepthwiseConv2D: _KERNEL,
    layers.Dense: _KERNEL,
    layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
    layers.LayerNormalization: _KERNEL,
}


def _as_keras(layer: Any, role: str, array: np.ndarray) -> np.ndarray:
    """Return an array with the order of axes that Keras has."""
    if role != "weight" or isinstance(layer, (layers.BatchNormalization, layers.LayerNormalization)):
        return array
    if array.ndim in (1, 3) and isinstance(layer, layers.DepthwiseConv2D):  # see `TorchLayers.scale`
        return array.reshape(1, 1, -1, 1)
    if array.ndim == 2:
        return array.T
    if isinstance(layer, layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0)


def _is_ignored(name: str) -> bool:
    return name.rpartition(".")[2] in IGNORED
