"""Table of the pretrained networks: one row for each image network of keras.applications, and networks of your own.

The table holds the facts that Keras gives only after it has built the network. Constructors and preprocessing
functions are looked up in `keras.applications` when they are first used, so listing names imports no TensorFlow.
A test compares the table with the installed Keras, in both directions.
"""

import dataclasses
import fnmatch
from pathlib import Path
from typing import Any

from tfl.backbones.hf import known as hf
from tfl.backbones.hf.folder import PREFIX, is_folder_name
from tfl.backbones.spec import BackboneSpec
from tfl.backbones.torch_files.known import find_network
from tfl.config import CHOSEN_NAME
from tfl.config.torch_names import TORCH, is_torch_name
from tfl.errors import InputError
from tfl.registry import did_you_mean, resolve

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


def _yamnet(samples: Any) -> Any:
    from tfl.backbones.audio.yamnet import yamnet

    return yamnet(samples)


def _load_yamnet(file: Path, model: Any) -> None:
    from tfl.backbones.audio.yamnet import load_arrays

    load_arrays(file, model)


YAMNET = BackboneSpec(  # sizes are numbers of samples
    "YAMNet",
    "audio",
    image_size=15_600,  # 96 frames of the spectrogram
    minimum_size=400,
    num_features=2048,
    network=_yamnet,
    input="audio",
    loaders={".npz": _load_yamnet},
)
_BY_NAME = {spec.name: spec for spec in (*_SPECS, YAMNET)}


def get_backbone_spec(name: str) -> BackboneSpec:
    """Return the facts about one network.

    Args:
        name: as keras.applications spells it; upper and lower case are the same. Or "hf:FOLDER", see
            `tfl.backbones.hf`; or "torch:FILE", see `tfl.backbones.torch_files`.

    Raises:
        InputError: there is no such network; the message suggests the nearest name.

    Example:
        >>> get_backbone_spec("resnet50v2").image_size
        224
    """
    if is_folder_name(name):
        return folder_network_of(name)
    if is_torch_name(name):
        return torch_network_of(name)
    try:
        return _BY_NAME[resolve(name, _BY_NAME, "backbone.name")]
    except InputError as error:
        if name == CHOSEN_NAME:
            raise InputError(
                "`backbone.name` must name a network here. Received: 'auto', which only `tfl train` and tfl.transfer "
                "take. `tfl rank` says which network at hand is best."
            ) from None
        raise InputError(f"{error}{'' if did_you_mean(name, _BY_NAME) else ' `tfl backbones` lists them.'}") from None


def folder_network_of(name: str) -> BackboneSpec:
    """Return the facts about the network in a folder, from its config.json and its tokenizer."""
    found = hf.find_network(name)
    pairs = found.for_pairs()
    return dataclasses.replace(_spec_of(found), pairs=None if pairs is None else lambda: _spec_of(pairs))


def _spec_of(found: hf.FolderNetwork) -> BackboneSpec:
    return BackboneSpec(
        f"{PREFIX}{found.folder}",
        "hf",
        image_size=min(128, found.options.positions),
        minimum_size=2,
        num_features=found.options.units,
        network=found.build,
        input="text",
        load=found.load,
        largest_size=found.options.positions,
        tokenizer=found.tokenizer,
        is_causal=found.is_causal,
    )


def torch_network_of(name: str) -> BackboneSpec:
    """Return the facts about the network whose weights are in a torch file."""
    found = find_network(name)
    return BackboneSpec(
        f"{TORCH}{found.name}@{found.file}",
        "torch",
        image_size=found.image_size,
        minimum_size=32,
        num_features=found.num_features,
        network=found.build,
        load=found.load,
    )


def is_in_keras(name: str) -> bool:
    """Return whether keras.applications has a network with this name, in upper or lower case."""
    return name.lower() in (spec.name.lower() for spec in _SPECS)


def register_backbone(spec: BackboneSpec) -> BackboneSpec:
    """Add a network of your own to the table, so that configs can use its name.

    Its weights are random, from a weights file or from a workdir; there are no published ones. A network that is
    registered again, as by a notebook cell that runs twice, replaces the earlier one.

    Raises:
        InputError: the specification has no `network`, or keras.applications has a network with this name.

    Example:
        >>> def patches(image):
        ...     return keras.layers.Conv2D(64, 8, strides=8, activation="relu")(image / 255)
        >>> spec = BackboneSpec("Patches", "own", image_size=64, minimum_size=8, num_features=64, network=patches)
        >>> register_backbone(spec).name
        'Patches'
    """
    if not callable(spec.network):
        raise InputError(f"`network` must be a function from images to a feature map. Received: {spec.network!r}.")
    if not spec.name.strip() or is_in_keras(spec.name):
        raise InputError(f"`name` must be one that keras.applications does not use. Received: {spec.name!r}.")
    for earlier in [name for name in _BY_NAME if name.lower() == spec.name.lower()]:
        del _BY_NAME[earlier]
    _BY_NAME[spec.name] = spec
    return spec


def list_backbones(pattern: str = "*") -> list[str]:
    """Return the names of the networks that match a pattern, in alphabetical order.

    Args:
        pattern: shell-style (`*`, `?`, `[...]`); upper and lower case are the same. If no network has exactly this
            name, it may also be a part of names.

    Raises:
        InputError: no name matches.

    Example:
        >>> list_backbones("resnet*v2")
        ['ResNet101V2', 'ResNet152V2', 'ResNet50V2']
    """
    names = _matching(pattern) or _matching(f"*{pattern}*")
    if not names:
        hint = did_you_mean(pattern.strip("*?"), _BY_NAME)
        raise InputError(f"`pattern` must match the name of a network. Received: pattern={pattern!r}.{hint}")
    return names


def _matching(pattern: str) -> list[str]:
    return sorted(name for name in _BY_NAME if fnmatch.fnmatchcase(name.lower(), pattern.lower()))
