"""DenseNet 121 to 201 of torchvision and timm (Huang et al. 2017, arXiv:1608.06993)."""

from typing import Any

from keras import layers

from tfl.backbones.torch_files.layers import TorchLayers, as_layer

HEAD = "classifier."


def densenet(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a DenseNet."""
    x = _active(make.conv_norm(x, "features.conv0", "features.norm0", stride=2), "features.relu0")
    x = layers.ZeroPadding2D(1, name="features_pool0_pad")(x)  # zeros are below no value after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="features_pool0")(x)
    block = 1
    while make.has(f"features.denseblock{block}.denselayer1.conv1"):
        number = 1
        while make.has(name := f"features.denseblock{block}.denselayer{number}.conv1"):
            x = layers.Concatenate(name=as_layer(f"{name[:-6]}.cat"))([x, _layer(make, x, name.removesuffix(".conv1"))])
            number += 1
        transition = f"features.transition{block}"
        if make.has(f"{transition}.conv"):
            x = make.conv(_active(make.norm(x, f"{transition}.norm"), f"{transition}.relu"), f"{transition}.conv")
            x = layers.AveragePooling2D(2, name=as_layer(f"{transition}.pool"))(x)
        block += 1
    return _active(make.norm(x, "features.norm5"), "features.relu5")


def _layer(make: TorchLayers, x: Any, name: str) -> Any:
    for number in (1, 2):
        x = _active(make.norm(x, f"{name}.norm{number}"), f"{name}.relu{number}")
        x = make.conv(x, f"{name}.conv{number}")
    return x


def _active(x: Any, name: str) -> Any:
    return layers.ReLU(name=as_layer(name))(x)
