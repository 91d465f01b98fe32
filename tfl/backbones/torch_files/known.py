"""Which network a state dict belongs to, and what its file does not say: padding, epsilon, scaling of pixels."""

import dataclasses
import importlib
import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from tfl.backbones.torch_files.state import ENDINGS, State, read_state
from tfl.config.torch_names import TORCH, torch_parts
from tfl.errors import InputError
from tfl.files.writing import expand_home
from tfl.registry import did_you_mean

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Family:
    """Networks that one builder makes.

    Attributes:
        names: a regular expression of their names in torchvision and timm.
        example: one of these names.
        builder: module in this package, with a function of the same name and `HEAD`, the prefix of the classifier.
        keys: arrays that only this family has all of.
        features: the array whose first axis has the number of channels of the last map.
        is_unsure: whether networks of other names have the same arrays, so that the name must be known.
    """

    names: str
    example: str
    builder: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    is_unsure: bool = True


FAMILIES = (
    Family(
        r"(wide_)?resne(t|xt)\d+(_\w+)?",
        "resnet50",
        "resnet",
        ("conv1.weight", "layer4.0.conv1.weight"),
        ("layer4.0.conv3.weight", "layer4.0.conv2.weight"),
    ),
    Family(
        r"mobilenet_v2",
        "mobilenet_v2",
        "mobilenet_v2",
        ("features.1.conv.0.0.weight",),
        ("features.18.0.weight",),
        is_unsure=False,
    ),
    Family(
        r"densenet\d+(_\w+)?",
        "densenet121",
        "densenet",
        ("features.conv0.weight", "features.denseblock1.denselayer1.conv1.weight"),
        ("features.norm5.weight",),
    ),
    Family(
        r"vgg\d+(_bn)?",
        "vgg16",
        "vgg",
        ("features.0.weight",),
        tuple(
            f"features.{last}.weight" for last in (18, 22, 28, 34, 25, 31, 40, 49)
        ),  # of each depth, with norms or not
    ),
    Family(
        r"(tf_)?efficientnet_(b\d|lite\d)(_\w+)?|mobilenetv2_\d+d?(_\w+)?",
        "tf_efficientnet_lite0",
        "efficientnet",
        ("conv_stem.weight", "blocks.1.0.conv_pwl.weight"),
        ("conv_head.weight",),
    ),
)


@dataclasses.dataclass(frozen=True)
class TorchNetwork:
    """A file with the weights of a network, and what must be known to build it.

    Attributes:
        name: of the network in torchvision or timm.
        file: of its weights.
        family: its builder.
        mean: of RGB, in shares of 1.
        std: the same for the standard deviation.
        num_features: channels of the last map.
        image_size: of its training.
    """

    name: str
    file: Path
    family: Family
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_features: int
    image_size: int

    def build(self, pixels: Any) -> Any:
        """Return the last map of the network, from RGB in [0, 255]."""
        from tfl.backbones.torch_files.layers import TorchLayers, scaled

        is_tf = self.name.startswith("tf_") or "_pruned" in self.name
        make = TorchLayers(read_state(self.file), epsilon=1e-3 if is_tf else 1e-5, pads_as_tensorflow=is_tf)
        return getattr(_builder(self.family), self.family.builder)(make, scaled(pixels, self.mean, self.std))

    def load(self, model: Any) -> None:
        """Give the network that `build` made the weights of the file."""
        from tfl.backbones.torch_files.layers import load_state

        load_state(read_state(self.file), model, _builder(self.family).HEAD)


def find_network(name: str) -> TorchNetwork:
    """Return the network of `torch:FILE`, or of `torch:NAME@FILE`.

    The name of the network is given, or it stands in `config.json` beside the file, or in the name of the file, or it
    follows from the arrays.

    Raises:
        InputError: there is no such file, it cannot be read, or it holds a network that tfl cannot build.
    """
    given, text = torch_parts(name)
    file = Path(expand_home(text, "backbone.name"))
    if not file.is_file() or file.suffix not in ENDINGS:
        raise InputError(
            f"`backbone.name` must be {TORCH}FILE with a file that ends with {', '.join(ENDINGS)}. "
            f"Received: {name!r}{', which does not exist' if not file.exists() else ''}."
        )
    state = read_state(file)
    family = _family(state, file)
    facts = _facts(file)
    network = (given or _name_of(facts, file)).lower()
    if not network and family.is_unsure:
        raise InputError(
            "`backbone.torch_name` must name the network, because neither the file nor its name says which one it is. "
            f"Received: {str(file)!r}, a network of the family of {family.example}."
        )
    if network and not re.fullmatch(family.names, network):
        examples = [each.example for each in FAMILIES]
        raise InputError(
            f"`backbone.torch_name` must name a network of the family of {family.example}, whose arrays the file has. "
            f"Received: {network!r}.{did_you_mean(network, examples)}"
        )
    mean, std = _scaling(given or str(facts.get("architecture", file.stem)), facts)
    features = next(state[key].shape[0] for key in family.features if key in state)
    size = int(facts.get("input_size", (3, 224, 224))[1])
    place = Path(os.path.abspath(file))  # a link is kept: the files of a hub have their names as links  # noqa: PTH100
    return TorchNetwork(network or family.example, place, family, mean, std, features, size)


def _family(state: State, file: Path) -> Family:
    for family in FAMILIES:
        if all(key in state for key in family.keys) and any(key in state for key in family.features):
            return family
    known = ", ".join(family.example for family in FAMILIES)
    raise InputError(
        "`backbone.name` must name a file with the weights of a network that tfl builds, of the families of "
        f"{known}. Received: {str(file)!r}, whose first arrays are {', '.join(list(state)[:3])}."
    )


def _facts(file: Path) -> dict[str, Any]:
    """Return what `config.json` beside a file of timm says: "architecture", "mean", "std" and "input_size"."""
    try:
        found = json.loads(file.with_name("config.json").read_text("utf-8"))
        return {"architecture": found["architecture"], **found.get("pretrained_cfg", {})}
    except (OSError, ValueError, KeyError, TypeError):  # another program's file, or none
        return {}


def _name_of(facts: dict[str, Any], file: Path) -> str:
    """Return the name of the network that the facts or the name of the file have; "" if they have none."""
    if facts:
        return str(facts["architecture"])
    for family in FAMILIES:
        found = re.match(rf"({family.names})(?=$|[\W_])", file.stem.lower())
        if found:
            return found[1]
    return ""


def _scaling(name: str, facts: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of RGB in shares of 1.

    Args:
        name: of the network, with the tag that timm puts behind it, as in tf_efficientnet_b0.ap_in1k.
        facts: of `config.json`.
    """
    if "mean" in facts and "std" in facts:
        return tuple(map(float, facts["mean"])), tuple(map(float, facts["std"]))
    has_half = re.search(r"^tf_efficientnet_lite|efficientnet.*([._]ap|\.ra4|_pruned)", name.lower())
    return _HALF if has_half else _IMAGENET


def _builder(family: Family) -> ModuleType:
    """Return the module of a family; it imports Keras."""
    return importlib.import_module(f"tfl.backbones.torch_files.{family.builder}")
