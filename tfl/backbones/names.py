"""Names of networks with their width multiplier, as in "MobileNetV2:0.35"."""

import re

from tfl.backbones.catalog import BackboneSpec, get_backbone_spec
from tfl.errors import InputError

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
