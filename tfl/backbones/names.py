"""Names of networks with their width multiplier, as in "MobileNetV2:0.35", and those whose weights are at hand."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tfl.backbones.catalog import get_backbone_spec, list_backbones
from tfl.backbones.hf.folder import is_folder_name
from tfl.backbones.spec import BackboneSpec
from tfl.config.torch_names import is_torch_name
from tfl.errors import InputError

AT_HAND = "at_hand"
_ALPHA = re.compile(r"(?<![\d.])(\d[_.]\d+)(?=_(?:\d+[_.]|float))")
_PIXELS = re.compile(r"_(96|128|160|192)(?=[_.])")  # of a file that is only for images of this size
_OWN_FILES = {"MobileNet": (128, 160, 192), "MobileNetV2": (96, 128, 160, 192)}  # sizes whose images need such a file
_NAME = re.compile(r"(?P<name>[^:]+)(?::(?P<alpha>\d+(\.\d+)?))?")


def parse_backbone(text: str) -> tuple[BackboneSpec, float]:
    """Return the network and the width multiplier that a text names; 1 if it names none.

    Raises:
        InputError: there is no such network, or the text has another form.

    Example:
        >>> spec, alpha = parse_backbone("mobilenetv2:0.35")
        >>> spec.name, alpha
        ('MobileNetV2', 0.35)
    """
    if is_folder_name(text.strip()) or is_torch_name(text.strip()):
        return get_backbone_spec(text.strip()), 1.0
    found = _NAME.fullmatch(text.strip())
    if found is None:
        raise InputError(f"`backbones` must be names such as MobileNetV2 or MobileNetV2:0.35. Received: {text!r}.")
    return get_backbone_spec(found["name"]), float(found["alpha"] or 1.0)


def list_at_hand(folder: str | os.PathLike[str] = "") -> list[str]:
    """Return the networks whose published weights without top are in the cache of Keras, by the names of the files.

    Args:
        folder: with the files; empty: `models` in `KERAS_HOME`, or in `~/.keras`.

    Example:
        >>> list_at_hand("nowhere")
        []
    """
    return sorted(files_at_hand(folder))


def files_at_hand(folder: str | os.PathLike[str] = "", *, image_size: int = 0, top: bool = False) -> dict[str, Path]:
    """Return the files of published weights in the cache of Keras, by network.

    Args:
        folder: as for `list_at_hand`.
        image_size: pixels per side; MobileNet and MobileNetV2 have separate files for some sizes.
        top: return the files with the classifier of ImageNet, not those without it.
    """
    place = Path(folder or Path(os.environ.get("KERAS_HOME") or "~/.keras") / "models").expanduser()
    files = [file for file in place.glob("*.h5") if bool(re.search(r"no_?-?top", file.name)) != top]
    named = ((_network_of(file.name), file) for file in files)
    return {name: file for name, file in named if name and _pixels_of(file.name) == _pixels_needed(name, image_size)}


def _pixels_of(file: str) -> int:
    """Return the size of images that a file is only for; 0: any other size."""
    found = _PIXELS.search(file)
    return int(found[1]) if found else 0


def _pixels_needed(network: str, image_size: int) -> int:
    """Return the size of the file that a network needs for images of some size; 0: that for any other size."""
    return image_size if image_size in _OWN_FILES.get(network.partition(":")[0], ()) else 0


def _network_of(file: str) -> str:
    """Return the network of a file of weights, such as "MobileNet:0.25"; "" if its name is of no network."""
    plain = _letters(file).removeprefix("weights")
    names = [name for name in list_backbones() if plain.startswith(_letters(name))]
    if not names:
        return ""
    name, alpha = max(names, key=len), _ALPHA.search(file)  # MobileNetV2, not MobileNet
    width = _width(alpha[1]) if alpha and get_backbone_spec(name).has_alpha else 1.0
    return name if width == 1 else f"{name}:{width:g}"


def _width(text: str) -> float:
    """Return the width multiplier in the name of a file: "0.35", or "2_5" for 0.25."""
    return float(text) if "." in text else {"1_0": 1.0, "7_5": 0.75, "5_0": 0.5, "2_5": 0.25}.get(text, 1.0)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def expand_backbones(texts: Sequence[str]) -> list[str]:
    """Return the networks that names and patterns stand for: "at_hand", "EfficientNetB*", "MobileNetV2:0.35".

    Raises:
        InputError: a pattern matches no network, or no weights are at hand.

    Example:
        >>> expand_backbones(["VGG*", "MobileNet:0.25"])
        ['VGG16', 'VGG19', 'MobileNet:0.25']
    """
    expanded: list[str] = []
    for text in texts:
        found = [text]
        if text.lower() == AT_HAND:
            found = list_at_hand()
        elif any(sign in text for sign in "*?[") and "=" not in text and not Path(text).expanduser().exists():
            found = list_backbones(text)
        if not found:
            raise InputError(
                f"`backbones` must name networks. Received: {text!r}, but KERAS_HOME/models has no published weights. "
                "Did you mean names, as in MobileNetV2,ResNet50?"
            )
        expanded += [name for name in found if name not in expanded]
    return expanded
