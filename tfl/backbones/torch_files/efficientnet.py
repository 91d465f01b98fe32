"""EfficientNet B and lite of timm (Tan and Le 2019, arXiv:1905.11946), and its MobileNetV2, which has such blocks."""

from typing import Any

from keras import layers

from tfl.backbones.torch_files.layers import TorchLayers, as_layer

HEAD = "classifier."
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of each stage


def efficientnet(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a network of any width and depth.

    Networks with squeeze and excitation have the activation SiLU, those without ReLU6.
    """
    activation = "silu" if make.has("blocks.0.0.se.conv_reduce") else "relu6"
    x = activated(make.conv_norm(x, "conv_stem", "bn1", stride=2), activation, "conv_stem")
    for stage, stride in enumerate(STRIDES):
        for number in range(make.count(f"blocks.{stage}")):
            x = _block(make, x, f"blocks.{stage}.{number}", stride if number == 0 else 1, activation)
    return activated(make.conv_norm(x, "conv_head", "bn2"), activation, "conv_head")


def _block(make: TorchLayers, x: Any, name: str, stride: int, activation: str) -> Any:
    start = x
    if make.has(f"{name}.conv_pwl"):  # expansion, depthwise, projection
        x = activated(make.conv_norm(x, f"{name}.conv_pw", f"{name}.bn1"), activation, f"{name}.conv_pw")
        depthwise, last = "bn2", ("conv_pwl", "bn3")
    else:
        depthwise, last = "bn1", ("conv_pw", "bn2")
    x = make.conv_norm(x, f"{name}.conv_dw", f"{name}.{depthwise}", stride)
    x = activated(x, activation, f"{name}.conv_dw")
    if make.has(f"{name}.se.conv_reduce"):
        x = excited(make, x, (f"{name}.se.conv_reduce", f"{name}.se.conv_expand"), activation)
    x = make.conv_norm(x, f"{name}.{last[0]}", f"{name}.{last[1]}")
    is_residual = stride == 1 and start.shape[-1] == x.shape[-1]
    return layers.Add(name=as_layer(f"{name}.add"))([start, x]) if is_residual else x


def excited(make: TorchLayers, x: Any, names: tuple[str, str], activation: str) -> Any:
    """Return maps that are weighted by a function of their means: squeeze and excitation.

    Args:
        make: makes the layers.
        x: the maps.
        names: of the two convolutions.
        activation: between them.
    """
    for name in names:
        make.check_bias(name)
    block = names[0].rpartition(".")[0]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=as_layer(f"{block}.squeeze"))(x)
    weight = activated(make.conv(weight, names[0]), activation, names[0])
    weight = layers.Activation("sigmoid", name=as_layer(f"{block}.gate"))(make.conv(weight, names[1]))
    return layers.Multiply(name=as_layer(f"{block}.excite"))([x, weight])


def activated(x: Any, activation: str, name: str) -> Any:
    """Return the output of an activation, a layer of its own."""
    return layers.Activation(activation, name=as_layer(f"{name}.{activation}"))(x)
