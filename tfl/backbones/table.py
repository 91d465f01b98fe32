"""The table of networks for the screen: sizes, where the weights are from, their licence, whether they are at hand."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path

from tfl.backbones.catalog import get_backbone_spec, list_backbones
from tfl.backbones.hf.folder import PREFIX, WEIGHTS, is_folder_name
from tfl.backbones.names import list_at_hand
from tfl.backbones.spec import BackboneSpec
from tfl.backbones.torch_files.state import read_shapes
from tfl.config.torch_names import is_torch_name, torch_parts

UNKNOWN = "-"
_BYTES = 4  # of a float32 number
# Licences of the weights that Keras publishes, by family, as the documentation of Keras 2 states them for each network;
# for the other families it states none.
_LICENCES = {
    **dict.fromkeys(("inception_v3", "inception_resnet_v2", "mobilenet", "mobilenet_v2", "nasnet"), "Apache-2.0"),
    **{"resnet": "MIT", "xception": "MIT", "resnet_v2": "BSD", "densenet": "BSD-3-Clause"},
    **dict.fromkeys(("vgg16", "vgg19"), "CC-BY-4.0"),
}
# Millions of parameters without the classifier, at alpha=1; network_program.py compares them with the built networks.
MILLIONS: Mapping[str, float] = {
    **{"ConvNeXtBase": 87.6, "ConvNeXtLarge": 196.2, "ConvNeXtSmall": 49.5, "ConvNeXtTiny": 27.8},
    **{"ConvNeXtXLarge": 348.1, "DenseNet121": 7.0, "DenseNet169": 12.6, "DenseNet201": 18.3, "EfficientNetB0": 4.0},
    **{"EfficientNetB1": 6.6, "EfficientNetB2": 7.8, "EfficientNetB3": 10.8, "EfficientNetB4": 17.7},
    **{"EfficientNetB5": 28.5, "EfficientNetB6": 41.0, "EfficientNetB7": 64.1, "EfficientNetV2B0": 5.9},
    **{"EfficientNetV2B1": 6.9, "EfficientNetV2B2": 8.8, "EfficientNetV2B3": 12.9, "EfficientNetV2L": 117.7},
    **{"EfficientNetV2M": 53.2, "EfficientNetV2S": 20.3, "InceptionResNetV2": 54.3, "InceptionV3": 21.8},
    **{"MobileNet": 3.2, "MobileNetV2": 2.3, "MobileNetV3Large": 3.0, "MobileNetV3Small": 0.9, "NASNetLarge": 84.9},
    **{"NASNetMobile": 4.3, "ResNet101": 42.7, "ResNet101V2": 42.6, "ResNet152": 58.4, "ResNet152V2": 58.3},
    **{"ResNet50": 23.6, "ResNet50V2": 23.6, "VGG16": 14.7, "VGG19": 20.0, "Xception": 20.9},
}
_CLASSIFIER = re.compile(r"(fc|head\.fc|classifier(\.\d+)?)\.weight")
_LICENCE_LINE = re.compile(r"^license:\s*['\"]?([\w.+-]+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class _Weights:
    """What is known about the weights of a network.

    Attributes:
        megabytes: of the file, or of the network without its classifier in float32; 0 if it is not known.
        provider: who publishes them: the library whose files these are, or "own".
        task: what they were trained for.
        licence: as their publisher names it.
        at_hand: "yes", "no", or the widths that are.
    """

    megabytes: float = 0.0
    provider: str = "own"
    task: str = UNKNOWN
    licence: str = UNKNOWN
    at_hand: str = UNKNOWN


# Networks with a file of weights of their own, which `backbone.weights` names: whether it is at hand is not known.
_OWN = {"YAMNet": _Weights(0.6, "YAMNet file", "AudioSet", "Apache-2.0")}


def backbone_table(*patterns: str) -> str:
    """Return an aligned text table, for the screen, of the networks that match the patterns.

    Args:
        patterns: each as for `list_backbones`, or a network in a file or folder, "torch:FILE" or "hf:FOLDER"; without
            patterns: all networks that have a name of their own.

    Raises:
        InputError: a pattern matches no network, or a file or folder cannot be used.
    """
    header = ("name", "image size", "minimum", "features", "MB")
    header += ("input", "weights of", "task", "licence", "at hand", "alpha with weights")
    names = [name for pattern in patterns or ("*",) for name in _names(pattern)]
    at_hand = list_at_hand()
    rows = [header, *(_row(get_backbone_spec(name), at_hand) for name in names)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = range(1, 5)
    lines = (
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _names(pattern: str) -> list[str]:
    return [pattern] if is_torch_name(pattern) or is_folder_name(pattern) else list_backbones(pattern)


def _row(spec: BackboneSpec, at_hand: list[str]) -> tuple[str, ...]:
    weights = _weights_of(spec, at_hand)
    alphas = ", ".join(f"{alpha:g}" for alpha in spec.imagenet_alphas) or UNKNOWN
    sizes = (str(spec.image_size), str(spec.minimum_size), str(spec.num_features))
    size = f"{weights.megabytes:,.1f}" if weights.megabytes else UNKNOWN
    return spec.name, *sizes, size, spec.input, weights.provider, weights.task, weights.licence, weights.at_hand, alphas


def _weights_of(spec: BackboneSpec, at_hand: list[str]) -> _Weights:
    if is_torch_name(spec.name):
        file = Path(torch_parts(spec.name)[1])
        classes = [shape[0] for name, shape in read_shapes(file).items() if _CLASSIFIER.fullmatch(name)]
        task = f"{classes[-1]:,} classes" if classes else UNKNOWN
        return _Weights(_megabytes(file), "torch file", task, _licence_beside(file), "yes")
    if is_folder_name(spec.name):
        file = Path(spec.name.removeprefix(PREFIX), WEIGHTS)
        return _Weights(_megabytes(file), "hf folder", _architecture(file), _licence_beside(file), "yes")
    if spec.network is not None:
        return _OWN.get(spec.name, _Weights())
    size = MILLIONS.get(spec.name, 0.0) * _BYTES
    licence = _LICENCES.get(spec.family, UNKNOWN)
    return _Weights(size, "Keras", "ImageNet", licence, _at_hand(spec.name, at_hand))


def _at_hand(name: str, at_hand: list[str]) -> str:
    """Return whether the published weights of a network are in the cache; of one with several widths, which are."""
    widths = [width for network, _, width in (each.partition(":") for each in at_hand) if network == name]
    if not widths:
        return "no"
    return "yes" if widths == [""] else ", ".join(sorted(width or "1" for width in widths))


def _megabytes(file: Path) -> float:
    return file.stat().st_size / 1e6


def _architecture(file: Path) -> str:
    """Return what config.json beside a file calls the network with its head, as BertForMaskedLM."""
    options: Mapping[str, object] = json.loads(file.with_name("config.json").read_text("utf-8"))
    found = options.get("architectures") or [options.get("model_type", UNKNOWN)]
    return str(found[0]) if isinstance(found, list) else UNKNOWN


def _licence_beside(file: Path) -> str:
    """Return the licence that the model card beside a file names, or the name of a file with a licence."""
    try:
        card = file.with_name("README.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        card = ""
    _, mark, rest = card.partition("---\n")
    if mark and (found := _LICENCE_LINE.search(rest.partition("\n---")[0])):
        return found[1]
    texts = sorted(path.name for path in file.parent.glob("*") if re.match(r"licen[cs]e|copying", path.name.lower()))
    return f"see {texts[0]}" if texts else UNKNOWN
