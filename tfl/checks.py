"""Check a config as far as this needs neither TensorFlow nor the data."""

import dataclasses

from tfl.backbones.catalog import check_backbone, get_backbone_spec
from tfl.config import TransferConfig, absolute_paths
from tfl.files.existing import check_file, check_source


def check_config(config: TransferConfig) -> TransferConfig:
    """Return a config as a workdir records it: with the official spelling of every name, and with absolute paths.

    Raises:
        InputError: an option breaks its rule, the backbone cannot be built with it, or the data does not exist.
    """
    config = absolute_paths(config.validate())
    spec, backbone = get_backbone_spec(config.backbone.name), config.backbone
    check_backbone(spec, config.data.image_size or spec.image_size, backbone.alpha, backbone.weights)
    check_source(config.data.source, "data.source")
    if config.data.decisions != "none":
        check_file(config.data.decisions, "data.decisions")
    check_source(config.pretrain.source, "pretrain.source")
    return dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, name=spec.name))
