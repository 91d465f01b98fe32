"""Which network a state dict belongs to, and what its file does not say: padding, epsilon, scaling of pixels."""

import dataclasses
import importlib
import json
import math
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from tfl.backbones.torch_files.families import FAMILIES, TENSORFLOW, Family
from tfl.backbones.torch_files.state import ENDINGS, Shapes, open_arrays, read_shapes
from tfl.config.torch_names import TORCH, torch_parts
from tfl.errors import InputError
from tfl.files.writing import expand_home
from tfl.registry import did_you_mean

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


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
        shapes: of the arrays in the file, by name.
    """

    name: str
    file: Path
    family: Family
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_features: int
    image_size: int
    shapes: Shapes = dataclasses.field(repr=False, compare=False)

    def build(self, pixels: Any) -> Any:
        """Return the last map of the network, from RGB in [0, 255]."""
        from tfl.backbones.torch_files.layers import TorchLayers, scaled

        is_tf = re.fullmatch(TENSORFLOW, self.name) is not None
        has_large_epsilon = re.fullmatch(self.family.large_epsilon, self.name)
        make = TorchLayers(self.shapes, epsilon=1e-3 if has_large_epsilon else 1e-5, pads_as_tensorflow=is_tf)
        return getattr(_builder(self.family), self.family.builder)(make, scaled(pixels, self.mean, self.std))

    def load(self, model: Any) -> None:
        """Give the network that `build` made the weights of the file."""
        from tfl.backbones.torch_files.layers import load_arrays

        with open_arrays(self.file) as read:
            load_arrays(read, self.shapes, model, _builder(self.family).HEAD)


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
    shapes = read_shapes(file)
    family = _family(shapes, file)
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
    features = next(shapes[key][0] for key in family.features if shapes.get(key))
    size = _image_size(network, family, facts)
    place = Path(os.path.abspath(file))  # a link is kept: the files of a hub have their names as links  # noqa: PTH100
    return TorchNetwork(network or family.example, place, family, mean, std, features, size, shapes)


def _family(shapes: Shapes, file: Path) -> Family:
    for family in FAMILIES:
        if all(key in shapes for key in family.keys) and any(shapes.get(key) for key in family.features):
            return family
    known = ", ".join(family.example for family in FAMILIES)
    raise InputError(
        "`backbone.name` must name a file with the weights of a network that tfl builds, of the families of "
        f"{known}. Received: {str(file)!r}, whose first arrays are {', '.join(list(shapes)[:3])}."
    )


def _facts(file: Path) -> dict[str, Any]:
    """Return what `config.json` beside a file of timm says: "architecture", "mean", "std" and "input_size".

    Raises:
        InputError: one of the last three is not three numbers that can be used.
    """
    try:
        found = json.loads(file.with_name("config.json").read_text("utf-8"))
        facts = {"architecture": found["architecture"], **found.get("pretrained_cfg", {})}
    except (OSError, ValueError, KeyError, TypeError):  # another program's file, or none
        return {}
    for name in {"mean", "std", "input_size"} & set(facts):
        if not _are_three_numbers(facts[name], smallest=0 if name == "mean" else 1e-6):
            raise InputError(
                f"`backbone.name` must name a file whose config.json has three numbers as {name!r}. "
                f"Received: {facts[name]!r}, in {str(file.with_name('config.json'))!r}."
            )
    return facts


def _are_three_numbers(values: object, smallest: float) -> bool:
    return (
        isinstance(values, list)
        and len(values) == 3
        and all(isinstance(value, (int, float)) and smallest <= value < math.inf for value in values)
    )


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
    if re.search(r"convnext.*[._]clip_", name.lower()):
        return _CLIP
    has_half = re.search(r"^tf_efficientnet_lite|efficientnet.*([._]ap|\.ra4|_pruned)|efficientnet_v2_l", name.lower())
    return _HALF if has_half else _IMAGENET


def _image_size(network: str, family: Family, facts: dict[str, Any]) -> int:
    """Return the pixels per side in the training of a network: from `config.json`, or by its name."""
    if "input_size" in facts:
        return int(facts["input_size"][1])
    return next((size for names, size in family.image_sizes if re.match(names, network)), 224)


def _builder(family: Family) -> ModuleType:
    """Return the module of a family; it imports Keras."""
    return importlib.import_module(f"tfl.backbones.torch_files.{family.builder}")
