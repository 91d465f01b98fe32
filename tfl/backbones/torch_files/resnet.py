"""ResNet 18 to 152, ResNeXt and Wide ResNet of torchvision and timm (He et al. 2016, arXiv:1512.03385)."""

from typing import Any

from keras import layers

from tfl.backbones.torch_files.layers import TorchLayers
from tfl.errors import InputError

HEAD = "fc."


def resnet(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a ResNet.

    The stride of a bottleneck is in its 3x3 convolution, as in torchvision ("v1.5"); keras.applications has it in the
    first 1x1 convolution.
    """
    if (size := make.size("conv1")) != 7:  # such a network has other strides, too
        raise InputError(
            f"`backbone.name` must name a ResNet whose conv1 is 7 x 7. Received: {size} x {size}, as for small images."
        )
    x = layers.ReLU(name="relu")(make.conv_norm(x, "conv1", "bn1", stride=2))
    x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)  # zeros are below no value after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="maxpool")(x)
    for stage in range(1, 5):
        for number in range(make.count(f"layer{stage}")):
            x = _block(make, x, f"layer{stage}.{number}", stride=2 if stage > 1 and number == 0 else 1)
    return x


def _block(make: TorchLayers, x: Any, name: str, stride: int) -> Any:
    shortcut, convolutions = x, 3 if make.has(f"{name}.conv3") else 2
    strided = 2 if convolutions == 3 else 1
    for number in range(1, convolutions + 1):
        x = make.conv_norm(x, f"{name}.conv{number}", f"{name}.bn{number}", stride if number == strided else 1)
        if number < convolutions:
            x = layers.ReLU(name=f"{name}.relu{number}".replace(".", "_"))(x)
    if make.has(f"{name}.downsample.0"):
        shortcut = make.conv_norm(shortcut, f"{name}.downsample.0", f"{name}.downsample.1", stride)
    x = layers.Add(name=f"{name}.add".replace(".", "_"))([shortcut, x])
    return layers.ReLU(name=f"{name}.out".replace(".", "_"))(x)
