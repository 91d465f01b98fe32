"""Choose the size of an example from the data: how many word pieces of a text the network gets."""

import dataclasses

import numpy as np

from tfl.backbones import get_backbone_spec
from tfl.config import TransferConfig
from tfl.data import Splits
from tfl.progress import say

WHOLE = 0.99  # share of the examples for training that are not cut off
MULTIPLE = 8


def choose_size(config: TransferConfig, splits: Splits) -> TransferConfig:
    """Return a config with `data.image_size` chosen from the examples for training, and tell the choice.

    Nothing changes if the config has a size. A longer network takes more time for each example, also for a short one.

    Args:
        config: a checked config.
        splits: its data.
    """
    if config.data.image_size >= 0:
        return config
    spec, kind = get_backbone_spec(config.backbone.name), splits.source.kind
    sizes = kind.sizes({name: values[splits.train] for name, values in splits.index.facts.items()})
    if sizes is None or not len(sizes):
        raise ValueError(f"the scan of {kind.noun[1]} finds no sizes")
    wanted = int(np.quantile(sizes, WHOLE, method="higher"))
    size = min(-(-wanted // MULTIPLE) * MULTIPLE, spec.largest_size)
    whole = float(np.mean(sizes <= size))
    say(
        f"data.image_size={size}, because {whole:.1%} of the {len(sizes):,} {kind.noun[1]} for training have at most "
        f"so many pieces; the longest has {int(sizes.max()):,}, and the end of a longer one is cut off"
    )
    return dataclasses.replace(config, data=dataclasses.replace(config.data, image_size=size)).validate()
