"""The pretrained network of a config."""

import keras

from tfl.backbones import build_backbone
from tfl.config import TransferConfig


def backbone_of(config: TransferConfig, weights: str = "") -> keras.Model:
    """Return the backbone of a checked config; random weights are those of a run with this config.

    Args:
        config: the options.
        weights: of the backbone; empty: those of the config.
    """
    options = config.backbone
    keras.utils.set_random_seed(config.seed)
    return build_backbone(
        options.name,
        image_size=config.data.image_size,
        alpha=options.alpha,
        weights=weights or options.weights,
        channels=config.data.channels,
        columns=config.data.columns,
    )
