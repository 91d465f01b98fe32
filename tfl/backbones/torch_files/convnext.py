"""ConvNeXt of torchvision and timm (Liu et al. 2022, arXiv:2201.03545)."""

import dataclasses
from typing import Any

from keras import layers

from tfl.backbones.torch_files.layers import TorchLayers, as_layer
from tfl.errors import InputError

HEAD = ("head.", "classifier.")  # with its layer normalisation, which follows the pooling


@dataclasses.dataclass(frozen=True)
class _Names:
    """What a library calls the layers; stages and blocks count from 0.

    Attributes:
        stem: of the convolution of patches and its normalisation.
        between: the same before a stage.
        block: prefix of a block.
        parts: of a block: depthwise convolution, normalisation, two linear layers, layer scale.
    """

    stem: tuple[str, str]
    between: str
    block: str
    parts: tuple[str, str, str, str, str]

    def blocks(self, stage: int) -> str:
        return self.block.format(stage=stage, twice=2 * stage + 1)

    def before(self, stage: int) -> str:
        return self.between.format(stage=stage, twice=2 * stage)


_TORCHVISION = _Names(
    ("features.0.0", "features.0.1"),
    "features.{twice}",
    "features.{twice}",
    ("block.0", "block.2", "block.3", "block.5", "layer_scale"),
)
_TIMM = _Names(
    ("stem.0", "stem.1"),
    "stages.{stage}.downsample",
    "stages.{stage}.blocks",
    ("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"),
)


def convnext(make: TorchLayers, x: Any) -> Any:
    """Return the last map of a ConvNeXt of any width and depth.

    The layer normalisation between pooling and classifier is part of the classifier; a network that normalises its
    last map ("hnf") has it here.
    """
    names = _TIMM if make.has(_TIMM.stem[0]) else _TORCHVISION
    if (size := make.size(names.stem[0])) != 4:  # other stems overlap
        raise InputError(
            f"`backbone.name` must name a ConvNeXt whose stem has patches of 4 x 4. Received: {size} x {size}."
        )
    x = make.layer_norm(make.patches(x, names.stem[0]), names.stem[1])
    for stage in range(4):
        if stage > 0:
            x = make.patches(make.layer_norm(x, f"{names.before(stage)}.0"), f"{names.before(stage)}.1")
        for number in range(make.count(names.blocks(stage))):
            x = _block(make, x, f"{names.blocks(stage)}.{number}", names.parts)
    return make.layer_norm(x, "norm_pre") if make.has("norm_pre") else x


def _block(make: TorchLayers, x: Any, name: str, parts: tuple[str, ...]) -> Any:
    depthwise, norm, wide, narrow, scale = (f"{name}.{part}" for part in parts)
    make.check_bias(depthwise)
    y = make.linear(make.layer_norm(make.conv(x, depthwise), norm), wide)
    y = make.linear(layers.Activation("gelu", name=as_layer(f"{name}.gelu"))(y), narrow)
    return layers.Add(name=as_layer(f"{name}.add"))([x, make.scale(y, scale)])
