"""A backbone that is left to tfl (`backbone.name=auto`): the networks that it may become."""

import dataclasses

from etils import epath

from tfl.backbones.buildable import check_backbone
from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.entries import backbone_of
from tfl.backbones.names import files_at_hand
from tfl.config import CHOSEN_NAME, TransferConfig
from tfl.errors import InputError
from tfl.workdir import read_config


def is_left(config: TransferConfig) -> bool:
    """Return whether tfl is to choose the backbone of a checked config."""
    return config.backbone.name == CHOSEN_NAME


def candidates_of(config: TransferConfig) -> list[TransferConfig]:
    """Return a config with each network whose published weights are at hand, those with the smallest files first.

    Networks that do not take examples of the size of the config are left out. A config that names its network is the
    only candidate.

    Raises:
        InputError: there is no such network.
    """
    if not is_left(config):
        return [config]
    files, found = files_at_hand(image_size=config.data.image_size), []
    refused = "KERAS_HOME/models has no published weights"
    for text in sorted(files, key=lambda text: (files[text].stat().st_size, text)):
        options = backbone_of(text, config.backbone.weights)
        spec = get_backbone_spec(options.name)
        try:
            check_backbone(spec, spec.size_of(config.data.image_size), options.alpha, options.weights)
            found.append(dataclasses.replace(config, backbone=options))
        except InputError as error:
            refused = f"no network at hand takes the images: {error}"
    if not found:
        raise InputError(
            f"`backbone.name` must name a network if none at hand can be chosen. Received: 'auto', but {refused}. "
            "Did you mean MobileNetV2, whose weights tfl downloads?"
        )
    return found


def with_a_backbone(config: TransferConfig, workdir: epath.PathLike) -> TransferConfig:
    """Return a config that names a network: that of an earlier start in a folder, or any of the candidates.

    Raises:
        InputError: as for `candidates_of`.
    """
    if not is_left(config):
        return config
    if (epath.Path(workdir).expanduser() / "config.json").exists():
        return dataclasses.replace(config, backbone=read_config(workdir).backbone)
    return candidates_of(config)[0]
