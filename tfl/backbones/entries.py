"""Networks with their weights as one text: "MobileNetV2:0.35", "MobileNetV2=my.weights.h5", or a finished run."""

from etils import epath

from tfl.backbones.catalog import list_backbones
from tfl.backbones.names import parse_backbone
from tfl.backbones.weight_files import PUBLISHED, RANDOM
from tfl.config import BackboneConfig
from tfl.errors import InputError
from tfl.workdir import check_finished, read_config


def backbone_of(text: str, weights: str) -> BackboneConfig:
    """Return the options of the network that a text names.

    Args:
        text: a name with or without its width multiplier, the same with "=" and a weights file or workdir, or the
            workdir of a finished run, whose network is known.
        weights: of a name alone.

    Raises:
        InputError: there is no such network, or the network of a weights file is not named.

    Example:
        >>> options = backbone_of("mobilenet:0.25=my.weights.h5", "imagenet")
        >>> options.name, options.alpha, options.weights
        ('MobileNet', 0.25, 'my.weights.h5')
    """
    text = text.strip()
    name, equals, place = text.partition("=")
    if equals and not _is_run(text):
        spec, alpha = parse_backbone(name)
        return BackboneConfig(spec.name, alpha, place)
    if _is_run(text):
        check_finished(epath.Path(text).expanduser(), "backbones")
        theirs = read_config(epath.Path(text).expanduser()).backbone
        return BackboneConfig(theirs.name, theirs.alpha, text)
    if text.endswith((".h5", ".keras")):
        raise InputError(
            f"`backbones` must name the network of a weights file. Received: {text!r}. Did you mean MobileNetV2={text}?"
        )
    spec, alpha = parse_backbone(text)
    return BackboneConfig(spec.name, alpha, weights)


def label_of(options: BackboneConfig) -> str:
    """Return the text that names a network; `backbone_of` reads it.

    Example:
        >>> label_of(tfl.BackboneConfig("MobileNet", 0.25))
        'MobileNet:0.25'
    """
    name = options.name if options.alpha == 1 else f"{options.name}:{options.alpha:g}"
    return name if options.weights in (PUBLISHED, RANDOM) else f"{name}={options.weights}"


def is_trained_on(weights: str, source: str) -> bool:
    """Return whether weights are a run that has seen the labels of a source.

    Example:
        >>> is_trained_on("imagenet", "folder:photos")
        False
    """
    return _is_run(weights) and read_config(epath.Path(weights).expanduser()).data.source == source


def _is_run(text: str) -> bool:
    """Return whether a text is the folder of a run, and not the name of a network."""
    known = {name.lower() for name in list_backbones()}
    return text.lower() not in known and (epath.Path(text).expanduser() / "config.json").exists()
