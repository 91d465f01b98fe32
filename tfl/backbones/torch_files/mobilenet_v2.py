"""MobileNetV2 of torchvision (Sandler et al. 2018, arXiv:1801.04381)."""

from typing import Any

from keras import layers

from tfl.backbones.torch_files.layers import TorchLayers, as_layer

HEAD = "classifier."
_BLOCKS = (1, 2, 3, 4, 3, 3, 1)  # of each stage
_STRIDES = (1, 2, 2, 2, 1, 2, 1)


def mobilenet_v2(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a MobileNetV2 of any width."""
    x = _relu6(make.conv_norm(x, "features.0.0", "features.0.1", stride=2), "features.0")
    number = 0
    for blocks, stage_stride in zip(_BLOCKS, _STRIDES, strict=True):
        for place in range(blocks):
            number += 1
            x = _block(make, x, f"features.{number}", stage_stride if place == 0 else 1)
    return _relu6(make.conv_norm(x, f"features.{number + 1}.0", f"features.{number + 1}.1"), f"features.{number + 1}")


def _block(make: TorchLayers, x: Any, name: str, stride: int) -> Any:
    start, last = x, 0
    expands = make.has(f"{name}.conv.1.0")  # the first block has no expansion
    for last in range(1 + expands):
        step = f"{name}.conv.{last}"
        is_depthwise = last == expands
        x = _relu6(make.conv_norm(x, f"{step}.0", f"{step}.1", stride if is_depthwise else 1), step)
    x = make.conv_norm(x, f"{name}.conv.{last + 1}", f"{name}.conv.{last + 2}")
    is_residual = stride == 1 and start.shape[-1] == x.shape[-1]
    return layers.Add(name=as_layer(f"{name}.add"))([start, x]) if is_residual else x


def _relu6(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=as_layer(f"{name}.relu6"))(x)
