"""Choose the size of an example from the data: how many pieces of a text or samples of a clip the network gets."""

import dataclasses

import numpy as np

from tfl.backbones import get_backbone_spec
from tfl.config import TransferConfig
from tfl.data import Splits
from tfl.progress import say

WHOLE = 0.99  # share of the examples for training that are not cut off


def choose_size(config: TransferConfig, splits: Splits) -> TransferConfig:
    """Return a config with `data.image_size` chosen from the examples for training, and tell the choice.

    Nothing changes if the config has a size; a line then tells how many examples are cut off. A longer network takes
    more time for each example, also for a short one.

    Args:
        config: a checked config.
        splits: its data.
    """
    spec, kind = get_backbone_spec(config.backbone.name), splits.source.kind
    if not kind.size_step:
        return config
    sizes = kind.sizes({name: values[splits.train] for name, values in splits.index.facts.items()})
    if sizes is None or not len(sizes):
        raise ValueError(f"the scan of {kind.noun[1]} finds no sizes")
    size = spec.size_of(config.data.image_size)
    if config.data.image_size >= 0:
        if cut := int(np.sum(sizes > size)):
            say(
                f"the end of {cut:,} of the {len(sizes):,} {kind.noun[1]} for training is cut off: they are longer "
                f"than {kind.describe_size(size)}"
            )
        return config
    wanted = int(np.quantile(sizes, WHOLE, method="higher"))
    size = int(min(max(-(-wanted // kind.size_step) * kind.size_step, spec.minimum_size), spec.most))
    share, longest = float(np.mean(sizes <= size)), int(sizes.max())
    say(
        f"data.image_size={size}, because {share:.1%} of the {len(sizes):,} {kind.noun[1]} for training have at most "
        f"{kind.describe_size(size)}; the longest has {kind.describe_size(longest)}, and the end of a longer one is "
        "cut off"
    )
    return dataclasses.replace(config, data=dataclasses.replace(config.data, image_size=size)).validate()
