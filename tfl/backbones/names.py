"""Names of networks with their width multiplier, as in "MobileNetV2:0.35", and those whose weights are at hand."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tfl.backbones.catalog import BackboneSpec, get_backbone_spec, list_backbones
from tfl.errors import InputError

AT_HAND = "at_hand"
_ALPHA = re.compile(r"(?<![\d.])(\d[_.]\d+)(?=_(?:224|float))")
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
    return sorted(_sizes_at_hand(folder))


def smallest_first() -> list[str]:
    """Return the networks that `list_at_hand` finds, those with the smallest files first."""
    sizes = _sizes_at_hand()
    return sorted(sizes, key=lambda name: (sizes[name], name))


def _sizes_at_hand(folder: str | os.PathLike[str] = "") -> dict[str, int]:
    """Return the bytes of the files of weights without top, by network."""
    place = Path(folder or Path(os.environ.get("KERAS_HOME") or "~/.keras") / "models").expanduser()
    files = [file for file in place.glob("*.h5") if re.search(r"no_?-?top", file.name)]
    return {name: file.stat().st_size for file in files if (name := _network_of(file.name))}


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
