"""EfficientNet B0 to B7 and V2 of torchvision (Tan and Le 2019, arXiv:1905.11946; 2021, arXiv:2104.00298)."""

from typing import Any

from keras import layers

from tfl.backbones.torch_files.efficientnet import STRIDES, activated, excited
from tfl.backbones.torch_files.layers import TorchLayers, as_layer

HEAD = "classifier."


def torchvision_efficientnet(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a network of any width and depth.

    A block is a list of steps: convolutions with their normalisation, and squeeze and excitation in those of B0 to B7
    and in the upper ones of V2. Every convolution but the last of a block has the activation SiLU; a block with one
    convolution alone has it, too.
    """
    x = _conv(make, x, "features.0", stride=2)
    stage = 1
    while make.count(f"features.{stage}") and not make.has(f"features.{stage}.0"):
        for number in range(make.count(f"features.{stage}")):
            x = _block(make, x, f"features.{stage}.{number}", STRIDES[stage - 1] if number == 0 else 1)
        stage += 1
    return _conv(make, x, f"features.{stage}")


def _block(make: TorchLayers, x: Any, name: str, stride: int) -> Any:
    start, steps = x, make.count(f"{name}.block")
    strided = _first_above_1x1(make, name, steps)
    for number in range(steps):
        step = f"{name}.block.{number}"
        if make.has(f"{step}.fc1"):
            x = excited(make, x, (f"{step}.fc1", f"{step}.fc2"), "silu")
        elif number == steps - 1 > 0:
            x = make.conv_norm(x, f"{step}.0", f"{step}.1")
        else:
            x = _conv(make, x, step, stride if number == strided else 1)
    is_residual = stride == 1 and start.shape[-1] == x.shape[-1]
    return layers.Add(name=as_layer(f"{name}.add"))([start, x]) if is_residual else x


def _first_above_1x1(make: TorchLayers, name: str, steps: int) -> int:
    """Return the number of the step whose convolution sees more than one place: that one has the stride."""
    convolutions = [number for number in range(steps) if make.has(f"{name}.block.{number}.0")]
    return next((number for number in convolutions if make.size(f"{name}.block.{number}.0") > 1), 0)


def _conv(make: TorchLayers, x: Any, name: str, stride: int = 1) -> Any:
    return activated(make.conv_norm(x, f"{name}.0", f"{name}.1", stride), "silu", name)
