"""Table of the pretrained networks: one row for each image network of keras.applications.

The table holds the facts that Keras gives only after it has built the network. Constructors and preprocessing
functions are looked up in `keras.applications` when they are first used, so listing names imports no TensorFlow.
A test compares the table with the installed Keras, in both directions.
"""

import dataclasses
import fnmatch
from collections.abc import Callable
from typing import Any

from tfl.errors import InputError
from tfl.registry import did_you_mean, resolve


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """Facts about a network that are needed before it is built.

    Attributes:
        name: as keras.applications spells it.
        family: the module of keras.applications that holds the network and its preprocessing ("resnet_v2").
        image_size: pixels per side at pre-training.
        minimum_size: smallest number of pixels per side that Keras accepts.
        num_features: channels of the feature map, at alpha=1.
        imagenet_alphas: width multipliers with published weights; empty if the network has no multiplier.
        input: what an example is, the name of an input in `tfl.inputs`.
    """

    name: str
    family: str
    image_size: int
    minimum_size: int
    num_features: int
    imagenet_alphas: tuple[float, ...] = ()
    input: str = "image"

    @property
    def has_alpha(self) -> bool:
        """Whether the network takes a width multiplier."""
        return bool(self.imagenet_alphas)

    @property
    def build(self) -> Callable[..., Any]:
        """Constructor of the network in keras.applications."""
        import keras

        return getattr(keras.applications, self.name)

    @property
    def preprocess(self) -> Callable[..., Any]:
        """The family's `preprocess_input`: RGB in [0, 255] -> the range that the network expects.

        It changes nothing for families whose preprocessing Keras already builds into the network.
        """
        import keras

        return getattr(keras.applications, self.family).preprocess_input


_MOBILENET = (0.25, 0.5, 0.75, 1.0)
_MOBILENET_V2 = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_MOBILENET_V3 = (0.75, 1.0)

_SPECS = (
    BackboneSpec("ConvNeXtTiny", "convnext", 224, 32, 768),
    BackboneSpec("ConvNeXtSmall", "convnext", 224, 32, 768),
    BackboneSpec("ConvNeXtBase", "convnext", 224, 32, 1024),
    BackboneSpec("ConvNeXtLarge", "convnext", 224, 32, 1536),
    BackboneSpec("ConvNeXtXLarge", "convnext", 224, 32, 2048),
    BackboneSpec("DenseNet121", "densenet", 224, 32, 1024),
    BackboneSpec("DenseNet169", "densenet", 224, 32, 1664),
    BackboneSpec("DenseNet201", "densenet", 224, 32, 1920),
    BackboneSpec("EfficientNetB0", "efficientnet", 224, 32, 1280),
    BackboneSpec("EfficientNetB1", "efficientnet", 240, 32, 1280),
    BackboneSpec("EfficientNetB2", "efficientnet", 260, 32, 1408),
    BackboneSpec("EfficientNetB3", "efficientnet", 300, 32, 1536),
    BackboneSpec("EfficientNetB4", "efficientnet", 380, 32, 1792),
    BackboneSpec("EfficientNetB5", "efficientnet", 456, 32, 2048),
    BackboneSpec("EfficientNetB6", "efficientnet", 528, 32, 2304),
    BackboneSpec("EfficientNetB7", "efficientnet", 600, 32, 2560),
    BackboneSpec("EfficientNetV2B0", "efficientnet_v2", 224, 32, 1280),
    BackboneSpec("EfficientNetV2B1", "efficientnet_v2", 240, 32, 1280),
    BackboneSpec("EfficientNetV2B2", "efficientnet_v2", 260, 32, 1408),
    BackboneSpec("EfficientNetV2B3", "efficientnet_v2", 300, 32, 1536),
    BackboneSpec("EfficientNetV2S", "efficientnet_v2", 384, 32, 1280),
    BackboneSpec("EfficientNetV2M", "efficientnet_v2", 480, 32, 1280),
    BackboneSpec("EfficientNetV2L", "efficientnet_v2", 480, 32, 1280),
    BackboneSpec("InceptionResNetV2", "inception_resnet_v2", 299, 75, 1536),
    BackboneSpec("InceptionV3", "inception_v3", 299, 75, 2048),
    BackboneSpec("MobileNet", "mobilenet", 224, 32, 1024, _MOBILENET),
    BackboneSpec("MobileNetV2", "mobilenet_v2", 224, 32, 1280, _MOBILENET_V2),
    BackboneSpec("MobileNetV3Large", "mobilenet_v3", 224, 32, 960, _MOBILENET_V3),
    BackboneSpec("MobileNetV3Small", "mobilenet_v3", 224, 32, 576, _MOBILENET_V3),
    BackboneSpec("NASNetLarge", "nasnet", 331, 32, 4032),
    BackboneSpec("NASNetMobile", "nasnet", 224, 32, 1056),
    BackboneSpec("ResNet50", "resnet", 224, 32, 2048),
    BackboneSpec("ResNet101", "resnet", 224, 32, 2048),
    BackboneSpec("ResNet152", "resnet", 224, 32, 2048),
    BackboneSpec("ResNet50V2", "resnet_v2", 224, 32, 2048),
    BackboneSpec("ResNet101V2", "resnet_v2", 224, 32, 2048),
    BackboneSpec("ResNet152V2", "resnet_v2", 224, 32, 2048),
    BackboneSpec("VGG16", "vgg16", 224, 32, 512),
    BackboneSpec("VGG19", "vgg19", 224, 32, 512),
    BackboneSpec("Xception", "xception", 299, 71, 2048),
)
_BY_NAME = {spec.name: spec for spec in _SPECS}


def get_backbone_spec(name: str) -> BackboneSpec:
    """Return the facts about one network.

    Args:
        name: as keras.applications spells it; upper and lower case are the same.

    Raises:
        InputError: there is no such network; the message suggests the nearest name.

    Example:
        >>> get_backbone_spec("resnet50v2").image_size
        224
    """
    return _BY_NAME[resolve(name, _BY_NAME, "backbone.name")]


def list_backbones(pattern: str = "*") -> list[str]:
    """Return the names of the networks that match a pattern, in alphabetical order.

    Args:
        pattern: shell-style (`*`, `?`, `[...]`); upper and lower case are the same.

    Raises:
        InputError: no name matches.

    Example:
        >>> list_backbones("resnet*v2")
        ['ResNet101V2', 'ResNet152V2', 'ResNet50V2']
    """
    names = sorted(name for name in _BY_NAME if fnmatch.fnmatchcase(name.lower(), pattern.lower()))
    if not names:
        hint = did_you_mean(pattern.strip("*?"), _BY_NAME)
        raise InputError(f"`pattern` must match the name of a network. Received: pattern={pattern!r}.{hint}")
    return names


def backbone_table(*patterns: str) -> str:
    """Return an aligned text table, for the screen, of the networks that match the patterns.

    Args:
        patterns: each as for `list_backbones`; without patterns: all networks.
    """
    header = ("name", "image size", "minimum", "features", "alpha with weights")
    rows: list[tuple[str, ...]] = [header]
    names = [name for pattern in patterns or ("*",) for name in list_backbones(pattern)]
    for spec in map(get_backbone_spec, names):
        alphas = ", ".join(f"{alpha:g}" for alpha in spec.imagenet_alphas) or "-"
        rows.append((spec.name, str(spec.image_size), str(spec.minimum_size), str(spec.num_features), alphas))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = (
        [rows_.ljust(widths[0]), *map(str.rjust, numbers, widths[1:4]), alphas] for rows_, *numbers, alphas in rows
    )
    return "\n".join("  ".join(cells) for cells in aligned)
