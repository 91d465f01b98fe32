"""VGG 11 to 19 of torchvision, with and without batch normalisation (Simonyan and Zisserman 2015, arXiv:1409.1556)."""

from typing import Any

from keras import layers

from tfl.backbones.torch_files.layers import TorchLayers, as_layer

HEAD = "classifier."


def vgg(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a VGG. A layer of `features` that has no arrays is a ReLU, or a pooling if one is left."""
    numbers = sorted({int(name.split(".")[1]) for name in make.shapes if name.startswith("features.")})
    convolutions = [number for number in numbers if len(make.shapes.get(f"features.{number}.weight", ())) == 4]
    for number, following in zip(convolutions, [*convolutions[1:], None], strict=True):
        name, has_norm = f"features.{number}", make.has(f"features.{number + 1}")
        has_norm = has_norm and len(make.shapes[f"features.{number + 1}.weight"]) == 1
        x = make.conv_norm(x, name, f"features.{number + 1}") if has_norm else make.conv(x, name)
        x = layers.ReLU(name=as_layer(f"{name}.relu"))(x)
        if following is None or following - number > 2 + has_norm:
            x = layers.MaxPooling2D(2, name=as_layer(f"{name}.pool"))(x)
    return x
